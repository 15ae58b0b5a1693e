"""The recipes, listed and printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from dynabert.cli.main import app
from dynabert.errors import UserError
from dynabert.training.presets import RECIPES, find_recipe
from dynabert.training.recipe import load_recipe


def printed(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["recipes", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_all_are_listed_with_their_stages() -> None:
    listed = printed()
    assert all(f"│ {name} " in listed for name in RECIPES)
    assert "width-depth-longer" in listed


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_printed_is_read_back_alike(name: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(printed(name))
    assert load_recipe(path) == RECIPES[name]


def test_a_file_is_printed_with_the_fields_it_leaves_out(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nstages: [{kind: train, name: only, losses: {labels: 1}}]\n")
    assert {"name: mine", "  epochs: 3.0"} <= set(printed(str(path)).splitlines())


def test_an_unknown_one_is_refused() -> None:
    with pytest.raises(UserError, match="unknown recipe 'magic'; known are dynabert"):
        CliRunner().invoke(app, ["recipes", "magic"], catch_exceptions=False)


def test_a_changed_one_needs_a_name_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(printed("best"))
    assert find_recipe(str(path)) == RECIPES["best"]
    path.write_text(printed("best").replace("epochs: 4.67", "epochs: 9.0"))
    with pytest.raises(UserError, match="is called 'best', as one of the package's, but differs"):
        find_recipe(str(path))
    path.write_text(path.read_text().replace("name: best", "name: mine"))
    assert find_recipe(str(path)).stages[-1].epochs == 9.0
