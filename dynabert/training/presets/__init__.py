"""The recipes that come with the package."""

from __future__ import annotations

from pathlib import Path

from dynabert.errors import UserError
from dynabert.training.presets.ablations import ABLATIONS
from dynabert.training.presets.best import BEST
from dynabert.training.presets.compared import COMPARED
from dynabert.training.presets.length import LENGTH
from dynabert.training.presets.paper import PAPER
from dynabert.training.recipe import Recipe, load_recipe

RECIPES = {recipe.name: recipe for recipe in (*PAPER, BEST, *ABLATIONS, *COMPARED, *LENGTH)}


def find_recipe(name: str) -> Recipe:
    """The recipe of a name, or of a YAML file.

    Raises:
        UserError: neither.
    """
    if name in RECIPES:
        return RECIPES[name]
    if name.endswith((".yaml", ".yml")):
        return load_recipe(Path(name))
    raise UserError(
        f"unknown recipe {name!r}; known are {', '.join(RECIPES)}, or the path of a .yaml file."
    )
