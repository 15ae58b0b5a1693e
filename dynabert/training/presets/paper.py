"""DynaBERT as in the paper, as in the authors' code, and fitted to the teaching set."""

from __future__ import annotations

from dynabert.training.presets.stages import FINAL, FINE_TUNE, REWIRE, WIDTH, WIDTH_DEPTH
from dynabert.training.recipe import Recipe
from dynabert.training.stage import Rewire, Teacher, Train

_OFFICIAL = {"warmup": 0.0, "learning_rate": 2e-5}


def augmented(recipe: Recipe) -> Recipe:
    """The same with its distillation stages on augmented data (Sec. 2.1.2 and 2.2, Algorithm 1)."""
    stages = tuple(
        stage.model_copy(update={"data": "augmented"})
        if isinstance(stage, Train) and stage.losses.need_teacher
        else stage
        for stage in recipe.stages
    )
    return recipe.model_copy(
        update={
            "name": f"{recipe.name}-augmented",
            "about": f"{recipe.about} It distils on augmented data as well.",
            "stages": stages,
        }
    )


DYNABERT = Recipe(
    name="dynabert",
    about="DynaBERT as in the paper: fine-tune, rewire, adapt the width, then width and depth by "
    "distillation, and fine-tune all sub-networks if that helps.",
    stages=(FINE_TUNE, REWIRE, WIDTH, WIDTH_DEPTH, FINAL),
)
DYNABERT_W = Recipe(
    name="dynabert-w",
    about="DynaBERT_w, adaptive in width only: fine-tune, rewire, adapt the width by distillation.",
    stages=(FINE_TUNE, REWIRE, WIDTH),
    depth_mults=(1.0,),
)
DYNABERT_AUGMENTED = augmented(DYNABERT)
DYNABERT_W_AUGMENTED = augmented(DYNABERT_W)
PAPER = (
    DYNABERT,
    DYNABERT_AUGMENTED,
    Recipe(
        name="dynabert-official",
        about="The same with the choices of the authors' code: importance from dev, full-width teacher "
        "throughout, their layer choice, no warm-up, learning rate 2e-5.",
        depth_choice="official",
        stages=(
            FINE_TUNE.model_copy(update={**_OFFICIAL, "epochs": 3.0}),
            Rewire(split="dev", num_examples=None, per="batch"),
            WIDTH.model_copy(update=_OFFICIAL),
            WIDTH_DEPTH.model_copy(
                update={**_OFFICIAL, "epochs": 3.0, "teacher": Teacher(width="full")}
            ),
            FINAL.model_copy(update=_OFFICIAL),
        ),
    ),
    Recipe(
        name="teaching",
        about="DynaBERT fitted to the teaching set: fine-tuned until the held-out words are learned "
        "too, then adapted just long enough that small sub-networks are useful but lose something.",
        stages=(
            FINE_TUNE.model_copy(update={"epochs": 12.0}),
            REWIRE,
            WIDTH,
            WIDTH_DEPTH.model_copy(update={"epochs": 2.0}),
        ),
    ),
    DYNABERT_W,
    DYNABERT_W_AUGMENTED,
    Recipe(
        name="fine-tune",
        about="Plain fine-tuning of the whole network, no sub-networks: the reference.",
        stages=(FINE_TUNE,),
        width_mults=(1.0,),
        depth_mults=(1.0,),
    ),
)
