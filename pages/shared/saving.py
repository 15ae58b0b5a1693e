"""What a visitor can take away from below a chart: its data, its picture, the code that draws it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dynabert import plots
from dynabert.results import as_csv
from dynabert.runs import Run
from pages.shared import state

_FOLDER = Path(__file__).parent / "figure"
# What code for a notebook may use, and where it comes from.
_NAMES = {
    "dynabert": ("Subnet", "plots"),
    "dynabert.analysis.answers": ("answer_all", "answer_table"),
    "dynabert.analysis.attention_maps": ("attention_maps", "kept_heads"),
    "dynabert.analysis.comparison": ("compare_results",),
    "dynabert.analysis.filters": ("SizeFilter",),
    "dynabert.analysis.functions": ("function_profile",),
    "dynabert.analysis.fusion": ("measure_fusion",),
    "dynabert.analysis.groups": ("accuracy_by_group",),
    "dynabert.analysis.head_order": ("head_order", "pretrained_order"),
    "dynabert.analysis.needed_tokens": ("needed_tokens",),
    "dynabert.analysis.sentences": ("attention_of", "read_sentences", "teaching_sentences"),
    "dynabert.analysis.span_answers": ("answer_question", "span_table", "time_answers"),
    "dynabert.analysis.survivors": ("DROPS", "dropping", "survivors"),
    "dynabert.evaluation": ("LatencySetup", "evaluate"),
    "dynabert.evaluation.retiming": ("time_results", "with_times"),
    "dynabert.examples": ("load_examples",),
    "dynabert.search.budget": ("Budget",),
    "dynabert.search.choosing": ("choose",),
    "dynabert.search.front": ("measured_table", "read_front", "trial_table"),
    "dynabert.search.ose.folder": ("PLAIN", "SUPERNET", "load_extraction"),
    "dynabert.search.ose.tables": ("member_table", "round_table"),
    "dynabert.search.search": ("Search",),
}
_PACKAGES = ("dynabert", "torch", "transformers")

_picture = st.components.v2.component(
    "figure_saver",
    html=(_FOLDER / "figure.html").read_text(encoding="utf-8"),
    css=(_FOLDER / "figure.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "figure.js").read_text(encoding="utf-8"),
)


def chart(
    figure: go.Figure,
    *,
    run: Run | None,
    key: str,
    alt: str,
    table: pd.DataFrame | None = None,
    cell: str = "",
    **options: Any,
) -> None:
    """A figure, and below it a button that opens what can be saved of it: data, picture, code.

    run: which the caption names and the code opens.  alt: what it shows, in words.
    table: its data; left out, the numbers that it draws.  cell: the code that draws it in a notebook,
    where `run` is that run; see `_cell`.  options: others of `st.plotly_chart`.
    """
    st.plotly_chart(figure, key=key, alt=alt, config={"displayModeBar": False}, **options)
    offer(
        key,
        run=run,
        alt=alt,
        csv=lambda: as_csv(plots.data_of(figure) if table is None else table).encode(),
        cell=cell,
    )


def offer(
    key: str,
    *,
    run: Run | None,
    alt: str,
    csv: Callable[[], bytes] | None = None,
    cell: str = "",
) -> None:
    """A button that opens what can be saved of the chart, or of the component with canvases, of that key.

    csv: makes its data; left out, they are offered elsewhere.  The rest as for `chart`.
    """
    name = f"{run.name}-{key}" if run else key
    with st.popover("Save", icon=":material/download:", type="tertiary", key=f"save-{key}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            if csv is not None:
                st.download_button(
                    "Data (CSV)",
                    csv,
                    f"{name}.csv",
                    "text/csv",
                    key=f"csv-{key}",
                    on_click="ignore",
                )
            about = "" if run is None else caption(run)
            _picture(
                data={"chart": key, "name": name, "caption": f"{alt}\n{about}".strip()},
                key=f"picture-{key}",
                width="content",
            )
        if cell and run is not None:
            st.caption("The same in a notebook:")
            st.code(_cell(run, cell), language="python")


def caption(run: Run) -> str:
    """Which run a picture is of, and what made it."""
    info = run.info
    made = [f"{name} {info.versions[name]}" for name in _PACKAGES if name in info.versions]
    return (
        f"Run {run.name}: {info.task.title}, {info.backbone}, seed {info.seed}, "
        f"{info.created.partition('T')[0]}; {', '.join(made)}."
    )


def _cell(run: Run, code: str) -> str:
    """Code for a notebook: it opens the run, then goes on with `code`, whose last line is the figure.

    The names of `_NAMES` are imported where `code` uses them.
    """
    used = {"dynabert.runs": ["Run"]}
    for module, names in _NAMES.items():
        if found := [name for name in names if re.search(rf"(?<!\.)\b{name}\b", code)]:
            used[module] = found
    lines = [f"from {module} import {', '.join(used[module])}" for module in sorted(used)]
    return "\n".join([*lines, "", f"run = Run.load({folder_of(run)!r})", code])


def folder_of(run: Run) -> str:
    """A run's folder as code that is started in the project's own should call it."""
    inside = run.folder.is_relative_to(state.ROOT)
    return (run.folder.relative_to(state.ROOT) if inside else run.folder).as_posix()
