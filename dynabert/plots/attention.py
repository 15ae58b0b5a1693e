"""Attention maps, and the colours of attention."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import get_colorscale, sample_colorscale

from dynabert.plots.style import (
    ATTENTION_SCALE,
    GREY,
    MOST_LABELS,
    RED,
    SCALE,
    SIGNED_SCALE,
    finished,
    head_axes,
    plain,
)


@cache
def attention_palette() -> tuple[int, ...]:
    """256 colours 0xrrggbb for the square root of an attention from 0 to 1."""
    return _palette(get_colorscale(SCALE))


@cache
def change_palette() -> tuple[int, ...]:
    """256 colours 0xrrggbb from less over none to more."""
    return _palette(SIGNED_SCALE)


def _palette(scale: Sequence[Sequence[Any]]) -> tuple[int, ...]:
    colours = sample_colorscale(scale, np.linspace(0, 1, 256).tolist(), colortype="tuple")
    return tuple(
        sum(round(255 * part) << shift for part, shift in zip(colour, (16, 8, 0), strict=True))
        for colour in colours
    )


def attention_grid(
    maps: np.ndarray, *, zmax: float = 1.0, chosen: tuple[int, int] | None = None
) -> go.Figure:
    """All heads x layers as small maps in one picture; a cross where a head or layer is gone.

    maps: (L, H, S, S), NaN where gone.  chosen: layer and head, from 0, to frame. The points of the
    second trace, one per head, carry (layer, head) as their custom data, for clicks.
    """
    layers, heads, tokens, _ = maps.shape
    gap = max(1, round(tokens / 12))
    pitch = tokens + gap
    picture = np.full((layers * pitch - gap, heads * pitch - gap), np.nan, dtype=np.float32)
    for layer, head in itertools.product(range(layers), range(heads)):
        top, left = layer * pitch, head * pitch
        picture[top : top + tokens, left : left + tokens] = maps[layer, head]
    # Coordinates in heads and layers, so that axes and clicks need no arithmetic.
    first, step = (-(tokens - 1) / 2) / pitch, 1 / pitch
    figure = go.Figure(
        go.Heatmap(
            z=picture,
            x0=first,
            dx=step,
            y0=first,
            dy=step,
            zmin=0,
            zmax=zmax,
            colorscale=ATTENTION_SCALE,
            showscale=False,
            hoverinfo="skip",
        )
    )
    places = list(itertools.product(range(layers), range(heads)))
    gone = [bool(np.isnan(maps[layer, head, 0, 0])) for layer, head in places]
    figure.add_scatter(
        x=[head for _, head in places],
        y=[layer for layer, _ in places],
        mode="markers",
        marker={
            "symbol": "x-thin",
            "size": 9,
            "opacity": [0.7 if is_gone else 0.0 for is_gone in gone],
            "line": {"color": GREY, "width": 1.5},
        },
        # A click must change no colour: the framed head is drawn below.
        selected={"marker": {"opacity": 0.0}},
        unselected={"marker": {"opacity": 0.0}},
        customdata=[[layer, head] for layer, head in places],
        hovertext=[
            f"layer {layer + 1}, head {head + 1}" + (": not in this sub-network" if is_gone else "")
            for (layer, head), is_gone in zip(places, gone, strict=True)
        ],
        hoverinfo="text",
        showlegend=False,
    )
    if chosen is not None:
        layer, head = chosen
        figure.add_shape(
            type="rect",
            x0=head - 0.5,
            x1=head + 0.5,
            y0=layer - 0.5,
            y1=layer + 0.5,
            line={"color": RED, "width": 3},
        )
    head_axes(figure, layers, heads)
    figure.update_layout(hoverdistance=-1, dragmode=False, clickmode="event+select")
    return finished(figure, height=80 + 42 * layers, grid=False, hover="closest")


def attention_map(tokens: Sequence[str], matrix: np.ndarray, *, zmax: float = 1.0) -> go.Figure:
    """One head's map with its tokens; rows attend to columns.  matrix: (S, S).

    Of many tokens only every k-th is written beside the map; a pointer shows each.
    """
    labels = [plain(token) for token in tokens]
    every = -(-len(tokens) // MOST_LABELS)
    every_column = every if every == 1 else 2 * every  # slanted labels need more room
    figure = go.Figure(
        go.Heatmap(
            z=matrix.astype(np.float32),
            zmin=0,
            zmax=zmax,
            colorscale=ATTENTION_SCALE,
            colorbar={"title": {"text": "attention", "side": "right"}, "thickness": 12},
            customdata=np.array([[(a, b) for b in labels] for a in labels], dtype=object),
            hovertemplate="%{customdata[0]} → %{customdata[1]}: %{z:.3f}<extra></extra>",
        )
    )
    for axis, step in ((figure.layout.xaxis, every_column), (figure.layout.yaxis, every)):
        axis.update(
            tickmode="array",
            tickvals=list(range(0, len(tokens), step)),
            ticktext=labels[::step],
            ticks="",
            tickfont={"size": 11 if len(tokens) <= 20 else 9},
        )
    figure.update_xaxes(title_text="attends to", side="top", tickangle=-60)
    figure.update_yaxes(title_text="token", autorange="reversed")
    height = 190 + max(180, min(440, 20 * len(tokens)))
    return finished(figure, height=height, grid=False, hover="closest")
