"""Latencies of several results' sub-networks, all in turn: times of different minutes do not compare.

How long a pass takes depends on a sub-network's shape and on how many tokens it drops, not on what was
trained, so results can be timed at any time by a network of the same shape.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from commands import this_command

from dynabert.evaluation import describe_machine
from dynabert.evaluation.latency import LatencySetup, measure_latency
from dynabert.reproduction.timing import untrained
from dynabert.search.front import BATCH_SIZES, latency_column, spread_column
from dynabert.subnet import FULL, Subnet

REPEATS = 20


def time_together(
    task: str,
    rows: Sequence[dict[str, Any]],
    *,
    tokens: int,
    repeats: int = REPEATS,
    backbone: str = "minilm",
) -> dict[str, Any]:
    """Put latencies, and how far their passes spread, into rows of sub-networks; all of them in turn.

    rows: each with its `subnet`.  repeats: passes of each.  Returns: the full network's latencies by
    column, and how, when and where they were measured.
    """
    model = untrained(backbone, task)
    keys = dict.fromkeys([FULL.key, *(str(row["subnet"]) for row in rows)])
    subnets = [Subnet.parse(key) for key in keys]
    times: dict[str, dict[str, float]] = {key: {} for key in keys}
    for batch_size in BATCH_SIZES:
        setup = LatencySetup(tokens=tokens, batch_size=batch_size, repeats=repeats)
        column = latency_column(batch_size)
        found = measure_latency(
            model,
            subnets,
            setup,
            on_repeat=lambda done, size=batch_size: print(  # type: ignore[misc]
                f"  batch {size}: {done}/{repeats}", flush=True
            ),
        )
        for key, time in zip(keys, found, strict=True):
            times[key] |= {column: time.median_ms, spread_column(column): time.iqr_ms}
    for row in rows:
        row.update(times[str(row["subnet"])])
    return {
        "full": times[FULL.key],
        "machine": describe_machine(model.device),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": this_command(),
        "subnets": len(subnets),
        "repeats": repeats,
    }


def timing_sentence(timed: dict[str, Any], rows: Iterable[dict[str, Any]]) -> str:
    """When, where and how they were timed, and how far the passes of one spread."""
    columns = [latency_column(size) for size in BATCH_SIZES]
    widest = max(row[spread_column(one)] / row[one] for row in rows for one in columns)
    return (
        f"Latencies: {timed['subnets']} networks in turn, {timed['repeats']} passes each in new order, "
        f"{timed['created'][:10]}, {timed['machine']} (`{timed['command']}`); the middle half of a "
        f"network's passes spread over up to {widest:.0%} of its median."
    )
