"""Whom *Try it* asks: the sub-networks that the run reports, and the one that is open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from dynabert.runs import Run
from dynabert.subnet import Subnet
from pages.shared import controls, links, state, wording


class _OfOne(Protocol):
    @property
    def subnet(self) -> Subnet: ...


_Found = TypeVar("_Found")
_Answer = TypeVar("_Answer", bound=_OfOne)


def of_all(run: Run, ask: Callable[[tuple[Subnet, ...]], Sequence[_Found]]) -> list[_Found]:
    """What is found out of each: the run's largest first, with which the others are compared.

    ask: finds it out, of those of the run in one call and of the one that is open in another, so that
    opening another does not ask and time all anew.
    """
    reported, opened = tuple(run.recipe_grid), _opened(run)
    found = list(ask(reported))
    if opened is not None and opened not in reported:
        found += ask((opened,))
    return found


def of_the_opened(run: Run, answers: Sequence[_Answer]) -> _Answer | None:
    """The answer of the sub-network that is open, unless it is the largest, which is told anyway."""
    opened = _opened(run)
    return next((one for one in answers[1:] if one.subnet == opened), None)


def title(subnet: Subnet) -> str:
    """How a sentence about its answer begins."""
    return f"The sub-network that is open ({wording.subnet_title(subnet)}; framed below) answers"


def _opened(run: Run) -> Subnet | None:
    if any(state.recall(name) for name in links.FINER):
        return None
    return controls.viewed_subnet(run)
