"""What sub-networks score against the cost that a budget limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dynabert.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    finished,
    mark_chosen,
    plain,
    score_axis,
)
from dynabert.words import figures

_PALE = "rgba(128, 128, 128, 0.4)"
_MISSED = {"chosen": False, "nearest miss": True}


def budget_choice(
    table: pd.DataFrame,
    cost: str,
    *,
    quality_title: str,
    cost_title: str,
    limit: float | None = None,
    floor: float | None = None,
    scale: float = 1.0,
) -> go.Figure:
    """Every sub-network that a choice looked at, with the budget as lines: left and above is what fits.

    table: as of `dynabert.search.choice.Choice`.  cost: "latency_ms", "num_params" or "macs". Latency of what
    was not timed is that of the latency table, and drawn hollow; without one it is left out.
    limit, floor: of cost and of score.  scale: what the cost is divided by.
    """
    figure = go.Figure()
    shown = table.assign(
        cost=table[cost] if cost != "latency_ms" else _latency(table),
        timed=table["measurements"] > 0,
    ).dropna(subset=["cost", "score"])
    shown = shown.assign(cost=shown["cost"] / scale)
    modelled = (~shown["timed"]) & (cost == "latency_ms") & ~shown["collapsed"]
    fits, collapsed = shown["fits"], shown["collapsed"]
    for rows, name, marker in (
        (
            shown[~fits & ~collapsed & ~modelled],
            "does not fit",
            {"color": GREY, "size": 8, "opacity": 0.55},
        ),
        (
            shown[modelled],
            "not timed: modelled latency",
            {"color": GREY, "size": 8, "symbol": "circle-open"},
        ),
        (shown[fits], "fits", {"color": BLUE, "size": 10}),
        (
            shown[collapsed],
            "collapsed: one answer for all",
            {"symbol": "x-thin", "size": 9, "line": {"color": GREY, "width": 2}},
        ),
        (
            shown[_has(shown, "runner-up")],
            "runner-up",
            {"color": BLUE, "size": 17, "symbol": "circle-open", "line": {"width": 2}},
        ),
        (
            shown[_has(shown, "next step")],
            "next step",
            {"color": ORANGE, "size": 12, "symbol": "diamond"},
        ),
    ):
        if len(rows):
            figure.add_scatter(
                x=rows["cost"],
                y=rows["score"],
                mode="markers",
                marker=marker,
                name=name,
                customdata=rows["subnet"],
                hovertext=[_hover(row, quality_title) for row in rows.to_dict("records")],
                hoverinfo="text",
                **_spread(rows, cost, name),
            )
    for role, missed in _MISSED.items():
        rows = shown[_has(shown, role)]
        if len(rows):
            mark_chosen(figure, rows["cost"], rows["score"])
            figure.data[-1].update(
                name=role, marker_symbol="square-open" if missed else "circle-open"
            )
    line = {"color": ORANGE, "width": 2, "dash": "dash"}
    if limit is not None:
        figure.add_vline(x=limit / scale, line=line)
    if floor is not None:
        figure.add_hline(y=floor, line=line)
    if limit is not None or floor is not None:  # what the lines are, in the legend
        figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name="budget")
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text=plain(cost_title), rangemode="tozero")
    score_axis(figure, quality_title, shown["score"])
    return finished(figure, height=430, hover="closest")


def _has(table: pd.DataFrame, role: str) -> pd.Series:
    return table["role"].str.split(", ").map(lambda roles: role in roles).astype(bool)


def _latency(table: pd.DataFrame) -> pd.Series:
    return table["latency_ms"].fillna(table["predicted_ms"])


def _spread(rows: pd.DataFrame, cost: str, name: str) -> dict[str, Any]:
    """Half of the interquartile range on either side, of what was timed."""
    if cost != "latency_ms" or name not in ("fits", "does not fit"):
        return {}
    half = rows["latency_ms_iqr"] / 2
    return {
        "error_x": {
            "array": half.tolist(),
            "arrayminus": half.clip(upper=rows["cost"]).tolist(),  # no time is below 0
            "thickness": 1,
            "width": 0,
            "color": _PALE,
        }
    }


def _hover(row: Mapping[Any, Any], quality_title: str) -> str:
    lines = [
        f"<b>{plain(row['subnet'])}</b>",
        *([plain(row["role"])] if row["role"] else []),
        f"{plain(quality_title)} {row['score']:.4f}",
        f"{row['num_params'] / 1e6:.2f} M parameters, {figures(row['macs'] / 1e6, 4)} M MACs",
    ]
    if row["measurements"]:
        times = f"slowest of {row['measurements']} medians" if row["measurements"] > 1 else "median"
        lines.append(f"{row['latency_ms']:.2f} ms (±{row['latency_ms_iqr'] / 2:.2f}), {times}")
    elif not pd.isna(row["predicted_ms"]):
        lines.append(f"{row['predicted_ms']:.2f} ms by the latency table")
    if row["collapsed"]:
        lines.append("<b>collapsed: gives every example the same answer</b>")
    return "<br>".join(lines)
