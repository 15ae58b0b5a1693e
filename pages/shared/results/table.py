"""A table: what it answers, every cell, and one score of all rows as a picture."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from dynabert import plots
from dynabert.reproduction.compare import Comparison, cell_table, column_title, gaps
from dynabert.reproduction.findings import HOW_DECIDED, findings
from dynabert.reproduction.markdown import CROSS, as_printed
from dynabert.reproduction.measures import MEASURES
from dynabert.reproduction.published import AVERAGE
from pages.shared import controls, saving, wording
from pages.shared.results.common import choose, show_circumstances, show_gaps


def show(comparison: Comparison) -> None:
    otherwise = "only the paper's numbers are shown"
    if comparison.table.is_ours:
        otherwise = "all cells are empty"
    show_circumstances(comparison.used, comparison.backbone, otherwise=otherwise)
    _show_findings(comparison)
    _show_cells(comparison)
    _show_chart(comparison)
    show_gaps(gaps(comparison))


def _show_findings(comparison: Comparison) -> None:
    st.subheader("What can be judged like for like")
    answers = findings(comparison)
    lines = []
    for one in answers:
        lines.append(f"- **{wording.escape(one.question.text)}**")
        lines += [f"  - {wording.escape(said)}" for said in one.answers()]
    st.markdown("\n".join(lines))
    if any(one.ours for one in answers):
        said = (
            "How much one row gains over another, on the same examples with the same seeds; ± is the "
            "standard deviation over the seeds."
        )
        if not comparison.table.is_ours:
            said += f" {HOW_DECIDED}"
        st.caption(said)


def _show_cells(comparison: Comparison) -> None:
    table = comparison.table
    st.subheader("Every cell")
    st.dataframe(
        as_printed(comparison),
        hide_index=True,
        height="content",
        column_config={
            "Row": st.column_config.Column(pinned=True),
            "": st.column_config.Column(width="small", pinned=True),
        },
        key=f"cells-{table.name}",
    )
    st.caption(
        f"Each cell: {wording.escape(table.cell)}, in percent. Ours is the mean over the seeds ± their "
        "standard deviation, with the number of seeds in brackets"
        + ("" if table.is_ours else "; the difference is ours minus the paper's, in points")
        + ". A cross marks collapsed sub-networks, which answer every dev example alike; they are "
        "counted in the mean. " + wording.escape(table.about)
    )
    for cell in comparison.cells.values():
        if cell.collapsed:
            place = column_title(cell.measure, cell.heading)
            st.caption(
                wording.escape(
                    f"{CROSS} {cell.row}, {place}: {cell.collapsed} of {cell.num_subnets} sub-networks "
                    "collapsed, all seeds together."
                )
            )
        if cell.note:
            st.caption(wording.escape(f"{cell.row}, {cell.heading}: {cell.note}"))
        if cell.left_out:
            st.caption(
                wording.escape(
                    f"{cell.row}, {column_title(cell.measure, cell.heading)}: seeds "
                    f"{', '.join(map(str, cell.left_out))} had another budget and are left out."
                )
            )
    controls.download("All cells (CSV)", cell_table(comparison), f"{table.name}.csv")


def _show_chart(comparison: Comparison) -> None:
    table = comparison.table
    cells = comparison.cells.values()
    measured = Counter(cell.measure for cell in cells if cell.ours is not None)
    options = [m for m in table.measures if m != AVERAGE]
    options.sort(key=lambda measure: -measured[measure])  # those with most of ours first
    names = {measure: MEASURES[measure].title for measure in options}
    st.subheader("One score of all rows")
    measure = choose("Score", "score", names, options[0])
    title = f"{names[measure]}, {MEASURES[measure].metric_title}, percent"
    whole = cell_table(comparison)
    shown = whole[whole["measure"] == names[measure]]
    saving.chart(
        plots.beside_paper(shown, score_title=title),
        run=None,
        table=shown,
        key=f"{table.name}-{measure}",
        alt=f"{table.label}, {title}: "
        + ("" if table.is_ours else "the paper's scores and ")
        + f"those of {comparison.backbone}",
    )
    filled = "With the spread over the seeds; crossed where a part collapsed."
    st.caption(filled if table.is_ours else f"Hollow: the paper. Filled: ours. {filled}")
