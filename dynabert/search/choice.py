"""What to take within a budget, and what lies beside it: the answer, as a value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dynabert.evaluation.latency import WIDE
from dynabert.search.budget import Budget
from dynabert.search.candidates import Option
from dynabert.search.contest import fits

UNQUIET = 1.5  # `Choice.unrest`: above it a reader is told that the machine was busy


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What to take within a budget, and what lies beside it.

    Where nothing fits there is a nearest miss, and nothing else.
    """

    budget: Budget
    metric: str
    machine: str
    options: tuple[Option, ...]  # all that were looked at, by key
    chosen: Option | None = None  # the best that fits; without a limit of cost the fastest
    runner_up: Option | None = None  # what would be chosen without it
    step_up: Option | None = None  # of those that score more than it, what is nearest to the budget
    nearest_miss: Option | None = None  # what exceeds the budget least, where nothing fits
    modelled: bool = False  # whether a latency table spared the clock some of them

    @property
    def gain(self) -> float | None:
        """What the step up scores more than the chosen one."""
        if self.chosen is None or self.step_up is None:
            return None
        return self.step_up.score - self.chosen.score

    def price(self, cost: str) -> float | None:
        """What the step up costs more than the chosen one.  cost: one of `budget.COSTS`."""
        if self.chosen is None or self.step_up is None:
            return None
        return self.step_up.costs[cost] - self.chosen.costs[cost]

    @property
    def excess(self) -> dict[str, float]:
        """By how much the nearest miss exceeds each limit, or misses the floor; empty where all is well."""
        if self.nearest_miss is None:
            return {}
        return self.budget.excess(self.nearest_miss.score, self.nearest_miss.costs)

    @property
    def unrest(self) -> float:
        """How many times as long the slowest measurement of one sub-network took as its fastest.

        The most of the sub-networks that are told of; 1 where none was timed twice. Far above 1 the machine
        had other work, and in its rest more might fit.
        """
        medians = [[one.median_ms for one in option.measured] for option in self._told]
        return max((max(times) / min(times) for times in medians if times), default=1.0)

    @property
    def spread(self) -> float:
        """The interquartile range of a measurement as a share of its median; 0 where nothing was timed.

        The widest of the sub-networks that are told of. Steady other work slows all measurements alike, so
        that they agree and `unrest` is near 1; the single passes still come out far apart.
        """
        return max((one.spread for option in self._told for one in option.measured), default=0.0)

    @property
    def was_busy(self) -> bool:
        """Whether the measurements are too far apart for a machine that had nothing else to do."""
        return self.unrest > UNQUIET or self.spread > WIDE

    @property
    def warning(self) -> str | None:
        """What a reader must know where the machine was busy, in plain words; None where it was quiet."""
        if not self.was_busy:
            return None
        signs = []
        if self.unrest > UNQUIET:
            signs.append(
                f"measurements of one sub-network were up to {self.unrest:.1f} times apart"
            )
        if self.spread > WIDE:
            signs.append(
                f"the middle half of one measurement's passes spread over {self.spread:.0%} of its median"
            )
        # Where only a floor is missed, no clock has a say.
        timed = self.budget.latency_ms is not None or (
            self.budget.needs_clock and self.chosen is not None
        )
        then = (
            "Choose again when it is quiet: the answer may be another then."
            if timed
            else "The choice does not depend on it, but latencies came out too long: choose again when it "
            "is quiet to know them."
        )
        return f"The machine was busy: {' and '.join(signs)}. {then}"

    @property
    def _told(self) -> list[Option]:
        told = (self.chosen, self.runner_up, self.step_up, self.nearest_miss)
        return [option for option in told if option is not None]

    @property
    def table(self) -> pd.DataFrame:
        """A row for each option, by key: subnet, score, collapsed, standard, fits, role (chosen,
        runner-up, next step, nearest miss; empty where none), num_params, macs, latency_ms and latency_ms_iqr
        (of its slowest measurement), measurements (how many), predicted_ms."""
        roles: dict[str, list[str]] = {}
        for role, told in (
            ("chosen", self.chosen),
            ("runner-up", self.runner_up),
            ("next step", self.step_up),
            ("nearest miss", self.nearest_miss),
        ):
            if told is not None:
                roles.setdefault(told.key, []).append(role)
        return pd.DataFrame(
            {
                "subnet": option.key,
                "score": option.score,
                "collapsed": option.collapsed,
                "standard": option.is_standard,
                "fits": fits(option, self.budget),
                "role": ", ".join(roles.get(option.key, ())),
                "num_params": option.num_params,
                "macs": option.macs,
                "latency_ms": option.latency.median_ms if option.latency else math.nan,
                "latency_ms_iqr": option.latency.iqr_ms if option.latency else math.nan,
                "measurements": len(option.measured),
                "predicted_ms": option.predicted_ms,
            }
            for option in self.options
        )

    def as_json(self) -> dict[str, Any]:
        """The same as plain values, without the options that nothing came of; null for what is not known."""
        budget = {
            name: self.budget.limits.get(name) for name in ("latency_ms", "num_params", "macs")
        }
        return {
            "fits": self.chosen is not None,
            "metric": self.metric,
            "machine": self.machine,
            "budget": budget
            | {
                "floor": self.budget.floor,
                "tokens": self.budget.tokens,
                "batch_size": self.budget.batch_size,
            },
            "candidates": len(self.options),
            "timed": sum(bool(option.measured) for option in self.options),
            "chosen": _plain(self.chosen),
            "runner_up": _plain(self.runner_up),
            "step_up": _plain(self.step_up),
            "nearest_miss": _plain(self.nearest_miss),
            "excess": self.excess,
            "unrest": self.unrest,
            "spread": self.spread,
            "was_busy": self.was_busy,
            "warning": self.warning,
        }


def _plain(option: Option | None) -> dict[str, Any] | None:
    if option is None:
        return None
    latency = option.latency
    return {
        "subnet": option.key,
        "score": None if math.isnan(option.score) else option.score,
        "num_params": option.num_params,
        "macs": option.macs,
        "latency_ms": latency and latency.median_ms,
        "latency_ms_iqr": latency and latency.iqr_ms,
        "measured_ms": [one.median_ms for one in option.measured],
    }
