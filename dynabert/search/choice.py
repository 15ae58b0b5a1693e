"""Which sub-network to take on this machine within a budget.

Scores are of all of dev. Where time is limited the clock decides: every sub-network that may fit is
timed in turn with the others, those that did a second time, and fits only if it did both times; the best
that fits is timed once more, and dropped for the next if it is too slow then. A latency table only spares
the clock those that it says are too slow by more than it errs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from dynabert.errors import UserError
from dynabert.evaluation.latency import Latency, LatencySetup, describe_machine, measure_latency
from dynabert.evaluation.latency_table import LatencyTable
from dynabert.examples import RunExamples, load_examples
from dynabert.modeling.models import TaskModel
from dynabert.runs import Run
from dynabert.search.budget import Budget
from dynabert.search.candidates import Option, evaluate_missing, missing_standard, options_of
from dynabert.search.modelled import usable_table
from dynabert.subnet import Subnet

Clock = Callable[[Sequence[Subnet]], Sequence[Latency]]
OnProgress = Callable[[str, int, int], None]

REPEATS = 20  # of each measurement
MEASUREMENTS = 3  # of the sub-network that is taken, where time decides; two of the others
# Above one of these a reader is told that the machine was busy. On quiet machines the spread is 0.03 to 0.1
# (benchmarks/results/tasks/cola-minilm.csv), with one other process on each core 0.3 to 1.
UNQUIET = 1.5  # `Choice.unrest`
WIDE = 0.25  # `Choice.spread`
_SURE = 3  # that a latency table says will fit: what scores less is not timed at first


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
        shares = [one.iqr_ms / one.median_ms for option in self._told for one in option.measured]
        return max(shares, default=0.0)

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
                "fits": _fits(option, self.budget),
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


def choose(
    run: Run,
    model: TaskModel,
    budget: Budget,
    *,
    results: pd.DataFrame | None = None,
    load: Callable[[], RunExamples] | None = None,
    clock: Clock | None = None,
    on_evaluated: Callable[[pd.DataFrame], None] = lambda rows: None,
    on_progress: OnProgress = lambda phase, done, total: None,
) -> Choice:
    """The best sub-network of a run within a budget, on this machine now.

    Looked at is all that the run has results of on all of dev, and the grid of its recipe, which is
    evaluated where that was not done.

    model: the run's.  results: left out, all of the run's.  load: how its examples are found, asked only
    where something must be evaluated.  clock: times sub-networks in turn; left out, this machine's.
    on_evaluated: given the rows of what was evaluated, to be kept.
    on_progress: called with what is done, how far, and the total.

    Raises:
        UserError: the model reads fewer tokens, or the examples are not the run's.
    """
    if budget.tokens > run.config.max_tokens:
        raise UserError(
            f"this model reads at most {run.config.max_tokens} tokens, got {budget.tokens}."
        )
    if results is None:
        results = run.all_results
    if missing := missing_standard(run, results):
        examples = load_examples(run) if load is None else load()
        total = examples.dev.num_examples
        rows = evaluate_missing(
            run,
            model,
            examples,
            missing,
            tokens=int(results["tokens"].iloc[0]),
            on_batch=lambda done: on_progress("evaluate", done, total),
        )
        on_evaluated(rows)
        results = pd.concat([results, rows], ignore_index=True)
    options = options_of(run, results, budget.tokens)
    table = _trusted_table(run, model, budget) if budget.needs_clock else None
    if table is not None:
        options = [
            replace(option, predicted_ms=table.predict(model, option.subnet, budget.tokens))
            for option in options
        ]
    return decide(
        options,
        budget,
        clock=clock or _stopwatch(model, budget, on_progress),
        metric=run.info.task.metric,
        machine=describe_machine(model.device),
        margin=None if table is None else table.worst,
    )


def decide(
    options: Iterable[Option],
    budget: Budget,
    *,
    clock: Clock,
    metric: str = "",
    machine: str = "",
    margin: float | None = None,
) -> Choice:
    """The choice among options that nobody has timed yet.

    margin: how far `predicted_ms` of the options is from the clock at most, as a share of what that says;
    None where they are not predicted. It does not depend on the order of the options, if the clock does
    not on that of the sub-networks.
    """
    field = _Field(options, budget, clock)
    leaders: list[Option] = []
    for stage in _stages(field, margin) if budget.needs_clock else [[]]:
        field.time(stage)
        field.time([one for one in stage if budget.allows(field.options[one.key].costs)])
        leaders = field.settled(field.fitting, field.rank, 2)
        if leaders:
            break
    while True:  # what lies beyond may fit after all, where a table was wrong by more than it said
        beyond = field.beyond(leaders[0].score if leaders else -math.inf)
        if beyond is None or not budget.limits or not _fits(beyond, budget):
            break
        leaders = field.settled(field.fitting, field.rank, 2)
    # As they are known in the end.
    known = [field.options[leader.key] for leader in leaders]
    return Choice(
        budget=budget,
        metric=metric,
        machine=machine,
        options=tuple(field.options.values()),
        chosen=known[0] if known else None,
        runner_up=known[1] if len(known) > 1 else None,
        step_up=beyond if known else None,
        nearest_miss=None if known else beyond,
        modelled=margin is not None,
    )


class _Field:
    """The options, with what the clock has said of them so far."""

    def __init__(self, options: Iterable[Option], budget: Budget, clock: Clock) -> None:
        self.options = {option.key: option for option in sorted(options, key=lambda one: one.key)}
        self.budget, self.clock = budget, clock
        # Where time does not decide, what is shown is timed once, to be told.
        self.measurements = MEASUREMENTS if budget.needs_clock else 1

    def sound(self) -> list[Option]:
        return [option for option in self.options.values() if option.is_sound]

    def fitting(self) -> list[Option]:
        return [option for option in self.sound() if _fits(option, self.budget)]

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


def _fits(option: Option, budget: Budget) -> bool:
    """Whether it is within the budget by all that was measured; twice, where time decides."""
    timed = not budget.needs_clock or len(option.measured) >= MEASUREMENTS - 1
    return (
        option.is_sound
        and timed
        and budget.reached_by(option.score)
        and budget.allows(option.costs)
    )


def _stages(field: _Field, margin: float | None) -> list[list[Option]]:
    """Which options are timed, those of a later stage only where nothing of an earlier one fits.

    Without a table all whose score, parameters and MACs fit. With one, of these the recipe's grid in any
    case, and what may fit, beginning with the best; at first none that scores less than several that will
    fit if the table is right.
    """
    budget = field.budget
    formulas = {name: limit for name, limit in budget.limits.items() if name != "latency_ms"}
    eligible = [
        option
        for option in field.sound()
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
    may.sort(key=field.rank)
    seem_sure = [place for place, option in enumerate(may) if option.predicted_ms <= sure]
    cut = seem_sure[_SURE - 1] + 1 if len(seem_sure) >= _SURE else len(may)
    first = {option.key for option in (*may[:cut], *(o for o in eligible if o.is_standard))}
    later = {option.key for option in may} - first
    # By key, whatever order they were looked at in.
    return [[option for option in eligible if option.key in keys] for keys in (first, later)]


def _trusted_table(run: Run, model: TaskModel, budget: Budget) -> LatencyTable | None:
    """The run's latency table for the budget; None where all must be timed."""
    asked = LatencySetup(tokens=budget.tokens, batch_size=budget.batch_size)
    with suppress(UserError):
        return usable_table(run.folder, model, asked)
    return None


def _stopwatch(model: TaskModel, budget: Budget, on_progress: OnProgress) -> Clock:
    """This machine's clock; each measurement draws new texts and a new order."""
    count = 0

    def clock(subnets: Sequence[Subnet]) -> list[Latency]:
        nonlocal count
        count += 1
        setup = LatencySetup(
            tokens=budget.tokens, batch_size=budget.batch_size, repeats=REPEATS, seed=count
        )
        number = f"{len(subnets)} sub-network{'' if len(subnets) == 1 else 's'}"
        phase = f"measurement {count}, {number}"
        on_progress(phase, 0, REPEATS)  # the passes that warm up take time too
        return measure_latency(
            model, subnets, setup, on_repeat=lambda done: on_progress(phase, done, REPEATS)
        )

    return clock


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
