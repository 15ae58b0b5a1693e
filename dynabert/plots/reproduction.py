"""The paper's numbers and ours, and methods by what they cost."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dynabert.plots.style import COLOURS, GREY, finished, plain
from dynabert.words import count

_SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "star", "pentagon", "hexagram")
_ROW_HEIGHT = 34


def beside_paper(cells: pd.DataFrame, *, score_title: str) -> go.Figure:
    """For each row of a table the paper's score (hollow), if it has any, and ours (filled, with its
    spread).

    cells: columns row, heading, paper, ours, spread, seeds, collapsed, num_subnets; percent. A heading
    has a colour of its own. A mean with collapsed sub-networks is crossed.
    """
    figure = go.Figure()
    rows = list(dict.fromkeys(cells["row"]))[::-1]
    headings = list(dict.fromkeys(cells["heading"]))
    in_paper = bool(cells["paper"].notna().any())
    for number, heading in enumerate(headings):
        own = cells[cells["heading"] == heading]
        colour = COLOURS[number % len(COLOURS)]
        # Headings of one row stand a little below each other.
        shift = 0.22 * ((len(headings) - 1) / 2 - number)
        places = [rows.index(row) + shift for row in own["row"]]
        name = f" {plain(heading)}" if heading else ""
        records = own.to_dict("records")
        if in_paper:
            figure.add_scatter(
                x=own["paper"],
                y=places,
                mode="markers",
                marker={
                    "color": colour,
                    "size": 11,
                    "symbol": "circle-open",
                    "line": {"width": 2},
                },
                name=f"paper{name}",
                hovertext=[_cell_hover(row, score_title) for row in records],
                hoverinfo="text",
            )
        figure.add_scatter(
            x=own["ours"],
            y=places,
            mode="markers",
            marker={
                "color": colour,
                "size": 10,
                "symbol": ["x" if row["collapsed"] else "circle" for row in records],
            },
            error_x={"type": "data", "array": own["spread"].fillna(0), "color": colour},
            name=f"ours{name}",
            hovertext=[_cell_hover(row, score_title) for row in records],
            hoverinfo="text",
        )
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[plain(row) for row in rows],
        range=[-0.6, len(rows) - 0.4],
    )
    figure.update_xaxes(title_text=score_title)
    figure.update_layout(showlegend=True)
    return finished(figure, height=110 + _ROW_HEIGHT * len(rows), hover="closest")


def methods_by_cost(
    points: pd.DataFrame, cost: str, *, cost_title: str, score_title: str, scale: float = 1.0
) -> go.Figure:
    """Sub-networks of several methods by what they cost and score.

    points: as from `dynabert.reproduction.methods.method_points`.  cost: the column to draw to the right.
    scale: what it is divided by. A collapsed sub-network is crossed.
    """
    figure = go.Figure()
    names = list(dict.fromkeys(points["method"]))
    for number, method in enumerate(names):
        colour = COLOURS[number % len(COLOURS)]
        # Where colours come again, the symbols are hollow.
        hollow = "-open" * (number // len(COLOURS) % 2)
        symbol = _SYMBOLS[number % len(_SYMBOLS)] + hollow
        own = points[points["method"] == method].assign(
            cost=lambda rows: pd.to_numeric(rows[cost]) / scale
        )
        own = own.dropna(subset=["cost", "score"]).sort_values(["cost", "score"])
        sound = own[own["collapsed"] == 0]
        figure.add_scatter(
            x=sound["cost"],
            y=sound["score"],
            mode="markers",
            marker={
                "color": colour,
                "size": 10,
                "symbol": symbol,
                "line": {"width": 2 * bool(hollow)},
            },
            error_y={"type": "data", "array": sound["spread"].fillna(0), "color": colour},
            name=plain(method),
            hovertext=[_point_hover(row, score_title) for row in sound.to_dict("records")],
            hoverinfo="text",
        )
        gone = own[own["collapsed"] > 0]
        if len(gone):
            figure.add_scatter(
                x=gone["cost"],
                y=gone["score"],
                mode="markers",
                marker={"symbol": "x-thin", "size": 11, "line": {"color": GREY, "width": 2}},
                name=f"{plain(method)}, collapsed",
                hovertext=[_point_hover(row, score_title) for row in gone.to_dict("records")],
                hoverinfo="text",
            )
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text=cost_title, rangemode="tozero")
    figure.update_yaxes(title_text=score_title)
    return finished(figure, height=460, hover="closest")


def _cell_hover(row: dict[Any, Any], score_title: str) -> str:
    heading = f", {plain(row['heading'])}" if row["heading"] else ""
    lines = [f"<b>{plain(row['row'])}</b>{heading}", plain(score_title)]
    if not pd.isna(row["paper"]):
        lines.append(f"paper {row['paper']:.1f}")
    if not pd.isna(row["ours"]):
        spread = "" if pd.isna(row["spread"]) else f" ± {row['spread']:.1f}"
        lines.append(f"ours {row['ours']:.1f}{spread} ({count(row['seeds'], 'seed')})")
    if row["collapsed"]:
        lines.append(f"<b>{row['collapsed']} of {row['num_subnets']} collapsed</b>")
    return "<br>".join(lines)


def _point_hover(row: dict[Any, Any], score_title: str) -> str:
    spread = "" if pd.isna(row["spread"]) else f" ± {row['spread']:.1f}"
    lines = [
        f"<b>{plain(row['method'])}</b>",
        f"width {row['width_mult']:.4g}, depth {row['depth_mult']:.4g}: {count(row['layers'], 'layer')}, "
        f"{row['heads']} heads, {row['neurons']} neurons in each",
        f"{plain(score_title)} {row['score']:.1f}{spread} ({count(row['seeds'], 'seed')})",
        f"{row['num_params'] / 1e6:.2f} M parameters, {row['macs'] / 1e6:,.0f} M MACs",
    ]
    times = [
        f"{row[column]:,.1f} ms at batch {size}"
        for size in (1, 128)
        if not pd.isna(row[column := f"latency_ms_batch{size}"])
    ]
    lines += [", ".join(times)] if times else []
    if row["collapsed"]:
        lines.append(f"<b>collapsed in {count(row['collapsed'], 'seed')}</b>")
    return "<br>".join(lines)
