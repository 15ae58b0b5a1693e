"""Recipes are data: they survive a file, and wrong ones are refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import ValidationError

from dynabert.cli.train_command import changed
from dynabert.errors import UserError
from dynabert.subnet import PAPER_DEPTHS, PAPER_WIDTHS, NetworkShape, Subnet
from dynabert.training import (
    RECIPES,
    Losses,
    Recipe,
    Rewire,
    Teacher,
    Train,
    find_recipe,
    load_recipe,
)
from dynabert.training.stage import default_learning_rate
from dynabert.training.subnets import Sandwich


@pytest.mark.parametrize("name", RECIPES)
def test_presets_survive_a_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPES[name].model_dump(mode="json")), encoding="utf-8")
    assert load_recipe(path) == RECIPES[name] == find_recipe(str(path))


@pytest.mark.parametrize("name", ["../../evil", "a/b", "", ".x", "a\n", "previous"])
def test_stage_names_are_file_names(name: str) -> None:
    values = RECIPES["fine-tune"].model_dump(mode="json")
    values["stages"][0]["name"] = name
    with pytest.raises(ValidationError, match="pattern|no stage can be called"):
        Recipe.model_validate(values)


@pytest.mark.parametrize("change", ["fine-tune.epochs=.inf", "fine-tune.learning_rate=.nan"])
def test_numbers_are_finite(change: str) -> None:
    with pytest.raises(UserError, match="finite number") as caught:
        changed(RECIPES["fine-tune"], [change])
    assert "at least 1 item" not in str(caught.value)  # the stage is wrong, not their number


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("width_mults=[]", "width_mults: .*at least 1 item"),
        ("width_mults=[1.0", r"'\[1\.0' is not a value"),
        ("batch_size=!!python/object:os.system x", "is not a value"),
    ],
)
def test_changes_that_are_no_values(change: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        changed(RECIPES["fine-tune"], [change])


def test_recipe_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes("about: é".encode("latin-1"))
    with pytest.raises(UserError, match="cannot read recipe"):
        load_recipe(tmp_path / "r.yaml")


def test_a_recipe_that_is_no_yaml_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("name: x\nstages: {{{", encoding="utf-8")
    with pytest.raises(UserError) as told:
        load_recipe(path)
    assert f"cannot read recipe {path}: line 2, column 12: " in str(told.value)
    assert "\n" not in str(told.value)
    with pytest.raises(UserError, match=r"none\.yaml: No such file or directory\.$"):
        load_recipe(tmp_path / "none.yaml")


def test_default_recipe_is_the_papers() -> None:
    stages = {stage.name: stage for stage in RECIPES["dynabert"].stages}
    assert list(stages) == ["fine-tune", "rewire", "width", "width-depth", "final"]
    width, both = stages["width"], stages["width-depth"]
    assert isinstance(width, Train)
    assert isinstance(both, Train)
    assert width.losses == Losses(prediction=1.0, hidden=0.1)  # Sec. 3
    assert both.losses == Losses(prediction=1.0, hidden=1.0)
    assert [subnet.key for subnet in width.subnets.judged] == [
        f"w{w}-d1.00" for w in ("1.00", "0.75", "0.50", "0.25")
    ]
    assert len(both.subnets.judged) == 12
    assert both.teacher == Teacher(stage="previous", width="same")
    assert isinstance(stages["rewire"], Rewire)
    assert stages["rewire"].split == "train"
    assert RECIPES["dynabert-official"].stages[1].split == "dev"
    assert len(RECIPES["dynabert"].reported) == 12


def test_learning_rate_follows_the_hidden_size() -> None:
    assert default_learning_rate(768) == pytest.approx(2e-5)
    assert default_learning_rate(384) == pytest.approx(8e-5)
    assert default_learning_rate(1024) == pytest.approx(1.125e-5)
    assert default_learning_rate(64) == 3e-4
    filled = RECIPES["dynabert"].for_hidden_size(384)
    assert [stage.learning_rate for stage in filled.train_stages] == [pytest.approx(8e-5)] * 4
    official = RECIPES["dynabert-official"].for_hidden_size(384)
    assert {stage.learning_rate for stage in official.train_stages} == {2e-5}


def test_a_factor_raises_the_learning_rate_that_is_given_or_usual() -> None:
    best = RECIPES["best"]
    assert [stage.peak_rate for stage in best.train_stages] == [None] * 3
    for hidden_size, usual in ((384, 8e-5), (768, 2e-5)):
        filled = best.for_hidden_size(hidden_size).train_stages
        assert [stage.peak_rate for stage in filled] == pytest.approx(
            [usual, 2.5 * usual, 2.5 * usual]
        )
        assert best.for_hidden_size(hidden_size).for_hidden_size(hidden_size).train_stages == filled
    given = best.train_stages[1].model_copy(update={"learning_rate": 1e-4})
    assert given.peak_rate == pytest.approx(2.5e-4)


def one(**changes: Any) -> dict[str, Any]:
    stage = {"kind": "train", "name": "s", "losses": {"labels": 1.0}}
    return {"name": "r", "stages": [stage | changes]}


HEADS_OUT_OF_ORDER: dict[str, Any] = {
    "name": "r",
    "stages": [
        {"kind": "train", "name": "fine-tune", "losses": {"labels": 1.0}},
        {"kind": "rewire"},
        {"kind": "rewire", "name": "again"},
        {
            "kind": "train",
            "name": "s",
            "losses": {"attention": 1.0},
            "teacher": {"stage": "fine-tune", "width": "full"},
        },
    ],
}


WITHOUT_LAYERS: dict[str, Any] = {
    "name": "r",
    "stages": [
        {"kind": "train", "name": "fine-tune", "losses": {"labels": 1.0}},
        {
            "kind": "train",
            "name": "s",
            "losses": {"prediction": 1.0, "hidden": 1.0},
            "subnets": {"kind": "sandwich", "layer_drop": 0.2},
            "teacher": {"width": "full", "distillation": "inplace"},
        },
    ],
}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (one(epochs=-1), "stages.0.train.epochs: Input should be greater than 0 (got -1)"),
        (one(speed=1), "stages.0.train.speed: Extra inputs are not permitted"),
        (
            one(losses={}),
            "give at least one of labels, prediction, hidden, attention, relations, cosine a weight",
        ),
        (one(losses={"hidden": 1.0}), "stage 's' distils, so it needs a teacher"),
        (one(teacher={"stage": "later"}), "stage 's' has no earlier stage to learn from"),
        (one(subnets={"width_mults": [1.5]}), "less than or equal to 1 (got 1.5)"),
        (HEADS_OUT_OF_ORDER, "'again' has changed the order of the heads since 'fine-tune'"),
        ({"name": "r", "stages": one()["stages"] * 2}, "two stages are called 's'"),
        (WITHOUT_LAYERS, "needs all of its layers; leave layer_drop at 0"),
        (one(largest={"labels": 1.0}), 'teacher.distillation must be "inplace"'),
        ({"name": "r", "stages": []}, "stages"),
        ([], "the whole"),
    ],
)
def test_wrong_recipes(values: Any, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(UserError) as error:
        load_recipe(path)
    assert sentence in str(error.value)


def test_yaml_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("!!python/object/apply:os.system ['touch evil']", encoding="utf-8")
    with pytest.raises(UserError, match="cannot read recipe"):
        load_recipe(path)
    with pytest.raises(UserError, match="unknown recipe 'magic'"):
        find_recipe("magic")


def test_changes_from_the_command_line() -> None:
    recipe = changed(
        RECIPES["dynabert"], ["batch_size=8", "width.epochs=5", "width.teacher.width=same"]
    )
    assert recipe.batch_size == 8
    width = recipe.train_stages[1]
    assert (width.name, width.epochs, width.teacher) == ("width", 5.0, Teacher(width="same"))
    assert isinstance(recipe, Recipe)
    with pytest.raises(UserError, match="has no stage 'depth'; its stages are fine-tune"):
        changed(RECIPES["dynabert"], ["depth.epochs=5"])
    with pytest.raises(UserError, match="no such field"):
        changed(RECIPES["dynabert"], ["width.speed=5"])


def stages_of(name: str) -> list[dict[str, Any]]:
    return [stage.model_dump() for stage in RECIPES[name].stages]


@pytest.mark.parametrize(
    ("row", "other", "changed_stages"),
    [
        # Table 3: each row adds one thing.
        ("vanilla-w", "rewired-w", {"rewire"}),
        ("rewired-w", "dynabert-w", {"width"}),
        # Table 4
        ("vanilla", "distilled", {"width", "width-depth"}),
        ("vanilla", "rewired-w", {"width-depth"}),
        ("vanilla-from-distilled", "distilled", {"width-depth"}),
        ("distilled", "fine-tuned", {"final"}),
        ("fine-tuned", "dynabert", {"final"}),
        # Tables 5, 7, 8
        ("inplace-w", "dynabert-w", {"width"}),
        ("inplace", "dynabert", {"width"}),
        ("slimmable-w", "rewired-w", {"width"}),
    ],
)
def test_rows_of_a_table_differ_in_one_stage(
    row: str, other: str, changed_stages: set[str]
) -> None:
    ours = {stage["name"]: stage for stage in stages_of(row)}
    theirs = {stage["name"]: stage for stage in stages_of(other)}
    different = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}
    assert different == changed_stages


def test_rows_train_for_equally_many_epochs() -> None:
    def epochs(name: str) -> float:
        return sum(stage.epochs for stage in RECIPES[name].train_stages)

    width_rows = ["separate-w0.50", "vanilla-w", "dynabert-w", "dynabert-d", "inplace-w"]
    assert {epochs(name) for name in [*width_rows, "progressive-w", "slimmable-w"]} == {7.0}
    students = ["distilbert-d0.50", "tinybert-w0.50-d0.50", "layerdrop", "dynabert", "inplace"]
    assert {epochs(name) for name in students} == {12.0}


def test_progressive_rewiring_adds_one_width_at_a_time() -> None:
    stages = RECIPES["progressive-w"].stages
    described = [
        (stage.within,) if isinstance(stage, Rewire) else stage.subnets.width_mults
        for stage in stages
    ]
    assert described == [
        *((1.0,), (1.0,)),
        *((1.0, 0.75), (0.75,)),
        *((1.0, 0.75, 0.5), (0.5,)),
        (1.0, 0.75, 0.5, 0.25),
    ]


def test_compared_students_have_the_size_in_their_name() -> None:
    for name, size in {
        "distilbert-d0.75": "w1.00-d0.75",
        "tinybert-d0.50": "w1.00-d0.50",
        "tinybert-w0.50-d0.50": "w0.50-d0.50",
    }.items():
        recipe = RECIPES[name]
        assert [subnet.key for subnet in recipe.reported] == [size]
        for stage in recipe.train_stages[1:]:
            assert [subnet.key for subnet in stage.subnets.judged] == [size]


def test_dynamic_tinybert_trains_length_drop_where_the_paper_says() -> None:
    """Stage, epochs and whether tokens are dropped, of its section 4.1 and Table 1."""
    procedures = {
        name.removeprefix("dynamic-tinybert"): [
            (stage.name, stage.epochs, getattr(stage.subnets, "length_drop", 0) > 0)
            for stage in recipe.train_stages
        ]
        for name, recipe in RECIPES.items()
        if name.startswith("dynamic-tinybert")
    }
    teacher = ("fine-tune", 2, False)
    assert procedures == {
        "": [teacher, ("intermediate", 20, False), ("prediction", 10, False)],
        "-naive": [
            teacher,
            ("intermediate", 20, False),
            ("prediction", 10, False),
            ("length-drop", 10, True),
        ],
        "-v1": [teacher, ("intermediate", 20, False), ("prediction", 20, True)],
        "-v2": [
            teacher,
            ("intermediate", 10, False),
            ("prediction", 3, False),
            ("length-drop", 10, True),
        ],
        "-v3": [teacher, ("intermediate", 20, True), ("prediction", 10, True)],
        "-v4": [
            teacher,
            ("length-drop", 5, True),
            ("intermediate", 20, False),
            ("prediction", 10, False),
        ],
    }
    for name, recipe in RECIPES.items():
        for stage in recipe.train_stages:
            if getattr(stage.subnets, "length_drop", 0) and name != "three-axes":
                assert stage.largest is not None, name
                assert (stage.subnets.length_drop, stage.subnets.layer_drop) == (0.2, 0.2)
                assert stage.subnets.num_random == 2
                assert stage.losses == Losses(prediction=1.0)


def test_the_recipe_of_three_axes_opens_them_all():
    recipe = RECIPES["three-axes"]
    last = recipe.train_stages[-1]
    assert isinstance(last.subnets, Sandwich)
    assert (last.subnets.width_mults, last.subnets.depth_mults) == (PAPER_WIDTHS, PAPER_DEPTHS)
    assert last.subnets.length_drop == 0.2
    shape = NetworkShape((12,) * 6, (48,) * 6, 4)
    largest, *others = last.subnets.of_step(shape, torch.Generator().manual_seed(0))
    assert largest == Subnet()
    assert all(other.length_config is not None for other in others)
    assert others[-1].width_mult == 0.25
    # As long in all as `best`: a step of six costs half of one of twelve.
    epochs = [stage.epochs for stage in recipe.train_stages]
    best = [stage.epochs for stage in RECIPES["best"].train_stages]
    assert epochs[:2] == best[:2]
    assert epochs[2] + epochs[3] / 2 == pytest.approx(best[2], abs=0.01)


def test_states_of_dropped_tokens_are_not_compared() -> None:
    stage = {
        "name": "x",
        "subnets": Sandwich(length_drop=0.2),
        "losses": Losses(hidden=1.0),
        "teacher": Teacher(stage="fine-tune"),
    }
    with pytest.raises(ValidationError, match="a token that was dropped has none to compare"):
        Train(**stage)
    Train(**(stage | {"subnets": Sandwich()}))
    inplace = Teacher(stage="fine-tune", distillation="inplace")
    Train(
        **(
            stage
            | {"losses": Losses(prediction=1.0), "largest": Losses(hidden=1.0), "teacher": inplace}
        )
    )
