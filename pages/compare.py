"""Which of two runs is better, and where?"""

import numpy as np
import pandas as pd
import streamlit as st

from dynabert import Subnet, plots
from dynabert.analysis.comparison import compare_results, importance_alike, why_not_comparable
from dynabert.runs import Run, list_runs
from pages.shared import cache, controls, state, wording

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
            "There is no second run to compare with. Train one, for example without rewiring: "
            "`python -m dynabert train teaching --recipe fine-tune --name plain`",
            icon=":material/model_training:",
        )
        return None
    given = state.recall("other")
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
        "Sub-networks": str(len(cache.results(one))),
        "Training": wording.duration(sum(info.stage_seconds.values())),
        "Machine": info.machine,
    }


def show_scores(other: Run, metric: str) -> None:
    title = wording.metric_title(metric)
    table = compare_results(cache.results(run), cache.results(other), metric)
    if table.empty:
        st.info("The two runs have evaluated no width and depth in common.")
        return
    better, worse = int((table["difference"] > 0).sum()), int((table["difference"] < 0).sum())
    st.markdown(
        f"Of {wording.count(len(table), 'sub-network')} that both have evaluated, "
        f"**{wording.escape(other.name)}** scores higher in {better} and lower in {worse}; on average by "
        f"{table['difference'].mean():+.3f} {title}."
    )
    most = max(float(table["difference"].abs().max()), 1e-9)
    first, second = f"{metric}_first", f"{metric}_second"
    controls.chart(
        plots.answer_grid(
            table.assign(
                against=table["difference"] / most,
                text=[f"{difference:+.3f}" for difference in table["difference"]],
                hover=[
                    f"{row['subnet_first']}: {row[first]:.3f} and {row[second]:.3f}"
                    for row in table.to_dict("records")
                ],
            )
        ),
        key="differences",
        alt=f"Difference in {title}, width by depth",
    )
    st.caption(
        f"{wording.capital(title)} of {wording.escape(other.name)} minus that of "
        f"{wording.escape(run.name)}: orange where {wording.escape(other.name)} is better."
        + (" Some have collapsed." if table.filter(like="collapsed").to_numpy().any() else "")
    )
    controls.chart(
        plots.quality_of_runs(
            {run.name: cache.results(run), other.name: cache.results(other)},
            metric,
            "num_params",
            metric_title=f"dev {title}",
            cost_title="parameters of the Transformer layers, millions",
            scale=1e6,
        ),
        key="both",
        alt=f"{title} against parameters of both runs",
    )
    controls.download("Comparison (CSV)", table, f"{run.name}-{other.name}.csv")


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
    st.dataframe(
        pd.DataFrame(
            {
                "": facts(run).keys(),
                run.name: facts(run).values(),
                other.name: facts(other).values(),
            }
        ),
        hide_index=True,
        height="content",
    )
    st.subheader("What they score")
    reason = why_not_comparable(run, other)
    if reason is not None:
        st.warning(f"Their scores cannot be compared: {reason}.", icon=":material/warning:")
    if run.info.task.metric == other.info.task.metric:
        show_scores(other, run.info.task.metric)
    show_importance(other)
