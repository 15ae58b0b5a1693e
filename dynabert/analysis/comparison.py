"""Two runs side by side."""

from __future__ import annotations

import pandas as pd

from dynabert.analysis.choices import on_grid
from dynabert.analysis.head_ablation import RankCorrelation, rank_correlation
from dynabert.runs import Run

_TEACHING = "teaching"
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
    """Why the scores of two runs do not say which is better; None if they do, or almost (see `doubt`)."""
    one, two = first.info.task, second.info.task
    if one.metric != two.metric:
        return f"one is judged by {one.metric}, the other by {two.metric}"
    if not _judged_alike(first, second):
        return "they were not judged on the same examples"
    return None


def _judged_alike(first: Run, second: Run) -> bool:
    """Whether two runs surely have the same dev set. They know one fingerprint of all their examples."""
    one, two = first.info.task, second.info.task
    if one.fingerprint == two.fingerprint:
        return True
    sources = first.info.data, second.info.data
    if any(source.csv is not None for source in sources):
        return False  # a file's name says nothing of its rows, and dev may be drawn from them
    if one.name == _TEACHING and sources[0].seed != sources[1].seed:
        return False  # another seed is another set
    return (one.name, one.num_dev) == (two.name, two.num_dev)


def doubt(first: Run, second: Run) -> str | None:
    """What sets two runs apart beside what they are compared for: what they were trained on."""
    one, two = first.info.task, second.info.task
    if one.fingerprint == two.fingerprint:
        return None
    if one.num_train == two.num_train:
        return f"each was trained on {one.num_train:,} examples of its own"
    return f"one was trained on {one.num_train:,} examples, the other on {two.num_train:,}"


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
