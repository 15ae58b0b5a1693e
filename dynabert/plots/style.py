"""How every figure looks: colours, axes, and the small words beside them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import get_colorscale, sample_colorscale

from dynabert.length_config import LengthConfig
from dynabert.words import count

BLUE, ORANGE, GREEN, PINK, SKY, RED = (
    "#2f86c9", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00",
)  # fmt: skip
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, RED)
GREY = "#808080"  # readable on white and on black
SCALE = "Cividis"
# Most attention values are small: equal steps of colour for the squares of equal steps.
ATTENTION_SCALE = [
    [position**2, sample_colorscale(get_colorscale(SCALE), position)[0]]
    for position in (number / 16 for number in range(17))
]
# Less, none, more; people who confuse red and green can tell them apart.
SIGNED_SCALE = [[0, BLUE], [0.5, "#f7f7f7"], [1, RED]]
MARKER_ROOM = 0.03  # beyond 0 and 1, so that a marker there is seen whole
# Beside a map of that many tokens there is room for a label each.
MOST_LABELS = 32


def plain(text: object) -> str:
    """Text as plotly shows it letter by letter: it would read <b> or <a> as HTML."""
    return html.escape(str(text), quote=False)


def finished(
    figure: go.Figure, *, height: int, grid: bool = True, hover: str = "x unified"
) -> go.Figure:
    figure.update_layout(
        height=height,
        hovermode=hover,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
    )
    figure.update_xaxes(automargin=True, showgrid=grid, zeroline=False)
    figure.update_yaxes(automargin=True, showgrid=grid, zeroline=False)
    return figure


def mark_chosen(figure: go.Figure, x: pd.Series, y: pd.Series) -> None:
    """A ring around the points that a reader has chosen."""
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        marker={"symbol": "circle-open", "size": 20, "color": RED, "line": {"width": 3}},
        name="chosen",
        hoverinfo="skip",
    )


def tiles(z: np.ndarray, **scale: Any) -> go.Heatmap:
    """Coloured squares with gaps; what a pointer shows of them comes from another trace."""
    return go.Heatmap(z=z, xgap=2, ygap=2, showscale=False, hoverinfo="skip", **scale)


def frame_tile(figure: go.Figure, x: int, y: int) -> None:
    """A frame around the tile that a reader has chosen."""
    figure.add_shape(
        type="rect",
        **{"x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5},
        line={"color": RED, "width": 3},
    )


def score_axis(figure: go.Figure, title: str, scores: pd.Series) -> None:
    """The axis of scores, which of a single one would go far beyond what a score can be."""
    lowest = -1 if (scores < 0).any() else 0  # correlations may be negative
    figure.update_yaxes(
        title_text=plain(title),
        autorangeoptions={"clipmin": lowest - MARKER_ROOM, "clipmax": 1 + MARKER_ROOM},
    )


def layer_shades(layers: int) -> list[str]:
    """From first to last layer through grey: each is readable on white and on black."""
    ends = [[0, BLUE], [0.5, "#999999"], [1, ORANGE]]
    return list(sample_colorscale(ends, np.linspace(0, 1, max(layers, 2)).tolist()))


def head_axes(figure: go.Figure, layers: int, heads: int) -> None:
    every = {"tickmode": "array", "ticks": ""}
    figure.update_xaxes(
        title_text="head",
        tickvals=list(range(heads)),
        ticktext=[str(head + 1) for head in range(heads)],
        range=[-0.6, heads - 0.4],
        **every,
    )
    figure.update_yaxes(
        title_text="layer",
        tickvals=list(range(layers)),
        ticktext=[str(layer + 1) for layer in range(layers)],
        range=[layers - 0.4, -0.6],
        **every,
    )


def token_axes(figure: go.Figure, tokens: Sequence[str], rows: Sequence[str]) -> None:
    """The tokens of a text from left to right, as many named as there is room for, and rows downwards."""
    every = -(-len(tokens) // MOST_LABELS)
    figure.update_xaxes(
        tickmode="array",
        tickvals=list(range(0, len(tokens), every)),
        ticktext=[plain(token) for token in tokens][::every],
        ticks="",
        range=[-0.5, len(tokens) - 0.5],
    )
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(rows))),
        ticktext=list(rows),
        ticks="",
        range=[len(rows) - 0.5, -0.5],
    )


def span(counts: Sequence[int]) -> str:
    """One number where all layers agree, else the lowest and the highest."""
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def row_hover(row: Mapping[Any, Any], metric: str, metric_title: str) -> str:
    """What a pointer shows of a row of results."""
    # Of one with counts of its own for each layer, the width says nothing.
    by_layer = "-h" in row["subnet"]
    width = "heads by layer" if by_layer else f"width {row['width_mult']:.4g}"
    heads = ".".join(map(str, row["heads"])) if by_layer else span(row["heads"])
    lines = [
        f"<b>{width}, depth {row['depth_mult']:.4g}</b>",
        f"{count(len(row['layers']), 'layer')}: {', '.join(str(n + 1) for n in row['layers'])}",
        f"{heads} heads, {span(row['neurons'])} neurons in each",
        *_tokens_line(row),
        f"{plain(metric_title)} {row[metric]:.4f}",
        f"{row['num_params'] / 1e6:.2f} M parameters, {row['macs'] / 1e6:,.0f} M MACs",
    ]
    if not pd.isna(row["latency_ms"]):
        lines.append(f"{row['latency_ms']:.1f} ms (±{row['latency_ms_iqr'] / 2:.1f})")
    if row["collapsed"]:
        lines.append("<b>collapsed: gives every example the same answer</b>")
    return "<br>".join(lines)


def _tokens_line(row: Mapping[Any, Any]) -> list[str]:
    """Which shares or counts of tokens leave the layers, where not all do."""
    key = row.get("length_config")
    if not isinstance(key, str):
        return []
    return [f"{LengthConfig.parse(key).in_words} leave them"]
