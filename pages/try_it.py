"""What does every sub-network answer?"""

import streamlit as st

from dynabert import plots
from dynabert.analysis.answers import Answer, answer_table, first_to_disagree
from dynabert.run_info import TaskInfo
from dynabert.words import cut_in_words
from pages.shared import asked, cache, controls, state, try_spans, wording

run = controls.open_run()
task = run.info.task
if task.kind == "spans":
    try_spans.show(run)
    state.end_page()
results = cache.results(run)
largest = wording.one_size(run.largest)

controls.header(
    "What does every sub-network answer?",
    "One text, all sub-networks: what they answer, how sure they are, and how long it takes them. "
    + (
        f"Blue answers as {largest} does, orange answers otherwise."
        if task.labels
        else f"Blue is the number of {largest}, orange one that is {plots.FAR:g} or more away."
    ),
)


def label_of(answer: Answer, task: TaskInfo) -> str:
    if task.labels is None:
        return f"{answer.logits[0]:.2f}"
    return task.labels[answer.choice]


def _sure(answer: Answer) -> str:
    """How sure it is of its answer, for Markdown."""
    return wording.escape(plots.percent(float(answer.probabilities[answer.choice])))


def show_verdict(answers: list[Answer], task: TaskInfo) -> None:
    if task.labels is None:
        values = [float(answer.logits[0]) for answer in answers]
        between = f"; all {len(values)} lie between **{min(values):.2f}** and **{max(values):.2f}**"
        st.markdown(
            f"{wording.capital(largest)} answers **{values[0]:.2f}**{between if len(values) > 1 else ''}."
        )
        return
    full, first = answers[0], first_to_disagree(answers)
    said = f"**{wording.escape(label_of(full, task))}** ({_sure(full)})"
    if len(answers) == 1:
        st.markdown(f"{wording.capital(largest)} answers {said}; the run reports no other.")
        return
    if first is None:
        st.markdown(
            f"All {len(answers)} sub-networks answer **{wording.escape(label_of(full, task))}** ("
            f"{largest} with {_sure(full)})."
        )
        return
    others = sum(answer.choice != full.choice for answer in answers)
    st.markdown(
        f"{wording.capital(largest)} answers {said}. {others} of {len(answers)} answer otherwise; the "
        f"largest of them is {wording.subnet_title(first.subnet)}, which says "
        f"**{wording.escape(label_of(first, task))}** ({_sure(first)})."
    )


texts = controls.choose_texts(run, "what the sub-networks answer")
answers = asked.of_all(run, lambda subnets: cache.answers(run, texts, subnets)[0])
num_cut = cache.answers(run, texts, tuple(run.recipe_grid))[1]
if num_cut:
    st.warning(
        cut_in_words(num_cut, run.info.max_tokens, pair=task.is_pair),
        icon=":material/content_cut:",
    )
show_verdict(answers, task)
opened = asked.of_the_opened(run, answers)
if opened is not None:
    sure = f" ({_sure(opened)})" if task.labels else ""
    said = f"**{wording.escape(label_of(opened, task))}**"
    st.markdown(f"{asked.title(opened.subnet)} {said}{sure}.")
table = answer_table(answers, run)
controls.chart(
    plots.answers(table, selected=opened and opened.subnet.key),
    table=table,
    cell=f"subnets = [Subnet.parse(key) for key in {[answer.subnet.key for answer in answers]}]\n"
    f"answers, _ = answer_all(run.model(), run.tokenizer(), {list(texts)!r}, subnets,\n"
    "    max_tokens=run.info.max_tokens)\n"
    f"plots.answers(answer_table(answers, run), selected={opened and opened.subnet.key!r})",
    key="answers",
    alt="What every sub-network answers, width by depth",
)
if table["collapsed"].any():
    st.caption("✕ marks sub-networks that gave every dev example the same answer.")
st.dataframe(
    table.assign(
        latency_ms_iqr=table["latency_ms_iqr"] / 2,
        probability=100 * table["probability"].astype(float),
    ).drop(
        columns=["width_mult", "depth_mult", "value", "collapsed"]
        + ([] if task.labels else ["probability"])  # a number has none
    ),
    hide_index=True,
    height="content",
    column_config={
        "subnet": "sub-network",
        "probability": controls.sureness(),
        "latency_ms": st.column_config.NumberColumn("ms for this text", format="%.1f"),
        "latency_ms_iqr": st.column_config.NumberColumn(
            "±", format="%.1f", help="Half the interquartile range of the passes, in ms."
        ),
        "num_params": st.column_config.NumberColumn("parameters, layers", format="localized"),
        f"dev_{task.metric}": st.column_config.NumberColumn(
            f"dev {wording.metric_title(task.metric)}", format="%.3f"
        ),
    },
)
st.caption(
    "Time: the median of seven passes in a batch of one, on the app's machine, when this text was first "
    "asked about; other visitors' work slows it."
)
