"""A tiny run that answers questions, trained in a few seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from small_squad import write_squad

from dynabert.data.source import DataSource
from dynabert.evaluation.latency import LatencySetup
from dynabert.training import Grid, Losses, Recipe, Rewire, Teacher, Train, TrainingPlan

GRID = Grid(width_mults=(1.0, 0.5), depth_mults=(1.0, 0.5))
RECIPE = Recipe(
    name="small",
    batch_size=16,
    max_tokens=26,
    doc_stride=9,
    width_mults=GRID.width_mults,
    depth_mults=GRID.depth_mults,
    stages=(
        Train(name="fine-tune", losses=Losses(labels=1.0), epochs=3, learning_rate=3e-3),
        Rewire(num_examples=32),
        Train(
            name="width-depth",
            subnets=GRID,
            losses=Losses(prediction=1.0, hidden=1.0),
            teacher=Teacher(stage="rewire"),
            epochs=1,
            learning_rate=1e-3,
            evaluations=2,
        ),
    ),
)


def squad_plan(folder: Path, backbone: Path, **changes: Any) -> TrainingPlan:
    """What to train; the questions are written into the folder."""
    source = DataSource(task="squad", data_dir=write_squad(folder, train=128, dev=24))
    values: dict[str, Any] = {
        "name": "questions",
        "data": source,
        "backbone": str(backbone),
        "recipe": RECIPE,
        "precision": "fp32",
        "latency": LatencySetup(tokens=8, repeats=2),
    }
    return TrainingPlan(**(values | changes))
