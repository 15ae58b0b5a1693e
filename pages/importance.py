"""Which heads and neurons matter?"""

import shlex

import numpy as np
import pandas as pd
import streamlit as st

from dynabert import Subnet, plots
from dynabert.analysis.head_ablation import ablate_heads
from dynabert.analysis.head_order import (
    importance_held,
    neuron_importance_held,
    pretrained_order,
)
from dynabert.errors import UserError
from dynabert.examples import load_examples
from dynabert.importance import Importance
from dynabert.runs import Run
from pages.shared import cache, controls, jobs, wording

REWIRED, PRETRAINED = "as rewired", "as pretrained"
AXIS = "importance |∂L/∂h · h|"
MOST_EXAMPLES = 2000
SHARE = "share of its layer's importance"

# Of every cell for a notebook.
SCORES = "scores = run.importance.heads.double().numpy()\n"
KEPT = "kept = kept_heads(run.model(), Subnet({width!r}))\n"

run = controls.open_run()
results = cache.results(run)
shape = run.config.shape

controls.header(
    "Which heads and neurons matter?",
    "How much would the loss change without a head or neuron? The first-order estimate of that is its "
    "importance; a narrower network keeps the most important ones of every layer. Layers and heads "
    "carry their numbers in the pretrained network, counted from 1.",
)


def head_table(scores: np.ndarray, kept: np.ndarray) -> pd.DataFrame:
    """A row per head, most important first."""
    layers, heads = np.nonzero(~np.isnan(scores))
    table = pd.DataFrame(
        {
            "layer": layers + 1,
            "head": heads + 1,
            "importance": scores[layers, heads],
            "share_of_layer": (scores / np.nansum(scores, 1, keepdims=True))[layers, heads],
            "kept": kept[layers, heads],
        }
    )
    table["rank_in_layer"] = (
        table.groupby("layer")["importance"].rank(ascending=False, method="first").astype(int)
    )
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def neuron_table(scores: np.ndarray) -> pd.DataFrame:
    layers, neurons = np.nonzero(~np.isnan(scores))
    return pd.DataFrame(
        {"layer": layers + 1, "neuron": neurons + 1, "importance": scores[layers, neurons]}
    )


def show_heads(importance: Importance, kept: np.ndarray) -> None:
    scores = importance.heads.double().numpy()
    relative = st.segmented_control(
        "Colour",
        ["within each layer", "over all layers"],
        default="within each layer",
        key="importance-scale",
        required=True,
        help="Heads are ranked within their layer; over all layers, early layers often outweigh late "
        "ones.",
    )
    shares = scores / np.nansum(scores, axis=1, keepdims=True)
    left, right = st.columns(2, gap="large")
    with left:
        if relative == "over all layers":
            figure = plots.head_importance(scores, title=AXIS, kept=kept)
            code = f"plots.head_importance(scores, title={AXIS!r}, kept=kept)"
        else:
            figure = plots.head_importance(shares, title=SHARE, kept=kept, number=".1%")
            code = (
                "shares = scores / scores.sum(axis=1, keepdims=True)\n"
                f"plots.head_importance(shares, title={SHARE!r}, kept=kept, number='.1%')"
            )
        table = head_table(scores, kept)
        cell = SCORES + KEPT.format(width=width)
        controls.chart(
            figure,
            table=table,
            cell=cell + code,
            key="heads",
            alt="Importance of every head, layers by heads",
        )
        st.caption("✕ marks the heads that this width leaves out.")
    with right:
        controls.chart(
            plots.head_ranking(scores, title=AXIS, kept=kept),
            table=table,
            cell=f"{cell}plots.head_ranking(scores, title={AXIS!r}, kept=kept)",
            key="head-ranking",
            alt="All heads by falling importance",
        )
    with st.expander(f"All {len(table)} heads as a table"):
        st.dataframe(
            table,
            hide_index=True,
            column_config={
                "importance": st.column_config.ProgressColumn(
                    format="%.3g", min_value=0.0, max_value=float(np.nanmax(scores))
                ),
                "share_of_layer": st.column_config.NumberColumn("share of layer", format="percent"),
                "rank_in_layer": "rank in layer",
            },
        )


