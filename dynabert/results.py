"""The table of a run's results on disk: a row for each sub-network, as `dynabert.evaluation.sweep` has them.

A run may be a stranger's, and a table that lacks something would otherwise be found out by whoever needs it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dynabert.analysis.choices import keeping_all_tokens, on_grid
from dynabert.errors import BROKEN_FILES, UserError, first_line
from dynabert.evaluation.metrics import METRICS
from dynabert.evaluation.quality import further_metrics
from dynabert.evaluation.retiming import TIMES
from dynabert.subnet import Subnet

# Whole numbers from 1.
_COUNTS = ("num_examples", "num_params", "num_params_total", "tokens", "macs")
_NUMBERS = ("width_mult", "depth_mult", "loss")
_LISTS = ("heads", "neurons", "layers")


def read_results(path: Path, metrics: Sequence[str], *, remedy: str) -> pd.DataFrame:
    """The table of a file; latencies, and metrics after the first, are NaN where it does not say them.

    metrics: of the run's task.  remedy: what to do about a damaged file, as a sentence.

    Raises:
        UserError: it cannot be read, or lacks what every row must say.
    """
    try:
        return _checked(pd.read_parquet(path), metrics)
    except BROKEN_FILES as error:
        why = first_line(error).rstrip(".")
        raise UserError(f"run {path.parent}: {path.name} is damaged: {why}. {remedy}") from error


def check_has_sizes(table: pd.DataFrame, path: Path, *, remedy: str) -> None:
    """Raise a UserError where no row is of a width and a depth with all tokens: every run has some."""
    if on_grid(keeping_all_tokens(table)).empty:
        raise UserError(
            f"run {path.parent}: {path.name} is damaged: it has no sub-network of a width and a depth. "
            f"{remedy}"
        )


def as_csv(table: pd.DataFrame) -> str:
    """A table of results, or another, as the text of a CSV file: each list as JSON, layers counted from 1."""
    lists = {
        name: [json.dumps([int(one) + (name == "layers") for one in row]) for row in table[name]]
        for name in _LISTS
        if name in table and not table[name].map(np.isscalar).any()
    }
    return table.assign(**lists).to_csv(index=False)


def latest_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each sub-network, the last; what that may leave out is taken from those before it."""
    told, metrics = rows.copy(), [name for name in METRICS if name in rows]
    for columns, of_same in (
        (further_metrics(rows.columns, metrics), ["subnet"]),
        # A latency is of so many tokens, and says nothing about others.
        ([name for name in TIMES if name in rows], ["subnet", "tokens"]),
    ):
        told[columns] = rows.groupby(of_same, sort=False)[columns].ffill()
    return told.drop_duplicates("subnet", keep="last", ignore_index=True)


def _checked(table: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    wanted = ("subnet", "collapsed", metrics[0], *_NUMBERS, *_COUNTS, *_LISTS)
    if missing := [name for name in wanted if name not in table]:
        raise ValueError(f"it has no column {missing[0]}")
    for key in table["subnet"]:
        Subnet.parse(str(key))
    if not table["collapsed"].isin([True, False]).all():
        raise ValueError("collapsed is neither true nor false in one of its rows")
    for name in _COUNTS:
        if not (table[name] >= 1).all():
            raise ValueError(f"{name} is no number from 1 in one of its rows")
    for name in (*metrics[1:], *TIMES):
        if name not in table:
            table = table.assign(**{name: np.nan})
    types = {**dict.fromkeys(metrics, float), "collapsed": bool}
    return table.astype(types | dict.fromkeys(_NUMBERS, float) | dict.fromkeys(_COUNTS, "int64"))
