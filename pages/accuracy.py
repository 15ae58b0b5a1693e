"""What do I lose when I make it smaller?"""

import pandas as pd
import streamlit as st
import torch

from dynabert import Subnet, plots
from dynabert.analysis.choices import find_row
from dynabert.errors import UserError
from dynabert.evaluation import (
    LatencySetup,
    count_macs,
    describe_machine,
    num_params,
    sweep,
)
from dynabert.runs import Run
from pages.shared import cache, controls, jobs, wording

run = controls.open_run()
task = run.info.task
results = cache.results(run)
config = run.config
metric_title = wording.metric_title(task.metric)
tokens = int(results["tokens"].iloc[0])
batch = results["latency_batch_size"].dropna()
latency_title = "latency, ms" + (f" at batch {int(batch.iloc[0])}" if len(batch) else "")
COSTS = {
    "params": ("num_params", 1e6, "Parameters", "parameters of the Transformer layers, millions"),
    "macs": ("macs", 1e6, "MACs", f"multiply-accumulates for {tokens} tokens, millions"),
    "latency": ("latency_ms", 1.0, "Latency", f"{latency_title}, {tokens} tokens"),
}
PHASES = {"evaluate": "evaluating", "latency": "measuring latency"}
MACHINE = f"Measured on {wording.escape(run.info.machine)}."

controls.header(
    "What do I lose when I make it smaller?",
    "Pick a sub-network by its width and depth and see what it scores and what it costs, among all "
    "that were evaluated.",
)


def show_numbers(row: dict | None, full: dict | None, subnet: Subnet) -> None:
    """What the chosen sub-network scores and costs, beside the full network."""
    params, macs = num_params(config, subnet), count_macs(config, subnet, tokens)
    with st.container(horizontal=True):
        for metric in task.metrics:
            title = wording.capital(wording.metric_title(metric))
            if row is None:
                st.metric(title, "–", "not evaluated", "off", delta_arrow="off", border=True)
                continue
            change = 0.0 if full is None else row[metric] - full[metric]
            differs = abs(change) >= 0.0005
            st.metric(
                title,
                f"{row[metric]:.3f}{mark(row)}",
                f"{change:+.3f} vs full" if differs else "as the full",
                "normal" if differs and not row["collapsed"] else "off",
                delta_arrow="auto" if differs else "off",
                help=wording.metric_help(metric),
                border=True,
            )
        share = params / num_params(config)
        st.metric(
            "Parameters, layers",
            f"{params / 1e6:.2f} M",
            f"{share:.0%} of the full",
            "off",
            delta_arrow="off",
            border=True,
        )
        share = macs / count_macs(config, tokens=tokens)
        st.metric(
            f"MACs, {tokens} tokens",
            f"{macs / 1e6:,.0f} M",
            f"{share:.0%} of the full",
            "off",
            delta_arrow="off",
            border=True,
        )
        known = row is not None and not pd.isna(row["latency_ms"])
        st.metric(
            "Latency",
            f"{row['latency_ms']:.1f} ms" if known else "–",
            f"± {row['latency_ms_iqr'] / 2:.1f} ms" if known else "not measured",
            "off",
            delta_arrow="off",
            help=f"Median of one forward pass; ± half the interquartile range. {MACHINE}",
            border=True,
        )
    if row is not None and row["collapsed"]:
        st.warning(
            f"This sub-network {wording.COLLAPSED}, so its score says nothing about the task.",
            icon=":material/warning:",
        )


def mark(row: dict | None) -> str:
    return " ✕" if row is not None and row["collapsed"] else ""


def show_evaluation(run: Run, subnet: Subnet) -> None:
    """Offer to score a sub-network that was not evaluated, or show how far that has come."""
    key = f"evaluate {cache.run_key(run)} {subnet.key}"
    if jobs.watch(key):
        return
    if find_row(cache.results(run), subnet.resolve(config.shape)) is not None:
        st.rerun()  # it has just been
    st.caption("This sub-network has not been evaluated. It takes one pass over the dev set.")
    if st.button("Evaluate on the dev set now", type="primary", icon=":material/play_arrow:"):
        known, model, setup = cache.examples(run), cache.model(run), latency_setup(run)
        if known.notices:
            raise UserError(f"nothing was evaluated: {'; '.join(known.notices)}.")
        run.check_writable()
        same = cache.run_key(run)

        def work(report: jobs.OnProgress) -> None:
            rows = sweep(
                model,
                known.dev,
                [subnet],
                metrics=task.metrics,
                latency=setup,
                on_progress=lambda phase, done, total: report(PHASES[phase], done, total),
            )
            cache.check_same(run, same)
            run.add_results(rows)

        jobs.start(key, f"{subnet.key} of {run.name}", work)
        st.rerun()


