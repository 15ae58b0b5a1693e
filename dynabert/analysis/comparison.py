"""Two runs side by side."""

from __future__ import annotations

import pandas as pd

from dynabert.analysis.choices import on_grid
from dynabert.analysis.head_ablation import RankCorrelation, rank_correlation
from dynabert.runs import Run

_KEYS = ["width_mult", "depth_mult"]
_SHARED = ["subnet", "num_params", "macs", "latency_ms", "collapsed"]


def compare_results(first: pd.DataFrame, second: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A row for each width and depth that both have: scores and costs of each, and the difference.

    first, second: rows as from `dynabert.evaluation.sweep`. Columns: width_mult, depth_mult,
    `metric` and what it costs with the suffixes _first and _second, and difference (second - first).
    """
    columns = [*_KEYS, metric, *_SHARED]
    grids = [on_grid(rows)[columns] for rows in (first, second)]
    table = grids[0].merge(grids[1], on=_KEYS, suffixes=("_first", "_second"))
    table["difference"] = table[f"{metric}_second"] - table[f"{metric}_first"]
    return table.sort_values(["depth_mult", "width_mult"], ascending=False, ignore_index=True)


def why_not_comparable(first: Run, second: Run) -> str | None:
    """Why the scores of two runs do not say which is better; None if they do, or almost (see `doubt`).

    A run knows one fingerprint of all its examples: where only the number of those it was trained on
    differs, dev is taken to be the same.
    """
    one, two = first.info.task, second.info.task
    if one.metric != two.metric:
        return f"one is judged by {one.metric}, the other by {two.metric}"
    if (one.name, one.num_dev) != (two.name, two.num_dev):
        return "they were judged on other examples"
    if one.fingerprint != two.fingerprint and one.num_train == two.num_train:
        return "they were not trained and judged on the same examples"
    return None


def doubt(first: Run, second: Run) -> str | None:
    """What sets two runs apart beside what they are compared for: how much they were trained on."""
    one, two = first.info.task.num_train, second.info.task.num_train
    if one == two:
        return None
    return f"one was trained on {one:,} examples, the other on {two:,}"


def importance_alike(
    first: Run, second: Run
) -> tuple[RankCorrelation, RankCorrelation | None] | None:
    """How alike two runs rank the heads of their backbones: all together, and within layers.

    None where one has measured no importance or they are not of the same backbone, whose heads have
    nothing to do with each other.
    """
    if first.importance is None or second.importance is None:
        return None
    if first.info.backbone != second.info.backbone:
        return None
    one, two = (run.importance.heads.numpy() for run in (first, second) if run.importance)
    if one.shape != two.shape or (together := rank_correlation(one, two)) is None:
        return None
    return together, rank_correlation(one, two, within_layers=True)
