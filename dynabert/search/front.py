"""The best of a search, measured again: on the whole dev set, and by this machine's clock.

Inside a search quality is of a part of dev and cost perhaps a formula. What is taken away should be
chosen by neither.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from dynabert.analysis.filters import front_of
from dynabert.errors import BROKEN_FILES, UserError, first_line
from dynabert.evaluation.latency import LatencySetup, describe_machine, measure_latency
from dynabert.evaluation.quality import evaluate_many
from dynabert.evaluation.retiming import TIMES
from dynabert.evaluation.table import result_row
from dynabert.examples import RunExamples
from dynabert.files import new_file
from dynabert.keeping import tokens_of, why_times_differ, without_times
from dynabert.modeling.models import TaskModel
from dynabert.runs import Run
from dynabert.search.proposals import front
from dynabert.search.search import Search
from dynabert.search.trials import Trial
from dynabert.subnet import Subnet

FRONT = "front.parquet"
BATCH_SIZES = (1, 32)  # sentences of a pass that are timed

_LATENCY = "latency_ms_batch_"
_LOCK = "measuring"

OnProgress = Callable[[str, int, int], None]


def latency_column(batch_size: int) -> str:
    """The name of the column with the latency of passes of so many sentences."""
    return f"{_LATENCY}{batch_size}"


def spread_column(latency: str) -> str:
    """Where a table has the interquartile range, in ms, of that column of latency; older ones have none."""
    return f"{latency}_iqr"


def measure_front(
    search: Search,
    model: TaskModel,
    examples: RunExamples,
    *,
    batch_sizes: Sequence[int] | None = None,
    again: bool = False,
    on_progress: OnProgress = lambda phase, done, total: None,
) -> pd.DataFrame:
    """A row for each sub-network on a search's front, and one for the largest that it could find.

    Where the settings ask for fewer (`num_measured`), they are spread evenly over the front.
    Kept with the search; what another process has just measured of the same trials is taken as it is.

    Columns: those of `dynabert.evaluation.sweep`, `latency_ms_batch_N` for passes of N sentences
    (all timed in turn, again and again in new order), `searched_quality` and `searched_cost` as the
    search had them, `num_trials` that the search had finished of `wanted_trials`, `num_front` that are
    on its front besides the largest, and the `machine`.
    batch_sizes: left out, those of `BATCH_SIZES` and of the search.
    again: also where all that was measured before.

    Raises:
        UserError: nothing was tried yet.
    """
    if batch_sizes is None:
        batch_sizes = sorted({*BATCH_SIZES, search.settings.batch_size})
    with search.at_work(), (search.folder / _LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not again and (kept := current_front(search)) is not None:
            return kept
        table = _measured(search, model, examples, batch_sizes, on_progress)
        with new_file(search.folder / FRONT) as partial:
            table.to_parquet(partial, index=False)
    return table


def current_front(search: Search) -> pd.DataFrame | None:
    """What was measured, if that is of all trials there are; None where it must be measured anew."""
    try:
        table = read_front(search)
    except UserError:
        return None
    if table is None or int(table["num_trials"].iloc[0]) != len(search.trials):
        return None
    if int(table["wanted_trials"].iloc[0]) < search.settings.num_trials:
        return None
    wanted = search.settings.num_measured
    if num_unmeasured(table) == 0 or (wanted is not None and len(table) > wanted):
        return table
    return None


def num_unmeasured(table: pd.DataFrame) -> int:
    """How many of a search's front have no row in a table of `measure_front`: fewer were asked for."""
    return int(table["num_front"].iloc[0]) - (len(table) - 1) if "num_front" in table else 0


def _measured(
    search: Search,
    model: TaskModel,
    examples: RunExamples,
    batch_sizes: Sequence[int],
    on_progress: OnProgress,
) -> pd.DataFrame:
    settings = search.settings
    space = settings.space(model.config.shape)
    trials = [trial for trial in search.trials if space.holds(trial.candidate)]
    if not trials:
        raise UserError(f"search {search.name} has tried nothing yet.")
    # Not by their keys, which a file from outside could say anything in.
    best = {space.subnet(trial.candidate).key: trial for trial in front(trials)}
    largest = space.subnet(space.largest)
    others = sorted((key for key in best if key != largest.key), key=lambda key: best[key].cost)
    subnets = [largest, *map(Subnet.parse, _spread(others, settings.num_measured))]
    evaluations = evaluate_many(
        model,
        examples.dev,
        subnets,
        metrics=examples.data.task.metrics,
        other_splits=examples.other_dev,
        on_batch=lambda done: on_progress("evaluate", done, examples.num_dev),
    )
    rows = [
        result_row(model, evaluation, None, settings.setup)
        | {
            "searched_quality": trial.quality if trial else None,
            "searched_cost": trial.cost if trial else None,
            "num_trials": len(search.trials),
            "wanted_trials": settings.num_trials,
            "num_front": len(others),
            "machine": describe_machine(model.device),
            "is_reference": evaluation.subnet == largest,
        }
        for evaluation in evaluations
        for trial in (best.get(evaluation.subnet.key),)
    ]
    table = pd.DataFrame(rows)
    for place, batch_size in enumerate(batch_sizes):
        setup = LatencySetup(
            tokens=settings.tokens,
            batch_size=batch_size,
            repeats=settings.repeats,
            seed=settings.seed,
        )
        times = measure_latency(
            model,
            subnets,
            setup,
            on_repeat=lambda done, place=place: on_progress(  # type: ignore[misc]
                "latency", place * settings.repeats + done, len(batch_sizes) * settings.repeats
            ),
        )
        column = latency_column(batch_size)
        table[column] = [time.median_ms for time in times]
        table[spread_column(column)] = [time.iqr_ms for time in times]
        if batch_size == settings.batch_size:
            table["latency_ms"] = [time.median_ms for time in times]
            table["latency_ms_iqr"] = [time.iqr_ms for time in times]
            table["latency_batch_size"] = batch_size
    return table


