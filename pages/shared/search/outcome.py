"""What a search has found, beside other searches, and the one to take away."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dynabert import Subnet, plots
from dynabert.analysis.pareto import hypervolume
from dynabert.evaluation.latency import WIDE
from dynabert.export import export_command, export_name, zip_subnet
from dynabert.runs import Run
from dynabert.search.background import measure_again
from dynabert.search.front import (
    batch_sizes_of,
    cheapest_within,
    latency_column,
    measured_table,
    num_unmeasured,
    read_front,
    reference_row,
    spread_column,
    trial_table,
    widest_spread,
)
from dynabert.search.search import Search, untrained_reference
from dynabert.words import figures
from pages.shared import cache, controls, links, state, wording
from pages.shared.search.progress import MILLION, cost_axis, quality_title


def show(run: Run, search: Search, others: Sequence[Search]) -> None:
    """The trials, the best of them measured again, and one to take away."""
    if not search.trials:
        return
    beside = _choose_others(search, others)
    _show_trials([search, *beside])
    table = read_front(search)
    if table is None:
        return
    _show_measured(run, search, table, beside)


def _choose_others(search: Search, others: Sequence[Search]) -> list[Search]:
    """Searches whose trials can be compared with these: same cost, tokens, and examples."""
    alike = {
        other.name: other
        for other in others
        if other.trials
        and all(
            getattr(other.settings, field) == getattr(search.settings, field)
            for field in ("cost", "tokens", "batch_size", "num_examples")
        )
        # The seed draws the examples; latencies are of a machine.
        and (search.settings.num_examples is None or other.settings.seed == search.settings.seed)
        and (search.settings.cost == "macs" or other.info.machine == search.info.machine)
    }
    if not alike:
        return []
    given = (state.recall("beside_search") or "").split(",")
    take = state.show("beside_search_names", [name for name in given if name in alike])
    chosen = st.multiselect(
        "Compare with",
        list(alike),
        key="beside_search_names",
        on_change=take,
        help="Searches of this run with the same cost and the same examples.",
    )
    if chosen:
        state.remember("beside_search", ",".join(chosen))
    else:
        state.forget_quietly("beside_search")
    return [alike[name] for name in chosen]


def _show_trials(searches: Sequence[Search]) -> None:
    search = searches[0]
    title, scale = cost_axis(search)
    tables = {one.name: trial_table(one.trials) for one in searches}
    st.subheader(f"What was tried: {wording.count(len(tables[search.name]), 'trial')}")
    names = [one.name for one in searches]
    controls.chart(
        plots.search_fronts(
            tables, quality_title=quality_title(search), cost_title=title, scale=scale
        ),
        table=pd.concat([table.assign(search=name) for name, table in tables.items()]),
        cell=f"searches = [Search.load(run.folder / 'searches' / name) for name in {names!r}]\n"
        "tables = {search.name: trial_table(search.trials) for search in searches}\n"
        f"plots.search_fronts(\n    tables,\n    quality_title={quality_title(search)!r},\n"
        f"    cost_title={title!r},\n    scale={scale!r},\n)",
        key="search-trials-chart",
        alt="Quality against cost of everything that was tried",
    )
    if len(searches) > 1:
        _compare(tables, {one.name: one for one in searches})


def _compare(tables: dict[str, pd.DataFrame], searches: dict[str, Search]) -> None:
    """How much each front dominates, and what it took."""
    every = pd.concat(tables.values())
    most, least = every["cost"].max(), every["quality"].min()
    best = most * (every["quality"].max() - least)
    st.dataframe(
        pd.DataFrame(
            {
                "search": list(tables),
                "method": [searches[name].settings.method for name in tables],
                "trials": [len(table) for table in tables.values()],
                "front": [int(table["on_front"].sum()) for table in tables.values()],
                "area": [
                    100
                    * hypervolume(
                        table["cost"].to_numpy(),
                        table["quality"].to_numpy(),
                        most_cost=most,
                        least_quality=least,
                    )
                    / best
                    if best
                    else 0.0
                    for table in tables.values()
                ],
                "seconds": [table["seconds"].sum() for table in tables.values()],
            }
        ),
        hide_index=True,
        column_config={
            "front": st.column_config.NumberColumn("on its front"),
            "area": st.column_config.NumberColumn(
                "area below the front",
                format="%.1f %%",
                help="Hypervolume: of the box from the worst to the best of all that was tried here, the "
                "share that the front dominates. More is better.",
            ),
            "seconds": st.column_config.NumberColumn("working time (s)", format="%.0f"),
        },
    )


def _show_measured(run: Run, search: Search, table: pd.DataFrame, beside: Sequence[Search]) -> None:
    metric = run.info.task.metric
    columns = {"macs": f"MACs for {search.settings.tokens} tokens (million)"} | {
        latency_column(size): f"latency (ms, batch {size})" for size in batch_sizes_of(table)
    }
    is_timed = len(columns) > 1
    st.subheader(
        "The best, measured again on all of dev" + (" and by the clock" if is_timed else "")
    )
    if (notice := untrained_reference(run, search.settings)) is not None:
        st.warning(wording.escape(notice), icon=":material/warning:")
    cost = controls.choose_one(
        "Cost", "search_cost", list(columns), format_option=lambda name: columns[name]
    )
    scale = MILLION if cost == "macs" else 1.0
    machine = table["machine"].iloc[0]
    others = {other.name: found for other in beside if (found := read_front(other)) is not None}
    elsewhere = [
        name
        for name, found in others.items()
        if cost != "macs" and (found["machine"] != machine).any()
    ]  # times of two machines say nothing about each other
    fronts = {search.name: table} | {
        name: found for name, found in others.items() if name not in elsewhere
    }
    largest = reference_row(table)
    chosen = _choose_point(table, metric, cost, scale)
    names = list(fronts)
    controls.chart(
        plots.search_fronts(
            {
                name: measured_table(found, metric=metric, cost=cost)
                for name, found in fronts.items()
            },
            quality_title=f"dev {wording.metric_title(metric)}",
            cost_title=columns[cost],
            scale=scale,
            selected=str(chosen["subnet"]),
        ),
        table=pd.concat([found.assign(search=name) for name, found in fronts.items()]),
        cell=f"searches = [Search.load(run.folder / 'searches' / name) for name in {names!r}]\n"
        "tables = {\n    search.name: measured_table(read_front(search), "
        f"metric={metric!r}, cost={cost!r})\n    for search in searches\n}}\n"
        f"plots.search_fronts(\n    tables,\n    quality_title='dev {wording.metric_title(metric)}',\n"
        f"    cost_title={columns[cost]!r},\n    scale={scale!r},\n"
        f"    selected={str(chosen['subnet'])!r},\n)",
        key="search-front-chart",
        alt="Dev metric against cost of the best that were found",
    )
    partly = [
        f"of {wording.escape(name)} {len(found) - 1} of the {len(found) - 1 + missing} "
        "sub-networks on its front were measured, as asked"
        for name, found in fronts.items()
        if (missing := num_unmeasured(found))
    ]
    st.caption(
        f"Front of {int(table['num_trials'].iloc[0])} trials"
        + "".join(f"; {said}" for said in partly)
        + (_how_timed(search, machine, many=len(fronts) > 1) if is_timed else ". Not timed")
        + ". Pale points were best on the search's part of dev but are not on "
        "all of it."
        + (
            f" Timed on another machine, and left out here: {wording.escape(', '.join(elsewhere))}."
            if elsewhere
            else ""
        )
    )
    if (spread := widest_spread(table)) > WIDE:
        st.warning(
            "The machine was busy: the middle half of one measurement's passes spread over "
            f"{spread:.0%} of its median, and latencies came out too long.",
            icon=":material/timer_off:",
        )
        if state.training_allowed() and st.button(
            "Measure again",
            icon=":material/timer:",
            key="search-measure-again",
            help="The best, on all of dev and by the clock; no trial is repeated.",
        ):
            measure_again(run, search, state.runs_dir())
            st.rerun()
    _show_point(run, chosen, largest, metric, columns)


def _how_timed(search: Search, machine: str, *, many: bool) -> str:
    who = "the points of each search" if many else "all"
    return (
        f". Timed on {wording.escape(machine)}, {search.settings.tokens} tokens, {who} in turn, again and "
        "again in new order"
    )


def _choose_point(table: pd.DataFrame, metric: str, cost: str, scale: float) -> pd.Series:
    """One row of the front; first the cheapest that loses at most a point, the largest where none does."""
    ordered = table.sort_values([cost, metric], ascending=False)
    keys = [str(key) for key in ordered["subnet"]]
    best, is_within = cheapest_within(table, metric=metric, cost=cost, points=1.0)
    largest = reference_row(table)
    given = state.recall("point")
    first = str((best if is_within else largest)["subnet"])
    take = state.show("point", given if given in keys else first)
    unit = "million MACs" if cost == "macs" else "ms"
    # The slider tells its steps apart by what they are called.
    names = {
        str(
            row["subnet"]
        ): f"{place}: {row[metric]:.3f}{wording.collapsed_mark(row['collapsed'])}, "
        f"{figures(row[cost] / scale, 4)} {unit}"
        for place, row in enumerate(ordered.to_dict("records"), start=1)
    }
    key = keys[0]
    if len(keys) > 1:
        key = st.select_slider(
            "Take",
            keys,
            key="point",
            on_change=take,
            format_func=names.__getitem__,
            help="Score and cost, from the dearest to the cheapest; ✕: collapsed. First shown is the "
            "cheapest that loses at most one point against the largest and has not collapsed; where none "
            "does, the largest.",
        )
        if pd.isna(largest[metric]):
            st.caption("The largest has no score to compare the others with.")
        elif best["is_reference"]:
            st.caption("None of the others has a score that says anything.")
        elif not is_within:
            st.caption(
                "None of the others is within one point of the largest; the nearest, "
                f"{names[str(best['subnet'])]}, loses "
                f"{100 * (largest[metric] - best[metric]):.2f} points."
            )
    state.remember("point", key)
    return ordered[ordered["subnet"] == key].iloc[0]


def _show_point(
    run: Run, row: pd.Series, largest: pd.Series, metric: str, columns: dict[str, str]
) -> None:
    subnet = Subnet.parse(str(row["subnet"]))
    st.markdown(f"**{wording.escape(subnet.key)}**")
    st.caption(f"{wording.escape(str(subnet.resolve(run.config.shape)))}.")
    is_largest = bool(row["is_reference"])
    with st.container(horizontal=True):
        st.metric(
            f"Dev {wording.metric_title(metric)}",
            f"{row[metric]:.3f}{wording.collapsed_mark(row['collapsed'])}",
            "the largest" if is_largest else f"{100 * (row[metric] - largest[metric]):+.1f} points",
            "off" if is_largest or row["collapsed"] else "normal",
            delta_arrow="off" if is_largest else "auto",
            border=True,
            height="stretch",
            help=None if is_largest else "Against the largest.",
        )
        for column, title in columns.items():
            scale = MILLION if column == "macs" else 1.0
            said, about = [] if is_largest else [_times(largest[column] / row[column])], None
            if spread_column(column) in row:
                said = [f"± {row[spread_column(column)] / 2:.2f}", *said]
                about = "Median of the passes; ± half their interquartile range."
            st.metric(
                wording.capital(title),
                figures(row[column] / scale, 4),
                ", ".join(said) or None,
                delta_color="off",
                delta_arrow="off",
                border=True,
                height="stretch",
                help=about,
            )
    if row["collapsed"]:
        st.warning(
            f"This sub-network {wording.COLLAPSED}, so its score says nothing about the task.",
            icon=":material/warning:",
        )
    name = export_name(run, subnet)
    st.download_button(
        "Take it away (.zip)",
        lambda: zip_subnet(run, subnet, model=cache.model(run), half=False),
        f"{name}.zip",
        "application/zip",
        key=f"search-zip-{name}",
        icon=":material/download:",
        on_click="ignore",
    )
    st.page_link(
        "pages/accuracy.py",
        label="Open it on the page Accuracy and size",
        icon=":material/scatter_plot:",
        query_params=links.to(subnet),
    )
    st.caption("The same in a terminal; it keeps its lengths:")
    st.code(export_command(run, subnet), language="bash", wrap_lines=True)


def _times(ratio: float) -> str:
    """How much less it is than the largest's; a few tokens may well take longer to drop than to keep."""
    return f"{ratio:.2f} times less" if ratio >= 1 else f"{1 / ratio:.2f} times more"
