"""Optimal subarchitecture extraction: W over the space, and the errors that it is made from."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dynabert.plots.style import BLUE, GREY, ORANGE, RED, finished, plain
from dynabert.words import figures

_LONG = re.compile(r"\d\.\d{4,}")  # a share such as 1/12 in a sub-network's key


def w_over_space(table: pd.DataFrame, *, cost_title: str, scale: float = 1.0) -> go.Figure:
    """W of every architecture that was tried, by its parameters; what was skipped; W if errors were equal.

    table: as from `dynabert.search.ose.tables`.  scale: what the inference cost is divided by.
    """
    figure = go.Figure()
    tried, skipped = table[table["is_tried"]], table[~table["is_tried"]]
    ordered = table.sort_values("num_params")
    figure.add_scatter(
        x=ordered["num_params"] / 1e6,
        y=ordered["frozen_w"],
        mode="lines",
        line={"color": GREY, "width": 1.5, "dash": "dot"},
        name="all errors equal",
        hoverinfo="skip",
    )
    _points(figure, tried, "w", "tried", BLUE, cost_title, scale)
    if len(skipped):
        figure.add_scatter(
            x=skipped["num_params"] / 1e6,
            y=[0.0] * len(skipped),
            mode="markers",
            marker={"symbol": "x-thin", "size": 7, "line": {"color": GREY, "width": 1.5}},
            name="skipped",
            hovertext=[_about(row, cost_title, scale) for row in skipped.to_dict("records")],
            hoverinfo="text",
            cliponaxis=False,
        )
    _mark_winner(figure, tried, "w", x="num_params", scale=1e6)
    figure.update_xaxes(title_text="parameters (million)")
    figure.update_yaxes(title_text="W", rangemode="tozero")
    figure.update_layout(showlegend=True)
    return finished(figure, height=380, hover="closest")


def errors_by_cost(table: pd.DataFrame, *, cost_title: str, scale: float = 1.0) -> go.Figure:
    """The error of every architecture that was tried against its inference cost; the front of both.

    table, scale: as of `w_over_space`.
    """
    figure = go.Figure()
    tried = table[table["is_tried"]]
    front = tried[tried["on_front"]].sort_values("inference")
    figure.add_scatter(
        x=front["inference"] / scale,
        y=front["error"],
        mode="lines",
        line={"color": ORANGE, "width": 2, "shape": "hv"},
        name="front",
        hoverinfo="skip",
    )
    _points(figure, tried, "error", "tried", BLUE, cost_title, scale, by_cost=True)
    _mark_winner(figure, tried, "error", x="inference", scale=scale)
    figure.update_xaxes(title_text=plain(cost_title), rangemode="tozero")
    figure.update_yaxes(title_text="error e (loss)")
    figure.update_layout(showlegend=True)
    return finished(figure, height=380, hover="closest")


def _points(
    figure: go.Figure,
    rows: pd.DataFrame,
    column: str,
    name: str,
    colour: str,
    cost_title: str,
    scale: float,
    *,
    by_cost: bool = False,
) -> None:
    figure.add_scatter(
        x=rows["inference"] / scale if by_cost else rows["num_params"] / 1e6,
        y=rows[column],
        mode="markers",
        marker={"color": colour, "size": 8, "opacity": 0.75},
        name=name,
        customdata=rows["key"],
        hovertext=[_about(row, cost_title, scale) for row in rows.to_dict("records")],
        hoverinfo="text",
        cliponaxis=False,  # the largest architecture has W 0, on the axis
    )


def _mark_winner(
    figure: go.Figure, rows: pd.DataFrame, column: str, *, x: str, scale: float
) -> None:
    winner = rows[rows["is_winner"]]
    figure.add_scatter(
        x=winner[x] / scale,
        y=winner[column],
        mode="markers",
        marker={"symbol": "star", "size": 17, "color": RED},
        name="winner",
        hoverinfo="skip",
    )


def _about(row: dict[Hashable, Any], cost_title: str, scale: float) -> str:
    lines = [
        f"<b>{plain(_LONG.sub(lambda found: f'{float(found[0]):.3g}', row['key']))}</b>",
        f"{row['num_params'] / 1e6:.2f} M parameters",
        f"{plain(cost_title)}: {figures(row['inference'] / scale, 4)}",
    ]
    if not pd.isna(row["error"]):
        lines += [f"error {row['error']:.4f}", f"W {row['w']:.4f}"]
    return "<br>".join(lines)
