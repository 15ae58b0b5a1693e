"""Which tokens leave each layer, with a slider over how many are dropped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from dynabert.analysis.survivors import Survivors
from dynabert.plots.style import (
    ATTENTION_SCALE,
    GREY,
    finished,
    plain,
    token_axes,
)
from dynabert.words import count, percent


def surviving_tokens(
    found: Sequence[Survivors], drops: Sequence[float], *, labels: Sequence[str] | None, start: int
) -> go.Figure:
    """Layers by tokens, coloured by the attention that a token receives; gaps where it is gone.

    The slider changes the picture in the browser, also in a saved page.

    found: of one text, one for each of `drops`.  labels: of the task's classes; None for others.
    start: the number of the one that is shown first.
    """
    brightest = max(float(np.nanmax(_shown(one))) for one in found)
    figure = go.Figure(
        [_map(one, zmax=brightest, visible=n == start) for n, one in enumerate(found)]
    )
    titles = [_title(one, drop, labels) for one, drop in zip(found, drops, strict=True)]
    steps = [
        {
            "method": "update",
            "label": percent(drop),
            "args": [
                {"visible": [n == number for n in range(len(found))]},
                {"title.text": titles[number]},
            ],
        }
        for number, drop in enumerate(drops)
    ]
    slider = {
        "active": start,
        "steps": steps,
        "currentvalue": {"prefix": "every layer drops ", "font": {"color": GREY}},
        "pad": {"t": 64},
        "font": {"color": GREY},
    }
    layers = found[0].layers
    token_axes(figure, found[0].tokens, [f"layer {layer + 1}" for layer in layers])
    figure.update_layout(sliders=[slider], title={"text": titles[start], "font": {"size": 14}})
    finished(figure, height=270 + 30 * len(layers), grid=False, hover="closest")
    return figure.update_layout(margin={"t": 72, "b": 24})


def _shown(one: Survivors) -> np.ndarray:
    return np.where(one.leaving, one.received, np.nan)


def _map(one: Survivors, *, zmax: float, visible: bool) -> go.Heatmap:
    z = _shown(one).astype(np.float32)
    names = [plain(token) for token in one.tokens]
    return go.Heatmap(
        z=z,
        zmin=0,
        zmax=zmax,
        colorscale=ATTENTION_SCALE,
        xgap=2,
        ygap=2,
        visible=visible,
        name=one.subnet.key,
        hoverongaps=False,
        customdata=np.array([names] * len(z), dtype=object),
        hovertemplate="%{customdata}, %{y}: receives %{z:.1%} of the attention<extra></extra>",
        colorbar={
            "title": {"text": "attention received", "side": "right"},
            "tickformat": ".0%",
            "thickness": 12,
        },
    )


def _title(one: Survivors, drop: float, labels: Sequence[str] | None) -> str:
    last = one.num_leaving[-1]
    said = f"{last} of {count(len(one.tokens), 'token')} {'leaves' if last == 1 else 'leave'} the last layer"
    if not drop:
        said = f"all {count(len(one.tokens), 'token')} leave every layer"
    if one.logits.ndim > 1:  # starts and ends of an answer say nothing by themselves
        return said
    if labels is None:
        return f"{said}<br>the answer is {float(one.logits[0]):.2f}"
    sure = float(one.probabilities[one.choice])
    return f"{said}<br>the answer is <b>{plain(labels[one.choice])}</b> ({plain(percent(sure))})"
