"""What OSE maximises: the W-coefficient, of parameters, inference cost and error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dynabert.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Member:
    """An architecture of the space, with what is known of it before it is tried.

    Raises:
        UserError: a cost that is not a finite number above 0.
    """

    key: str  # its name; no two of a space have the same
    num_params: float  # p: trainable parameters, counted
    inference: (
        float  # i: what an answer costs, in operations or in time; of a space all in one unit
    )

    def __post_init__(self) -> None:
        for name in ("num_params", "inference"):
            _check_above_zero(getattr(self, name), f"{name} of {self.key}")


@dataclass(frozen=True, kw_only=True)
class MaximumPoint:
    """T: what savings are measured from.

    In the paper the architecture of the space that is largest in both costs. One that is declared larger
    (`margin`) lets W tell members apart that have all parameters.
    """

    num_params: float
    inference: float

    def __post_init__(self) -> None:
        for name in ("num_params", "inference"):
            _check_above_zero(getattr(self, name), f"{name} of the maximum point")


@dataclass(frozen=True)
class Exponents:
    """Of a generalised W (ours): W = P^params * I^inference * e^-error; 1, 1, 1 is the published one.

    P and I are the shares of parameters and inference cost that are saved. An exponent of 0 leaves its
    factor out.
    """

    params: float = 1.0
    inference: float = 1.0
    error: float = 1.0

    def __post_init__(self) -> None:
        for name in ("params", "inference", "error"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise UserError(f"the exponent of {name} must be 0 or more, got {value}.")

    @property
    def is_published(self) -> bool:
        return self == PUBLISHED


PUBLISHED = Exponents()


def maximum_point(members: Sequence[Member], margin: float = 0.0) -> MaximumPoint:
    """The largest of both costs in the space, and so much larger still: 0.1 is a tenth.

    Costs that are measured need not be largest for the same architecture; each is taken on its own.

    Raises:
        UserError: an empty space, or a margin below 0.
    """
    if not members:
        raise UserError("the architectural space is empty.")
    if not 0 <= margin < math.inf:
        raise UserError(f"the margin of the maximum point must be 0 or more, got {margin}.")
    return MaximumPoint(
        num_params=(1 + margin) * max(one.num_params for one in members),
        inference=(1 + margin) * max(one.inference for one in members),
    )


def w_coefficient(
    member: Member, error: float, maximum: MaximumPoint, exponents: Exponents = PUBLISHED
) -> float:
    """W of an architecture; the larger the better, 0 for the maximum point and whatever costs more.

    W(T, f) = (p(T) - p(f)) / p(T) * (i(T) - i(f)) / i(T) * 1 / e(f); QOSE, eq. 1, which cites Definition 8
    of arXiv 2010.08512. Of two architectures, the one that is better in all three has the larger W.
    error: a loss above 0 (not 1 - accuracy: near 0 its inverse explodes).

    Raises:
        UserError: an error that is not a finite number above 0.
    """
    _check_above_zero(error, f"the error of {member.key}")
    return saving(member, maximum, exponents) * error**-exponents.error


def saving(member: Member, maximum: MaximumPoint, exponents: Exponents = PUBLISHED) -> float:
    """W without its error: the product of the shares that are saved, 0 where either is not above 0."""
    factor = 1.0
    for name in ("num_params", "inference"):
        exponent = exponents.params if name == "num_params" else exponents.inference
        if exponent:
            most = getattr(maximum, name)
            # Two costs above the maximum point would make a positive product.
            factor *= max(0.0, (most - getattr(member, name)) / most) ** exponent
    return factor


def check_w_says_something(
    members: Sequence[Member], maximum: MaximumPoint, exponents: Exponents = PUBLISHED
) -> None:
    """Raise a UserError where W is 0 for every member, whatever their errors: it could not choose."""
    if any(saving(member, maximum, exponents) > 0 for member in members):
        return
    alike = [
        what
        for name, what, exponent in (
            ("num_params", "parameters", exponents.params),
            ("inference", "inference cost", exponents.inference),
        )
        if exponent and all(getattr(one, name) >= getattr(maximum, name) for one in members)
    ]
    because = (
        f"none has less {' or '.join(alike)} than the maximum point"
        if alike
        else "each has all of the parameters or of the inference cost of the maximum point"
    )
    raise UserError(
        f"W is 0 for each of the {len(members)} architectures, so it cannot choose among them: {because}. "
        "Measure savings from a larger point (a margin, for example 0.1), give the cost that does not "
        "differ the exponent 0, or let the space differ in it."
    )


def _check_above_zero(value: float, what: str) -> None:
    if not 0 < value < math.inf:  # NaN is refused too
        raise UserError(f"{what} must be a finite number above 0, got {value}.")
