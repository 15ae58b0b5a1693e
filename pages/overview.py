"""What is this model?"""

import streamlit as st

from dynabert import plots
from dynabert.run_info import RunInfo
from pages.shared import cache, controls, found, wording

run = controls.open_run()
info, task = run.info, run.info.task
results = cache.results(run)
metric_title = wording.metric_title(task.metric)
full = cache.reported_results(run).sort_values("num_params").iloc[-1]

what = "one network"
if len(results) > 1:
    what = "one network whose width and depth can be turned down when it runs"
controls.header(
    "What is this model?",
    f"**{wording.escape(run.name)}** is {what}. It was trained on **{wording.escape(task.title)}**, "
    f"starting from **{wording.escape(info.backbone)}**.",
)

whose = ", full network" if run.largest.is_full else ", largest" * (len(run.recipe_grid) > 1)
with st.container(horizontal=True):
    st.metric(
        f"Dev {metric_title}{whose}",
        f"{full[task.metric]:.3f}" + (" ✕" if full["collapsed"] else ""),
        border=True,
        help=wording.metric_help(task.metric, task.kind),
    )
    st.metric("Sub-networks", len(results), border=True)
    st.metric("Parameters", f"{full['num_params_total'] / 1e6:.1f} M", border=True)
    st.metric("Size on disk", f"{run.size_bytes / 1e6:.0f} MB", border=True)
    st.metric("Training time", wording.duration(sum(info.stage_seconds.values())), border=True)

num_collapsed = int(results["collapsed"].sum())
if num_collapsed:
    st.warning(
        f"{num_collapsed} of {wording.count(len(results), 'sub-network')} collapsed (marked ✕): each "
        "gives every dev example the same answer, so its score says nothing about the task.",
        icon=":material/warning:",
    )
for notice in info.notices:
    st.info(wording.escape(wording.begun(notice)) + ".", icon=":material/info:")


def show_scores() -> None:
    st.subheader(f"Dev {metric_title} of each sub-network")
    grid = cache.reported_results(run)
    controls.chart(
        plots.metric_grid(grid, task.metric, metric_title=metric_title),
        table=grid,
        cell=f"plots.metric_grid(run.reported_results, {task.metric!r}, metric_title={metric_title!r})",
        key="scores",
        alt=f"{wording.capital(metric_title)} by width and depth",
    )
    if grid["collapsed"].any():
        st.caption("✕ collapsed: the same answer for every example, so no colour.")
    # What a reader looks for first is in sight without scrolling.
    columns = [
        "width_mult",
        "depth_mult",
        *task.metrics,
        "latency_ms",
        "num_params",
        "macs",
        "loss",
    ]
    columns += ["collapsed", "num_params_total", "layers", "heads", "neurons"]
    later = len(found.results(run)) - len(results)
    with st.expander(f"All {len(results)} as a table" if len(results) > 1 else "As a table"):
        st.dataframe(
            results[columns].assign(
                layers=[", ".join(str(n + 1) for n in row) for row in results["layers"]],
                heads=[plots.span(row) for row in results["heads"]],
                neurons=[plots.span(row) for row in results["neurons"]],
            ),
            hide_index=True,
            column_config={
                "width_mult": st.column_config.NumberColumn("width", format="%.3g"),
                "depth_mult": st.column_config.NumberColumn("depth", format="%.3g"),
                "num_params": st.column_config.NumberColumn("parameters, layers", format="compact"),
                "num_params_total": st.column_config.NumberColumn(
                    "parameters, all", format="compact"
                ),
                "macs": st.column_config.NumberColumn("MACs", format="compact"),
                "latency_ms": st.column_config.NumberColumn("latency (ms)", format="%.1f"),
                "loss": st.column_config.NumberColumn(format="%.3f"),
                **{name: st.column_config.NumberColumn(format="%.3f") for name in task.metrics},
            },
        )
        if later:
            st.caption(
                f"{wording.count(later, 'sub-network')} more, that drop tokens or were evaluated just now: "
                "see the page Accuracy and size."
            )
    controls.download("Results (CSV)", results, f"{run.name}-results.csv")


def show_recipe(info: RunInfo) -> None:
    st.subheader("How it was trained")
    st.markdown(wording.escape(info.recipe.get("about") or ""))
    recipe = wording.recipe_of(info)
    if recipe is None:
        st.info("This version cannot read the run's recipe; see its recipe.yaml.")
        return
    lines = []
    for number, stage in enumerate(recipe.stages, start=1):
        seconds = info.stage_seconds.get(stage.name)
        took = "" if seconds is None else f" *({wording.duration(seconds)})*"
        lines.append(
            f"{number}. **{wording.escape(stage.name)}**: "
            f"{wording.escape(wording.stage_in_words(stage))}{took}"
        )
    st.markdown("\n".join(lines))


def show_facts(info: RunInfo) -> None:
    facts = {
        "Task": task.title,
        "Examples": f"{task.num_train:,} to train on, {task.num_dev:,} dev",
        "Data": task.source,
        "Answers": ", ".join(task.answers),
        "Backbone": info.backbone,
        "Longest input": wording.count(info.max_tokens, "token")
        + (f", windows {info.doc_stride} apart" if task.kind == "spans" else ""),
        "Seed": str(info.seed),
        "Precision": info.precision,
        "Machine": info.machine,
        "Finished": info.created.replace("T", " "),
        "Versions": ", ".join(f"{name} {version}" for name, version in info.versions.items()),
    }
    st.table(
        {name: wording.escape(value) for name, value in facts.items()},
        border="horizontal",
        hide_header=True,
    )
    st.caption("The command that repeats it:")
    st.code(info.command or "not recorded", language="bash", wrap_lines=True)


scores, recipe = st.columns(2, gap="large")
with scores:
    show_scores()
with recipe:
    show_recipe(info)

curve, facts = st.columns(2, gap="large")
with curve:
    st.subheader("Training curve")
    if run.metrics:
        controls.chart(
            plots.training_curve(run.metrics, metric_title=metric_title),
            cell=f"plots.training_curve(run.metrics, metric_title={metric_title!r})",
            key="curve",
            alt="Training loss and dev metric over the optimiser steps",
        )
    else:
        st.caption("Nothing was recorded: no stage of the recipe trains.")
with facts:
    st.subheader("Facts")
    show_facts(info)

st.subheader("Look inside")
with st.container(horizontal=True):
    for page, question, icon in (
        ("importance", "Which heads and neurons matter?", "leaderboard"),
        ("attention", "What do heads look at?", "grid_on"),
        ("fusion", "Do the heads that are left take over?", "merge"),
        ("survivors", "Which tokens survive?", "filter_alt"),
        ("accuracy", "What do I lose when I make it smaller?", "scatter_plot"),
        ("search", "Which sub-network should I take?", "travel_explore"),
        ("try_it", "What does every sub-network answer?", "chat"),
        ("compare", "Which of two runs is better?", "compare_arrows"),
        ("take_away", "How do I take a sub-network with me?", "download"),
    ):
        st.page_link(f"pages/{page}.py", label=question, icon=f":material/{icon}:")
