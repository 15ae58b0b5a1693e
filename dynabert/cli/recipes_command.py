"""`dynabert recipes`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dynabert.cli.display import console
from dynabert.training import find_recipe
from dynabert.training.presets import RECIPES


def recipes(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="One of them, or a .yaml file: print all its fields. Left out: list all."
        ),
    ] = None,
) -> None:
    """List the recipes, or print one as YAML, to change it and train by the file.

    Example: python -m dynabert recipes best > mine.yaml
    """
    if recipe is not None:
        sys.stdout.write(find_recipe(recipe).to_yaml())  # for a file: neither wrapped nor coloured
        return
    table = Table(show_lines=True)
    for heading in ("recipe", "what it is", "stages"):
        table.add_column(heading, no_wrap=heading == "recipe")
    for preset in RECIPES.values():
        stages = ", ".join(stage.name for stage in preset.stages)
        table.add_row(escape(preset.name), escape(preset.about), escape(stages))
    console.print(table)
