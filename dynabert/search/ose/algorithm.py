"""The algorithm: sort the space, try every epsilon-th architecture for a moment, take the largest W."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dynabert.errors import UserError
from dynabert.search.ose.objective import (
    PUBLISHED,
    Exponents,
    MaximumPoint,
    Member,
    check_w_says_something,
    maximum_point,
    saving,
    w_coefficient,
)


@dataclass(frozen=True, kw_only=True)
class Tried:
    """An architecture with hyper-parameters, evaluated."""

    member: Member
    hyperparameters: Any  # theta; None where there are none
    error: float
    w: float


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """What the algorithm found, and what it cost."""

    winner: Tried
    tried: tuple[Tried, ...]  # in the order of the space, smallest first
    skipped: tuple[Member, ...]  # by epsilon
    maximum: MaximumPoint
    exponents: Exponents
    epsilon: int
    seconds: float  # of all evaluations

    @property
    def num_members(self) -> int:
        """|Xi|: how many architectures the space has."""
        return len({one.member.key for one in self.tried}) + len(self.skipped)


ErrorOf = Callable[[Member, Any], float]


def in_order(members: Sequence[Member]) -> list[Member]:
    """The space by parameters, then inference cost, then name.

    Raises:
        UserError: two members of one name, or none at all.
    """
    names = [one.key for one in members]
    if not names:
        raise UserError("the architectural space is empty.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"two architectures of the space are called {twice}.")
    return sorted(members, key=lambda one: (one.num_params, one.inference, one.key))


def on_grid(members: Sequence[Member], epsilon: int) -> tuple[list[Member], list[Member]]:
    """Every epsilon-th member of the space in its order, from the smallest on; and those left out.

    Raises:
        UserError: epsilon is not from 1 to the size of the space.
    """
    ordered = in_order(members)
    if isinstance(epsilon, bool) or not 1 <= epsilon <= len(ordered):
        raise UserError(
            f"epsilon must be a whole number from 1 to {len(ordered)}, the size of the space, got "
            f"{epsilon}."
        )
    taken = ordered[::epsilon]
    left = [one for place, one in enumerate(ordered) if place % epsilon]
    return taken, left


def extract(
    members: Sequence[Member],
    error_of: ErrorOf,
    *,
    epsilon: int = 1,
    maximum: MaximumPoint | None = None,
    exponents: Exponents = PUBLISHED,
    hyperparameters: Sequence[Any] = (None,),
    on_tried: Callable[[Tried, int, int], None] = lambda tried, done, total: None,
) -> Extraction:
    """The member of a space with the largest W among every epsilon-th of it.

    error_of: e of a member with hyper-parameters: a loss after few training steps, or of shared weights.
    epsilon: 1 tries all: brute force. maximum: None is the largest of the space.
    on_tried: called with each evaluation, how many are done, and their total.

    Of equal W the member with fewer parameters wins, then the faster, then the less wrong. As long as the
    maximum point and the members that are tried stay the same, one that another dominates never wins.

    Raises:
        UserError: W would be 0 for every member, an epsilon outside of the space, an error not above 0.
    """
    if not hyperparameters:
        raise UserError("give at least one set of hyper-parameters.")
    taken, skipped = on_grid(members, epsilon)
    maximum = maximum or maximum_point(members)
    check_w_says_something(taken, maximum, exponents)
    start, found = time.perf_counter(), []
    total = len(taken) * len(hyperparameters)
    for member in taken:
        for chosen in hyperparameters:
            found.append(_tried(member, chosen, error_of, maximum, exponents))
            on_tried(found[-1], len(found), total)
    return Extraction(
        winner=best(found),
        tried=tuple(found),
        skipped=tuple(skipped),
        maximum=maximum,
        exponents=exponents,
        epsilon=epsilon,
        seconds=time.perf_counter() - start,
    )


def zoom(extraction: Extraction, error_of: ErrorOf) -> Extraction:
    """The same with the members tried as well that epsilon left out beside the winner.

    Ours, not the paper's: the neighbours in the order of the space, with the winner's hyper-parameters.
    """
    start = time.perf_counter()
    ordered = in_order([*{one.member for one in extraction.tried}, *extraction.skipped])
    place, reach = ordered.index(extraction.winner.member), extraction.epsilon - 1
    near = ordered[max(0, place - reach) : place + reach + 1]
    left_out = set(extraction.skipped)
    new = [
        _tried(
            *(member, extraction.winner.hyperparameters, error_of),
            *(extraction.maximum, extraction.exponents),
        )
        for member in near
        if member in left_out
    ]
    known = {one.member for one in new}
    return replace(
        extraction,
        winner=best([*extraction.tried, *new]),
        tried=tuple(sorted([*extraction.tried, *new], key=lambda one: ordered.index(one.member))),
        skipped=tuple(one for one in extraction.skipped if one not in known),
        seconds=extraction.seconds + time.perf_counter() - start,
    )


def frozen_winner(extraction: Extraction) -> Member:
    """Who would win if all errors were equal.

    Where it is the winner itself, the errors have decided nothing: W chose by size alone.
    """
    members = {one.member for one in extraction.tried}
    return min(
        members,
        key=lambda one: (
            -saving(one, extraction.maximum, extraction.exponents),
            *(one.num_params, one.inference, one.key),
        ),
    )


def best(tried: Sequence[Tried]) -> Tried:
    """That of the largest W; see `extract` for equal ones."""
    return min(
        tried,
        key=lambda one: (
            *(-one.w, one.member.num_params, one.member.inference, one.error, one.member.key),
        ),
    )


def _tried(
    member: Member,
    hyperparameters: Any,
    error_of: ErrorOf,
    maximum: MaximumPoint,
    exponents: Exponents,
) -> Tried:
    error = error_of(member, hyperparameters)
    w = w_coefficient(member, error, maximum, exponents)
    return Tried(member=member, hyperparameters=hyperparameters, error=error, w=w)
