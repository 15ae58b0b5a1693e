"""Recipes that begin alike share their beginning, and end with the same numbers as alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from small_data import write_csv

from dynabert.data.source import CsvSource, DataSource
from dynabert.runs import Run
from dynabert.training import Grid, Losses, Recipe, Rewire, Teacher, Train, TrainingPlan, train
from dynabert.training.events import Event, Notice, StageStarted

FINE_TUNE = Train(name="fine-tune", losses=Losses(labels=1.0), epochs=1, learning_rate=2e-3)
WIDTH = Train(
    name="width",
    subnets=Grid(width_mults=(1.0, 0.5)),
    losses=Losses(prediction=1.0),
    teacher=Teacher(stage="fine-tune", width="full"),
    epochs=1,
    learning_rate=1e-3,
)


def recipe(name: str, *stages: Train | Rewire) -> Recipe:
    return Recipe(
        name=name,
        stages=stages,
        batch_size=16,
        max_tokens=24,
        width_mults=(1.0, 0.5),
        depth_mults=(1,),
    )


SHORT = recipe("short", FINE_TUNE, Rewire(num_examples=32))
LONG = recipe("long", *SHORT.stages, WIDTH)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSource:
    train_file, dev_file = write_csv(tmp_path_factory.mktemp("data"))
    return DataSource(csv=CsvSource(train_file=train_file, dev_file=dev_file))


class Trainer:
    def __init__(self, data: DataSource, backbone: Path, folder: Path) -> None:
        self.data, self.backbone, self.folder = data, backbone, folder
        self.events: list[Event] = []

    def __call__(self, recipe: Recipe, *, cached: bool = True, **changes: Any) -> Run:
        self.events.clear()
        name = f"r{len(list(self.folder.iterdir()))}"
        values: dict[str, Any] = {
            "data": self.data,
            "backbone": str(self.backbone),
            "latency": None,
        }
        plan = TrainingPlan(name=name, recipe=recipe, **(values | changes))
        cache = self.folder / "cache" if cached else None
        return train(plan, self.folder, self.events.append, stage_cache=cache)

    @property
    def trained(self) -> list[str]:
        return [event.stage for event in self.events if isinstance(event, StageStarted)]


@pytest.fixture
def trainer(data: DataSource, tiny_backbone: Path, tmp_path: Path) -> Trainer:
    return Trainer(data, tiny_backbone, tmp_path)


def test_a_common_beginning_is_computed_once(trainer: Trainer) -> None:
    alone = trainer(LONG, cached=False)
    assert trainer.trained == ["fine-tune", "rewire", "width"]
    trainer(SHORT)
    assert trainer.trained == ["fine-tune", "rewire"]
    shared = trainer(LONG)
    assert trainer.trained == ["width"]
    notices = [event.text for event in trainer.events if isinstance(event, Notice)]
    assert "stage rewire: taken over, it was computed already" in notices
    pd.testing.assert_frame_equal(alone.results, shared.results)
    ours, theirs = (load_file(run.folder / "model.safetensors") for run in (alone, shared))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert alone.importance is not None
    assert shared.importance is not None
    assert torch.equal(alone.importance.heads, shared.importance.heads)
    assert [*alone.info.stage_seconds] == [*shared.info.stage_seconds]
    metrics = [(run.folder / "metrics.jsonl").read_text() for run in (alone, shared)]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"recipe": LONG.model_copy(update={"batch_size": 8})},
        {"recipe": LONG.model_copy(update={"depth_choice": "official"})},
        {"recipe": recipe("other", FINE_TUNE.model_copy(update={"warmup": 0.2}), *LONG.stages[1:])},
    ],
)
def test_another_beginning_is_not_taken_over(trainer: Trainer, changes: dict[str, Any]) -> None:
    trainer(SHORT)
    trainer(**({"recipe": LONG} | changes))
    assert trainer.trained == ["fine-tune", "rewire", "width"]


def test_damage_counts_as_not_there(trainer: Trainer) -> None:
    trainer(SHORT)
    for about in (trainer.folder / "cache").glob("*/stage.json"):
        about.write_text("{")
    trainer(LONG)
    assert trainer.trained == ["fine-tune", "rewire", "width"]
