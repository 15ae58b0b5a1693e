"""What sub-networks score and answer."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dynabert.analysis.choices import on_grid
from dynabert.plots.contrast import colour_of, text_on, text_on_tiles
from dynabert.plots.style import (
    BLUE,
    GREY,
    SCALE,
    SIGNED_SCALE,
    finished,
    frame_tile,
    plain,
    row_hover,
    span,
    tiles,
)
from dynabert.words import count, percent

ANSWER_LINES, ANSWER_LINE = 2, 12  # of a tile, and letters in each: it is narrow on a telephone
MANY_WIDTHS = 8  # more, and the tiles are narrow on a telephone
FAR = 1.0  # apart from the largest network's, a number is as unlike as colours can say


def metric_grid(results: pd.DataFrame, metric: str, *, metric_title: str) -> go.Figure:
    """Scores of the grid width x depth; a collapsed sub-network has no colour and says so.

    results: rows as from `dynabert.evaluation.sweep`; those with counts by layer are left out.
    """
    results = on_grid(results)
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
            colours.append(text_on(colour_of(score, SCALE, low=low, high=high)))
        hovers.append(row_hover(row, metric, metric_title))
    figure = go.Figure(
        tiles(
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
    return finished(figure, height=110 + 74 * len(depths), grid=False, hover="closest")


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
    return finished(figure, height=120 + 34 * len(table), hover="closest")


def answers(table: pd.DataFrame, *, selected: str | None = None) -> go.Figure:
    """What every sub-network answers to one text: blue as the first of them does, orange otherwise.

    table: as from `dynabert.analysis.answers.answer_table` or
    `dynabert.analysis.span_answers.span_table`, the row of the largest first.
    selected: the sub-network that is framed.
    """
    largest = table.iloc[0]
    if table["probability"].isna().all():  # numbers: the colour says how far from the largest's
        away = (table["value"] - largest["value"]).abs() / FAR
        against, sure = 2 * away.clip(upper=1) - 1, [""] * len(table)
    else:
        same = table["answer"] == largest["answer"]
        against = table["probability"].where(~same, -table["probability"])
        sure = [f"\n{percent(probability)}" for probability in table["probability"]]
    rows = table.to_dict("records")
    return answer_grid(
        table.assign(
            against=against,
            text=[
                _in_lines(row["answer"]) + more + " ✕" * row["collapsed"]
                for row, more in zip(rows, sure, strict=True)
            ],
            hover=[f"{row['subnet']}: {row['answer']}, {row['latency_ms']:.1f} ms" for row in rows],
        ),
        selected=selected,
    )


def _in_lines(answer: str) -> str:
    """As much of an answer as a tile has room for."""
    lines = textwrap.wrap(answer, ANSWER_LINE, max_lines=ANSWER_LINES, placeholder="…")
    return "\n".join(lines) or "–"


def differences(table: pd.DataFrame, metric: str) -> go.Figure:
    """How much better (orange) or worse (blue) the second of two runs scores, sub-network by sub-network.

    Written in points (hundredths).  table: as from `dynabert.analysis.comparison.compare_results`.
    """
    most = max(float(table["difference"].abs().max()), 1e-9)
    return answer_grid(
        table.assign(
            against=table["difference"] / most,
            text=[f"{100 * difference:+.1f}" for difference in table["difference"]],
            hover=[
                f"{row['subnet_first']}: {row[f'{metric}_first']:.3f} and "
                f"{row[f'{metric}_second']:.3f}"
                for row in table.to_dict("records")
            ],
        )
    )


def answer_grid(rows: pd.DataFrame, *, selected: str | None = None) -> go.Figure:
    """What every sub-network of a grid answers: blue as the largest does, orange otherwise.

    rows: columns width_mult, depth_mult, text (which may have lines), hover, and against: how far it is
    from the largest's answer, from -1 (surely the same) over 0 to 1 (surely another).
    selected: the sub-network that is framed, by the column subnet.
    """
    widths, depths = (sorted(set(rows[name])) for name in ("width_mult", "depth_mult"))
    sizes = zip(rows["width_mult"], rows["depth_mult"], strict=True)
    places = [(widths.index(width), depths.index(depth)) for width, depth in sizes]
    z = np.full((len(depths), len(widths)), np.nan)
    for (x, y), value in zip(places, rows["against"], strict=True):
        z[y, x] = value
    figure = go.Figure(
        tiles(
            z,
            zmin=-1,
            zmax=1,
            colorscale=SIGNED_SCALE,
        )
    )
    figure.add_scatter(
        x=[x for x, _ in places],
        y=[y for _, y in places],
        mode="text",
        text=[plain(text).replace("\n", "<br>") for text in rows["text"]],
        textfont={
            "size": 12 if len(widths) <= MANY_WIDTHS else 10,
            "color": text_on_tiles(rows["against"], SIGNED_SCALE, low=-1, high=1),
        },
        hovertext=[plain(text) for text in rows["hover"]],
        hoverinfo="text",
        showlegend=False,
    )
    if selected is not None:
        for row in np.flatnonzero(rows["subnet"] == selected):
            frame_tile(figure, *places[row])
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
    return finished(figure, height=110 + 62 * len(depths), grid=False, hover="closest")


def _width_tick(results: pd.DataFrame, width: float) -> str:
    row = results[results["width_mult"] == width].iloc[0]
    return f"{width:g}<br>{span(row['heads'])} heads"


def _depth_tick(results: pd.DataFrame, depth: float) -> str:
    row = results[results["depth_mult"] == depth].iloc[0]
    return f"{depth:g}<br>{count(len(row['layers']), 'layer')}"
