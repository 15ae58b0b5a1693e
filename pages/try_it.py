"""What does every sub-network answer?"""

import pandas as pd
import streamlit as st

from dynabert import Subnet, plots
from dynabert.analysis.answers import Answer, first_to_disagree
from dynabert.analysis.choices import find_row
from dynabert.runs import TaskInfo
from dynabert.subnet import PAPER_DEPTHS, PAPER_WIDTHS, SearchSpace
from pages.shared import cache, controls, wording

FAR = 1.0  # apart from the full network's, a number is as unlike as colours can say

run = controls.open_run()
task = run.info.task
results = cache.results(run)

controls.header(
    "What does every sub-network answer?",
    "One text, all sub-networks: what they answer, how sure they are, and how long it takes them. "
    + (
        "Blue answers as the full network does, orange answers otherwise."
        if task.labels
        else f"Blue is the full network's number, orange one that is {FAR:g} or more away."
    ),
)


def grid() -> tuple[Subnet, ...]:
    """The sub-networks that the run reports, the full network among them."""
    recipe = run.info.recipe
    widths, depths = (
        {1.0, *map(float, recipe.get(name) or usual)}
        for name, usual in (("width_mults", PAPER_WIDTHS), ("depth_mults", PAPER_DEPTHS))
    )
    return tuple(SearchSpace(tuple(widths), tuple(depths)))


def label_of(answer: Answer, task: TaskInfo) -> str:
    if task.labels is None:
        return f"{answer.logits[0]:.2f}"
    return task.labels[answer.choice]


def sureness(answer: Answer) -> float:
    return float(answer.probabilities[answer.choice])


def answer_table(answers: list[Answer], task: TaskInfo) -> pd.DataFrame:
    """A row per sub-network, in the order of the answers."""
    rows = []
    for answer in answers:
        row = find_row(results, answer.subnet.resolve(run.config.shape))
        rows.append(
            {
                "subnet": answer.subnet.key,
                "width_mult": answer.subnet.width_mult,
                "depth_mult": answer.subnet.depth_mult,
                "answer": label_of(answer, task),
                "probability": None if task.labels is None else sureness(answer),
                "latency_ms": answer.latency.median_ms,
                "latency_ms_iqr": answer.latency.iqr_ms,
                "num_params": answer.num_params,
                f"dev_{task.metric}": None if row is None else row[task.metric],
                "collapsed": bool(row is not None and row["collapsed"]),
            }
        )
    return pd.DataFrame(rows)


def against(answers: list[Answer], task: TaskInfo) -> list[float]:
    """How far each is from the full network's answer, from -1 to 1; see `plots.answer_grid`."""
    full = answers[0]
    if task.labels is None:
        away = [abs(float(answer.logits[0] - full.logits[0])) for answer in answers]
        return [2 * min(distance / FAR, 1.0) - 1 for distance in away]
    return [
        -sureness(answer) if answer.choice == full.choice else sureness(answer)
        for answer in answers
    ]


def show_verdict(answers: list[Answer], task: TaskInfo) -> None:
    if task.labels is None:
        values = [float(answer.logits[0]) for answer in answers]
        st.markdown(f"The answers lie between **{min(values):.2f}** and **{max(values):.2f}**.")
        return
    full, first = answers[0], first_to_disagree(answers)
    said = f"**{wording.escape(label_of(full, task))}** ({sureness(full):.0%})"
    if first is None:
        st.markdown(f"Of {wording.count(len(answers), 'sub-network')} all answer {said}.")
        return
    others = sum(answer.choice != full.choice for answer in answers)
    st.markdown(
        f"The full network answers {said}. {others} of {len(answers)} answer otherwise; the largest of "
        f"them is width {first.subnet.width_mult:.3g}, depth {first.subnet.depth_mult:.3g}, which says "
        f"**{wording.escape(label_of(first, task))}** ({sureness(first):.0%})."
    )


texts = controls.choose_texts(run)
if not all(text.strip() for text in texts):
    st.info("Type a text to see what the sub-networks answer.", icon=":material/edit:")
    st.stop()
answers, num_cut = cache.answers(run, texts, grid())
if num_cut:
    st.warning(
        f"The text is longer than this model was trained to read: the last {num_cut} tokens are left "
        "out.",
        icon=":material/content_cut:",
    )
show_verdict(answers, task)
table = answer_table(answers, task)
shown = table.assign(
    against=against(answers, task),
    text=[
        text + (f" {probability:.0%}" if task.labels else "") + " ✕" * collapsed
        for text, probability, collapsed in zip(
            table["answer"], table["probability"], table["collapsed"], strict=True
        )
    ],
    hover=[
        f"{row['subnet']}: {row['answer']}, {row['latency_ms']:.1f} ms"
        for row in table.to_dict("records")
    ],
)
controls.chart(
    plots.answer_grid(shown),
    key="answers",
    alt="What every sub-network answers, width by depth",
)
if table["collapsed"].any():
    st.caption("✕ marks sub-networks that gave every dev example the same answer.")
st.dataframe(
    table.drop(columns=["width_mult", "depth_mult", "collapsed"]),
    hide_index=True,
    height="content",
    column_config={
        "subnet": "sub-network",
        "probability": st.column_config.ProgressColumn(
            "how sure", format="percent", min_value=0.0, max_value=1.0
        ),
        "latency_ms": st.column_config.NumberColumn("ms for this text", format="%.1f"),
        "latency_ms_iqr": st.column_config.NumberColumn("± quartiles", format="%.1f"),
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
controls.download("Answers (CSV)", table, f"{run.name}-answers.csv")
