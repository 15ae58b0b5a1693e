"""What an extraction found, as it is kept on disk."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dynabert.search.ose.settings import SupernetSettings
from dynabert.subnet import Subnet
from dynabert.values import Value


class MemberRow(Value):
    """An architecture of the space, in its order: smallest first."""

    key: str
    num_params: float
    inference: float
    saving: float  # W with e = 1
    error: float | None  # None: no epsilon had it tried
    w: float | None


class Outcome(Value):
    """What one epsilon came to."""

    epsilon: int
    winner: str
    w: float
    num_tried: int
    frozen_winner: str  # who would win if all errors were equal
    # W of the winner over that of brute force, and whether the member is the same; None: not done.
    ratio: float | None
    zoomed_winner: str  # with the neighbours of the winner tried as well
    zoomed_w: float


class Agreement(Value):
    """The assumptions, checked: Kendall's tau; None where it is not defined."""

    params_inference: float | None
    params_error: float | None
    inference_error: float | None
    # Of e with the loss, and with the metric, on dev, over the finalists.
    error_dev_loss: float | None
    error_dev_metric: float | None
    guarantee_holds: bool
    in_words: str


class Finalist(Value):
    """A sub-network judged on dev, which the search has not seen: winners, standard ones, the largest."""

    key: str
    is_winner: bool
    is_standard: bool  # one of those that the run's recipe reports
    score: float | None  # the task's metric on all of dev; None where it is not defined
    collapsed: bool | None = (
        None  # one answer for all of dev; None: an older report, which did not say
    )
    dev_loss: float
    num_params: int
    macs: int
    latency_ms: float
    latency_ms_iqr: float
    w: float | None  # None: outside of the space


class Report(Value):
    """The contents of `report.json`."""

    settings: SupernetSettings
    command: str
    created: str  # ISO date and time
    machine: str
    metric: str
    unit: str  # of inference cost
    num_examples: int  # of train, that e was measured on
    maximum_params: float
    maximum_inference: float
    attained_by: str | None  # the member that is the maximum point; None: it is no member
    members: Annotated[tuple[MemberRow, ...], Field(min_length=1)]
    outcomes: Annotated[tuple[Outcome, ...], Field(min_length=1)]
    agreement: Agreement
    finalists: tuple[Finalist, ...]
    seconds: float  # of all evaluations of e
    steps: int  # of training, for each member

    @property
    def best(self) -> Outcome:
        """That of the smallest epsilon: brute force, if it is 1."""
        return min(self.outcomes, key=lambda one: one.epsilon)

    def finalist(self, key: str) -> Finalist:
        """The row of a sub-network; there is one for every winner."""
        return next(one for one in self.finalists if one.key == key)

    def check(self) -> None:
        """Raise a ValueError where a key is no sub-network's, or a winner is missing: a file from outside
        may say anything."""
        for member in self.members:
            Subnet.parse(member.key)
        judged = {one.key for one in self.finalists}
        for outcome in self.outcomes:
            for key in (outcome.winner, outcome.zoomed_winner):
                if key not in judged:
                    raise ValueError(f"it has no scores of {key}")
