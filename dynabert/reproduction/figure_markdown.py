"""Figures 3 and 4 in numbers, as Markdown: every network of every method, beside DynaBERT's of its size."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from dynabert.reproduction.circumstances import (
    backbone_sentence,
    budget_sentences,
    machine_sentences,
)
from dynabert.reproduction.layout import Figure, times
from dynabert.reproduction.methods import (
    FigureScore,
    method_gaps,
    method_points,
    scores_of,
    timing_sentence,
)
from dynabert.reproduction.results import Result

OURS = "dynabert"  # the recipe that others are compared with
_TABLES = {OURS, "best"}  # what tables show already
_LATENCIES = {
    "latency_ms_batch1": "ms, batch 1",
    "latency_ms_batch128": "ms, batch 128",
}
_ABOUT = (
    "Each DistilBERT and TinyBERT is a network of its own; the sub-networks of the others share one. Mean ± "
    "standard deviation over the seeds (number of seeds); parameters of the layers; MACs for 128 tokens; "
    "*against DynaBERT*: minus the score of its sub-network of the same width and depth, of the same seeds."
)


def show_figure(
    figure: Figure, results: Sequence[Result], backbone: str, without: Mapping[str, str]
) -> str:
    """A figure with everything that must be known of it: one table for each score that has been measured."""
    own = [result for result in results if result.backbone == backbone]
    parts = [f"## {figure.full_title}"]
    gaps = []
    for score, points in _measured(figure, own, backbone):
        used = _used(points, own, score)
        said = [backbone_sentence(backbone, used[0].shape)]
        said += [*budget_sentences(used), *machine_sentences(used)]
        parts += ["", f"### {score.title}, percent", "", *(f"- {one}" for one in said)]
        parts += ["", *_table(figure, points, own, score)]
        gaps += method_gaps(figure, points, backbone, score, without)
    if len(parts) == 1:
        parts += ["", f"Nothing of it has been measured with backbone {backbone} yet."]
    else:
        parts += ["", _ABOUT]
    for gap in gaps:
        run = f" Run `{gap.command}`." if gap.command else ""
        parts += ["", f"Missing: {', '.join(gap.columns)}: {gap.why}.{run}"]
    return "\n".join(parts) + "\n"


def figure_part(figure: Figure, own: Sequence[Result], backbone: str) -> list[str]:
    """What a README says of a figure: scores for which more than ours was measured; maybe nothing.

    own: results of that backbone.
    """
    parts: list[str] = []
    for score, points in _measured(figure, own, backbone):
        used = [r for r in _used(points, own, score) if r.recipe not in _TABLES]
        parts += ["", f"### {score.title}, percent", ""]
        parts += [f"- {said}" for said in budget_sentences(used)]
        parts += ["", *_table(figure, points, own, score)]
    return [f"## {figure.full_title}", *parts, "", _ABOUT] if parts else []


def _measured(
    figure: Figure, own: Sequence[Result], backbone: str
) -> Iterator[tuple[FigureScore, pd.DataFrame]]:
    """Scores of which a method was measured that no table shows."""
    for score in scores_of(figure).values():
        points = method_points(figure, own, backbone, score)
        if len(points) and set(points["recipe"]) - _TABLES:
            yield score, points


def _used(points: pd.DataFrame, own: Sequence[Result], score: FigureScore) -> list[Result]:
    recipes = set(points["recipe"])
    return [one for one in own if one.task == score.task and one.recipe in recipes]


def _table(
    figure: Figure, points: pd.DataFrame, own: Sequence[Result], score: FigureScore
) -> list[str]:
    timed = {name: title for name, title in _LATENCIES.items() if points[name].notna().any()}
    heads = ["width", "depth", "score", "against DynaBERT", "parameters (M)", "MACs (M)"]
    heads += timed.values()
    ours = {recipe: _ours_of_its_seeds(figure, own, score, recipe) for recipe in figure.methods}
    lines = [f"| method | {' | '.join(heads)} |", "|---|" + "--:|" * len(heads)]
    before = None
    for row in points.to_dict("records"):
        method = figure.methods[row["recipe"]]
        beside = ours[row["recipe"]].get(row["subnet"])
        against = "" if beside is None else f"{row['score'] - beside:+.1f}"
        cells = [
            times(row["width_mult"]),
            times(row["depth_mult"]),
            _score(row),
            against,
            f"{row['num_params'] / 1e6:.2f}",
            f"{row['macs'] / 1e6:.0f}",
            *("" if pd.isna(row[name]) else f"{row[name]:.1f}" for name in timed),
        ]
        lines.append(f"| {'' if method == before else method} | {' | '.join(cells)} |")
        before = method
    return [*lines, "", timing_sentence(points)] if timed else lines


def _ours_of_its_seeds(
    figure: Figure, own: Sequence[Result], score: FigureScore, recipe: str
) -> dict[str, float]:
    """DynaBERT's score of each sub-network over the seeds that a method was trained with, too."""
    if recipe == OURS:
        return {}
    seeds = {one.seed for one in own if (one.task, one.recipe) == (score.task, recipe)}
    both = [one for one in own if one.recipe == OURS and one.seed in seeds]
    found = method_points(figure, both, both[0].backbone, score) if both else pd.DataFrame()
    return dict(zip(found["subnet"], found["score"], strict=True)) if len(found) else {}


def _score(row: Mapping[Hashable, Any]) -> str:
    spread = "" if pd.isna(row["spread"]) else f" ± {row['spread']:.1f}"
    collapsed = f", {row['collapsed']} collapsed" if row["collapsed"] else ""
    return f"{row['score']:.1f}{spread} ({row['seeds']}{collapsed})"
