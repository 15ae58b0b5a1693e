"""Recipes are data: they survive a file, and wrong ones are refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from dynabert.cli.train_command import changed
from dynabert.errors import UserError
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
from dynabert.training.recipe import default_learning_rate


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


def test_default_recipe_is_the_papers() -> None:
    stages = {stage.name: stage for stage in RECIPES["dynabert"].stages}
    assert list(stages) == ["fine-tune", "rewire", "width", "width-depth", "final"]
    width, both = stages["width"], stages["width-depth"]
    assert isinstance(width, Train)
    assert isinstance(both, Train)
    assert width.losses == Losses(prediction=1.0, hidden=0.1)  # Sec. 3
    assert both.losses == Losses(prediction=1.0, hidden=1.0)
    assert [subnet.key for subnet in width.subnets.subnets] == [
        f"w{w}-d1.00" for w in ("1.00", "0.75", "0.50", "0.25")
    ]
    assert len(both.subnets.subnets) == 12
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


def one(**changes: Any) -> dict[str, Any]:
    stage = {"kind": "train", "name": "s", "losses": {"labels": 1.0}}
    return {"name": "r", "stages": [stage | changes]}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (one(epochs=-1), "stages.0.train.epochs: Input should be greater than 0 (got -1)"),
        (one(speed=1), "stages.0.train.speed: Extra inputs are not permitted"),
        (one(losses={}), "give at least one of labels, prediction, hidden a weight above 0"),
        (one(losses={"hidden": 1.0}), "stage 's' distils, so it needs a teacher"),
        (one(teacher={"stage": "later"}), "stage 's' has no earlier stage to learn from"),
        (one(subnets={"width_mults": [1.5]}), "less than or equal to 1 (got 1.5)"),
        ({"name": "r", "stages": one()["stages"] * 2}, "two stages are called 's'"),
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
