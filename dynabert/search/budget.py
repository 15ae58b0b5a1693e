"""What a sub-network may cost, and what it must score at least."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass

from dynabert.errors import UserError
from dynabert.evaluation.cost import PAPER_TOKENS
from dynabert.evaluation.latency import check_texts

# Costs that can be limited, the one that a choice is told in first.
COSTS = ("latency_ms", "num_params", "macs")
FLOOR = "floor"
_SLACK = 1e-12  # a score is a quotient, and a floor was typed
_EXAMPLES = {"latency_ms": "5", "num_params": "2000000", "macs": "100000000"}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits of cost, a floor of quality, or both; at least one.

    Raises:
        UserError: none is given, or a value is out of its range.
    """

    latency_ms: float | None = None  # of one pass on this machine, at most
    num_params: float | None = None  # of the Transformer layers, at most
    macs: float | None = None  # of the Transformer layers for one text of `tokens` tokens, at most
    floor: float | None = None  # of the task's own metric, at least
    tokens: int = PAPER_TOKENS  # of each text
    batch_size: int = 1  # texts of a pass that is timed

    def __post_init__(self) -> None:
        for name in COSTS:
            limit = getattr(self, name)
            if limit is not None and not (_is_number(limit) and 0 < limit < math.inf):
                raise UserError(
                    f"{name} must be a number above 0, for example {_EXAMPLES[name]}, got {limit!r}."
                )
        if self.floor is not None and not (_is_number(self.floor) and -1 <= self.floor <= 1):
            raise UserError(
                f"the floor must be a number from -1 to 1, as all metrics are, for example 0.85, got "
                f"{self.floor!r}."
            )
        for name in ("tokens", "batch_size"):
            count = getattr(self, name)
            whole = isinstance(count, numbers.Integral) and not isinstance(count, bool)
            if not whole or count < 1:
                raise UserError(f"{name} must be a whole number of at least 1, got {count!r}.")
        check_texts(self.batch_size)
        if not self.limits and self.floor is None:
            raise UserError(
                "a budget needs a limit: latency_ms, num_params or macs at most, or a floor of quality."
            )

    @property
    def limits(self) -> dict[str, float]:
        """The costs that are limited, and how far."""
        values = {name: getattr(self, name) for name in COSTS}
        return {name: float(limit) for name, limit in values.items() if limit is not None}

    @property
    def needs_clock(self) -> bool:
        """Whether time decides: it is limited, or the cheapest is wanted and nothing is limited."""
        return self.latency_ms is not None or not self.limits

    @property
    def cost(self) -> str:
        """The cost that a choice is told in: the first that is limited, latency where none is."""
        return next(iter(self.limits), "latency_ms")

    def reached_by(self, score: float) -> bool:
        """Whether a score is a number and not below the floor."""
        return not math.isnan(score) and (self.floor is None or score >= self.floor - _SLACK)

    def allows(self, costs: Mapping[str, float]) -> bool:
        """Whether no limit is exceeded. A cost that is not known (NaN) is within no limit."""
        return all(costs[name] <= limit for name, limit in self.limits.items())

    def load(self, costs: Mapping[str, float]) -> float:
        """How much of the budget the costs take: of all limits the largest share; without any, ms."""
        shares = [costs[name] / limit for name, limit in self.limits.items()]
        return max(shares) if shares else costs["latency_ms"]

    def excess(self, score: float, costs: Mapping[str, float]) -> dict[str, float]:
        """By how much each limit is exceeded, in its own unit, and the floor missed; none: it fits."""
        over = {
            name: costs[name] - limit
            for name, limit in self.limits.items()
            if not costs[name] <= limit
        }
        if self.floor is not None and not self.reached_by(score):
            over[FLOOR] = self.floor - score
        return over

    def miss(self, score: float, costs: Mapping[str, float]) -> float:
        """How far a sub-network is from fitting, 0 where it fits.

        The largest of its excesses: of costs as shares of their limits, of the floor in the metric.
        """
        over = self.excess(score, costs)
        return max((over[name] / self.limits.get(name, 1.0) for name in over), default=0.0)


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
