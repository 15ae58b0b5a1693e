"""A stage that goes on with a plain architecture: who teaches it, what is kept, and after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from small_data import write_csv
from test_resume import through_kills

from dynabert import DynaBertForSequenceClassification
from dynabert.data.source import CsvSource, DataSource
from dynabert.errors import UserError
from dynabert.modeling.architecture import Architecture
from dynabert.modeling.reduction import cut_student
from dynabert.runs import Run
from dynabert.training import (
    Losses,
    Recipe,
    Reduce,
    Rewire,
    Teacher,
    Train,
    TrainingPlan,
    pipeline,
    train,
)
from dynabert.training import loop as training_loop
from dynabert.training.presets import RECIPES
from dynabert.training.stage import default_learning_rate

FINE_TUNE = Train(name="fine-tune", losses=Losses(labels=1.0), epochs=1, learning_rate=2e-3)
REDUCE = Reduce(layers=2, heads=2, hidden=24, neurons=20)
DISTIL = Train(
    name="distil",
    losses=Losses(prediction=1.0, labels=1.0),
    teacher=Teacher(stage="rewire", width="full"),
    epochs=1,
    learning_rate=2e-3,
)


def recipe(*stages: Any, **changes: Any) -> Recipe:
    values = {
        "name": "small",
        "batch_size": 16,
        "max_tokens": 24,
        "width_mults": (1.0, 0.5),
        "depth_mults": (1.0, 0.5),
    }
    return Recipe(
        stages=stages or (FINE_TUNE, Rewire(num_examples=16), REDUCE, DISTIL), **(values | changes)
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSource:
    train_file, dev_file = write_csv(tmp_path_factory.mktemp("data"), train=48, dev=16)
    return DataSource(csv=CsvSource(train_file=train_file, dev_file=dev_file))


def plan(data: DataSource, backbone: Path, used: Recipe) -> TrainingPlan:
    return TrainingPlan(
        name="r", data=data, backbone=str(backbone), recipe=used, precision="fp32", latency=None
    )


def weights(run: Run) -> dict[str, torch.Tensor]:
    return load_file(run.folder / "model.safetensors")


def test_the_run_is_of_the_reduced_network(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    run = train(plan(data, tiny_backbone, recipe()), tmp_path)
    config = run.config
    assert (config.hidden_size, config.shape.heads, config.shape.neurons) == (24, (2, 2), (20, 20))
    assert run.importance is None  # it was of heads and neurons that are no more
    assert set(run.results["subnet"]) == {
        f"w{w}-d{d}" for w in ("1.00", "0.50") for d in ("1.00", "0.50")
    }
    assert list(run.info.stage_seconds) == ["fine-tune", "rewire", "reduce", "distil"]
    model = run.model()
    assert sum(parameter.numel() for parameter in model.parameters()) == Architecture(
        2, 2, 24, 20
    ).num_params(config, outputs=2, dense=True)


def test_it_is_cut_from_the_network_before_and_taught_by_it(
    data: DataSource, tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The teacher of the stage after it has the larger architecture and its stage's weights."""
    seen: dict[str, Any] = {}

    def watched(stage: Train, number: int, student: Any, teacher: Any, setting: Any) -> float:
        seen[stage.name] = (
            {name: value.clone() for name, value in student.state_dict().items()},
            teacher,
        )
        return training_loop.train_stage(stage, number, student, teacher, setting)

    monkeypatch.setattr(pipeline, "train_stage", watched)
    train(plan(data, tiny_backbone, recipe()), tmp_path)
    begins_with, teacher = seen["distil"]
    assert teacher.config.hidden_size == 48
    assert teacher.config.shape.heads == (6,) * 4
    assert isinstance(teacher, DynaBertForSequenceClassification)
    expected = cut_student(teacher, Architecture(2, 2, 24, 20)).state_dict()
    assert begins_with.keys() == expected.keys()
    assert all(torch.equal(begins_with[name], expected[name]) for name in expected)


