"""What searches found: quality against cost."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from dynabert.plots.style import COLOURS, finished, mark_chosen, plain, score_axis
from dynabert.words import figures


def search_fronts(
    tables: Mapping[str, pd.DataFrame],
    *,
    quality_title: str,
    cost_title: str,
    scale: float = 1.0,
    selected: str | None = None,
) -> go.Figure:
    """Everything that searches (by name) tried, with the front of each: the best for any cost.

    tables: columns subnet, quality, cost and on_front, as from `dynabert.search.front.trial_table` or
    `measured_table`, which also says what has collapsed: that is crossed.
    scale: what the cost is divided by.  selected: key of a sub-network to mark.
    """
    figure = go.Figure()
    for number, (name, table) in enumerate(tables.items()):
        colour = COLOURS[number % len(COLOURS)]
        front = table[table["on_front"]].sort_values(["cost", "quality"])
        figure.add_scatter(
            x=front["cost"] / scale,
            y=front["quality"],
            mode="lines",
            line={"color": colour, "width": 2, "shape": "hv"},
            hoverinfo="skip",
            showlegend=False,
        )
        for rows, size, opacity, title in (
            (table[~table["on_front"]], 6, 0.35, ""),
            (front, 9, 1.0, plain(name)),
        ):
            if len(rows):
                figure.add_scatter(
                    x=rows["cost"] / scale,
                    y=rows["quality"],
                    mode="markers",
                    marker={
                        "color": colour,
                        "size": size,
                        "opacity": opacity,
                        "symbol": ["x" if gone else "circle" for gone in _collapsed(rows)],
                    },
                    name=title,
                    showlegend=bool(title),
                    customdata=rows["subnet"],
                    hovertext=[
                        f"<b>{plain(row['subnet'])}</b><br>{plain(name)}<br>"
                        f"{plain(quality_title)} {row['quality']:.4f}<br>"
                        f"{plain(cost_title)}: {figures(row['cost'] / scale, 4)}"
                        + (
                            "<br><b>collapsed: gives every example the same answer</b>"
                            if gone
                            else ""
                        )
                        for row, gone in zip(rows.to_dict("records"), _collapsed(rows), strict=True)
                    ],
                    hoverinfo="text",
                )
    every = pd.concat(tables.values()) if tables else pd.DataFrame({"subnet": [], "quality": []})
    chosen = every[every["subnet"] == selected]
    if len(chosen):
        mark_chosen(figure, chosen["cost"].head(1) / scale, chosen["quality"].head(1))
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text=plain(cost_title), rangemode="tozero")
    score_axis(figure, quality_title, every["quality"])
    return finished(figure, height=430, hover="closest")


def _collapsed(rows: pd.DataFrame) -> list[bool]:
    """Whether each has collapsed; of trials that is not known."""
    return [*map(bool, rows["collapsed"])] if "collapsed" in rows else [False] * len(rows)
