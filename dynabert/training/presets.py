"""The recipes that come with the package."""

from __future__ import annotations

from pathlib import Path

from dynabert.errors import UserError
from dynabert.subnet import PAPER_DEPTHS, PAPER_WIDTHS
from dynabert.training.recipe import Grid, Losses, Recipe, Rewire, Teacher, Train, load_recipe

_WIDTHS = Grid(width_mults=PAPER_WIDTHS)
_ALL = Grid(width_mults=PAPER_WIDTHS, depth_mults=PAPER_DEPTHS)
_LABELS = Losses(labels=1.0)

_FINE_TUNE = Train(name="fine-tune", losses=_LABELS, epochs=4)
_WIDTH = Train(
    name="width",
    subnets=_WIDTHS,
    losses=Losses(prediction=1.0, hidden=0.1),  # lambda_1, lambda_2 of eq. (3)
    teacher=Teacher(width="full"),
)
_WIDTH_DEPTH = Train(
    name="width-depth",
    subnets=_ALL,
    losses=Losses(prediction=1.0, hidden=1.0),  # of eq. (4)
    teacher=Teacher(width="same"),
    epochs=4,
)
_FINAL = Train(name="final", subnets=_ALL, losses=_LABELS, epochs=1, start_competes=True)

_OFFICIAL = {"warmup": 0.0, "learning_rate": 2e-5}

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="dynabert",
            about="DynaBERT as in the paper: fine-tune, rewire, adapt the width, then width and depth by "
            "distillation, and fine-tune all sub-networks if that helps.",
            stages=(_FINE_TUNE, Rewire(), _WIDTH, _WIDTH_DEPTH, _FINAL),
        ),
        Recipe(
            name="dynabert-official",
            about="The same with the choices of the authors' code: importance from dev, full-width teacher "
            "throughout, their layer choice, no warm-up, learning rate 2e-5.",
            depth_choice="official",
            stages=(
                _FINE_TUNE.model_copy(update={**_OFFICIAL, "epochs": 3.0}),
                Rewire(split="dev", num_examples=None, per="batch"),
                _WIDTH.model_copy(update=_OFFICIAL),
                _WIDTH_DEPTH.model_copy(
                    update={**_OFFICIAL, "epochs": 3.0, "teacher": Teacher(width="full")}
                ),
                _FINAL.model_copy(update=_OFFICIAL),
            ),
        ),
        Recipe(
            name="teaching",
            about="DynaBERT fitted to the teaching set: fine-tuned until the held-out words are learned "
            "too, then adapted just long enough that small sub-networks are useful but lose something.",
            stages=(
                _FINE_TUNE.model_copy(update={"epochs": 12.0}),
                Rewire(),
                _WIDTH,
                _WIDTH_DEPTH.model_copy(update={"epochs": 2.0}),
            ),
        ),
        Recipe(
            name="dynabert-w",
            about="DynaBERT_w, adaptive in width only: fine-tune, rewire, adapt the width.",
            stages=(_FINE_TUNE, Rewire(), _WIDTH),
            depth_mults=(1.0,),
        ),
        Recipe(
            name="fine-tune",
            about="Plain fine-tuning of the whole network, no sub-networks: the reference.",
            stages=(_FINE_TUNE,),
            width_mults=(1.0,),
            depth_mults=(1.0,),
        ),
    )
}


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
