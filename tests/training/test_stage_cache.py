"""Recipes that begin alike share their beginning, and end with the same numbers as alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from small_data import write_csv

from dynabert.data.source import CsvSource, DataSource
from dynabert.runs import METRICS, Run
from dynabert.training import Grid, Losses, Recipe, Rewire, Teacher, Train, TrainingPlan, train
from dynabert.training.events import Event, Notice, StageStarted
from dynabert.training.stage_cache import StageCache, StageResult

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


def changed_backbone(backbone: Path, folder: Path, file: str, old: str, new: str) -> Path:
    """A copy of a backbone with one of its texts changed; its weights are the same."""
    shutil.copytree(backbone, folder)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("config.json", '"hidden_dropout_prob": 0.1', '"hidden_dropout_prob": 0.3'),
        ("config.json", '"layer_norm_eps": 1e-12', '"layer_norm_eps": 1e-05'),
        ("tokenizer_config.json", '"do_lower_case": true', '"do_lower_case": false'),
    ],
)
def test_the_same_weights_in_another_network_are_another_beginning(
    trainer: Trainer, tiny_backbone: Path, tmp_path: Path, file: str, old: str, new: str
) -> None:
    trainer(SHORT)
    folder = tmp_path.parent / f"{tmp_path.name}-other"
    other = changed_backbone(tiny_backbone, folder, file, old, new)
    trainer(SHORT, backbone=str(other))
    assert trainer.trained == ["fine-tune", "rewire"]


def test_a_default_that_has_changed_makes_another_stage(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a recipe leaves to the defaults is not in the name of its result."""
    trainer(SHORT)
    for about in (trainer.folder / "cache").glob("*/stage.json"):  # as if it had been kept before
        about.write_text(about.read_text().replace('"max_grad_norm": 1.0', '"max_grad_norm": 5.0'))
    trainer(SHORT)
    assert trainer.trained == ["fine-tune", "rewire"]
    trainer(LONG)  # and what was computed instead has taken its place
    assert trainer.trained == ["width"]


def test_a_field_that_is_added_makes_none(trainer: Trainer) -> None:
    trainer(SHORT)
    for path in (trainer.folder / "cache").glob("*/stage.json"):
        about = json.loads(path.read_text())
        for stage in about["stages"]:
            stage.pop("weight_decay", None)  # as if it had been kept before there was such a field
        path.write_text(json.dumps(about))
    trainer(LONG)
    assert trainer.trained == ["width"]


@pytest.mark.parametrize("name", ["stage.json", "model.safetensors", "metrics.jsonl"])
def test_damage_counts_as_not_there(trainer: Trainer, name: str) -> None:
    trainer(SHORT)
    files = list((trainer.folder / "cache").glob(f"*/{name}"))
    assert len(files) == 2
    for file in files:
        file.write_bytes(file.read_bytes()[:-9])
    trainer(LONG)
    assert trainer.trained == ["fine-tune", "rewire", "width"]
    trainer(LONG)
    assert trainer.trained == []


def test_a_result_that_goes_away_while_it_is_read_is_computed(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may remove the folder, because nobody it knows of shares it any more."""
    trainer(SHORT)
    find = StageCache.find

    def find_and_lose(cache: StageCache, *arguments: Any) -> StageResult | None:
        found = find(cache, *arguments)
        shutil.rmtree(cache.folder, ignore_errors=True)
        return found

    monkeypatch.setattr(StageCache, "find", find_and_lose)
    trainer(SHORT)
    assert trainer.trained == ["fine-tune", "rewire"]


def test_interrupted_while_it_takes_over_it_leaves_nothing_half(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer(SHORT)

    put = Path.replace

    def stop_before_the_metrics(path: Path, target: Path) -> Path:
        if target.name == METRICS:
            raise KeyboardInterrupt
        return put(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop_before_the_metrics)
        with pytest.raises(KeyboardInterrupt):
            trainer(LONG)
    (folder,) = trainer.folder.glob(".*.unfinished")
    assert (folder / METRICS).read_bytes() == b""
    assert not list(folder.glob("*.partial"))


def test_what_is_whole_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two processes that computed the same, the second must not pull it from under a reader."""
    (tmp_path / "weights").write_bytes(b"weights")
    (tmp_path / "metrics").write_bytes(b"metrics")
    result = StageResult(tmp_path / "weights", tmp_path / "metrics", None, 1.0)
    cache, copyfile = StageCache(tmp_path / "cache"), shutil.copyfile
    other = StageCache(tmp_path / "cache")
    kept: list[int] = []

    def copy_while_another_keeps_it(source: Path, target: Path) -> None:
        copyfile(source, target)
        if not kept:
            kept.append(0)
            other.keep("key", result, SHORT.stages)
            kept[0] = (tmp_path / "cache" / "key").stat().st_ino

    monkeypatch.setattr(shutil, "copyfile", copy_while_another_keeps_it)
    cache.keep("key", result, SHORT.stages)
    assert (tmp_path / "cache" / "key").stat().st_ino == kept[0]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["key"]
