"""Whom *Try it* asks: the sub-networks that the run reports, and the one that is open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from dynabert.runs import Run
from dynabert.subnet import Subnet
from pages.shared import controls, wording


class _OfOne(Protocol):
    @property
    def subnet(self) -> Subnet: ...


_Answer = TypeVar("_Answer", bound=_OfOne)


def subnets(run: Run) -> tuple[Subnet, ...]:
    """All that are asked: the run's largest first, with which the others are compared."""
    opened = controls.viewed_subnet(run)
    return tuple(dict.fromkeys([*run.recipe_grid, *([opened] if opened else [])]))


def of_the_opened(run: Run, answers: Sequence[_Answer]) -> _Answer | None:
    """The answer of the sub-network that is open, unless it is the largest, which is told anyway."""
    opened = controls.viewed_subnet(run)
    return next((one for one in answers[1:] if one.subnet == opened), None)


def title(subnet: Subnet) -> str:
    """How a sentence about its answer begins."""
    return f"The sub-network that is open ({wording.subnet_title(subnet)}; framed below) answers"
