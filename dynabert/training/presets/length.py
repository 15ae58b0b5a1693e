"""Training for the length axis: the Length-Adaptive Transformer, and Dynamic-TinyBERT's procedures.

Dynamic-TinyBERT's student has half of its teacher's layers; so does ours, which begins as the layers
that depth 0.5 keeps of the fine-tuned network. Its procedures differ in where LengthDrop is trained
(none, "naive" and v1 to v4; Dynamic-TinyBERT, Table 1) and in how long each stage is.
"""

from __future__ import annotations

from dynabert.subnet import PAPER_DEPTHS, PAPER_WIDTHS
from dynabert.training.presets.best import BEST
from dynabert.training.presets.stages import FINE_TUNE, LABELS
from dynabert.training.recipe import Recipe
from dynabert.training.stage import Losses, Teacher, Train
from dynabert.training.subnets import Grid, Sandwich

_DROPPING = Sandwich(length_drop=0.2, layer_drop=0.2, num_random=2)  # p, q and N of the authors
_STUDENT_DEPTH = 0.5
_STUDENT = Grid(depth_mults=(_STUDENT_DEPTH,))
_STUDENT_DROPPING = _DROPPING.model_copy(update={"depth_mults": (_STUDENT_DEPTH,)})
_ANSWERS = Losses(prediction=1.0)
_LAYERS = Losses(hidden=1.0, attention=1.0)

LENGTH_DROP = Train(
    name="length-drop",
    subnets=_DROPPING,
    losses=_ANSWERS,  # of the largest, in place
    largest=LABELS,
    teacher=Teacher(width="full", distillation="inplace"),
    epochs=5,
)


def _intermediate(teacher: str, epochs: float) -> Train:
    return Train(
        name="intermediate",
        subnets=_STUDENT,
        losses=_LAYERS,
        teacher=Teacher(stage=teacher, width="full"),
        epochs=epochs,
        evaluations=1,
        keep="last",  # no loss here knows the answers
    )


def _prediction(teacher: str, epochs: float) -> Train:
    return Train(
        name="prediction",
        subnets=_STUDENT,
        losses=_ANSWERS,
        teacher=Teacher(stage=teacher, width="full"),
        epochs=epochs,
    )


def _dropping(stage: Train, name: str) -> Train:
    """The same stage with LengthDrop: its loss is the largest's, which the others imitate."""
    assert stage.teacher is not None
    return stage.model_copy(
        update={
            "name": name,
            "subnets": _STUDENT_DROPPING,
            "losses": _ANSWERS,
            "largest": stage.losses,
            "teacher": stage.teacher.model_copy(update={"distillation": "inplace"}),
        }
    )


def _procedure(name: str, about: str, *stages: Train) -> Recipe:
    return Recipe(
        name=name,
        about=about,
        stages=stages,
        width_mults=(1.0,),
        depth_mults=(_STUDENT_DEPTH,),
    )


# All three axes at once: after width and depth, sandwiches over all of it also drop tokens. A step of
# six sub-networks, some shorter, takes about half the time of one of twelve; in all the stages take
# as long as those of `best`.
_ALL_AXES = Train(
    name="width-depth-length",
    subnets=Sandwich(
        width_mults=PAPER_WIDTHS, depth_mults=PAPER_DEPTHS, num_random=4, length_drop=0.2
    ),
    losses=_ANSWERS,  # a token that was dropped early has no state to compare with the teacher's
    teacher=Teacher(width="same"),
    epochs=3.33,
)
THREE_AXES = Recipe(
    name="three-axes",
    about="One network adaptive in width, depth and length: DynaBERT's stages with larger steps, then "
    "sandwiches of sub-networks of every width and depth that drop tokens as well.",
    stages=(
        *BEST.stages[:-1],
        BEST.train_stages[-1].model_copy(update={"name": "width-depth-first", "epochs": 3.0}),
        _ALL_AXES,
    ),
)

_TEACHER = FINE_TUNE.model_copy(update={"epochs": 2.0})
_FROM = _TEACHER.name
_INTERMEDIATE = _intermediate(_FROM, 20)
_PREDICTION = _prediction(_FROM, 10)
LENGTH = (
    THREE_AXES,
    Recipe(
        name="length-adaptive",
        about="Length-Adaptive Transformer: fine-tune, then train with tokens dropped at random (LengthDrop) "
        "and layers left out, the shorter ones imitating the longest.",
        stages=(FINE_TUNE, LENGTH_DROP),
        width_mults=(1.0,),
        depth_mults=(1.0,),
    ),
    _procedure(
        "dynamic-tinybert",
        "Dynamic-TinyBERT: a student of half the layers, distilled layer by layer, then by answers; tokens "
        "are dropped only when it is used.",
        *(_TEACHER, _INTERMEDIATE, _PREDICTION),
    ),
    _procedure(
        "dynamic-tinybert-naive",
        "Dynamic-TinyBERT, naive: LengthDrop after the whole distillation.",
        *(_TEACHER, _INTERMEDIATE, _PREDICTION, _dropping(_PREDICTION, "length-drop")),
    ),
    _procedure(
        "dynamic-tinybert-v1",
        "Dynamic-TinyBERT, v1: the second stage of the distillation, twice as long, with LengthDrop.",
        *(_TEACHER, _INTERMEDIATE, _dropping(_prediction(_FROM, 20), "prediction")),
    ),
    _procedure(
        "dynamic-tinybert-v2",
        "Dynamic-TinyBERT, v2: a shorter distillation, and LengthDrop after it.",
        _TEACHER,
        _intermediate(_FROM, 10),
        _prediction(_FROM, 3),
        _dropping(_PREDICTION, "length-drop"),
    ),
    _procedure(
        "dynamic-tinybert-v3",
        "Dynamic-TinyBERT, v3: LengthDrop in both stages of the distillation.",
        _TEACHER,
        _dropping(_INTERMEDIATE, "intermediate"),
        _dropping(_PREDICTION, "prediction"),
    ),
    _procedure(
        "dynamic-tinybert-v4",
        "Dynamic-TinyBERT, v4: the teacher is trained with LengthDrop, the student without.",
        _TEACHER,
        LENGTH_DROP,
        _intermediate(LENGTH_DROP.name, 20),
        _prediction(LENGTH_DROP.name, 10),
    ),
)