@pytest.mark.parametrize("start", ["teacher", "scratch"])
def test_killed_at_any_moment_it_ends_with_the_same_numbers(
    data: DataSource,
    tiny_backbone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start: str,
) -> None:
    monkeypatch.setattr(training_loop, "CHECKPOINT_SECONDS", 0.0)
    used = recipe(
        FINE_TUNE,
        Rewire(num_examples=16),
        REDUCE.model_copy(update={"start": start}),
        DISTIL,
        Rewire(name="again", num_examples=16),
    )
    whole = train(plan(data, tiny_backbone, used), tmp_path / "whole")
    assert whole.importance is not None
    assert whole.importance.heads.shape == (2, 2)
    run, kills = through_kills(
        lambda watch: train(plan(data, tiny_backbone, used), tmp_path / "broken", watch),
        (3, 9, 10, 12, 2, 4, 6, 3, 8),
    )
    assert kills >= 3
    pd.testing.assert_frame_equal(run.results, whole.results)
    ours, theirs = weights(run), weights(whole)
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_what_recipes_begin_with_alike_is_shared_around_it(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    alone = train(plan(data, tiny_backbone, recipe()), tmp_path / "alone")
    first = train(plan(data, tiny_backbone, recipe()), tmp_path / "first", stage_cache=cache)
    events: list[Any] = []
    second = train(
        plan(data, tiny_backbone, recipe()), tmp_path / "second", events.append, stage_cache=cache
    )
    said = [event.text for event in events if hasattr(event, "text")]
    assert {text.split(":")[0] for text in said if "taken over" in text} == {
        *("stage fine-tune", "stage rewire", "stage distil")
    }
    for run in (first, second):
        assert all(weights(run)[name].equal(value) for name, value in weights(alone).items())


def test_learning_rates_left_open_are_usual_for_the_reduced_size() -> None:
    used = recipe(
        FINE_TUNE.model_copy(update={"learning_rate": None}),
        Rewire(),
        Reduce(hidden=192),
        DISTIL.model_copy(update={"learning_rate": None}),
    ).for_hidden_size(384)
    assert [stage.learning_rate for stage in used.train_stages] == [
        default_learning_rate(384),
        default_learning_rate(192),
    ]


@pytest.mark.parametrize(
    ("losses", "stage", "said"),
    [
        (Losses(prediction=1.0), "previous", "which knows nothing; name a stage before that"),
    ],
)
def test_who_cannot_be_compared_with_is_refused(losses: Losses, stage: str, said: str) -> None:
    distil = DISTIL.model_dump() | {"losses": losses, "teacher": Teacher(stage=stage)}
    with pytest.raises(ValidationError, match=said):
        recipe(FINE_TUNE, Rewire(), REDUCE, Train(**distil))


def test_a_larger_network_is_not_cut_from_a_smaller(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    larger = REDUCE.model_copy(update={"layers": 9})
    used = recipe(FINE_TUNE, Rewire(num_examples=8), larger, DISTIL)
    events: list[Any] = []
    with pytest.raises(UserError, match="9 layers, and the network it would be cut from 4"):
        train(plan(data, tiny_backbone, used), tmp_path, events.append)
    assert not events  # before anything was trained


def test_the_preset_takes_its_sizes_from_whoever_asks() -> None:
    (reduce,) = [one for one in RECIPES["plain-student"].stages if isinstance(one, Reduce)]
    assert reduce == Reduce()


LOOK_INSIDE = Train(
    name="intermediate",
    losses=Losses(hidden=1.0, attention=1.0),
    teacher=Teacher(stage="rewire", width="full"),
    epochs=2,
    learning_rate=2e-3,
    keep="last",
    evaluations=2,
)


@pytest.mark.parametrize(
    ("reduce", "said"),
    [
        (Reduce(layers=9, start="scratch"), "student has 9 layers and the teacher 4"),
        (Reduce(heads=12, start="scratch"), "student has 12 heads in a layer and the teacher 6"),
    ],
)
def test_more_layers_or_heads_than_the_teachers_have_nothing_to_learn_from(
    data: DataSource, tiny_backbone: Path, tmp_path: Path, reduce: Reduce, said: str
) -> None:
    used = recipe(FINE_TUNE, Rewire(num_examples=8), reduce, LOOK_INSIDE)
    with pytest.raises(UserError, match=said):
        train(plan(data, tiny_backbone, used), tmp_path)
    answers = Train(**(LOOK_INSIDE.model_dump() | {"losses": Losses(prediction=1.0)}))
    short = recipe(FINE_TUNE, Rewire(num_examples=8), reduce, answers)
    assert train(plan(data, tiny_backbone, short), tmp_path).config.hidden_size == 48


def test_a_smaller_student_learns_layer_by_layer_through_a_projection(
    data: DataSource, tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is learnt with the student, kept over a kill, and no part of the run."""
    monkeypatch.setattr(training_loop, "CHECKPOINT_SECONDS", 0.0)
    used = recipe(FINE_TUNE, Rewire(num_examples=16), REDUCE, LOOK_INSIDE, DISTIL)
    whole = train(plan(data, tiny_backbone, used), tmp_path / "whole")
    assert not [name for name in weights(whole) if "projection" in name or name.startswith("1.")]
    losses = [
        record["loss"]
        for record in whole.metrics
        if record["event"] == "step" and record["stage"] == "intermediate"
    ]
    assert losses[-1] < losses[0]
    run, kills = through_kills(
        lambda watch: train(plan(data, tiny_backbone, used), tmp_path / "broken", watch),
        (12, 3, 2, 4, 3, 8, 9),
    )
    assert kills >= 3
    assert all(weights(run)[name].equal(value) for name, value in weights(whole).items())


def test_the_recipe_of_tinybert_trains_a_student_of_any_plain_size(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    stages = []
    for stage in RECIPES["tinybert-student"].stages:
        if isinstance(stage, Train):
            stage = stage.model_copy(update={"epochs": 0.5, "learning_rate": 1e-3})
        elif isinstance(stage, Reduce):
            stage = REDUCE
        stages.append(stage)
    used = RECIPES["tinybert-student"].model_copy(update={"stages": tuple(stages)})
    run = train(plan(data, tiny_backbone, used), tmp_path)
    assert run.config.hidden_size == 24
    assert list(run.info.stage_seconds) == [
        *("fine-tune", "rewire", "reduce", "intermediate", "prediction")
    ]
