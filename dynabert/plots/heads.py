"""How much heads and neurons matter, and which are kept."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from dynabert.plots.contrast import text_on_tiles
from dynabert.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    SCALE,
    SIGNED_SCALE,
    finished,
    head_axes,
    layer_shades,
    tiles,
)

LABEL_ROOM = 0.05  # of an axis, for a label that stands upright, on a telephone


def head_importance(
    scores: np.ndarray, *, title: str, kept: np.ndarray | None = None, number: str = ".3g"
) -> go.Figure:
    """A map layers x heads; with `kept`, the heads that a sub-network leaves out carry a cross.

    scores: (L, H), NaN where the layer has no such head.  kept: (L, H) booleans.
    number: how to format a score; empty, none is shown.
    """
    layers, heads = scores.shape
    figure = go.Figure(
        go.Heatmap(
            z=scores,
            colorscale=SCALE,
            xgap=2,
            ygap=2,
            colorbar={"title": {"text": title, "side": "right"}, "thickness": 12},
            hoverinfo="skip",
        )
    )
    places = list(itertools.product(range(layers), range(heads)))
    gone = [kept is not None and not kept[place] for place in places]
    figure.add_scatter(
        x=[head for _, head in places],
        y=[layer for layer, _ in places],
        mode="markers",
        marker={
            "symbol": "x",
            "size": 10,
            "opacity": [1.0 if is_gone else 0.0 for is_gone in gone],
            "color": RED,
            "line": {"color": "#ffffff", "width": 1.5},
        },
        hovertext=[
            f"layer {layer + 1}, head {head + 1}"
            + (f": {format(scores[layer, head], number)}" if number else "")
            + ("<br>not in this sub-network" if is_gone else "")
            for (layer, head), is_gone in zip(places, gone, strict=True)
        ],
        hoverinfo="text",
        showlegend=False,
    )
    head_axes(figure, layers, heads)
    return finished(figure, height=110 + 36 * layers, grid=False, hover="closest")


def head_effect(values: np.ndarray, *, title: str, kept: np.ndarray | None = None) -> go.Figure:
    """A map layers x heads of changes, both ways from none; crosses as in `head_importance`."""
    figure = head_importance(values, title=title, kept=kept, number="+.4f")
    figure.update_traces(colorscale=SIGNED_SCALE, zmid=0, selector={"type": "heatmap"})
    return figure


def estimate_and_measured(
    estimate: np.ndarray,
    measured: np.ndarray,
    *,
    titles: tuple[str, str],
    kept: np.ndarray | None = None,
) -> go.Figure:
    """Every head by what was estimated of it and what was measured, both above 0, on logarithmic axes.

    estimate, measured, kept: (L, H), NaN where there is no head.  Heads left out are hollow.
    """
    figure = go.Figure()
    shades = layer_shades(len(estimate))
    for layer, (xs, ys) in enumerate(zip(estimate, measured, strict=True)):
        heads = np.flatnonzero((xs > 0) & (ys > 0))  # a logarithm has no place for others
        gone = [kept is not None and not kept[layer, head] for head in heads]
        figure.add_scatter(
            x=xs[heads],
            y=ys[heads],
            mode="markers",
            name=f"layer {layer + 1}",
            marker={
                "color": shades[layer],
                "size": 9,
                "symbol": ["circle-open" if is_gone else "circle" for is_gone in gone],
                "line": {"width": 2, "color": shades[layer]},
            },
            hovertext=[
                f"layer {layer + 1}, head {head + 1}<br>estimated {xs[head]:.3g}, measured "
                f"{ys[head]:.3g}" + ("<br>not in this sub-network" if is_gone else "")
                for head, is_gone in zip(heads, gone, strict=True)
            ],
            hoverinfo="text",
        )
    figure.update_xaxes(title_text=titles[0], type="log", exponentformat="power")
    figure.update_yaxes(title_text=titles[1], type="log", exponentformat="power")
    return finished(figure, height=360, hover="closest")


def kept_heads(kept: np.ndarray) -> go.Figure:
    """Which heads a sub-network keeps, filled, and which it leaves out.  kept: (L, H) booleans."""
    figure = head_importance(np.where(kept, 1.0, np.nan), title="", kept=kept, number="")
    figure.update_traces(
        colorscale=[[0, BLUE], [1, BLUE]], showscale=False, selector={"type": "heatmap"}
    )
    return figure


def head_order(
    order: np.ndarray, scores: np.ndarray | None, cuts: Mapping[float, int]
) -> go.Figure:
    """Which head stands at which place of every layer, and where each width cuts.

    order: (L, H) original numbers from 0, -1 where no head stands; see
    `dynabert.analysis.head_order.head_order`.  scores: (L, H) by original number, for the colours.
    cuts: for each width_mult, how many heads it keeps.
    """
    layers, heads = order.shape
    shares = np.full(order.shape, np.nan)
    if scores is not None:
        whole = np.nansum(scores, axis=1, keepdims=True)
        for layer, row in enumerate(order):
            there = np.flatnonzero(row >= 0)
            shares[layer, there] = (scores / whole)[layer, row[there]]
    low, high = (np.nanmin(shares), np.nanmax(shares)) if np.isfinite(shares).any() else (0.0, 1.0)
    figure = go.Figure(tiles(shares, zmin=low, zmax=high, colorscale=SCALE))
    places = [tuple(place) for place in np.argwhere(order >= 0)]
    known = [not np.isnan(shares[place]) for place in places]
    figure.add_scatter(
        x=[place for _, place in places],
        y=[layer for layer, _ in places],
        mode="text",
        text=[str(order[place] + 1) for place in places],
        textfont={"color": text_on_tiles([shares[p] for p in places], SCALE, low=low, high=high)},
        hovertext=[
            f"layer {layer + 1}, place {place + 1}: head {order[layer, place] + 1}"
            + (f"<br>{shares[layer, place]:.1%} of its layer's importance" if is_known else "")
            for (layer, place), is_known in zip(places, known, strict=True)
        ],
        hoverinfo="text",
        showlegend=False,
    )
    head_axes(figure, layers, heads)
    figure.update_xaxes(title_text="place in the layer")
    for mult, num_kept in cuts.items():
        if num_kept < heads:
            figure.add_vline(
                x=num_kept - 0.5,
                line={"color": ORANGE, "width": 3},
                annotation={"text": f"{mult:.3g}", "yanchor": "bottom", "xanchor": "center"},
                annotation_position="top",
            )
    return finished(figure, height=120 + 36 * layers, grid=False, hover="closest")


def head_ranking(scores: np.ndarray, *, title: str, kept: np.ndarray | None = None) -> go.Figure:
    """All heads as bars, most important first.  scores, kept: (L, H)."""
    layers, heads = np.nonzero(~np.isnan(scores))
    order = np.argsort(-scores[layers, heads], kind="stable")
    layers, heads = layers[order], heads[order]
    values = scores[layers, heads]
    inside = np.ones(len(values), bool) if kept is None else kept[layers, heads]
    ranks = np.arange(1, len(values) + 1)
    figure = go.Figure()
    for chosen, name, colour in ((inside, "kept", BLUE), (~inside, "left out", ORANGE)):
        if not chosen.any():
            continue
        figure.add_bar(
            x=ranks[chosen],
            y=values[chosen],
            name=name,
            marker_color=colour,
            hovertext=[
                f"rank {rank}: layer {layer + 1}, head {head + 1}<br>{value:.3g}, {name}"
                for rank, layer, head, value in zip(
                    ranks[chosen], layers[chosen], heads[chosen], values[chosen], strict=True
                )
            ],
            hoverinfo="text",
        )
    figure.update_xaxes(title_text="rank of the head, all layers together")
    figure.update_yaxes(title_text=title, rangemode="tozero")
    figure.update_layout(bargap=0.15, barmode="overlay", showlegend=kept is not None)
    return finished(figure, height=320, hover="closest")


def neuron_ranking(
    scores: np.ndarray,
    cuts: Mapping[float, int],
    *,
    title: str,
    log: bool = True,
    chosen: float | None = None,
) -> go.Figure:
    """Importance of the neurons of each layer, most important first; a line where each width cuts.

    Of widths whose labels would run into each other, the chosen and the round ones are named.

    scores: (L, F), NaN where a layer has fewer.  cuts: neurons kept by width_mult.
    chosen: the width_mult whose line stands out.
    """
    figure = go.Figure()
    shades = layer_shades(len(scores))
    for layer, row in enumerate(scores):
        ranked = np.sort(row[~np.isnan(row)])[::-1]
        if log:  # a logarithm has no place for a neuron that is never used
            ranked = np.where(ranked > 0, ranked, np.nan)
        figure.add_scatter(
            x=np.arange(1, len(ranked) + 1),
            y=ranked.astype(np.float32),
            mode="lines",
            name=f"layer {layer + 1}",
            line={"color": shades[layer], "width": 2},
            hovertemplate=f"layer {layer + 1}, rank %{{x}}: %{{y:.2g}}<extra></extra>",
        )
    for mult, count in cuts.items():
        line = {"color": RED, "width": 2} if mult == chosen else {"color": GREY, "width": 1}
        figure.add_vline(x=count, line=line)
    for mult in _apart(cuts, chosen, scores.shape[1] * LABEL_ROOM):
        figure.add_annotation(
            text=f"{mult:.3g}",
            hovertext=f"width {mult:.3g} keeps {cuts[mult]:,} neurons",
            textangle=-90,
            x=cuts[mult],
            xanchor="right",
            yref="paper",
            y=1.0,
            yanchor="top",
            showarrow=False,
        )
    figure.update_xaxes(
        title_text="rank within the layer; lines: where widths cut",
        range=[0, scores.shape[1] * 1.01],
    )
    figure.update_yaxes(title_text=title, type="log" if log else "linear", exponentformat="power")
    return finished(figure, height=420, hover="closest")


def _apart(cuts: Mapping[float, int], chosen: float | None, room: float) -> list[float]:
    """The widths whose cuts are at least `room` apart: the chosen one, then those with short names."""
    apart: list[float] = []
    for mult in sorted(cuts, key=lambda mult: (mult != chosen, len(f"{mult:.3g}"), mult)):
        if all(abs(cuts[mult] - cuts[other]) >= room for other in apart):
            apart.append(mult)
    return sorted(apart)
