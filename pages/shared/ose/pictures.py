"""The two pictures of an extraction: W over the space, and errors against cost."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dynabert import plots
from pages.shared import controls


def show(table: pd.DataFrame, *, cost_title: str, scale: float, opened: str, key: str) -> None:
    """Both, side by side.

    table: as from `dynabert.search.ose.tables`.  opened: code for a notebook that makes it.
    key: begins the keys of both.
    """
    axis = f"cost_title={cost_title!r}, scale={scale!r}"
    left, right = st.columns(2, gap="large")
    with left:
        controls.chart(
            plots.w_over_space(table, cost_title=cost_title, scale=scale),
            table=table,
            cell=f"{opened}plots.w_over_space(table, {axis})",
            key=f"{key}-w",
            alt="W of every architecture by its parameters",
        )
    with right:
        controls.chart(
            plots.errors_by_cost(table, cost_title=cost_title, scale=scale),
            table=table,
            cell=f"{opened}plots.errors_by_cost(table, {axis})",
            key=f"{key}-errors",
            alt="Error of every architecture against its inference cost",
        )
