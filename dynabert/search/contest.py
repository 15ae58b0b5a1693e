"""Options that the clock times one after another, as often as a choice among them needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from dynabert.evaluation.latency import Latency
from dynabert.search.budget import Budget
from dynabert.search.candidates import Option
from dynabert.subnet import Subnet

Clock = Callable[[Sequence[Subnet]], Sequence[Latency]]

MEASUREMENTS = 3  # of the sub-network that is taken, where time decides; two of the others
_SURE = 3  # that a latency table says will fit: what scores less is not timed at first


class Contest:
    """The options, with what the clock has said of them so far."""

    def __init__(self, options: Iterable[Option], budget: Budget, clock: Clock) -> None:
        self.options = {option.key: option for option in sorted(options, key=lambda one: one.key)}
        self.budget, self.clock = budget, clock
        # Where time does not decide, what is shown is timed once, to be told.
        self.measurements = MEASUREMENTS if budget.needs_clock else 1

    def sound(self) -> list[Option]:
        return [option for option in self.options.values() if option.is_sound]

    def fitting(self) -> list[Option]:
        return [option for option in self.sound() if fits(option, self.budget)]

    def rank(self, option: Option) -> tuple[float | str, ...]:
        """The least is best: what scores most, and what costs least where nothing is limited."""
        load = self.budget.load(option.costs)
        first = (-option.score, load) if self.budget.limits else (load, -option.score)
        return (*first, option.num_params, option.macs, option.key)

    def by_load(self, option: Option) -> tuple[float | str, ...]:
        load = self.budget.load(option.costs)
        return (load, -option.score, option.num_params, option.macs, option.key)

    def by_miss(self, option: Option) -> tuple[float | str, ...]:
        miss = self.budget.miss(option.score, option.costs)
        return (miss, -option.score, option.num_params, option.macs, option.key)

    def beyond(self, score: float) -> Option | None:
        """Of what scores more, the one that takes least of the budget; of all, the nearest miss."""

        def pool() -> list[Option]:
            return [option for option in self.sound() if option.score > score]

        order = self.by_miss if score == -math.inf else self.by_load
        return next(iter(self.settled(pool, order, 1)), None)

    def time(self, options: Sequence[Option]) -> None:
        """One more measurement of each, in turn."""
        if not options:
            return
        subnets = [option.subnet for option in options]
        for option, latency in zip(options, self.clock(subnets), strict=True):
            known = self.options[option.key]
            self.options[option.key] = replace(known, measured=(*known.measured, latency))

    def settled(
        self,
        pool: Callable[[], list[Option]],
        order: Callable[[Option], tuple[float | str, ...]],
        count: int,
    ) -> list[Option]:
        """The first few of a pool once they have been measured as often as it takes.

        A measurement may put others before them, or take them out of the pool; so it ends when those
        who lead have all been measured.
        """
        # What nobody knows the latency of cannot be put in order, where time is part of that.
        missed_by_time = self.budget.latency_ms is not None
        if self.budget.needs_clock and (order != self.by_miss or missed_by_time):
            self.time([one for one in pool() if math.isnan(one.costs["latency_ms"])])
        while True:
            leaders = sorted(pool(), key=order)[:count]
            new = [one for one in leaders if len(one.measured) < self.measurements]
            if not new:
                return leaders
            self.time(new)


def fits(option: Option, budget: Budget) -> bool:
    """Whether it is within the budget by all that was measured; twice, where time decides."""
    timed = not budget.needs_clock or len(option.measured) >= MEASUREMENTS - 1
    return (
        option.is_sound
        and timed
        and budget.reached_by(option.score)
        and budget.allows(option.costs)
    )


def rounds(contest: Contest, margin: float | None) -> list[list[Option]]:
    """Which options are timed, those of a later round only where nothing of an earlier one fits.

    Without a table all whose score, parameters and MACs fit. With one, of these the recipe's grid in any
    case, and what may fit, beginning with the best; at first none that scores less than several that will
    fit if the table is right.
    """
    budget = contest.budget
    formulas = {name: limit for name, limit in budget.limits.items() if name != "latency_ms"}
    eligible = [
        option
        for option in contest.sound()
        if budget.reached_by(option.score)
        and all(option.costs[name] <= limit for name, limit in formulas.items())
    ]
    if margin is None or not 0 <= margin < 1:  # one that is off by so much spares nothing
        return [eligible]
    if budget.latency_ms is not None:
        limit, sure = budget.latency_ms, budget.latency_ms * (1 - margin)
    else:  # the fastest is wanted: what may be as fast as the one that seems to be
        fastest = min((option.predicted_ms for option in eligible), default=0.0)
        limit, sure = fastest / (1 - margin), -math.inf
    may = [option for option in eligible if option.predicted_ms <= limit * (1 + margin)]
    may.sort(key=contest.rank)
    seem_sure = [place for place, option in enumerate(may) if option.predicted_ms <= sure]
    cut = seem_sure[_SURE - 1] + 1 if len(seem_sure) >= _SURE else len(may)
    first = {option.key for option in (*may[:cut], *(o for o in eligible if o.is_standard))}
    later = {option.key for option in may} - first
    # By key, whatever order they were looked at in.
    return [[option for option in eligible if option.key in keys] for keys in (first, later)]
