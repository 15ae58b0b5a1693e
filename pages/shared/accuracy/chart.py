"""Score against cost of all evaluated sub-networks, and which of them to compare."""

from __future__ import annotations

import re

import pandas as pd
import streamlit as st

from dynabert import Subnet, plots
from dynabert.analysis.choices import drops_tokens
from dynabert.analysis.filters import SizeFilter, front_of
from dynabert.runs import Run
from dynabert.words import figures
from pages.shared import controls, lengths, links, notices, state, wording
from pages.shared.accuracy.clock import Clock
from pages.shared.accuracy.numbers import Row

LIMITS = {
    "params": "number of parameters, millions",
    "macs": "number of MACs, millions",
    "latency": "latency, ms",
}


def show_chart(clock: Clock, results: pd.DataFrame, row: Row | None) -> None:
    """The chart with its choice of a cost and its filters.

    results: the clock's.  row: the chosen sub-network's.
    """
    metric = clock.run.info.task.metric
    title = wording.metric_title(metric)
    tokens = int(results["tokens"].iloc[0])
    batch = results["latency_batch_size"].dropna()
    latency = "latency, ms" + (f" at batch {int(batch.iloc[0])}" if len(batch) else "")
    costs = {
        "params": (
            *("num_params", 1e6, "Parameters"),
            "parameters of the Transformer layers, millions",
        ),
        "macs": ("macs", 1e6, "MACs", f"multiply-accumulates for {tokens} tokens, millions"),
        "latency": ("latency_ms", 1.0, "Latency", f"{latency}, {tokens} tokens"),
    }
    st.subheader(f"Score against cost of {wording.count(len(results), 'sub-network')}")
    usable = [name for name, (column, *_) in costs.items() if results[column].notna().any()]
    cost = controls.choose_one("Cost", "cost", usable, format_option=lambda name: costs[name][2])
    column, scale, _, cost_title = costs[cost]
    chosen = _choose_filter(results, cost, column, scale, LIMITS[cost])
    inside = chosen.passes(results, column)
    measured = pd.to_numeric(results[column]).notna().to_numpy()
    compared = results[inside & measured]
    options = {
        "metric_title": f"dev {title}",
        "cost_title": cost_title,
        "selected": None if row is None else str(row["subnet"]),
        "scale": scale,
    }
    controls.chart(
        plots.quality_vs_cost(results, metric, column, **options, inside=inside),
        table=results.assign(shown=inside),
        cell=f"{clock.cell}\ninside = {chosen!r}.passes(results, {column!r})\n"
        f"plots.quality_vs_cost(\n    results,\n    {metric!r},\n    {column!r},\n"
        f"    **{options!r},\n    inside=inside,\n)",
        key="cost-chart",
        on_select=lambda: _take_click(clock.run),
        selection_mode="points",
        alt=f"{wording.capital(title)} against {cost_title}",
    )
    missing = int((inside & ~measured).sum())
    st.caption(
        f"**{len(compared)} of {len(results)} shown, "
        f"{int(front_of(compared, metric, column).sum())} on the front.** "
        + (f"Of {missing} the {costs[cost][2].lower()} is not known. " if missing else "")
        + _explained(compared)
        + (f" Measured on {wording.escape(clock.machine)}." if cost == "latency" else "")
    )


def _explained(compared: pd.DataFrame) -> str:
    if compared.empty:
        return "The filter leaves none: open “Compare only some of them” and widen it."
    return (
        "Click a point to choose it. No other sub-network that is shown is both cheaper and better than one "
        "on the Pareto front" + (", collapsed ones aside." if compared["collapsed"].any() else ".")
    )


def _take_click(run: Run) -> None:
    """Choose the sub-network whose point was clicked on."""
    points = st.session_state["cost-chart"]["selection"]["points"]
    if points and "customdata" in points[0]:
        clicked = points[0]["customdata"]
        subnet = Subnet.parse(clicked[0] if isinstance(clicked, list) else clicked)
        if not links.can_be_opened(subnet, run.config.shape):
            st.toast("This one was made by the command line; the controls here cannot choose it.")
            return
        controls.set_subnet(subnet)
        lengths.set_lengths(subnet.length_config)


def _choose_filter(
    results: pd.DataFrame, cost: str, column: str, scale: float, title: str
) -> SizeFilter:
    depths = results["layers"].map(len)
    heads = [int(count) for counts in results["heads"] for count in counts]
    with st.expander("Compare only some of them", icon=":material/filter_alt:"):
        left, middle, right = st.columns(3, gap="large")
        with left:
            layers = _choose_range("Layers", "layers", int(depths.min()), int(depths.max()))
        with middle:
            kept = _choose_range("Heads in each layer", "heads", min(heads), max(heads))
        with right:
            most = _choose_most(pd.to_numeric(results[column]) / scale, f"max_{cost}", title)
        whole = bool(drops_tokens(results).any()) and _choose_whole()
    return SizeFilter(
        layers=layers,
        heads=kept,
        most_cost=None if most is None else most * scale,
        all_tokens=whole,
    )


def _choose_whole() -> bool:
    key = "filter-whole"
    st.session_state[key] = state.recall("whole") == "1"

    def take() -> None:
        if st.session_state[key]:
            state.change("whole", 1)
        else:
            state.forget("whole")

    return st.toggle("Only those that keep all tokens", key=key, on_change=take)


def _choose_range(label: str, name: str, low: int, high: int) -> tuple[int, int] | None:
    """A range of counts; None where it leaves nothing out."""
    if low == high:
        st.caption(f"{label}: {low} in all of them")
        return None
    text = state.recall(name) or ""
    given = re.fullmatch(r"(\d{1,4})-(\d{1,4})", text)
    start, end = (int(given[1]), int(given[2])) if given else (low, high)
    if text and not low <= start <= end <= high:
        notices.fell_back(label.lower(), text, f"only {low} to {high} can be chosen from")
    elif text and not given:
        notices.fell_back(label.lower(), text, "all are shown")
    start, end = max(low, min(start, high)), max(low, min(end, high))
    key = f"filter-{name}"

    def take() -> None:
        first, last = st.session_state[key]
        if (first, last) == (low, high):
            state.forget(name)
        else:
            state.change(name, f"{first}-{last}")

    st.session_state[key] = (min(start, end), max(start, end))
    chosen = st.slider(label, low, high, key=key, on_change=take)
    return None if chosen == (low, high) else chosen


def _choose_most(costs: pd.Series, name: str, title: str) -> float | None:
    """The largest cost, in the unit of the axis; None where it leaves nothing out."""
    steps = sorted({float(f"{cost:.6g}") for cost in costs.dropna()})
    if len(steps) < 2:
        return None
    given, wanted = state.recall(name), state.recall_number(name)
    start = steps[-1]
    if given is not None and (wanted is None or wanted < steps[0] * (1 - 1e-6)):
        notices.fell_back(f"largest {title}", given, "the nearest there is holds")
    if wanted is not None:
        start = max((step for step in steps if step <= wanted * (1 + 1e-6)), default=steps[0])
    key = f"filter-{name}"

    def take() -> None:
        if st.session_state[key] == steps[-1]:
            state.forget(name)
        else:
            state.change(name, st.session_state[key])

    st.session_state[key] = start
    chosen = st.select_slider(
        f"Largest {title}",
        steps,
        key=key,
        on_change=take,
        format_func=lambda step: f"{figures(step, 4)}",
    )
    return None if chosen == steps[-1] else float(chosen)
