"""Figures 3 and 4: methods by what they cost and score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from dynabert import plots
from dynabert.reproduction.layout import Figure
from dynabert.reproduction.methods import (
    COSTS,
    Cost,
    FigureScore,
    method_gaps,
    method_points,
    scores_of,
    timing_sentence,
)
from dynabert.reproduction.results import Result
from pages.shared import saving, wording
from pages.shared.results.common import choose, show_circumstances, show_gaps


def show(
    figure: Figure, results: Sequence[Result], backbone: str, without: Mapping[str, str]
) -> None:
    scores = scores_of(figure)
    measured = {
        (result.task, result.recipe)
        for result in results
        if result.backbone == backbone and result.recipe in figure.methods
    }
    methods = Counter(task for task, _ in measured)
    first = max(scores, key=lambda key: methods[scores[key].task])  # the paper's first of equals
    with st.container(horizontal=True):
        key = choose("Score", "score", {key: one.title for key, one in scores.items()}, first)
        costs = {key: wording.capital(key) for key in COSTS}
        cost = COSTS[choose("Against", "against", costs, "parameters")]
    score = scores[key]
    points = method_points(figure, results, backbone, score)
    recipes = set(points["recipe"]) if len(points) else set()
    used = [
        result
        for result in results
        if (result.backbone, result.task) == (backbone, score.task) and result.recipe in recipes
    ]
    show_circumstances(used, backbone, otherwise="there is nothing to draw")
    if len(points):
        _draw(figure, points, score, cost, backbone)
    show_gaps(method_gaps(figure, points, backbone, score, without))


def _draw(
    figure: Figure, points: pd.DataFrame, score: FigureScore, cost: Cost, backbone: str
) -> None:
    if points[cost.column].isna().all():
        st.info("Latency has not been measured with these results.", icon=":material/timer_off:")
        return
    title = f"{score.title}, percent"
    saving.chart(
        plots.methods_by_cost(
            points, cost.column, cost_title=cost.title, score_title=title, scale=cost.unit
        ),
        run=None,
        table=points,
        key=f"{figure.name}-{score.key}",
        alt=f"{figure.label}, {title} against {cost.title}, backbone {backbone}",
    )
    timing = timing_sentence(points) if cost.column.startswith("latency") else ""
    st.caption(
        "Means over the seeds with their standard deviation. Each TinyBERT and DistilBERT is a network of "
        f"its own; the sub-networks of the others share one. {wording.escape(timing)}"
    )
