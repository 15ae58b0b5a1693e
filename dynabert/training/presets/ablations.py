"""The rows of the paper's ablations, Tables 3 to 8.

Rows of a table differ in the one thing that they are about: what they share, stages and epochs, is
the same, and begins the same.
"""

from __future__ import annotations

from dynabert.subnet import PAPER_WIDTHS
from dynabert.training.presets.paper import DYNABERT, augmented
from dynabert.training.presets.stages import (
    DEPTHS,
    FINAL,
    FINE_TUNE,
    LABELS,
    REWIRE,
    WIDTH,
    WIDTH_DEPTH,
)
from dynabert.training.recipe import Recipe
from dynabert.training.stage import Rewire, Teacher, Train
from dynabert.training.subnets import Grid, Sandwich

_FULL_DEPTH = (1.0,)
_BY_LABELS = {"losses": LABELS, "teacher": None}
_WIDTH_BY_LABELS = WIDTH.model_copy(update=_BY_LABELS)
_WIDTH_INPLACE = WIDTH.model_copy(update={"teacher": Teacher(width="full", distillation="inplace")})


def _separate(width_mult: float) -> Recipe:
    """One network of one width, fine-tuned as long as the adaptive ones are in both their stages."""
    stage = FINE_TUNE.model_copy(
        update={
            "name": "separate",
            "subnets": Grid(width_mults=(width_mult,)),
            "epochs": FINE_TUNE.epochs + WIDTH.epochs,
        }
    )
    return Recipe(
        name=f"separate-w{width_mult:.2f}",
        about=f"Table 3, separate network: the backbone cut to width {width_mult:g} and fine-tuned alone.",
        stages=(stage,),
        width_mults=(width_mult,),
        depth_mults=_FULL_DEPTH,
    )


def _progressive() -> Recipe:
    """Widths are added one by one, each after rewiring what the narrower ones will be cut from."""
    stages: list[Train | Rewire] = [FINE_TUNE, REWIRE]
    share = WIDTH.epochs / (len(PAPER_WIDTHS) - 1)  # as long as the other rows in all
    for number, width_mult in enumerate(PAPER_WIDTHS[1:], start=2):
        changes = {
            "name": f"width-{width_mult:.2f}",
            "subnets": Grid(width_mults=PAPER_WIDTHS[:number]),
            "epochs": share,
        }
        stages.append(_WIDTH_BY_LABELS.model_copy(update=changes))
        if number < len(PAPER_WIDTHS):
            stages.append(Rewire(name=f"rewire-{width_mult:.2f}", within=width_mult))
    return Recipe(
        name="progressive-w",
        about="Table 8, PR: widths are added one by one, each after another rewiring.",
        stages=tuple(stages),
        depth_mults=_FULL_DEPTH,
    )


DISTILLED = Recipe(
    name="distilled",
    about="Table 4, + distillation: DynaBERT before the final fine-tuning.",
    stages=DYNABERT.stages[:-1],
)
FINE_TUNED = Recipe(
    name="fine-tuned",
    about="Table 4, + fine-tuning: DynaBERT after the final fine-tuning, whether it helped or not.",
    stages=(*DYNABERT.stages[:-1], FINAL.model_copy(update={"start_competes": False})),
)
ABLATIONS = (
    # Table 3: DynaBERT_w
    *(_separate(width_mult) for width_mult in PAPER_WIDTHS),
    Recipe(
        name="vanilla-w",
        about="Table 3, vanilla DynaBERT_w: four widths trained together on the labels.",
        stages=(FINE_TUNE, _WIDTH_BY_LABELS),
        depth_mults=_FULL_DEPTH,
    ),
    Recipe(
        name="rewired-w",
        about="Table 3, + network rewiring: the same after rewiring.",
        stages=(FINE_TUNE, REWIRE, _WIDTH_BY_LABELS),
        depth_mults=_FULL_DEPTH,
    ),
    # Table 4: DynaBERT
    Recipe(
        name="vanilla",
        about="Table 4, vanilla DynaBERT: widths, then the twelve, learn from the labels.",
        stages=(FINE_TUNE, REWIRE, _WIDTH_BY_LABELS, WIDTH_DEPTH.model_copy(update=_BY_LABELS)),
    ),
    Recipe(
        name="vanilla-from-distilled",
        about="Beside Table 4: from a distilled DynaBERT_w on, the twelve learn from the labels.",
        stages=(FINE_TUNE, REWIRE, WIDTH, WIDTH_DEPTH.model_copy(update=_BY_LABELS)),
    ),
    DISTILLED,
    FINE_TUNED,
    *(augmented(recipe) for recipe in (DISTILLED, FINE_TUNED)),
    # Table 5: the teacher assistant
    Recipe(
        name="no-assistant",
        about="Table 5, - DynaBERT_w: the rewired network teaches all twelve directly.",
        stages=(
            FINE_TUNE,
            REWIRE,
            # It is of one width only, so that is what teaches.
            WIDTH_DEPTH.model_copy(update={"teacher": Teacher(width="full")}),
            FINAL,
        ),
    ),
    # Table 6: depth first
    Recipe(
        name="dynabert-d",
        about="Table 6, DynaBERT_D: adaptive in depth only, by distillation.",
        stages=(FINE_TUNE, WIDTH.model_copy(update={"name": "depth", "subnets": DEPTHS})),
        width_mults=(1.0,),
    ),
    Recipe(
        name="depth-first",
        about="Depth first: DynaBERT_D is the teacher assistant of the twelve.",
        stages=(
            FINE_TUNE,
            REWIRE,
            WIDTH.model_copy(update={"name": "depth", "subnets": DEPTHS}),
            WIDTH_DEPTH.model_copy(update={"teacher": Teacher(width="full")}),
            FINAL,
        ),
    ),
    # Table 7: in-place distillation
    Recipe(
        name="inplace-w",
        about="Table 7, in-place distillation: the widest teaches the others while it learns itself.",
        stages=(FINE_TUNE, REWIRE, _WIDTH_INPLACE),
        depth_mults=_FULL_DEPTH,
    ),
    Recipe(
        name="inplace",
        about="Table 7, DynaBERT whose DynaBERT_w was trained by in-place distillation.",
        stages=(FINE_TUNE, REWIRE, _WIDTH_INPLACE, WIDTH_DEPTH, FINAL),
    ),
    # Table 8: other ways to train widths; like rewired-w they learn from the labels
    _progressive(),
    Recipe(
        name="slimmable-w",
        about="Table 8, US: in each step the widest, the narrowest and two random widths.",
        stages=(
            FINE_TUNE,
            REWIRE,
            _WIDTH_BY_LABELS.model_copy(
                update={"subnets": Sandwich(width_mults=PAPER_WIDTHS, between="any")}
            ),
        ),
        depth_mults=_FULL_DEPTH,
    ),
)
