"""What an extraction over plain architectures found, as it is kept on disk."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dynabert.modeling.architecture import Architecture
from dynabert.search.ose.plain_settings import PlainSettings
from dynabert.values import Value

_ALIKE = 0.01  # as a share of the smallest error


class TriedArchitecture(Value):
    """An architecture in one round, with the best of its learning rates."""

    key: str
    learning_rate: float
    error: float
    w: float


class Round(Value):
    """All that was tried for so many steps each."""

    steps: int
    tried: Annotated[tuple[TriedArchitecture, ...], Field(min_length=1)]  # smallest first
    winner: str
    w: float
    frozen_winner: str  # who would win if all errors were equal
    params_inference: float | None  # Kendall's tau; None where it is not defined
    params_error: float | None
    # Of the errors, and of W, with those of the round before, over what is in both.
    error_before: float | None
    w_before: float | None
    dev_score: float | None  # of the winner after these steps, on all of dev
    collapsed: bool | None = (
        None  # it gives one answer then; None: an older report, which did not say
    )
    seconds: float  # of training and judging them

    @property
    def error_range(self) -> tuple[float, float]:
        """The smallest error and the largest."""
        errors = [one.error for one in self.tried]
        return min(errors), max(errors)

    @property
    def errors_are_alike(self) -> bool:
        """Whether several were tried and their errors lie within 1 %, so that W follows the sizes."""
        low, high = self.error_range
        return len(self.tried) > 1 and high - low < _ALIKE * low

    def of(self, key: str) -> TriedArchitecture | None:
        return next((one for one in self.tried if one.key == key), None)


class PlainMember(Value):
    key: str
    num_params: float
    inference: float
    saving: float  # W with e = 1


class PlainReport(Value):
    """The contents of `report.json`."""

    settings: PlainSettings
    command: str
    created: str  # ISO date and time
    machine: str
    metric: str
    unit: str  # of inference cost
    maximum_params: float
    maximum_inference: float
    members: Annotated[tuple[PlainMember, ...], Field(min_length=1)]
    rounds: Annotated[tuple[Round, ...], Field(min_length=1)]

    @property
    def winner(self) -> str:
        """Of the last round."""
        return self.rounds[-1].winner

    @property
    def first_winner_after_all_steps(self) -> TriedArchitecture | None:
        """How the winner of the first round did in the last; None where it did not get there."""
        return self.rounds[-1].of(self.rounds[0].winner)

    @property
    def seconds(self) -> float:
        return sum(one.seconds for one in self.rounds)

    def check(self) -> None:
        """Raise a ValueError where a key is no architecture's: a file from outside may say anything."""
        tried = (one.key for round_ in self.rounds for one in round_.tried)
        for key in (*(one.key for one in self.members), *tried):
            Architecture.parse(key)
        for round_ in self.rounds:
            for key in (round_.winner, round_.frozen_winner):
                if round_.of(key) is None:
                    raise ValueError(f"it names a winner {key} that was not tried")
