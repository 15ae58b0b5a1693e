"""Plotly figures from plain data, for pages and notebooks alike.

Backgrounds are transparent and text has no colour of its own, so that a figure fits a light and a
dark page. Colours are those of Okabe and Ito (the blue a little lighter, for dark pages) and the
Cividis scale, which people with any kind of colour vision can read. Layers and heads are shown
counted from 1, layer 1 on top. Text from outside is escaped: plotly would read it as HTML.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import get_colorscale, sample_colorscale
from plotly.subplots import make_subplots

from dynabert.analysis.pareto import pareto_front

BLUE, ORANGE, GREEN, PINK, SKY, RED = (
    "#2f86c9", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00",
)  # fmt: skip
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, RED)
GREY = "#808080"  # readable on white and on black
SCALE = "Cividis"
# Most attention values are small: equal steps of colour for the squares of equal steps.
_ATTENTION_SCALE = [
    [position**2, sample_colorscale(get_colorscale(SCALE), position)[0]]
    for position in (number / 16 for number in range(17))
]
# Less, none, more; people who confuse red and green can tell them apart.
_SIGNED_SCALE = [[0, BLUE], [0.5, "#f7f7f7"], [1, RED]]
# Beside a map of that many tokens there is room for a label each.
_MOST_LABELS = 32


def metric_grid(results: pd.DataFrame, metric: str, *, metric_title: str) -> go.Figure:
    """Scores of the grid width x depth; a collapsed sub-network has no colour and says so.

    results: rows as from `dynabert.evaluation.sweep`.
    """
    widths = sorted(set(results["width_mult"]))
    depths = sorted(set(results["depth_mult"]))
    by_place = {(row["width_mult"], row["depth_mult"]): row for row in results.to_dict("records")}
    sound = results.loc[~results["collapsed"], metric]
    low, high = (sound.min(), sound.max()) if len(sound) else (0.0, 1.0)
    z = np.full((len(depths), len(widths)), np.nan)
    texts: list[str] = []
    colours: list[str] = []
    hovers: list[str] = []
    places = list(itertools.product(range(len(depths)), range(len(widths))))
    for y, x in places:
        row = by_place.get((widths[x], depths[y]))
        if row is None:
            texts.append("–")
            colours.append(GREY)
            hovers.append("not evaluated")
            continue
        score = row[metric]
        if row["collapsed"]:
            texts.append(f"{score:.3f} ✕")
            colours.append(GREY)
        else:
            z[y, x] = score
            texts.append(f"<b>{score:.3f}</b>")
            # Cividis is light in its upper half.
            upper = high > low and (score - low) / (high - low) > 0.5
            colours.append("#1c2733" if upper else "#ffffff")
        hovers.append(_row_hover(row, metric, metric_title))
    figure = go.Figure(
        _tiles(
            z,
            zmin=low,
            zmax=high if high > low else low + 1e-9,
            colorscale=SCALE,
        )
    )
    figure.add_scatter(
        x=[x for _, x in places],
        y=[y for y, _ in places],
        mode="text",
        text=texts,
        textfont={"color": colours, "size": 13},
        hovertext=hovers,
        hoverinfo="text",
        showlegend=False,
    )
    figure.update_xaxes(
        title_text="width",
        tickangle=0,
        tickvals=list(range(len(widths))),
        ticktext=[_width_tick(results, width) for width in widths],
        range=[-0.5, len(widths) - 0.5],
    )
    figure.update_yaxes(
        title_text="depth",
        tickvals=list(range(len(depths))),
        ticktext=[_depth_tick(results, depth) for depth in depths],
        range=[-0.5, len(depths) - 0.5],
    )
    return _finished(figure, height=110 + 74 * len(depths), grid=False, hover="closest")


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
    return _finished(figure, height=460)


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
    _head_axes(figure, layers, heads)
    return _finished(figure, height=110 + 36 * layers, grid=False, hover="closest")


def head_effect(values: np.ndarray, *, title: str, kept: np.ndarray | None = None) -> go.Figure:
    """A map layers x heads of changes, both ways from none; crosses as in `head_importance`."""
    figure = head_importance(values, title=title, kept=kept, number="+.4f")
    figure.update_traces(colorscale=_SIGNED_SCALE, zmid=0, selector={"type": "heatmap"})
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
    shades = _layer_shades(len(estimate))
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
    return _finished(figure, height=360, hover="closest")


def answer_grid(rows: pd.DataFrame) -> go.Figure:
    """What every sub-network of a grid answers: blue as the full network does, orange otherwise.

    rows: columns width_mult, depth_mult, text, hover, and against: how far it is from the full
    network's answer, from -1 (surely the same) over 0 to 1 (surely another).
    """
    widths, depths = (sorted(set(rows[name])) for name in ("width_mult", "depth_mult"))
    sizes = zip(rows["width_mult"], rows["depth_mult"], strict=True)
    places = [(widths.index(width), depths.index(depth)) for width, depth in sizes]
    z = np.full((len(depths), len(widths)), np.nan)
    for (x, y), value in zip(places, rows["against"], strict=True):
        z[y, x] = value
    figure = go.Figure(
        _tiles(
            z,
            zmin=-1,
            zmax=1,
            colorscale=_SIGNED_SCALE,
        )
    )
    figure.add_scatter(
        x=[x for x, _ in places],
        y=[y for _, y in places],
        mode="text",
        text=[plain(text) for text in rows["text"]],
        textfont={
            "size": 13,
            "color": ["#ffffff" if abs(value) > 0.6 else "#1c2733" for value in rows["against"]],
        },
        hovertext=[plain(text) for text in rows["hover"]],
        hoverinfo="text",
        showlegend=False,
    )
    for axis, title, mults in (
        (figure.layout.xaxis, "width", widths),
        (figure.layout.yaxis, "depth", depths),
    ):
        axis.update(
            title_text=title,
            tickvals=list(range(len(mults))),
            ticktext=[f"{mult:.3g}" for mult in mults],
            range=[-0.5, len(mults) - 0.5],
        )
    return _finished(figure, height=110 + 62 * len(depths), grid=False, hover="closest")


def head_functions(
    labels: np.ndarray, details: Mapping[tuple[int, int], str], groups: Mapping[str, str]
) -> go.Figure:
    """What every head does, in a word each, coloured by the kind of function.

    labels: (L, H) texts, "" where a head is gone.  details: more about a head, for the pointer.
    groups: the kind of each label that occurs, at most as many kinds as there are colours.
    """
    layers, heads = labels.shape
    kinds = list(dict.fromkeys(groups.values()))
    colours = (BLUE, ORANGE, GREEN, PINK, GREY)[: len(kinds)]
    places = list(itertools.product(range(layers), range(heads)))
    z = np.full((layers, heads), np.nan)
    for place in places:
        if labels[place]:
            z[place] = kinds.index(groups[labels[place]])
    figure = go.Figure(
        _tiles(
            z,
            zmin=-0.5,
            zmax=len(kinds) - 0.5,
            colorscale=[
                [(number + edge) / len(kinds), colour]
                for number, colour in enumerate(colours)
                for edge in (0, 1)
            ],
        )
    )
    for kind, colour in zip(kinds, colours, strict=True):
        inside = [place for place in places if labels[place] and groups[labels[place]] == kind]
        figure.add_scatter(
            x=[head for _, head in inside],
            y=[layer for layer, _ in inside],
            mode="markers+text",
            # Too small to be seen on its square, and the legend shows the colour.
            marker={"symbol": "square", "size": 10, "color": colour},
            text=[plain(labels[place]) for place in inside],
            textfont={"size": 10, "color": "#1c2733" if colour == ORANGE else "#ffffff"},
            hovertext=[
                f"<b>layer {layer + 1}, head {head + 1}</b><br>{details[layer, head]}"
                for layer, head in inside
            ],
            hoverinfo="text",
            name=kind,
        )
    gone = [place for place in places if not labels[place]]
    figure.add_scatter(
        x=[head for _, head in gone],
        y=[layer for layer, _ in gone],
        mode="markers",
        marker={"symbol": "x-thin", "size": 9, "line": {"color": GREY, "width": 1.5}},
        hovertext=[f"layer {layer + 1}, head {head + 1}: not there" for layer, head in gone],
        hoverinfo="text",
        showlegend=False,
    )
    _head_axes(figure, layers, heads)
    figure.update_layout(showlegend=True)
    return _finished(figure, height=130 + 44 * layers, grid=False, hover="closest")


def fusion_by_layer(table: pd.DataFrame) -> go.Figure:
    """Bars: mean fusion of the heads that each layer lost; a mark where chance alone would put it.

    table: as from `dynabert.analysis.fusion.Fusion.by_layer`.
    """
    figure = go.Figure()
    figure.add_bar(
        x=table["layer"],
        y=table["fusion"],
        name="fusion",
        marker_color=BLUE,
        customdata=table["num_removed"],
        hovertemplate="layer %{x}: %{y:+.3f}, %{customdata} heads removed<extra></extra>",
    )
    figure.add_scatter(
        x=table["layer"],
        y=table["chance"],
        name="with shuffled tokens (chance)",
        mode="markers",
        marker={"symbol": "line-ew", "size": 26, "line": {"color": RED, "width": 3}},
        hovertemplate="layer %{x}, chance: %{y:+.3f}<extra></extra>",
    )
    figure.update_xaxes(title_text="layer that lost heads", dtick=1)
    figure.update_yaxes(title_text="mean fusion of its heads")
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    return _finished(figure, height=320, hover="closest")


def kept_heads(kept: np.ndarray) -> go.Figure:
    """Which heads a sub-network keeps, filled, and which it leaves out.  kept: (L, H) booleans."""
    figure = head_importance(np.where(kept, 1.0, np.nan), title="", kept=kept, number="")
    figure.update_traces(
        colorscale=[[0, BLUE], [1, BLUE]], showscale=False, selector={"type": "heatmap"}
    )
    return figure


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
    return _finished(figure, height=320, hover="closest")


def neuron_ranking(
    scores: np.ndarray,
    cuts: Mapping[float, int],
    *,
    title: str,
    log: bool = True,
    chosen: float | None = None,
) -> go.Figure:
    """Importance of the neurons of each layer, most important first; a line where each width cuts.

    scores: (L, F), NaN where a layer has fewer.  cuts: neurons kept by width_mult.
    chosen: the width_mult whose line stands out.
    """
    figure = go.Figure()
    shades = _layer_shades(len(scores))
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
        figure.add_vline(
            x=count,
            line={"color": RED, "width": 2} if mult == chosen else {"color": GREY, "width": 1},
            annotation={"text": f"width {mult:.3g}", "yref": "paper", "y": 1.0},
            annotation_position="top left",
        )
    figure.update_xaxes(
        title_text="rank of the neuron within its layer", range=[0, scores.shape[1] * 1.01]
    )
    figure.update_yaxes(title_text=title, type="log" if log else "linear", exponentformat="power")
    return _finished(figure, height=420, hover="closest")


@cache
def attention_palette() -> tuple[int, ...]:
    """256 colours 0xrrggbb for the square root of an attention from 0 to 1."""
    return _palette(get_colorscale(SCALE))


@cache
def change_palette() -> tuple[int, ...]:
    """256 colours 0xrrggbb from less over none to more."""
    return _palette(_SIGNED_SCALE)


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
            colorscale=_ATTENTION_SCALE,
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
    _head_axes(figure, layers, heads)
    figure.update_layout(hoverdistance=-1, dragmode=False, clickmode="event+select")
    return _finished(figure, height=80 + 42 * layers, grid=False, hover="closest")


def attention_map(tokens: Sequence[str], matrix: np.ndarray, *, zmax: float = 1.0) -> go.Figure:
    """One head's map with its tokens; rows attend to columns.  matrix: (S, S).

    Of many tokens only every k-th is written beside the map; a pointer shows each.
    """
    labels = [plain(token) for token in tokens]
    every = -(-len(tokens) // _MOST_LABELS)
    every_column = every if every == 1 else 2 * every  # slanted labels need more room
    figure = go.Figure(
        go.Heatmap(
            z=matrix.astype(np.float32),
            zmin=0,
            zmax=zmax,
            colorscale=_ATTENTION_SCALE,
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
    return _finished(figure, height=height, grid=False, hover="closest")


def quality_vs_cost(
    results: pd.DataFrame,
    metric: str,
    cost: str,
    *,
    metric_title: str,
    cost_title: str,
    selected: str | None = None,
    scale: float = 1.0,
) -> go.Figure:
    """Every evaluated sub-network by what it costs and what it scores, with the Pareto front.

    results: rows as from `dynabert.evaluation.sweep`.  selected: key of the one to mark.
    scale: what the cost is divided by. Collapsed ones are drawn apart and are never on the front.
    """
    shown = results.assign(cost=pd.to_numeric(results[cost]) / scale).dropna(subset=["cost"])
    sound, front = _sound_and_front(shown, metric)
    collapsed = shown[shown["collapsed"]]
    figure = go.Figure()
    figure.add_scatter(
        x=front["cost"],
        y=front[metric],
        mode="lines",
        line={"color": BLUE, "width": 2, "shape": "hv"},
        name="Pareto front",
        hoverinfo="skip",
    )
    for rows, name, marker in (
        (sound, "sub-network", {"color": BLUE, "size": 10}),
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
                hovertext=[
                    _row_hover(row, metric, metric_title) for row in rows.to_dict("records")
                ],
                hoverinfo="text",
            )
    chosen = shown[shown["subnet"] == selected]
    if len(chosen):
        figure.add_scatter(
            x=chosen["cost"],
            y=chosen[metric],
            mode="markers",
            marker={
                "symbol": "circle-open",
                "size": 20,
                "color": RED,
                "line": {"width": 3},
            },
            name="chosen",
            hoverinfo="skip",
        )
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text=cost_title, rangemode="tozero")
    figure.update_yaxes(title_text=metric_title)
    return _finished(figure, height=430, hover="closest")


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
                f"{plain(name)}<br>{_row_hover(row, metric, metric_title)}"
                for row in sound.to_dict("records")
            ],
            hoverinfo="text",
        )
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text=cost_title, rangemode="tozero")
    figure.update_yaxes(title_text=metric_title)
    return _finished(figure, height=400, hover="closest")


def accuracy_by_group(table: pd.DataFrame, names: Mapping[str, str]) -> go.Figure:
    """Horizontal bars: the accuracy of each group of examples, one bar for each named column.

    table: columns group, num_examples and those that `names` gives a title.
    """
    figure = go.Figure()
    labels = [plain(group) for group in table["group"]]
    for (column, name), colour in zip(names.items(), (GREY, BLUE), strict=False):
        figure.add_bar(
            y=labels,
            x=table[column],
            name=plain(name),
            orientation="h",
            marker_color=colour,
            customdata=table["num_examples"],
            hovertemplate="%{y}: %{x:.3f} of %{customdata} examples",
        )
    figure.update_xaxes(title_text="accuracy", range=[0, 1])
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.add_vline(x=0.5, line={"color": GREY, "width": 1, "dash": "dot"})
    return _finished(figure, height=120 + 34 * len(table), hover="closest")


def plain(text: object) -> str:
    """Text as plotly shows it letter by letter: it would read <b> or <a> as HTML."""
    return html.escape(str(text), quote=False)


def _finished(
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


def _tiles(z: np.ndarray, **scale: Any) -> go.Heatmap:
    """Coloured squares with gaps; what a pointer shows of them comes from another trace."""
    return go.Heatmap(z=z, xgap=2, ygap=2, showscale=False, hoverinfo="skip", **scale)


def _sound_and_front(shown: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows that have not collapsed, by rising cost, and those of them on the Pareto front."""
    sound = shown[~shown["collapsed"]].sort_values(["cost", metric])
    on_front = pareto_front(sound["cost"].to_numpy(float), sound[metric].to_numpy(float))
    return sound, sound[on_front]


