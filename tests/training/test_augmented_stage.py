"""A stage on augmented data sees the original rows and the augmented ones, each once an epoch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from small_data import write_csv, write_glue
from test_resume import Killed, assert_same, kill_at

from dynabert.data.augmentation import Augmentation, Settings, augment
from dynabert.data.source import CsvSource, DataSource
from dynabert.errors import UserError
from dynabert.runs import Run, list_runs
from dynabert.training import Grid, Losses, Recipe, Rewire, Teacher, Train, TrainingPlan, train
from dynabert.training import loop as training_loop
from dynabert.training.presets import RECIPES
from dynabert.training.request import request_training

TRAIN = 20
WORDS = "cat dog bird sat ran good bad old new red green".split()


def recipe(**changes: Any) -> Recipe:
    distil = {
        "name": "distil",
        "subnets": Grid(width_mults=(1.0, 0.5)),
        "losses": Losses(prediction=1.0, hidden=0.1),
        "teacher": Teacher(width="full"),
        "data": "augmented",
        "epochs": 1,
        "learning_rate": 1e-3,
        "evaluations": 2,
    }
    return Recipe(
        name="small",
        batch_size=8,
        max_tokens=24,
        width_mults=(1.0, 0.5),
        depth_mults=(1.0,),
        stages=(
            Train(name="fine-tune", losses=Losses(labels=1.0), epochs=1, learning_rate=1e-3),
            Rewire(num_examples=8),
            Train(**(distil | changes)),
        ),
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> DataSource:
    folder = tmp_path_factory.mktemp("data")
    train_file, dev_file = write_csv(folder, train=TRAIN, dev=8)
    glove = folder / "glove.txt"
    random = torch.Generator().manual_seed(0)
    lines = [
        f"{word} {' '.join(map(str, torch.randn(4, generator=random).tolist()))}" for word in WORDS
    ]
    glove.write_text("\n".join(lines), encoding="utf-8")
    source = DataSource(csv=CsvSource(train_file=train_file, dev_file=dev_file))
    augment(source.load(), folder / "augmented", Settings(copies=4, candidates=3), glove=glove)
    return source.model_copy(update={"augmentation": folder / "augmented"})


def plan(source: DataSource, backbone: Path, **changes: Any) -> TrainingPlan:
    values = {
        **{"name": "r", "data": source, "backbone": str(backbone), "recipe": recipe()},
        **{"precision": "fp32", "latency": None},
    }
    return TrainingPlan(**(values | changes))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[int, ...]]]:
    """By stage, the token ids of every example that a step trained on, with its label behind."""
    rows: dict[str, list[tuple[int, ...]]] = {}
    original = training_loop._StageRun._step

    def step(self: Any, number: int, rate: float) -> torch.Tensor:
        def watch(_: Any, batch: dict[str, torch.Tensor], *args: Any, **options: Any) -> Any:
            for ids, mask, label in zip(
                *(batch["input_ids"], batch["attention_mask"], batch["labels"]), strict=True
            ):
                key = (*ids[mask.bool()].tolist(), int(label))
                rows.setdefault(self.stage.name, []).append(key)
            return accumulate(_, batch, *args, **options)

        accumulate = training_loop.accumulate_gradients
        monkeypatch.setattr(training_loop, "accumulate_gradients", watch)
        loss = original(self, number, rate)
        monkeypatch.setattr(training_loop, "accumulate_gradients", accumulate)
        return loss

    monkeypatch.setattr(training_loop._StageRun, "_step", step)
    return rows


def expected_rows(source: DataSource, run: Run) -> tuple[Counter[Any], Counter[Any]]:
    """Of the original data, and of the augmentation's files as they lie there."""
    tokenizer = run.tokenizer()

    def keys(texts: list[str], labels: list[int]) -> Counter[Any]:
        ids = tokenizer(list(texts))["input_ids"]
        return Counter((*row, label) for row, label in zip(ids, labels, strict=True))

    train_rows = source.load().train
    assert source.augmentation is not None
    new = pd.concat(pd.read_parquet(path) for path in source.augmentation.glob("*.parquet"))
    return (
        keys(train_rows["text"], train_rows["label"]),
        keys(new["text"].tolist(), new["label"].tolist()),
    )


def epochs_of_all(source: DataSource) -> float:
    """How many epochs of the original rows show every original and augmented one once."""
    assert source.augmentation is not None
    new = sum(len(pd.read_parquet(path)) for path in source.augmentation.glob("*.parquet"))
    return (TRAIN + new) / TRAIN


def test_it_sees_original_and_augmented_rows(
    source: DataSource, tiny_backbone: Path, tmp_path: Path, seen: dict[str, list[tuple[int, ...]]]
) -> None:
    whole = recipe(epochs=epochs_of_all(source))
    run = train(plan(source, tiny_backbone, recipe=whole), tmp_path)
    original, augmented = expected_rows(source, run)
    assert augmented.total() > 2 * TRAIN
    assert Counter(seen["fine-tune"]) == original
    assert Counter(seen["distil"]) == original + augmented
    assert run.info.task.num_train == TRAIN
    assert run.info.data.augmentation == source.augmentation
    about, alone, few = run.info.notices
    assert about.startswith("trained on original and augmented rows in distil: ")
    assert f"{augmented.total()} augmented rows made from the {TRAIN} training rows" in about
    assert "without a masked language model" in alone
    assert "augmented with 11 word vectors" in few
    assert Run.load(run.folder).info.recipe["stages"][2]["data"] == "augmented"


