"""Figures 3 and 4: what the sub-networks of each method cost and score, from our results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dynabert.evaluation.latency import WIDE
from dynabert.reproduction.budgets import same_budget
from dynabert.reproduction.circumstances import task_title
from dynabert.reproduction.compare import NOT_RUN, PERCENT, Gap, command_for, deviation
from dynabert.reproduction.layout import Figure
from dynabert.reproduction.measures import MEASURES, measures_of
from dynabert.reproduction.results import Result
from dynabert.subnet import Subnet


@dataclass(frozen=True, kw_only=True)
class FigureScore:
    """What a figure draws upwards: one measure or, for MNLI, the mean of its two (Fig. 3)."""

    key: str
    title: str
    task: str
    measures: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a figure draws to the right."""

    key: str
    title: str
    column: str  # of `method_points`
    unit: float = 1.0  # what its numbers are divided by


COSTS = {
    cost.key: cost
    for cost in (
        Cost(
            key="parameters",
            title="parameters of the Transformer layers, millions",
            column="num_params",
            unit=1e6,
        ),
        Cost(key="MACs", title="MACs for 128 tokens, millions", column="macs", unit=1e6),
        Cost(key="latency, batch 1", title="latency, batch 1, ms", column="latency_ms_batch1"),
        Cost(
            key="latency, batch 128", title="latency, batch 128, ms", column="latency_ms_batch128"
        ),
    )
}


def scores_of(figure: Figure) -> dict[str, FigureScore]:
    """What a figure can be drawn for, by key."""
    found = {}
    for task in figure.tasks:
        measures = measures_of(task)
        if task == "squad":  # two different scores; their mean would be none
            for key in reversed(measures):
                found[key] = FigureScore(
                    key=key, title=MEASURES[key].title, task=task, measures=(key,)
                )
            continue
        metric = MEASURES[measures[0]].metric_title
        found[task] = FigureScore(
            key=task, title=f"{task_title(task)} {metric}", task=task, measures=measures
        )
    return found


def method_points(
    figure: Figure, results: Sequence[Result], backbone: str, score: FigureScore
) -> pd.DataFrame:
    """A row for each sub-network of each method that has been measured.

    Columns: method, recipe, subnet, width_mult, depth_mult, score (percent, mean over seeds), spread
    (standard deviation; missing for one seed), seeds, collapsed (in how many of them), layers, heads,
    neurons, num_params, macs, latency_ms_batch1, latency_ms_batch128, latency_machine, latency_spread
    (interquartile range as a share of the median, the larger of both).
    Seeds with another budget than most are left out.
    """
    rows: list[dict[str, object]] = []
    for recipe, method in figure.methods.items():
        found = same_budget(
            [r for r in results if (r.backbone, r.task, r.recipe) == (backbone, score.task, recipe)]
        )
        for subnet in dict.fromkeys(row.subnet for result in found for row in result.rows):
            rows.append({"method": method, "recipe": recipe, **_point(subnet, found, score)})
    return pd.DataFrame(rows)


def _point(key: str, results: Sequence[Result], score: FigureScore) -> dict[str, object]:
    subnet = Subnet.parse(key)
    rows = [row for result in results if (row := result.row(subnet)) is not None]
    metrics = [MEASURES[measure].metric for measure in score.measures]
    values = [
        PERCENT * float(np.mean([row.metrics[metric] for metric in metrics]))
        for row in rows
        if all(metric in row.metrics for metric in metrics)
    ]
    first = rows[0]
    # All of one machine: of the first result that was timed.
    timing = next((result for result in results if result.latency_machine), results[0])
    timed_row = timing.row(subnet)
    times = {one.batch_size: one.median_ms for one in timed_row.latency} if timed_row else {}
    timed = {f"latency_ms_batch{size}": times.get(size) for size in (1, 128)}
    spreads = [one.iqr_ms / one.median_ms for one in timed_row.latency] if timed_row else []
    return {
        **{"subnet": key, "width_mult": subnet.width_mult, "depth_mult": subnet.depth_mult},
        "score": float(np.mean(values)) if values else None,
        "spread": deviation(values),
        "seeds": len(values),
        "collapsed": sum(row.collapsed for row in rows),
        **{"layers": len(first.layers), "heads": max(first.heads), "neurons": max(first.neurons)},
        **{"num_params": first.num_params, "macs": first.macs},
        **timed,
        "latency_machine": timing.latency_machine,
        "latency_spread": max(spreads, default=None),
    }


def timing_sentence(points: pd.DataFrame) -> str:
    """Where the latencies of `method_points` were measured, and how steady that machine was; "" where
    none was."""
    timed = points[points["latency_spread"].notna()]
    if timed.empty:
        return ""
    machines = " and ".join(dict.fromkeys(timed["latency_machine"].dropna()))
    widest = float(timed["latency_spread"].max())
    busy = ": it was busy, and they came out too long" if widest > WIDE else ""
    return (
        f"Latency: {machines}, in 32 bits, 128 tokens; the middle half of one measurement's passes spread "
        f"over {'up to ' if len(timed) > 1 else ''}{widest:.0%} of its median{busy}."
    )


def method_gaps(
    figure: Figure,
    points: pd.DataFrame,
    backbone: str,
    score: FigureScore,
    without: Mapping[str, str],
) -> list[Gap]:
    """The methods of which nothing has been measured for a task."""
    there = set(points["recipe"]) if len(points) else set()
    missing = [recipe for recipe in figure.methods if recipe not in there]
    if not missing:
        return []
    why = without.get(score.task, f"{NOT_RUN}: {', '.join(missing)}")
    command = command_for(figure.name, score.task, backbone, missing)
    return [Gap(columns=tuple(figure.methods[r] for r in missing), why=why, command=command)]
