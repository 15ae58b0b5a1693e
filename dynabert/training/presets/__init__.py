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
        UserError: neither; or the file is called as one of the package's and says something else.
    """
    if name in RECIPES:
        return RECIPES[name]
    if name.endswith((".yaml", ".yml")):
        recipe = load_recipe(Path(name))
        if RECIPES.get(recipe.name, recipe) != recipe:
            raise UserError(
                f"recipe {name} is called {recipe.name!r}, as one of the package's, but differs from it; "
                "give it a name of its own, by which its runs will be known."
            )
        return recipe
    raise UserError(
        f"unknown recipe {name!r}; known are {', '.join(RECIPES)}, or the path of a .yaml file."
    )
