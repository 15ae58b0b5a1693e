"""What sub-networks score against what they cost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dynabert.analysis.choices import drops_tokens
from dynabert.analysis.filters import front_of
from dynabert.plots.style import (
    BLUE,
    COLOURS,
    GREY,
    finished,
    mark_chosen,
    plain,
    row_hover,
    score_axis,
)


def quality_vs_cost(
    results: pd.DataFrame,
    metric: str,
    cost: str,
    *,
    metric_title: str,
    cost_title: str,
    selected: str | None = None,
    scale: float = 1.0,
    inside: np.ndarray | None = None,
) -> go.Figure:
    """Every evaluated sub-network by what it costs and what it scores, with the Pareto front.

    results: rows as from `dynabert.evaluation.sweep`.  selected: key of the one to mark.
    scale: what the cost is divided by. Collapsed ones are drawn apart and are never on the front.
    inside: (N,) which rows to compare, None all; the others are pale, and the front is that of these.
    """
    every = results.assign(
        cost=pd.to_numeric(results[cost]) / scale,
        inside=True if inside is None else inside,
    ).dropna(subset=["cost"])
    shown, outside = every[every["inside"]], every[~every["inside"]]
    sound, front = _sound_and_front(shown, metric)
    collapsed = shown[shown["collapsed"]]
    drops = drops_tokens(sound)
    figure = go.Figure()
    if len(outside):
        figure.add_scatter(
            x=outside["cost"],
            y=outside[metric],
            mode="markers",
            marker={"color": GREY, "size": 7, "opacity": 0.35},
            name="filtered out",
            customdata=outside["subnet"],
            hovertext=[row_hover(row, metric, metric_title) for row in outside.to_dict("records")],
            hoverinfo="text",
        )
    figure.add_scatter(
        x=front["cost"],
        y=front[metric],
        mode="lines",
        line={"color": BLUE, "width": 2, "shape": "hv"},
        name="Pareto front",
        hoverinfo="skip",
    )
    for rows, name, marker in (
        (sound[~drops], "sub-network", {"color": BLUE, "size": 10}),
        (
            sound[drops],
            "drops tokens",
            {"color": BLUE, "size": 11, "symbol": "diamond-open", "line": {"width": 2}},
        ),
        (
            collapsed,
            "collapsed: one answer for all",
            {"symbol": "x-thin", "size": 9, "line": {"color": GREY, "width": 2}},
        ),
    ):
        if len(rows):
            figure.add_scatter(
                x=rows["cost"],
                y=rows[metric],
                mode="markers",
                marker=marker,
                name=name,
                customdata=rows["subnet"],
                hovertext=[row_hover(row, metric, metric_title) for row in rows.to_dict("records")],
                hoverinfo="text",
            )
    chosen = every[every["subnet"] == selected]
    if len(chosen):
        mark_chosen(figure, chosen["cost"], chosen[metric])
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text=cost_title, rangemode="tozero")
    score_axis(figure, metric_title, every[metric])
    return finished(figure, height=430, hover="closest")


def quality_of_runs(
    results: Mapping[str, pd.DataFrame],
    metric: str,
    cost: str,
    *,
    metric_title: str,
    cost_title: str,
    scale: float = 1.0,
) -> go.Figure:
    """The sub-networks of several runs (by name) by cost and score, with the Pareto front of each."""
    figure = go.Figure()
    symbols = ("circle", "diamond", "square", "cross", "triangle-up", "star")
    for number, (name, rows) in enumerate(results.items()):
        colour = COLOURS[number % len(COLOURS)]
        shown = rows.assign(cost=pd.to_numeric(rows[cost]) / scale).dropna(subset=["cost"])
        sound, front = _sound_and_front(shown, metric)
        figure.add_scatter(
            x=front["cost"],
            y=front[metric],
            mode="lines",
            line={"color": colour, "width": 2, "shape": "hv"},
            hoverinfo="skip",
            showlegend=False,
        )
        figure.add_scatter(
            x=sound["cost"],
            y=sound[metric],
            mode="markers",
            marker={"color": colour, "size": 9, "symbol": symbols[number % len(symbols)]},
            name=plain(name),
            hovertext=[
                f"{plain(name)}<br>{row_hover(row, metric, metric_title)}"
                for row in sound.to_dict("records")
            ],
            hoverinfo="text",
        )
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text=cost_title, rangemode="tozero")
    score_axis(figure, metric_title, pd.concat([rows[metric] for rows in results.values()]))
    return finished(figure, height=400, hover="closest")


def _sound_and_front(shown: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows that have not collapsed, by rising cost, and those of them on the Pareto front."""
    sound = shown[~shown["collapsed"]].sort_values(["cost", metric])
    return sound, sound[front_of(sound, metric, "cost")]
