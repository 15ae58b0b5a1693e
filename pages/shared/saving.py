"""What a visitor can take away from below a chart: its data, its picture, the code that draws it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

from dynabert.runs import Run
from pages.shared import state

_FOLDER = Path(__file__).parent / "figure"
# What code for a notebook may use, and where it comes from.
_NAMES = {
    "dynabert": ("Subnet", "plots"),
    "dynabert.analysis.answers": ("answer_all", "answer_table"),
    "dynabert.analysis.attention_maps": ("attention_maps", "kept_heads"),
    "dynabert.analysis.comparison": ("compare_results",),
    "dynabert.analysis.head_order": ("head_order", "pretrained_order"),
}
_PACKAGES = ("dynabert", "torch", "transformers")

_picture = st.components.v2.component(
    "figure_saver",
    html=(_FOLDER / "figure.html").read_text(encoding="utf-8"),
    css=(_FOLDER / "figure.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "figure.js").read_text(encoding="utf-8"),
)

Table = Callable[[], pd.DataFrame]


def offer(chart: str, *, title: str, name: str, table: Table, cell: str, run: Run | None) -> None:
    """A button below a chart that opens what can be saved of it.

    chart: the key of the chart.  title: what it shows, in words.  name: of the files, without ending.
    table: its data; asked for when it is downloaded.  cell: code for a notebook, or nothing.
    """
    with st.popover("Save", icon=":material/download:", type="tertiary", key=f"save-{chart}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.download_button(
                "Data (CSV)",
                lambda: table().to_csv(index=False).encode(),
                f"{name}.csv",
                "text/csv",
                key=f"csv-{chart}",
                on_click="ignore",
            )
            _picture(
                data={"chart": chart, "name": name, "caption": f"{title}\n{caption(run)}".strip()},
                key=f"picture-{chart}",
                width="content",
            )
        if cell:
            st.caption("The same in a notebook:")
            st.code(cell, language="python")


def caption(run: Run | None) -> str:
    """Which run a picture is of, and what made it."""
    if run is None:
        return ""
    info = run.info
    made = [f"{name} {info.versions[name]}" for name in _PACKAGES if name in info.versions]
    return (
        f"Run {run.name}: {info.task.title}, {info.backbone}, seed {info.seed}, "
        f"{info.created.partition('T')[0]}; {', '.join(made)}."
    )


def cell(run: Run, code: str) -> str:
    """Code for a notebook: it opens the run, then goes on with `code`, whose last line is the figure.

    The names of `_NAMES` are imported where `code` uses them.
    """
    used = {"dynabert.runs": ["Run"]}
    for module, names in _NAMES.items():
        if found := [name for name in names if re.search(rf"\b{name}\b", code)]:
            used[module] = found
    lines = [f"from {module} import {', '.join(used[module])}" for module in sorted(used)]
    return "\n".join([*lines, "", f"run = Run.load({folder_of(run)!r})", code])


def folder_of(run: Run) -> str:
    """A run's folder as code that is started in the project's own should call it."""
    inside = run.folder.is_relative_to(state.ROOT)
    return (run.folder.relative_to(state.ROOT) if inside else run.folder).as_posix()