def show_order(run: Run, importance: Importance, width: float) -> None:
    """Which heads stand where before and after rewiring, and what that is worth at every width."""
    scores = importance.heads.double().numpy()
    after = cache.head_order(run)
    shown = controls.choose_one(
        "Order of the heads",
        "order",
        (REWIRED, PRETRAINED),
        about="A width keeps the first places of every layer.",
    )
    order = after if shown == REWIRED else pretrained_order(after)
    mults = sorted({*controls.reported_mults(run, "width_mult"), width} - {1.0})
    cuts = {mult: max(Subnet(width_mult=mult).resolve(shape).heads) for mult in mults}
    code = "head_order(run.model())"
    controls.chart(
        plots.head_order(order, scores, cuts),
        table=order_table(order, scores),
        cell=f"{SCORES}order = {code if shown == REWIRED else f'pretrained_order({code})'}\n"
        f"plots.head_order(order, scores, {cuts!r})",
        key="order-of-heads",
        alt="Which head stands at which place of every layer",
    )
    held = [
        importance_held(scores, one, list(cuts), shape) for one in (pretrained_order(after), after)
    ]
    parts = [
        f"width {mult:.3g}: {first:.0%} before, **{then:.0%}** after"
        for mult, first, then in zip(cuts, *held, strict=True)
    ]
    st.caption(
        "The number in a tile is a head's number in the pretrained network, its colour its share of "
        "its layer's importance; the orange lines are where widths cut. What the heads left of the cut "
        f"hold of all heads' importance: {'; '.join(parts)} rewiring."
    )


def order_table(order: np.ndarray, scores: np.ndarray) -> pd.DataFrame:
    layers, places = np.nonzero(order >= 0)
    heads = order[layers, places]
    return pd.DataFrame(
        {
            "layer": layers + 1,
            "place": places + 1,
            "head": heads + 1,
            "importance": scores[layers, heads],
        }
    )


def show_neurons(run: Run, importance: Importance, width: float) -> None:
    scores = importance.neurons.double().numpy()
    mults = sorted({*controls.preferred_mults(run, results, "width_mult"), width} - {1.0})
    total = max(shape.neurons)
    cuts = {mult: max(Subnet(width_mult=mult).resolve(shape).neurons) for mult in mults}
    log = st.toggle("Logarithmic", value=True, key="importance-log")
    options = {"title": "importance |Σ ∂L/∂w · w| of a neuron", "log": log, "chosen": width}
    controls.chart(
        plots.neuron_ranking(scores, cuts, **options),
        table=neuron_table(scores),
        cell="scores = run.importance.neurons.double().numpy()\n"
        f"plots.neuron_ranking(scores, {cuts!r}, **{options!r})",
        key="neurons",
        alt="Importance of the neurons of each layer, by rank",
    )
    kept = max(Subnet(width_mult=width).resolve(shape).neurons)
    order = cache.neuron_order(run)
    share = neuron_importance_held(scores, order, width, shape)
    # A later rewiring of a part of a layer leaves the others where they stood.
    sorted_ = all(_falls(row[order[layer][order[layer] >= 0]]) for layer, row in enumerate(scores))
    st.caption(
        f"Width {width:.3g} keeps {kept:,} of {total:,} neurons in every layer"
        + (", the most important ones" if sorted_ else "")
        + f"; they hold {plots.percent(share)} of all neurons' importance."
    )


def _falls(scores: np.ndarray) -> bool:
    return bool((np.diff(scores) <= 0).all())


