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
from dataclasses import replace

import pandas as pd

from dynabert.errors import UserError
from dynabert.evaluation.latency import (
    Latency,
    LatencySetup,
    check_tokens,
    describe_machine,
    measure_latency,
)
from dynabert.evaluation.latency_table import LatencyTable
from dynabert.examples import RunExamples, load_examples
from dynabert.modeling.models import TaskModel
from dynabert.runs import Run
from dynabert.search.budget import Budget
from dynabert.search.candidates import Option, evaluate_missing, missing_standard, options_of
from dynabert.search.choice import Choice
from dynabert.search.contest import Clock, Contest, fits, rounds
from dynabert.search.modelled import usable_table
from dynabert.subnet import Subnet

OnProgress = Callable[[str, int, int], None]

REPEATS = 20  # of each measurement


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
    check_tokens(run.config.max_tokens, budget.tokens)
    if results is None:
        results = run.all_results
    if missing := missing_standard(run, results):
        examples = load_examples(run) if load is None else load()
        total = examples.num_dev
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
    contest = Contest(options, budget, clock)
    leaders: list[Option] = []
    for timed in rounds(contest, margin) if budget.needs_clock else [[]]:
        contest.time(timed)
        contest.time([one for one in timed if budget.allows(contest.options[one.key].costs)])
        leaders = contest.settled(contest.fitting, contest.rank, 2)
        if leaders:
            break
    while True:  # what lies beyond may fit after all, where a table was wrong by more than it said
        beyond = contest.beyond(leaders[0].score if leaders else -math.inf)
        if beyond is None or not budget.limits or not fits(beyond, budget):
            break
        leaders = contest.settled(contest.fitting, contest.rank, 2)
    # As they are known in the end.
    known = [contest.options[leader.key] for leader in leaders]
    return Choice(
        budget=budget,
        metric=metric,
        machine=machine,
        options=tuple(contest.options.values()),
        chosen=known[0] if known else None,
        runner_up=known[1] if len(known) > 1 else None,
        step_up=beyond if known else None,
        nearest_miss=None if known else beyond,
        modelled=margin is not None,
    )


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
