"""What OSE looks through among plain architectures, and how it tries them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from dynabert.errors import UserError, explain_plainly
from dynabert.modeling.architecture import PlainSpace
from dynabert.search.ose.objective import Exponents
from dynabert.search.ose.settings import CALIBRATION, Exponent, Positive
from dynabert.training.plan import MAX_SEED
from dynabert.training.stage import default_learning_rate
from dynabert.values import Value

STEPS = (3, 50, 200)  # Bort's search trained for 3, by a later account of it

Sizes = Annotated[tuple[Positive, ...], Field(min_length=1)]
Rate = Annotated[float, Field(gt=0)]


class PlainSettings(Value):
    """Optimal subarchitecture extraction over plain architectures, each trained for a few steps.

    Rounds of ever more steps, each over the best part of the round before (successive halving). Every round
    begins each student anew, so what it says does not depend on the round before.
    """

    layers: Sizes
    heads: Sizes
    hiddens: Sizes
    neurons: Sizes
    # "teacher": students are cut from the run's network; "scratch": they are random.
    start: Literal["teacher", "scratch"] = "teacher"
    steps: Sizes = STEPS  # of each round, rising
    # Of the architectures of a round, by W, that go on to the next; 1: all.
    going_on: Annotated[float, Field(gt=0, le=1)] = 0.5
    # theta: each architecture is tried with each; empty: what is usual for its hidden size.
    learning_rates: tuple[Rate, ...] = ()
    optimizer: Literal["adamw", "sgd"] = "adamw"  # the papers' is SGD
    clip: Annotated[float, Field(gt=0)] | None = None  # of every weight, after each step; None: not
    prediction: Annotated[float, Field(ge=0)] = 1.0  # weight of the teacher's answers
    labels: Annotated[float, Field(ge=0)] = 1.0
    batch_size: Positive = 32
    epsilon: Positive = 1  # of the first round
    cost: Literal["macs", "latency"] = "macs"
    tokens: Positive
    repeats: Annotated[int, Field(ge=2)] = 20
    num_examples: Positive = CALIBRATION  # of train, for e; none of which students are trained on
    margin: Annotated[float, Field(ge=0)] = 0.0
    exponents: tuple[Exponent, Exponent, Exponent] = (1.0, 1.0, 1.0)
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0

    @model_validator(mode="after")
    def _make_sense(self) -> Self:
        if any(a >= b for a, b in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError(f"steps must rise from round to round, got {self.steps}")
        if not self.prediction and not self.labels:
            raise ValueError("give the teacher's answers or the labels a weight above 0")
        if len(set(self.learning_rates)) < len(self.learning_rates):
            raise ValueError(f"learning_rates names one twice: {self.learning_rates}")
        _ = self.space  # refuses sizes of which none fit together
        return self

    @property
    def space(self) -> PlainSpace:
        return PlainSpace(
            layers=self.layers, heads=self.heads, hiddens=self.hiddens, neurons=self.neurons
        )

    @property
    def w_exponents(self) -> Exponents:
        return Exponents(*self.exponents)

    def rates_of(self, hidden: int) -> tuple[float, ...]:
        """The learning rates that a student of that hidden size is tried with."""
        return self.learning_rates or (default_learning_rate(hidden),)

    def first_difference(self, wanted: PlainSettings) -> str | None:
        """The name of a field in which they differ; None where they are the same."""
        return next(
            (f for f in type(self).model_fields if getattr(self, f) != getattr(wanted, f)), None
        )


def ask_plain(**values: object) -> PlainSettings:
    """Settings from what somebody typed.

    Raises:
        UserError: a value is unknown or out of range, or sizes do not fit together.
    """
    try:
        return PlainSettings.model_validate(values)
    except ValidationError as error:
        raise UserError(explain_plainly(error)) from error
