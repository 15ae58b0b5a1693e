"""Which of two runs is better, and where?"""

import numpy as np
import pandas as pd
import streamlit as st

from dynabert import Subnet, plots
from dynabert.analysis.comparison import (
    compare_results,
    doubt,
    importance_alike,
    why_not_comparable,
)
from dynabert.runs import Run, list_runs
from dynabert.training.again import train_again_command
from pages.shared import cache, controls, found, notices, saving, state, wording

HALF_WIDTH = Subnet(width_mult=0.5)

run = controls.open_run()

controls.header(
    "Which of two runs is better, and where?",
    "The same sub-networks of two runs: another backbone, another recipe, with and without rewiring.",
)


def choose_other() -> Run | None:
    others = [name for name in list_runs(state.runs_dir()) if name != run.name]
    if not others:
        st.info(
            "There is no second run to compare with. Train one, for example without rewiring.",
            icon=":material/model_training:",
        )
        st.page_link("pages/train.py", label="Train and watch", icon=":material/model_training:")
        st.caption("Or in a terminal:")
        command = train_again_command(run, recipe="vanilla-w", suffix="plain")
        st.code(command, language="bash", wrap_lines=True)
        return None
    given = state.recall("other")
    if given is not None and given not in others:
        notices.fell_back("the other run", given, f"{others[0]} is shown")
    name = st.selectbox(
        "Compare with",
        others,
        key="other",
        on_change=state.show("other", given if given in others else others[0]),
    )
    state.remember("other", name)
    return cache.open_run(state.runs_dir() / name)


def facts(one: Run) -> dict[str, str]:
    info = one.info
    return {
        "Task": info.task.title,
        "Examples": f"{info.task.num_train:,} train, {info.task.num_dev:,} dev",
        "Backbone": info.backbone,
        "Recipe": str(info.recipe.get("name")),
        "Seed": str(info.seed),
        "Layers, heads": f"{one.config.shape.num_layers}, {plots.span(one.config.shape.heads)}",
        "Sub-networks": str(len(found.results(one))),
        "Training": wording.duration(sum(info.stage_seconds.values())),
        "Machine": info.machine,
    }


def show_scores(other: Run, metric: str) -> None:
    title = wording.metric_title(metric)
    table = compare_results(found.results(run), found.results(other), metric)
    if table.empty:
        st.info("The two runs have evaluated no width and depth in common.")
        return
    better, worse = int((table["difference"] > 0).sum()), int((table["difference"] < 0).sum())
    name = f"**{wording.escape(other.name)}**"
    mean = f"{100 * table['difference'].mean():+.1f} points of {title}"
    if len(table) == 1:
        st.markdown(f"They have one width and depth in common, where {name} differs by {mean}.")
    else:
        st.markdown(
            f"Of {len(table)} widths and depths that both have evaluated, {name} scores higher in "
            f"{better} and lower in {worse}; the mean difference is {mean}."
        )
    load_other = f"other = Run.load({saving.folder_of(other)!r})\n"
    controls.chart(
        plots.differences(table, metric),
        table=table,
        cell=f"{load_other}table = compare_results(run.all_results, other.all_results, {metric!r})\n"
        f"plots.differences(table, {metric!r})",
        key="differences",
        alt=f"Difference in {title}, width by depth",
    )
    st.caption(
        f"{wording.capital(title)} of {wording.escape(other.name)} minus that of "
        f"{wording.escape(run.name)}, in points (hundredths): orange where "
        f"{wording.escape(other.name)} is better."
        + (" Some have collapsed." if table.filter(like="collapsed").to_numpy().any() else "")
    )
    titles = {
        "metric_title": f"dev {title}",
        "cost_title": "parameters of the Transformer layers, millions",
    }
    both = {run.name: found.results(run), other.name: found.results(other)}
    controls.chart(
        plots.quality_of_runs(both, metric, "num_params", **titles, scale=1e6),
        table=pd.concat([rows.assign(run=name) for name, rows in both.items()]),
        cell=f"{load_other}plots.quality_of_runs(\n"
        "    {run.name: run.all_results, other.name: other.all_results},\n"
        f"    {metric!r},\n    'num_params',\n    **{titles!r},\n    scale=1e6,\n)",
        key="both",
        alt=f"{title} against parameters of both runs",
    )


def show_importance(other: Run) -> None:
    st.subheader("Do they rank their heads alike?")
    alike = importance_alike(run, other)
    if alike is None:
        st.caption(
            "That cannot be said: one of them has measured no importance, or they were not made from the "
            "same backbone."
        )
        return
    together, within = alike
    st.markdown(
        f"Importance ranks the {together.num_heads} heads alike by {wording.interval(together)}"
        + ("" if within is None else f", and within their layers by {wording.interval(within)}")
        + " (Spearman; in brackets the 95 % interval over heads)."
    )
    kept = [cache.kept_heads(one, HALF_WIDTH) for one in (run, other)]
    both, half = int(np.logical_and(*kept).sum()), int(kept[0].sum())
    st.caption(
        f"Of the {half} heads that half the width keeps in {wording.escape(run.name)}, {both} are kept in "
        f"{wording.escape(other.name)} too."
    )


other = choose_other()
if other is not None:
    st.subheader("What they are")
    known = [facts(run), facts(other)]
    st.table(
        pd.DataFrame(
            [[name, *(wording.escape(one[name]) for one in known)] for name in known[0]],
            columns=["", *(wording.escape(one.name) for one in (run, other))],
        ),
        border="horizontal",
        hide_index=True,
    )
    st.subheader("What they score")
    metrics = [wording.metric_title(one.info.task.metric) for one in (run, other)]
    reason = why_not_comparable(run, other)
    if metrics[0] != metrics[1]:
        reason = f"one is judged by {metrics[0]}, the other by {metrics[1]}"
    if reason is not None:
        st.warning(f"Their scores cannot be compared: {reason}.", icon=":material/warning:")
    else:
        if (caution := doubt(run, other)) is not None:
            st.info(f"Not only their recipes may differ: {caution}.", icon=":material/balance:")
        show_scores(other, run.info.task.metric)
    show_importance(other)