def test_an_epoch_has_as_many_steps_as_on_the_original_rows(
    source: DataSource, tiny_backbone: Path, tmp_path: Path, seen: dict[str, list[tuple[int, ...]]]
) -> None:
    train(plan(source, tiny_backbone), tmp_path)
    assert abs(len(seen["distil"]) - len(seen["fine-tune"])) <= 8  # but for the last batch


def test_a_part_of_all_rows_is_a_random_one(
    source: DataSource, tiny_backbone: Path, tmp_path: Path, seen: dict[str, list[tuple[int, ...]]]
) -> None:
    run = train(
        plan(source, tiny_backbone, recipe=recipe(epochs=0.5 * epochs_of_all(source))), tmp_path
    )
    original, augmented = expected_rows(source, run)
    whole, part = original + augmented, Counter(seen["distil"])
    batches = -(-whole.total() // 8)
    assert abs(part.total() - 8 * round(0.5 * batches)) <= 8  # one batch may be the short one
    assert part <= whole  # none twice
    # Neither the beginning of the file nor one kind alone.
    assert 0 < (part & original).total() < TRAIN
    evaluations = [m for m in run.metrics if m["event"] == "evaluation" and m["stage"] == "distil"]
    assert evaluations[-1]["step"] == round(0.5 * batches)
    assert len(evaluations) == 2


def test_killed_and_resumed(source: DataSource, tiny_backbone: Path, tmp_path: Path) -> None:
    whole = train(plan(source, tiny_backbone), tmp_path / "whole")
    broken = tmp_path / "broken"
    for number in (9, 12, 5):
        try:
            train(plan(source, tiny_backbone), broken, kill_at(number))
        except Killed:
            continue
        break
    run = (
        Run.load(broken / "r") if list_runs(broken) else train(plan(source, tiny_backbone), broken)
    )
    assert_same(run, whole)


def test_another_augmentation_is_not_gone_on_with(
    source: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    glove = tmp_path / "glove.txt"
    glove.write_text("cat 1 2\ndog 1 1\nbird 0 1\n", encoding="utf-8")
    augment(source.load(), mine, Settings(copies=2), glove=glove)
    chosen = source.model_copy(update={"augmentation": mine})
    with pytest.raises(Killed):
        train(plan(chosen, tiny_backbone), tmp_path / "runs", kill_at(9))
    for path in mine.iterdir():
        path.unlink()
    augment(source.load(), mine, Settings(copies=3), glove=glove)
    with pytest.raises(UserError, match="started with another fingerprint of the augmented data"):
        train(plan(chosen, tiny_backbone), tmp_path / "runs")


def test_what_does_not_fit_is_refused_before_anything_is_written(
    source: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    without = source.model_copy(update={"augmentation": None})
    with pytest.raises(
        UserError, match=r"trains on augmented data \(distil\), so give --augmentation"
    ):
        train(plan(without, tiny_backbone), runs)
    fewer = source.model_copy(update={"num_train": 12})
    with pytest.raises(UserError, match=r"made from other training data \(20 rows of train\)"):
        train(plan(fewer, tiny_backbone), runs)
    nothing = source.model_copy(update={"augmentation": tmp_path / "nothing"})
    with pytest.raises(UserError, match="is not an augmentation"):
        train(plan(nothing, tiny_backbone), runs)
    assert not runs.exists()


def test_an_augmentation_that_is_not_used_is_named(
    source: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    only = recipe(data="original")
    run = train(plan(source, tiny_backbone, recipe=only), tmp_path)
    assert run.info.notices == (
        "the augmentation was not used: no stage of the recipe small trains on augmented data",
    )


def test_presets_train_on_original_data_unless_their_name_says_otherwise() -> None:
    for name, preset in RECIPES.items():
        assert bool(preset.augmented_stages) == ("augmented" in name)


def test_a_request_passes_the_folder_on_and_checks_it(
    tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "more", recipe())
    glove = tmp_path / "glove.txt"
    glove.write_text("cat 1 2\ndog 1 1\nbird 0 1\n", encoding="utf-8")
    values = {
        "name": "r",
        "task": "sst2",
        "data_dir": write_glue(tmp_path / "glue"),
        "recipe": "more",
    }
    with pytest.raises(
        UserError, match="the recipe more trains on augmented data; give the folder"
    ):
        request_training(**values)
    request = request_training(
        **values, augmentation=tmp_path / "made", backbone=str(tiny_backbone), num_train=9
    )
    with pytest.raises(UserError, match="is not an augmentation"):
        request.check()
    augment(request.source.load(), tmp_path / "made", Settings(copies=2), glove=glove)
    request.check()
    assert request.arguments(tmp_path)[-6:-2] == [
        *("--augmentation", str(tmp_path / "made"), "--num-train", "9"),
    ]
    with pytest.raises(UserError, match="was made from other training data"):
        request.model_copy(update={"num_train": 10}).check()


def test_the_folder_given_is_the_one_loaded(source: DataSource) -> None:
    assert source.augmentation is not None
    made = Augmentation.load(source.augmentation)
    assert made.manifest.plan.num_source == TRAIN
    made.check_made_from(source.load())
