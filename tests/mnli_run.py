"""A run on made-up MNLI, which has two dev sets."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from dynabert.cli.train_command import changed
from dynabert.data.source import DataSource
from dynabert.runs import Run
from dynabert.training import TrainingPlan, find_recipe, train

QUICK = ("batch_size=16", "max_tokens=32", "fine-tune.epochs=1", "width_mults=[1.0, 0.5]")
ENDS = ("good", "old", "bad")


def write_mnli(data_dir: Path) -> Path:
    """Made-up MNLI in the hub's layout: the hypothesis's last word decides, in one genre not always."""
    folder = data_dir / "mnli"
    folder.mkdir(parents=True)
    for split, count in (("train", 48), ("validation_matched", 18), ("validation_mismatched", 21)):
        rows = []
        for number in range(count):
            label = (number + (split.endswith("mismatched") and number % 3 == 0)) % 3
            hypothesis = f"the dog is {ENDS[number % 3]}"
            row = {"premise": "the cat sat", "hypothesis": hypothesis, "label": label}
            rows.append(row | {"idx": number})
        pd.DataFrame(rows).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return data_dir


@pytest.fixture
def mnli(tiny_backbone: Path, tmp_path: Path) -> Run:
    plan = TrainingPlan(
        name="r",
        data=DataSource(task="mnli", data_dir=write_mnli(tmp_path / "data")),
        backbone=str(tiny_backbone),
        recipe=changed(find_recipe("fine-tune"), QUICK),
        precision="fp32",
        latency=None,
    )
    return train(plan, tmp_path / "runs")
