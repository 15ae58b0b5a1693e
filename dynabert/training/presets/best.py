"""A recipe of ours that aims at better sub-networks than DynaBERT's in the same time.

What it was measured to be worth, by task, is in benchmarks/results/reproduction.
"""

from __future__ import annotations

from dynabert.training.presets.stages import FINAL, FINE_TUNE, REWIRE, WIDTH, WIDTH_DEPTH
from dynabert.training.recipe import Recipe

# Distillation bears, and short training needs, larger steps than fine-tuning does.
_FAST = {"rate_factor": 2.5}
# A step of the last stage by labels takes two thirds of one that distils.
_FINAL_AS_WIDTH_DEPTH = 2 / 3

BEST = Recipe(
    name="best",
    about="DynaBERT's stages with 2.5 times the learning rate in both distillation stages, and more "
    "distillation in place of the final fine-tuning, in the same time.",
    stages=(
        FINE_TUNE,
        REWIRE,
        WIDTH.model_copy(update=_FAST),
        WIDTH_DEPTH.model_copy(
            update={
                **_FAST,
                "name": "width-depth-longer",
                "epochs": WIDTH_DEPTH.epochs + round(FINAL.epochs * _FINAL_AS_WIDTH_DEPTH, 2),
            }
        ),
    ),
)
