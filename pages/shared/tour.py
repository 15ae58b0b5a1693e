"""A guided tour: six questions, one after another, each beside the page that answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from dynabert import Subnet
from dynabert.analysis.answers import first_to_disagree
from dynabert.analysis.choices import find_row
from dynabert.runs import Run
from pages.shared import cache, controls, notices, sample_texts, state, wording

NARROW, NARROW_AND_SHALLOW = Subnet(0.25), Subnet(0.25, 0.5)
CLAUSE = "The author that the guards like laughs."
CLAUSE_WRONG = "The author that the guards like laugh."
NEEDS_FAMILY = (
    "The tour asks about the full network and smaller ones beside it, which this run did not train "
    "together. Choose another run in the sidebar."
)


@dataclass(frozen=True)
class Step:
    """One question, where to look, and what the open run answers."""

    page: str  # its file in pages/, without ending
    title: str  # of that page
    question: str
    task: str  # what to do there, for Markdown
    answer: Callable[[Run], str]  # for Markdown; computed when it is asked for
    view: Mapping[str, object] = field(default_factory=dict)  # what the page opens with


def what_is_lost(run: Run) -> str:
    task = run.info.task
    results = cache.reported_results(run).sort_values("num_params")
    small, full = results.iloc[0], results.iloc[-1]
    return (
        f"The full network scores {full[task.metric]:.3f}, the smallest sub-network (width "
        f"{small['width_mult']:.3g}, depth {small['depth_mult']:.3g}) {small[task.metric]:.3f}: "
        f"**{small[task.metric] - full[task.metric]:+.3f}** "
        f"{wording.escape(wording.metric_title(task.metric))} "
        f"for {small['num_params'] / full['num_params']:.0%} of the parameters in the layers."
    )


def which_head_matters(run: Run) -> str:
    if run.importance is None:
        return "Nobody can say: this run was not rewired, so no importance was measured."
    scores = run.importance.heads.double().numpy()
    shares = scores / np.nansum(scores, axis=1, keepdims=True)
    layer, head = np.unravel_index(np.nanargmax(shares), shares.shape)
    said = (
        f"Head {head + 1} of layer {layer + 1} holds **{shares[layer, head]:.0%}** of its layer's "
        "importance, more than any other head does of its own."
    )
    found = cache.ablation(run)
    if found is None:
        return f"{said} Whether the network needs it is not measured yet; “Measure now” does that."
    moved = found.loss_moved[layer, head]
    rank = int((found.loss_moved > moved).sum()) + 1
    return (
        f"{said} Without it the loss of a dev example moves by {moved:.3f} on average, the "
        f"{wording.ordinal(rank)} most of {np.isfinite(found.loss_moved).sum()} heads. "
        f"{cache.ranked_alike(run)}"
    )


def who_looks_back(run: Run) -> str:
    counts = {
        name: int(
            (cache.functions(run, sample_texts.SENTENCE, subnet).labels() == "previous token").sum()
        )
        for name, subnet in (("full", Subnet()), ("narrow", NARROW))
    }
    there = cache.kept_heads(run, NARROW).sum()
    return (
        f"In this sentence **{counts['full']}** of {cache.kept_heads(run, Subnet()).sum()} heads of the full "
        f"network look mainly at the token before, and **{counts['narrow']}** of the {there} that width 0.25 "
        "keeps. One sentence proves little: the page Function fusion measures it over many."
    )


def who_takes_over(run: Run) -> str:
    said = []
    for name, subnet in (
        ("a quarter of the width", NARROW),
        ("a quarter of the width and half of the depth", NARROW_AND_SHALLOW),
    ):
        fusion = cache.fusion(run, None, subnet)
        low, high = fusion.interval
        verdict = "above" if low > 0 else "below" if high < 0 else "not to be told from"
        said.append(
            f"With {name}, fusion is {fusion.mean:+.3f} and chance {fusion.chance_mean:+.3f}: **{verdict}** "
            f"chance (difference {fusion.above_chance:+.3f}, 95 % interval {low:+.3f} to {high:+.3f})."
        )
    return " ".join([*said, "These are means over all removed heads; single heads may differ."])


def narrow_or_shallow(run: Run) -> str:
    metric, shape = run.info.task.metric, run.config.shape
    rows = [
        find_row(cache.results(run), subnet.resolve(shape))
        for subnet in (Subnet(0.5), Subnet(1, 0.5))
    ]
    narrow, shallow = rows
    if narrow is None or shallow is None:
        return "Width 0.5 or depth 0.5 is not evaluated yet; choose each of them, and it will be."
    return (
        f"Half of the width scores **{narrow[metric]:.3f}** with {narrow['num_params'] / 1e6:.2f} M "
        f"parameters in the layers, half of the depth **{shallow[metric]:.3f}** with "
        f"{shallow['num_params'] / 1e6:.2f} M."
    )


def who_disagrees_first(run: Run) -> str:
    columns = run.info.task.text_columns
    if run.info.task.kind == "spans":
        subnets = tuple(run.recipe_grid)
        answers = cache.span_answers(run, CLAUSE, CLAUSE_WRONG, subnets)
        others = sum(one.text != answers[0].text for one in answers)
        return (
            f"This run answers questions about a passage, so ask it one. Of {len(answers)} sub-networks "
            f"{others} take another part of this one than the full network does."
        )
    texts = (CLAUSE,) if len(columns) == 1 else (CLAUSE, CLAUSE_WRONG)
    answers, _ = cache.answers(run, texts, tuple(run.recipe_grid))
    labels = run.info.task.labels
    if labels is None:
        values = [float(answer.logits[0]) for answer in answers]
        return f"The answers lie between {min(values):.2f} and {max(values):.2f}."
    full, first = answers[0], first_to_disagree(answers)
    said = f"The full network answers **{wording.escape(labels[full.choice])}** to it"
    if first is None:
        return f"{said}, and so do all sub-networks."
    return (
        f"{said}. The largest sub-network to answer otherwise is width {first.subnet.width_mult:.3g}, depth "
        f"{first.subnet.depth_mult:.3g}: **{wording.escape(labels[first.choice])}**."
    )


STEPS = (
    Step(
        "overview",
        "Overview",
        "How much does the smallest sub-network lose?",
        "Find the score of the full network and that of the smallest one in the coloured grid. One set of "
        "weights gives all of them.",
        what_is_lost,
    ),
    Step(
        "importance",
        "Importance",
        "Which head matters most, and is that true?",
        "Look for the brightest head of the map. Then look further down, where every head was removed in "
        "turn: does the estimate hold?",
        which_head_matters,
        {"w": 0.25},
    ),
    Step(
        "attention",
        "Attention",
        "Which heads look at the token before, and which of them stay?",
        "A head that looks back draws a bright line below the diagonal. Find some in the full network, then "
        "drag the width down and see which of them are crossed out.",
        who_looks_back,
        {"text": sample_texts.SENTENCE, "w": 0.25, "d": 1.0},
    ),
    Step(
        "fusion",
        "Function fusion",
        "Do the heads that are left take over what the others did?",
        "The paper's Figure 5 says so with pictures. Compare *fusion* with *chance* in the table: only what "
        "is above chance was taken over.",
        who_takes_over,
        {"set": "teaching sentences", "beside": "the paper's Figure 5"},
    ),
    Step(
        "accuracy",
        "Accuracy and size",
        "Is it better to be narrow or to be shallow?",
        "Half of the width and half of the depth cost about the same. Choose each in turn and compare the "
        "scores.",
        narrow_or_shallow,
        {"w": 0.5, "d": 1.0},
    ),
    Step(
        "try_it",
        "Try it",
        "Where do the sub-networks begin to disagree?",
        "The verb belongs to *author*, not to the guards that stand nearer. Change *laughs* to *laugh*: "
        "which sub-networks notice?",
        who_disagrees_first,
        {"text": CLAUSE, "text2": CLAUSE_WRONG},
    ),
)


def go_to(number: int) -> None:
    """Open a step, counted from 1."""
    step = STEPS[number - 1]
    state.change("tour", number)
    for name, value in step.view.items():
        state.change(name, value)
    st.switch_page(f"pages/{step.page}.py")


def show(page: str) -> None:
    """The step that the visitor is at, above the page that is open; nothing for those on no tour.

    page: its address, empty for the first.
    """
    given = state.recall("tour")
    if given is None:
        return
    if given not in map(str, range(1, len(STEPS) + 1)):
        notices.fell_back("step of the tour", given, "the tour is over")
        state.forget("tour")
        return
    number = int(given)
    step = STEPS[number - 1]
    with st.container(border=True, key="tour"):
        st.markdown(f"**Tour, {number} of {len(STEPS)}: {step.question}**  \n{step.task}")
        answer = st.expander("Show the answer", key=f"tour-answer-{number}", on_change="rerun")
        if answer.open:
            with answer, st.spinner("Measuring …"):
                run = controls.open_run()
                st.markdown(step.answer(run) if run.is_family else NEEDS_FAMILY)
        with st.container(horizontal=True):
            if (page or "overview") != step.page and st.button(
                f"Back to {step.title}", key="tour-return", icon=":material/undo:"
            ):
                go_to(number)
            if number > 1 and st.button("Back", key="tour-back", icon=":material/arrow_back:"):
                go_to(number - 1)
            if number < len(STEPS) and st.button(
                "Next question", key="tour-next", type="primary", icon=":material/arrow_forward:"
            ):
                go_to(number + 1)
            st.button("End the tour", key="tour-end", type="tertiary", on_click=end)


def end() -> None:
    """Take the tour off the page, from a callback."""
    state.forget("tour")