def latency_setup(run: Run) -> LatencySetup | None:
    """As the run measured it; None on another machine, whose times could not be compared."""
    if run.info.machine != describe_machine(torch.device("cpu")) or not len(batch):
        return None
    return LatencySetup(tokens=tokens, batch_size=int(batch.iloc[0]))


def take_click() -> None:
    """Choose the sub-network whose point was clicked on."""
    points = st.session_state["cost-chart"]["selection"]["points"]
    if points and "customdata" in points[0]:
        clicked = points[0]["customdata"]
        controls.set_subnet(Subnet.parse(clicked[0] if isinstance(clicked, list) else clicked))


def choose_cost() -> str:
    usable = [name for name in COSTS if results[COSTS[name][0]].notna().any()]
    return controls.choose_one("Cost", "cost", usable, format_option=lambda name: COSTS[name][2])


def show_phenomena(run: Run, subnet: Subnet, row: dict | None, full: dict | None) -> None:
    st.subheader("Which piece of grammar is lost?")
    if not st.toggle(
        f"Evaluate accuracy per phenomenon ({task.num_dev:,} sentences)", key="phenomena"
    ):
        return
    chosen = {} if subnet.is_full else {"subnet": subnet}
    table = cache.accuracy_by_phenomenon(run, {"full": Subnet(), **chosen})
    for notice in cache.examples(run).notices:
        st.warning(wording.capital(wording.escape(notice)) + ".", icon=":material/warning:")
    if table is None:
        st.info("The examples of this run do not say what each of them tests.")
        return
    table = table.assign(group=[group.replace("_", " ") for group in table["group"]])
    names = {"full": "full network" + mark(full)}
    if chosen:
        title = f"width {subnet.width_mult:.3g}, depth {subnet.depth_mult:.3g}"
        names["subnet"] = title + mark(row)
        table = table.assign(lost=table["full"] - table["subnet"])
        table = table.sort_values("lost", ascending=False, kind="stable", ignore_index=True)
    controls.chart(
        plots.accuracy_by_group(table, names),
        key="phenomena-chart",
        alt="Accuracy per phenomenon",
    )
    st.caption("What is lost most stands on top; the dotted line is what guessing scores.")
    controls.download("Phenomena (CSV)", table, f"{run.name}-phenomena-{subnet.key}.csv")


subnet = controls.choose_subnet(run, results)
row = find_row(results, subnet.resolve(config.shape))
full = find_row(results, Subnet().resolve(config.shape))
show_numbers(row, full, subnet)

if row is None:
    show_evaluation(run, subnet)
elif pd.isna(row["latency_ms"]):
    st.caption(
        "Its latency was not measured: the others' were taken on another machine or not at all "
        f"({wording.escape(run.info.machine)})."
    )

st.subheader(f"Score against cost of {wording.count(len(results), 'sub-network')}")
cost = choose_cost()
column, scale, _, cost_title = COSTS[cost]
controls.chart(
    plots.quality_vs_cost(
        results,
        task.metric,
        column,
        metric_title=f"dev {metric_title}",
        cost_title=cost_title,
        selected=None if row is None else str(row["subnet"]),
        scale=scale,
    ),
    key="cost-chart",
    on_select=take_click,
    selection_mode="points",
    alt=f"{metric_title} against {cost_title}",
)
st.caption(
    "Click a point to choose it. No other sub-network is both cheaper and better than one on the "
    "Pareto front"
    + (", collapsed ones aside." if results["collapsed"].any() else ".")
    + (f" {MACHINE}" if cost == "latency" else "")
)
controls.download("Results (CSV)", results, f"{run.name}-results.csv")

if task.name == "teaching":
    show_phenomena(run, subnet, row, full)
