"""What every sub-network answers to a question about a passage."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import pandas as pd
import streamlit as st

from dynabert import plots
from dynabert.analysis.span_answers import SpanAnswer, marked_pieces, span_table
from dynabert.runs import Run
from pages.shared import cache, controls, state, wording


def show(run: Run) -> None:
    """The page, for a run that answers questions."""
    controls.header(
        "What does every sub-network answer?",
        "One question about one passage, all sub-networks: which part of the passage they take for the "
        "answer, how sure they are, and how long it takes them. Blue answers as the full network does, "
        "orange answers otherwise.",
    )
    question, passage = controls.choose_texts(run)
    if not question.strip() or not passage.strip():
        st.info(
            "Type a question and a passage to see what the sub-networks answer.",
            icon=":material/edit:",
        )
        state.end_page()
    subnets = controls.reported_grid(run)
    answers = cache.span_answers(run, question, passage, subnets)
    st.markdown(_verdict(answers))
    with st.container(border=True):
        st.markdown(_marked(passage, answers))
    table = span_table(answers, cache.span_latencies(run, question, passage, subnets), run)
    controls.chart(
        plots.answers(table),
        table=table,
        cell=_cell(run, question, passage, answers),
        key="answers",
        alt="What every sub-network answers, width by depth",
    )
    if table["collapsed"].any():
        st.caption("✕ marks sub-networks that answered every dev question alike.")
    _show_table(run, table)


def in_words(answer: SpanAnswer) -> str:
    """For example "**under the table** (87%)"."""
    text = f"**{wording.escape(answer.text)}**" if answer.text else "nothing"
    return f"{text} ({answer.probability:.0%})"


def _verdict(answers: Sequence[SpanAnswer]) -> str:
    full = answers[0]
    others = [one for one in answers if (one.start, one.end) != (full.start, full.end)]
    if not others:
        return f"Of {wording.count(len(answers), 'sub-network')} all answer {in_words(full)}."
    return (
        f"The full network answers {in_words(full)}. {len(others)} of {len(answers)} answer otherwise; "
        f"the largest of them is {wording.subnet_title(others[0].subnet)}, which says "
        f"{in_words(others[0])}."
    )


def _marked(passage: str, answers: Sequence[SpanAnswer]) -> str:
    """The passage for Markdown, the full network's answer in blue, others' in orange."""
    full, *others = answers
    distinct = [full, *{(one.start, one.end): one for one in others}.values()]
    coloured = [
        (text, "blue" if 0 in numbers else "orange" if numbers else "")
        for text, numbers in marked_pieces(passage, distinct)
    ]
    shown = []
    for colour, pieces in groupby(coloured, key=lambda piece: piece[1]):
        text = "".join(text for text, _ in pieces)
        inner = text.strip()
        if colour and inner:
            # Markdown makes nothing bold that begins or ends with a space.
            before, after = text.split(inner, 1)
            shown.append(f"{before}:{colour}-background[**{wording.escape(inner)}**]{after}")
        else:
            shown.append(wording.escape(text))
    return "".join(shown)


def _cell(run: Run, question: str, passage: str, answers: Sequence[SpanAnswer]) -> str:
    return (
        f"asked = (run.model(), run.tokenizer(), {question!r}, {passage!r})\n"
        "options = {\n"
        f"    'subnets': [Subnet.parse(key) for key in {[one.subnet.key for one in answers]}],\n"
        f"    'max_tokens': {run.info.max_tokens},\n    'doc_stride': {run.info.doc_stride},\n}}\n"
        "table = span_table(\n"
        "    answer_question(*asked, **options), time_answers(*asked, **options), run\n)\n"
        "plots.answers(table)"
    )


def _show_table(run: Run, table: pd.DataFrame) -> None:
    metric = run.info.task.metric
    number = st.column_config.NumberColumn
    st.dataframe(
        table.drop(columns=["width_mult", "depth_mult", "start", "end", "collapsed"]),
        hide_index=True,
        height="content",
        column_config={
            "subnet": "sub-network",
            "probability": st.column_config.ProgressColumn(
                "how sure", format="percent", min_value=0.0, max_value=1.0
            ),
            "latency_ms": number("ms for this passage", format="%.1f"),
            "latency_ms_iqr": number("± quartiles", format="%.1f"),
            "num_params": number("parameters, layers", format="localized"),
            f"dev_{metric}": number(f"dev {wording.metric_title(metric)}", format="%.3f"),
        },
    )
    st.caption(
        "How sure: the probability of the start times that of the end. Time: the median of seven passes "
        "over all windows of the passage in one batch, on the app's machine, when it was first asked about; "
        "other visitors' work slows it."
    )
