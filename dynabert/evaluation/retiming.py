"""Latencies of sub-networks whose results come from another machine."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from dynabert.evaluation.latency import DEFAULT_SETUP, Latency, LatencySetup, measure_latency
from dynabert.modeling.models import TaskModel
from dynabert.subnet import Subnet

TIMES = ("latency_ms", "latency_ms_iqr", "latency_batch_size")


def time_results(
    model: TaskModel,
    results: pd.DataFrame,
    setup: LatencySetup = DEFAULT_SETUP,
    *,
    on_repeat: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """What the sub-networks of some results take on this machine, all in turn: `subnet` and `TIMES`.

    results: with a column `subnet`, as `Run.all_results`.
    """
    keys = [str(key) for key in results["subnet"]]
    subnets = [Subnet.parse(key) for key in keys]
    measured = measure_latency(model, subnets, setup, on_repeat=on_repeat)
    return pd.DataFrame(
        [time_row(key, latency, setup) for key, latency in zip(keys, measured, strict=True)]
    )


def time_row(key: str, latency: Latency, setup: LatencySetup) -> dict[str, object]:
    """One row of `time_results`."""
    values = (latency.median_ms, latency.iqr_ms, float(setup.batch_size))
    return {"subnet": key, **dict(zip(TIMES, values, strict=True))}


def with_times(results: pd.DataFrame, times: pd.DataFrame) -> pd.DataFrame:
    """The results with those latencies in place of their own; NaN where `times` has none."""
    known = times.set_index("subnet")
    return results.assign(**{name: results["subnet"].map(known[name]) for name in TIMES})
