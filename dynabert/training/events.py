"""What a training tells whoever watches it: a terminal, a page, a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StageStarted:
    """A stage begins, or goes on after an interruption."""

    stage: str
    number: int  # from 1
    num_stages: int
    total_steps: int
    resumed_at: int = 0  # step; 0 where it begins


@dataclass(frozen=True, kw_only=True)
class StepDone:
    """One optimiser step."""

    stage: str
    step: int  # from 1
    total_steps: int
    loss: float  # mean over the sub-networks and the steps since the last such event
    learning_rate: float
    steps_per_second: float
    seconds_left: float  # of this stage


@dataclass(frozen=True, kw_only=True)
class Advanced:
    """A sign of life between two reports of the loss, where steps take long."""

    stage: str
    step: int  # from 1
    total_steps: int
    steps_per_second: float
    seconds_left: float  # of this stage


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The stage's sub-networks were scored on dev."""

    stage: str
    step: int
    metric: str
    scores: dict[str, float]  # by the sub-network's key
    collapsed: tuple[str, ...]  # keys of those that answer every example alike
    mean: float
    is_best: bool


@dataclass(frozen=True, kw_only=True)
class Working:
    """Progress of anything that is not a training step."""

    what: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A sentence the user should see."""

    text: str


Event = StageStarted | StepDone | Advanced | Evaluated | Working | Notice
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Watch nothing."""


def together(*watchers: OnEvent) -> OnEvent:
    """Tell several."""

    def tell(event: Event) -> None:
        for watcher in watchers:
            watcher(event)

    return tell
