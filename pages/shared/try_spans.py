"""What every sub-network answers to a question about a passage."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dynabert import plots
from dynabert.analysis.span_answers import SpanAnswer, first_to_differ, marked_pieces, span_table
from dynabert.runs import Run
from pages.shared import asked, cache, controls, wording

# Each paragraph runs in its own direction; a word without end breaks.
_PASSAGE = "white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext"
_MARK = "color: inherit; font-weight: 600; background: "
_COLOURS = {"same": "rgba(47, 134, 201, 0.3)", "other": "rgba(230, 126, 0, 0.35)"}


def show(run: Run) -> None:
    """The page, for a run that answers questions."""
    controls.header(
        "What does every sub-network answer?",
        "One question about one passage, all sub-networks: which part of the passage they take for the "
        "answer, how sure they are, and how long it takes them. Blue answers as "
        f"{wording.one_size(run.largest)} does, orange answers otherwise.",
    )
    question, passage = controls.choose_texts(run, "what the sub-networks answer")
    answers = asked.of_all(run, lambda subnets: cache.span_answers(run, question, passage, subnets))
    if num_cut := cache.question_tokens_cut(run, question):
        st.warning(
            f"The question is too long to leave room for the passage: its last "
            f"{wording.count(num_cut, 'token')} {'is' if num_cut == 1 else 'are'} left out.",
            icon=":material/content_cut:",
        )
    st.markdown(_verdict(run, answers))
    opened = asked.of_the_opened(run, answers)
    if opened is not None:
        st.markdown(f"{asked.title(opened.subnet)} {in_words(opened)}.")
    with st.container(border=True):
        st.html(_marked(passage, answers))
    latencies = asked.of_all(
        run, lambda subnets: cache.span_latencies(run, question, passage, subnets)
    )
    table = span_table(answers, latencies, run)
    controls.chart(
        plots.answers(table, selected=opened and opened.subnet.key),
        table=table,
        cell=_cell(run, question, passage, answers, opened),
        key="answers",
        alt="What every sub-network answers, width by depth",
    )
    if table["collapsed"].any():
        st.caption("✕ marks sub-networks that answered every dev question alike.")
    _show_table(run, table)


def in_words(answer: SpanAnswer) -> str:
    """For example "**under the table** (87%)"."""
    return f"{_said(answer)} ({_sureness(answer)})"


def _said(answer: SpanAnswer) -> str:
    if not answer.text.strip():
        return "nothing"
    text = wording.escape(answer.text)
    if any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in answer.text):
        # Or what follows would be drawn from right to left as well.
        text = f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}"
    return f"**{text}**"


def _sureness(answer: SpanAnswer) -> str:
    return wording.escape(plots.percent(answer.probability))


def _verdict(run: Run, answers: Sequence[SpanAnswer]) -> str:
    full, first = answers[0], first_to_differ(answers, run)
    largest = wording.one_size(run.largest)
    if len(answers) == 1:
        return f"{wording.capital(largest)} answers {in_words(full)}; the run reports no other."
    if first is None:
        return (
            f"All {len(answers)} sub-networks answer {_said(full)} ({largest} with "
            f"{_sureness(full)})."
        )
    others = sum(one.text != full.text for one in answers)
    return (
        f"{wording.capital(largest)} answers {in_words(full)}. {others} of {len(answers)} answer otherwise; "
        f"the largest of them is {wording.subnet_title(first.subnet)}, which says {in_words(first)}."
    )


def _marked(passage: str, answers: Sequence[SpanAnswer]) -> str:
    """The passage as HTML with its line ends, the largest sub-network's answer in blue, others' in orange."""
    full = answers[0].text
    shown = []
    for text, numbers in marked_pieces(passage, answers):
        escaped = html.escape(text)
        if numbers:
            kind = "same" if any(answers[number].text == full for number in numbers) else "other"
            title = f"{len(numbers)} of {wording.count(len(answers), 'sub-network')}"
            escaped = f'<mark title="{title}" style="{_MARK}{_COLOURS[kind]}">{escaped}</mark>'
        shown.append(escaped)
    return f'<div style="{_PASSAGE}">{"".join(shown)}</div>'


def _cell(
    run: Run, question: str, passage: str, answers: Sequence[SpanAnswer], opened: SpanAnswer | None
) -> str:
    return (
        f"asked = (run.model(), run.tokenizer(), {question!r}, {passage!r})\n"
        "options = {\n"
        f"    'subnets': [Subnet.parse(key) for key in {[one.subnet.key for one in answers]}],\n"
        f"    'max_tokens': {run.info.max_tokens},\n    'doc_stride': {run.info.doc_stride},\n}}\n"
        "table = span_table(\n"
        "    answer_question(*asked, **options), time_answers(*asked, **options), run\n)\n"
        f"plots.answers(table, selected={opened and opened.subnet.key!r})"
    )


def _show_table(run: Run, table: pd.DataFrame) -> None:
    metric = run.info.task.metric
    number = st.column_config.NumberColumn
    st.dataframe(
        table.assign(
            latency_ms_iqr=table["latency_ms_iqr"] / 2,
            probability=100 * table["probability"].astype(float),
        ).drop(columns=["width_mult", "depth_mult", "start", "end", "collapsed"]),
        hide_index=True,
        height="content",
        column_config={
            "subnet": "sub-network",
            "answer": st.column_config.TextColumn(width="medium"),
            "probability": controls.sureness(),
            "latency_ms": number("ms for this passage", format="%.1f"),
            "latency_ms_iqr": number(
                "±", format="%.1f", help="Half the interquartile range of the passes, in ms."
            ),
            "num_params": number("parameters, layers", format="localized"),
            f"dev_{metric}": number(f"dev {wording.metric_title(metric)}", format="%.3f"),
        },
    )
    st.caption(
        "How sure: the probability of the start times that of the end, among all tokens of a window. "
        "Time: the median of seven passes "
        "over all windows of the passage in one batch, on the app's machine, when it was first asked about; "
        "other visitors' work slows it."
    )
