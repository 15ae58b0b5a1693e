"""Reports as tables, for pictures and files."""

from __future__ import annotations

import pandas as pd

from dynabert.analysis.pareto import pareto_front
from dynabert.search.ose.algorithm import on_grid
from dynabert.search.ose.objective import Member
from dynabert.search.ose.plain_report import PlainReport
from dynabert.search.ose.report import Report

COLUMNS = (
    *("key", "num_params", "inference", "error", "w", "frozen_w"),
    *("is_tried", "is_winner", "is_frozen_winner", "on_front"),
)


def member_table(report: Report, epsilon: int | None = None) -> pd.DataFrame:
    """A row for each sub-network of the space, smallest first, as one epsilon saw it.

    Columns: key, num_params, inference, error and w (NaN where they were not measured), frozen_w (W if
    its error was the mean of all that were measured), is_tried (epsilon takes it; others may still have an
    error from a smaller epsilon), is_winner, is_frozen_winner, on_front (no other is cheaper and less wrong).
    epsilon: left out, the smallest of the report.

    Raises:
        ValueError: the report has no such epsilon.
    """
    if epsilon is None:
        epsilon = report.best.epsilon
    outcome = next((one for one in report.outcomes if one.epsilon == epsilon), None)
    if outcome is None:
        raise ValueError(f"the report has no epsilon {epsilon}")
    members = [
        Member(key=one.key, num_params=one.num_params, inference=one.inference)
        for one in report.members
    ]
    taken = {one.key for one in on_grid(members, epsilon)[0]}
    table = pd.DataFrame([one.model_dump() for one in report.members])
    return _finished(
        table,
        is_tried=table["key"].isin(taken),
        winner=outcome.winner,
        frozen=outcome.frozen_winner,
        error_exponent=report.settings.w_exponents.error,
    )


def round_table(report: PlainReport, number: int = -1) -> pd.DataFrame:
    """The same of the plain architectures, as a round saw them; the last one if left out."""
    this = report.rounds[number]
    table = pd.DataFrame([one.model_dump() for one in report.members])
    tried = {one.key: one for one in this.tried}
    table["error"] = [tried[key].error if key in tried else None for key in table["key"]]
    table["w"] = [tried[key].w if key in tried else None for key in table["key"]]
    return _finished(
        table,
        is_tried=table["key"].isin(tried),
        winner=this.winner,
        frozen=this.frozen_winner,
        error_exponent=report.settings.w_exponents.error,
    )


def _finished(
    table: pd.DataFrame, *, is_tried: pd.Series, winner: str, frozen: str, error_exponent: float
) -> pd.DataFrame:
    table = table.assign(error=table["error"].astype(float), w=table["w"].astype(float))
    mean = float(table.loc[is_tried, "error"].mean())
    # Among those that were tried: of others there may be errors from a smaller epsilon.
    errors = table["error"].where(is_tried).to_numpy(float)
    front = pareto_front(table["inference"].to_numpy(float), -errors)
    table = table.assign(
        frozen_w=table["saving"] * mean**-error_exponent,
        is_tried=is_tried,
        is_winner=table["key"] == winner,
        is_frozen_winner=table["key"] == frozen,
        on_front=front,
    )
    return table[[*COLUMNS]]