def _spread(keys: Sequence[str], number: int | None) -> list[str]:
    """At most so many of them, from the first to the last at equal steps."""
    if number is None or number >= len(keys):
        return list(keys)
    # Of one, the last: the dearest, which loses least.
    places = np.linspace(len(keys) - 1, 0, number).round().astype(int)
    return [keys[place] for place in sorted(places)]


def keep_with_run(run: Run, search: Search, table: pd.DataFrame) -> int:
    """Keep the rows of `measure_front` that a run has no results of; returns how many.

    Only where they count cost for as many tokens as the run does; their latency only where it was
    measured as the run's was.
    """
    known = run.all_results
    new = table[~table["subnet"].isin(known["subnet"])]
    if search.settings.tokens != tokens_of(run) or new.empty:
        return 0
    rows = new.reindex(columns=[*known.columns.union(["length_config"], sort=False)])
    if why_times_differ(run, search.settings.setup, str(table["machine"].iloc[0])) is not None:
        rows = without_times(rows)
    run.add_results(rows.astype(dict.fromkeys(TIMES, float)))
    return len(rows)


def trial_table(trials: Sequence[Trial]) -> pd.DataFrame:
    """A row for each trial: number, subnet, quality, cost, origin, seconds, and whether on the front."""
    best = {trial.number for trial in front(trials)} if trials else set()
    columns = ["number", "subnet", "quality", "cost", "origin", "seconds"]
    table = pd.DataFrame([trial.model_dump(include=set(columns)) for trial in trials])
    return table.reindex(columns=columns).assign(
        on_front=[trial.number in best for trial in trials]
    )


def measured_table(table: pd.DataFrame, *, metric: str, cost: str) -> pd.DataFrame:
    """Rows of `measure_front` in the columns of `trial_table` that a picture needs, and `collapsed`."""
    return pd.DataFrame(
        {
            "subnet": table["subnet"],
            "quality": table[metric].astype(float),
            "cost": table[cost].astype(float),
            "collapsed": table["collapsed"],
            "on_front": front_of(table, metric, cost),
        }
    )


def read_front(search: Search) -> pd.DataFrame | None:
    """What `measure_front` kept; None if it has not been measured.

    Raises:
        UserError: the file is damaged.
    """
    path = search.folder / FRONT
    if not path.is_file():
        return None
    try:
        table = pd.read_parquet(path)
        numbers = ["searched_cost", "num_trials", "wanted_trials", "macs", search.info.metric]
        numbers += [str(name) for name in table.columns if str(name).startswith(_LATENCY)]
        if "num_front" in table:  # older ones have all of it
            numbers.append("num_front")
        for name in numbers:
            table[name] = table[name].astype(float)
        for key in table["subnet"]:
            Subnet.parse(key)
        if table["is_reference"].astype(bool).sum() != 1:
            raise ValueError("it has no row to compare with")
        for name in ("is_reference", "collapsed"):
            table[name] = table[name].astype(bool)
        table["machine"] = table["machine"].astype(str)
    except BROKEN_FILES as error:
        raise UserError(
            f"search {search.folder}: {FRONT} is damaged: {first_line(error)}. Remove that file; what "
            "was measured can be measured again."
        ) from error
    return table


def batch_sizes_of(table: pd.DataFrame) -> list[int]:
    """Of the passes that were timed, rising."""
    names = (str(name) for name in table.columns)
    found = (name.removeprefix(_LATENCY) for name in names if name.startswith(_LATENCY))
    return sorted(int(size) for size in found if size.isdecimal())


def widest_spread(table: pd.DataFrame) -> float:
    """The largest interquartile range of a table's latencies, as a share of its median; 0 where none is
    known."""
    columns = map(latency_column, batch_sizes_of(table))
    shares = [
        float((table[spread_column(column)] / table[column]).max())
        for column in columns
        if spread_column(column) in table
    ]
    return max(shares, default=0.0)


def reference_row(table: pd.DataFrame) -> pd.Series:
    """The row of `measure_front` that the others are compared with: the largest, with all tokens."""
    return table[table["is_reference"]].iloc[0]


def cheapest_within(
    table: pd.DataFrame, *, metric: str, cost: str, points: float
) -> tuple[pd.Series, bool]:
    """The cheapest row whose metric is at most so many points below the reference's.

    points: hundredths of the metric, as the papers print them. Collapsed rows are passed over: a score
    of one answer for all says nothing, however near it is. Returns also whether there is such a row
    besides the reference; the nearest miss where there is none: the row that loses least, and the
    reference itself where no other has a score that says something.
    """
    largest, others = reference_row(table), table[~(table["is_reference"] | table["collapsed"])]
    others = others.dropna(subset=[metric])  # a correlation of equal answers
    if others.empty or pd.isna(largest[metric]):
        return largest, False
    good = others[others[metric] >= largest[metric] - points / 100 - 1e-12]
    if good.empty:
        return others.sort_values(metric).iloc[-1], False
    return good.sort_values(cost).iloc[0], True
