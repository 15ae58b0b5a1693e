"""Methods the paper compares with (Figure 3), trained on the same backbone and data.

Each gives one network of a fixed size (LayerDrop: of several depths), as large as the sub-network
of DynaBERT with the same multipliers. A student starts from the layers of the fine-tuned network
that the sub-network would execute, and is trained for as many epochs as DynaBERT's stages together.
"""

from __future__ import annotations

from dynabert.subnet import PAPER_DEPTHS
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
from dynabert.training.stage import Losses, Reduce, Teacher, Train
from dynabert.training.subnets import Grid, LayerDrop

_EPOCHS = WIDTH.epochs + WIDTH_DEPTH.epochs + FINAL.epochs
_PREDICTION_EPOCHS = 3.0  # TinyBERT, Sec. 4.1: 20 for the layers before it


def _distilbert(depth_mult: float) -> Recipe:
    return Recipe(
        name=f"distilbert-d{depth_mult:.2f}",
        about=f"DistilBERT's three losses (labels, answers at temperature 2, direction of the last hidden "
        f"states; weights 2, 5, 1) on a student of depth {depth_mult:g}.",
        stages=(
            FINE_TUNE,
            Train(
                name="distil",
                subnets=Grid(depth_mults=(depth_mult,)),
                losses=Losses(labels=2.0, prediction=5.0, cosine=1.0, temperature=2.0),
                teacher=Teacher(width="full"),
                epochs=_EPOCHS,
            ),
        ),
        width_mults=(1.0,),
        depth_mults=(depth_mult,),
    )


def _layers_then_answers(student: Grid) -> tuple[Train, Train]:
    """TinyBERT's two stages, after a stage "rewire", which teaches."""
    teacher = Teacher(stage="rewire", width="full")
    return (
        Train(
            name="intermediate",
            subnets=student,
            losses=Losses(hidden=1.0, attention=1.0),
            teacher=teacher,
            epochs=_EPOCHS - _PREDICTION_EPOCHS,
            evaluations=1,
            keep="last",  # no loss here knows the answers
        ),
        Train(
            name="prediction",
            subnets=student,
            losses=Losses(prediction=1.0),
            teacher=teacher,
            epochs=_PREDICTION_EPOCHS,
        ),
    )


def _tinybert(width_mult: float, depth_mult: float) -> Recipe:
    size = Grid(width_mults=(width_mult,), depth_mults=(depth_mult,))
    name = f"d{depth_mult:.2f}" if width_mult == 1 else f"w{width_mult:.2f}-d{depth_mult:.2f}"
    return Recipe(
        name=f"tinybert-{name}",
        about="TinyBERT's two stages, first attention and hidden states of every layer, then answers, on a "
        f"student of width {width_mult:g} and depth {depth_mult:g}.",
        stages=(
            FINE_TUNE,
            REWIRE,  # a narrow student keeps what matters
            *_layers_then_answers(size),
        ),
        width_mults=(width_mult,),
        depth_mults=(depth_mult,),
    )


# Of an architecture that `dynabert ose-plain` has found, or any other: --set reduce.layers=4 ...
_PLAIN = Recipe(
    name="plain-student",
    about="A plain network <layers, heads, hidden size, neurons> (--set reduce.layers=4 and so on), cut from "
    "the fine-tuned one, learns from its answers and the labels, as Bort from RoBERTa.",
    stages=(
        FINE_TUNE,
        REWIRE,  # a narrow student keeps what matters
        Reduce(),
        Train(
            name="distil-plain",
            losses=Losses(prediction=1.0, labels=1.0),
            teacher=Teacher(stage="rewire", width="full"),
            epochs=_EPOCHS,
        ),
    ),
    width_mults=(1.0,),
    depth_mults=(1.0,),
)

# TinyBERT as it was made: a smaller network with a hidden size of its own.
_TINYBERT_PLAIN = Recipe(
    name="tinybert-student",
    about="TinyBERT's two stages on a plain network <layers, heads, hidden size, neurons> "
    "(--set reduce.layers=3 and so on; --set reduce.pretrained=FOLDER for one with weights of its own): "
    "first attention, embeddings and hidden states, these through one learnt projection where the hidden "
    "sizes differ; then answers.",
    stages=(
        FINE_TUNE,
        REWIRE,  # a narrow student keeps what matters
        Reduce(),
        *_layers_then_answers(Grid()),
    ),
    width_mults=(1.0,),
    depth_mults=(1.0,),
)

COMPARED = (
    _distilbert(0.75),
    _distilbert(0.5),
    _tinybert(1.0, 0.75),
    _tinybert(1.0, 0.5),
    _tinybert(0.5, 0.5),
    _PLAIN,
    _TINYBERT_PLAIN,
    Recipe(
        name="layerdrop",
        about="LayerDrop: fine-tuned with layers left out at random (a fifth of them), then cut to any depth "
        "without further training.",
        stages=(
            FINE_TUNE,
            Train(
                name="layer-drop",
                subnets=LayerDrop(depth_mults=PAPER_DEPTHS, rate=0.2),
                losses=LABELS,
                epochs=_EPOCHS,
            ),
        ),
        width_mults=(1.0,),
        depth_mults=DEPTHS.depth_mults,
    ),
)
