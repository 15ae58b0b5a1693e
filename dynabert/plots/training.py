"""How a training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dynabert.plots.style import COLOURS, GREY, finished, plain
from dynabert.words import count


def training_curve(records: Sequence[Mapping[str, Any]], *, metric_title: str) -> go.Figure:
    """Loss of every stage, and the mean metric of its sub-networks, over the optimiser steps.

    records: the lines of a run's `metrics.jsonl`.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    offset = 0
    stages = list(dict.fromkeys(record["stage"] for record in records))
    for number, stage in enumerate(stages):
        own = [record for record in records if record["stage"] == stage]
        steps = [record for record in own if record["event"] == "step"]
        judged = [record for record in own if record["event"] == "evaluation"]
        colour, name = COLOURS[number % len(COLOURS)], plain(stage)
        shared = {"legendgroup": stage, "name": name, "marker_color": colour}
        figure.add_scatter(
            x=[offset + record["step"] for record in steps],
            y=[record["loss"] for record in steps],
            mode="lines",
            line_color=colour,
            hovertemplate="step %{x}: loss %{y:.4f}",
            row=1,
            col=1,
            **shared,
        )
        figure.add_scatter(
            x=[offset + record["step"] for record in judged],
            y=[record["mean"] for record in judged],
            mode="lines+markers",
            marker_symbol=["x-thin-open" if record["collapsed"] else "circle" for record in judged],
            marker_size=9,
            line_dash="dot",
            line_color=colour,
            hovertext=[_judged_hover(record, metric_title) for record in judged],
            hovertemplate="%{hovertext}",
            showlegend=False,
            row=2,
            col=1,
            **shared,
        )
        offset += max((record["step"] for record in own), default=0)
        if number < len(stages) - 1:
            figure.add_vline(x=offset, line_color=GREY, line_width=1, line_dash="dot")
    figure.update_xaxes(title_text="optimiser steps, all stages", row=2, col=1)
    figure.update_yaxes(title_text="training loss", row=1, col=1)
    figure.update_yaxes(title_text=f"dev {metric_title}", row=2, col=1)
    return finished(figure, height=460)


def _judged_hover(record: Mapping[str, Any], metric_title: str) -> str:
    scores = record["scores"]
    text = (
        f"mean {plain(metric_title)} of {count(len(scores), 'sub-network')}: {record['mean']:.4f}"
    )
    if record["collapsed"]:
        text += f"<br>{len(record['collapsed'])} of them collapsed"
    return text