def _layer_shades(layers: int) -> list[str]:
    """From first to last layer through grey: each is readable on white and on black."""
    ends = [[0, BLUE], [0.5, "#999999"], [1, ORANGE]]
    return list(sample_colorscale(ends, np.linspace(0, 1, max(layers, 2)).tolist()))


def _head_axes(figure: go.Figure, layers: int, heads: int) -> None:
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


def _width_tick(results: pd.DataFrame, width: float) -> str:
    row = results[results["width_mult"] == width].iloc[0]
    return f"{width:g}<br>{span(row['heads'])} heads"


def _depth_tick(results: pd.DataFrame, depth: float) -> str:
    row = results[results["depth_mult"] == depth].iloc[0]
    return f"{depth:g}<br>{_count(len(row['layers']), 'layer')}"


def _row_hover(row: Mapping[Any, Any], metric: str, metric_title: str) -> str:
    lines = [
        f"<b>width {row['width_mult']:.4g}, depth {row['depth_mult']:.4g}</b>",
        f"{_count(len(row['layers']), 'layer')}: {', '.join(str(n + 1) for n in row['layers'])}",
        f"{span(row['heads'])} heads, {span(row['neurons'])} neurons in each",
        f"{plain(metric_title)} {row[metric]:.4f}",
        f"{row['num_params'] / 1e6:.2f} M parameters, {row['macs'] / 1e6:,.0f} M MACs",
    ]
    if not pd.isna(row["latency_ms"]):
        lines.append(f"{row['latency_ms']:.1f} ms (±{row['latency_ms_iqr'] / 2:.1f})")
    if row["collapsed"]:
        lines.append("<b>collapsed: gives every example the same answer</b>")
    return "<br>".join(lines)


def _judged_hover(record: Mapping[str, Any], metric_title: str) -> str:
    scores = record["scores"]
    text = (
        f"mean {plain(metric_title)} of {_count(len(scores), 'sub-network')}: {record['mean']:.4f}"
    )
    if record["collapsed"]:
        text += f"<br>{len(record['collapsed'])} of them collapsed"
    return text


def span(counts: Sequence[int]) -> str:
    """One number where all layers agree, else the lowest and the highest."""
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low}–{high}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
