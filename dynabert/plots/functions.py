"""What heads do, and where a sub-network fuses it."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dynabert.analysis.function_names import GROUPS, SHORT
from dynabert.analysis.functions import FunctionProfile
from dynabert.plots.contrast import text_on
from dynabert.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    RED,
    finished,
    head_axes,
    plain,
    tiles,
)


def function_colours() -> tuple[str, ...]:
    """One for each kind of function that `head_functions` can show."""
    return BLUE, ORANGE, GREEN, PINK, GREY


def function_kinds(*profiles: FunctionProfile) -> list[str]:
    """The kinds of function that name some head of some profile."""
    return sorted({GROUPS[label] for one in profiles for label in one.labels().flat if label})


def functions_of(profile: FunctionProfile, legend: Collection[str] = ()) -> go.Figure:
    """What every head does: `head_functions` of a profile, its three strongest functions for the pointer.

    legend: as of `head_functions`; `function_kinds` of all profiles whose maps are compared.
    """
    labels = profile.labels()
    tops = profile.table().groupby(["layer", "head"]).head(3)
    details: dict[tuple[int, int], str] = {}
    for _, rows in tops.groupby(["layer", "head"]):
        layer, head = (int(rows[name].iloc[0]) - 1 for name in ("layer", "head"))
        lines = [
            f"{row['function']}: {row['observed']:.2f} (chance {row['chance']:.2f}, "
            f"{row['num_tokens']} tokens)"
            for row in rows.to_dict("records")
        ]
        breadth = f"breadth {profile.breadth[layer, head]:.2f}"
        details[layer, head] = "<br>".join([*lines, breadth])
    named = labels.copy()
    for place, label in SHORT.items():
        named[labels == place] = label
    groups = {SHORT[label]: GROUPS[label] for label in GROUPS}
    return head_functions(named, details, groups, legend)


def head_functions(
    labels: np.ndarray,
    details: Mapping[tuple[int, int], str],
    groups: Mapping[str, str],
    legend: Collection[str] = (),
) -> go.Figure:
    """What every head does, in a word each, coloured by the kind of function.

    labels: (L, H) texts, "" where a head is gone.  details: more about a head, for the pointer.
    groups: the kind of each label that occurs, at most as many kinds as there are colours.
    legend: kinds to explain even where no head is of them, as maps side by side need the same legend.
    """
    layers, heads = labels.shape
    kinds = list(dict.fromkeys(groups.values()))
    colours = function_colours()[: len(kinds)]
    places = list(itertools.product(range(layers), range(heads)))
    z = np.full((layers, heads), np.nan)
    for place in places:
        if labels[place]:
            z[place] = kinds.index(groups[labels[place]])
    figure = go.Figure(
        tiles(
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
        # Too small to be seen on its square, and the legend shows the colour.
        marker = {"symbol": "square", "size": 10, "color": colour}
        if not inside and kind in legend:  # of a trace without points there would be no entry
            figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=kind)
            continue
        figure.add_scatter(
            x=[head for _, head in inside],
            y=[layer for layer, _ in inside],
            mode="markers+text",
            marker=marker,
            text=[plain(labels[place]) for place in inside],
            textfont={"size": 10, "color": text_on(colour)},
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
    head_axes(figure, layers, heads)
    figure.update_layout(showlegend=True)
    return finished(figure, height=130 + 44 * layers, grid=False, hover="closest")


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
    return finished(figure, height=320, hover="closest")