def show_removals(run: Run, kept: np.ndarray) -> None:
    """The measured effect of removing each head, beside the estimate of it."""
    st.subheader("Is that so? Every head removed in turn")
    st.markdown(
        "Importance is an estimate. Here each head of the trained network is switched off, one at a "
        "time, and its loss and score are measured again on the dev set."
    )
    if jobs.watch(key := f"ablate {cache.run_key(run)}"):
        jobs.offer_stop(key, "stop-removals")
        return
    found = cache.ablation(run)
    if found is None:
        st.caption(
            f"Not measured yet: {plots.span(shape.heads)} heads in each of "
            f"{wording.count(shape.num_layers, 'layer')}, on at most {MOST_EXAMPLES:,} examples. "
            "It goes on while you look elsewhere, and the result is kept with the run."
        )
        if st.button("Measure now", type="primary", icon=":material/play_arrow:"):
            run.check_writable()
            same = cache.run_key(run)
            jobs.start(
                key, f"heads of {run.name}", lambda report: measure_removals(run, same, report)
            )
            st.rerun()
        return
    title = wording.escape(wording.metric_title(found.metric))
    effects = {
        "loss": (found.loss_change, "change of the loss", "Below 0"),
        "metric": (found.metric_change, f"change of {title}", "Above 0"),
    }
    left, right = st.columns(2, gap="large")
    with left:
        shown = st.segmented_control(
            "Without the head",
            list(effects),
            default="loss",
            key="removal-effect",
            format_func=lambda name: wording.capital(effects[name][1]),
            required=True,
        )
        values, effect_title, better = effects[shown]
        controls.chart(
            plots.head_effect(values, title=effect_title, kept=kept),
            table=found.table(),
            cell=f"{KEPT.format(width=width)}"
            f"plots.head_effect(run.ablation.{shown}_change, title={effect_title!r}, kept=kept)",
            key="removals",
            alt=f"{wording.capital(effect_title)} without each head, layers by heads",
        )
        st.caption(
            f"Measured on {found.num_examples:,} {wording.escape(found.split)} examples; with all heads "
            f"the loss is {found.loss:.3f} and {title} {found.score:.3f}. {better}, the network "
            "does better without the head."
        )
    with right:
        titles = (AXIS, "measured mean |change of an example's loss|")
        controls.chart(
            plots.estimate_and_measured(
                found.importance, found.loss_moved, titles=titles, kept=kept
            ),
            table=found.table(),
            cell=f"{KEPT.format(width=width)}found = run.ablation\nplots.estimate_and_measured(\n"
            f"    found.importance, found.loss_moved, titles={titles!r}, kept=kept\n)",
            key="estimate-measured",
            alt="Estimated importance of every head against its measured effect",
        )
        st.caption(cache.ranked_alike(run))


def measure_removals(run: Run, same: tuple[str, int], report: jobs.OnProgress) -> None:
    """Remove each head in turn, in a copy of the model that no visitor looks into meanwhile."""
    known = load_examples(run)
    if known.notices:
        raise UserError(f"nothing was measured: {'; '.join(known.notices)}.")
    found = ablate_heads(
        run.model(),
        known.dev,
        metric=run.info.task.metric,
        num_examples=MOST_EXAMPLES,
        on_progress=lambda done, total: report("examples done", done, total),
    )
    cache.check_same(run, same)
    run.keep_ablation(found)


width = controls.choose_width(run, results)
kept = cache.kept_heads(run, Subnet(width_mult=width))
resolved = Subnet(width_mult=width).resolve(shape)
st.caption(
    f"Width {width:.3g} keeps {plots.span(resolved.heads)} of {plots.span(shape.heads)} heads and "
    f"{plots.span(resolved.neurons)} of {plots.span(shape.neurons)} neurons in every layer."
)

importance = run.importance
if importance is None:
    st.info(
        "This run was not rewired, so no importance was measured: its heads and neurons stand in "
        "the backbone's own order, and a narrower network keeps the first of them, not the best. "
        f"Measure it: `python -m dynabert importance {shlex.quote(run.argument)} --measure`",
        icon=":material/info:",
    )
    st.subheader("Heads that this width keeps")
    controls.chart(
        plots.kept_heads(kept),
        cell=f"{KEPT.format(width=width)}plots.kept_heads(kept)",
        key="kept",
        alt="Heads that the chosen width keeps",
    )
    st.caption("✕ marks the heads that this width leaves out.")
else:
    about = importance.about
    st.caption(
        f"Measured on {wording.grouped(about.get('num_examples', '?'))} "
        f"{wording.escape(about.get('split', ''))} examples, in the network that was then rewired by it."
    )
    st.subheader("Heads")
    show_heads(importance, kept)
    st.subheader("Before and after rewiring")
    show_order(run, importance, width)
    st.subheader("Neurons")
    show_neurons(run, importance, width)
show_removals(run, kept)
