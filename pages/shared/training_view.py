"""A training as the page shows it: under way, cut off, or complete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dynabert import Subnet, plots
from dynabert.data.tasks import find_task
from dynabert.errors import UserError
from dynabert.search.background import refuse_beside_search
from dynabert.training import RECIPES, Recipe
from dynabert.training.background import (
    Training,
    discard_training,
    find_training,
    kill_training,
    resume_training,
    stop_training,
)
from dynabert.training.progress import Progress, read_records
from pages.shared import saving, state, wording

_WATCH = "2s"
_PHASES = {
    "importance": ("measuring importance", "example"),
    "score": ("scoring the sub-networks on dev", "example"),
    "evaluate": ("evaluating the sub-networks on dev", "example"),
    "latency": ("measuring latency", "repeat"),
}
_AFTERWARDS = ("evaluate", "latency")


@st.fragment(run_every=_WATCH)
def watch(name: str) -> None:
    """How far the training of that name has come; the whole page is drawn anew when it ends."""
    try:
        training = find_training(name, state.runs_dir())
        if training is None or not training.is_under_way:
            st.rerun()  # the page has something else to show now
        _show(training)
    except UserError as error:  # a fragment that runs on its own is not within app.py's care
        st.error(wording.sentence(error), icon=":material/error:")


def _show(training: Training) -> None:
    st.subheader(f"{wording.escape(training.name)} is being trained")
    st.caption(described(training))
    progress = training.progress
    if training.state == "stopping":
        st.info(
            "It stops when the step or evaluation at work is done and saved.",
            icon=":material/hourglass_top:",
        )
    if training.state == "starting" or progress is None or not progress.number:
        st.progress(0.0, "Loading the backbone and the examples …")
    else:
        st.progress(min(progress.done / max(progress.total, 1), 1.0), line(progress))
        _show_numbers(progress)
    _show_stop(training)
    records = read_records(training.folder / "metrics.jsonl")
    left, right = st.columns([3, 2], gap="large")
    with left:
        _show_curve(training, records)
    with right:
        _show_scores(records)
        _show_stages(training)
    with st.expander("What its process says"):
        tail = training.log_tail()
        st.code(tail or "Nothing so far.", language=None, wrap_lines=True)


def line(progress: Progress) -> str:
    """For example "Stage 3 of 5, width: step 120 of 400"."""
    stage = f"Stage {progress.number} of {progress.num_stages}, {wording.escape(progress.stage)}: "
    if progress.phase == "train":
        if not progress.total:  # a stage without steps, before its first sign of life
            return f"{stage}starting …"
        return f"{stage}step {progress.done:,} of {progress.total:,}"
    what, unit = _PHASES.get(progress.phase, (progress.phase, "part"))
    done = f"{what}, {progress.done:,} of {wording.count(progress.total, unit)}"
    if progress.phase not in _AFTERWARDS:
        return stage + done
    return f"All {wording.count(progress.num_stages, 'stage')} are done: {done}"


def described(training: Training) -> str:
    """What it was asked for, in one line."""
    request = training.request
    if request is None:
        return "Started in a terminal."
    examples = "all" if request.num_train is None else f"{request.num_train:,}"
    return wording.escape(
        f"{find_task(request.task).title}, {examples} training examples; backbone {request.backbone}; "
        f"recipe {request.recipe}; seed {request.seed}"
    )


def stages_in_words(recipe: Recipe, current: int = 0) -> str:
    """A numbered list.  current: the stage, from 1, to be marked as the one at work."""
    lines = []
    for number, stage in enumerate(recipe.stages, start=1):
        mark = " *(now)*" if number == current else " *(done)*" if number < current else ""
        words = wording.escape(wording.stage_in_words(stage))
        lines.append(f"{number}. **{wording.escape(stage.name)}**{mark}: {words}")
    return "\n".join(lines)


def _show_numbers(progress: Progress) -> None:
    rate, left = progress.examples_per_second, progress.seconds_left
    with st.container(horizontal=True):
        st.metric(
            "Training loss",
            "–" if progress.loss is None else f"{progress.loss:.4f}",
            help="Mean over the stage's sub-networks and the last ten steps. Stages minimise different "
            "losses: only those of one stage compare.",
            border=True,
        )
        st.metric(
            "Examples per second",
            "–" if rate is None else f"{rate:,.1f}",
            help="Training examples; each passes through all sub-networks of the stage.",
            border=True,
        )
        st.metric(
            "Left in this stage",
            "–" if left is None else wording.duration(left),
            help="At the present rate, the evaluations included.",
            border=True,
        )


def _show_curve(training: Training, records: Sequence[dict[str, Any]]) -> None:
    if not records:
        st.caption("The first losses come after ten steps.")
        return
    saving.chart(
        plots.training_curve(records, metric_title=wording.metric_title(_metric(records))),
        run=None,
        key="training-curve",
        alt=f"{training.name}: training loss and dev metric over the optimiser steps, so far",
    )


def _metric(records: Sequence[dict[str, Any]]) -> str:
    return next((str(record["metric"]) for record in records if "metric" in record), "metric")


def _show_scores(records: Sequence[dict[str, Any]]) -> None:
    judged = [record for record in records if record.get("event") == "evaluation"]
    if not judged:
        return
    last = judged[-1]
    st.markdown(
        f"**Dev {wording.metric_title(_metric(judged))} of the sub-networks**, stage "
        f"{wording.escape(last['stage'])}, step {last['step']:,}"
    )
    subnets = {key: Subnet.parse(key) for key in last["scores"]}
    table = pd.DataFrame(
        {
            "depth": [f"depth {subnet.depth_mult:.3g}" for subnet in subnets.values()],
            "width": [f"width {subnet.width_mult:.3g}" for subnet in subnets.values()],
            "score": [
                f"{score:.3f}" + (" ✕" if key in last["collapsed"] else "")
                for key, score in last["scores"].items()
            ],
        }
    )
    grid = table.pivot(index="depth", columns="width", values="score").fillna("")
    order = (table["depth"].drop_duplicates(), table["width"].drop_duplicates())
    st.table(grid.loc[order[0], order[1]].rename_axis(None).rename_axis(None, axis="columns"))
    if last["collapsed"]:
        st.caption("✕ collapsed: the same answer for every example.")


def _show_stages(training: Training) -> None:
    if training.request is None or training.progress is None:
        return
    progress = training.progress
    over = progress.phase in _AFTERWARDS
    with st.expander(f"The stages of the recipe {wording.escape(training.request.recipe)}"):
        recipe = RECIPES[training.request.recipe]
        st.markdown(stages_in_words(recipe, progress.number + over))


def _show_stop(training: Training) -> None:
    if not state.training_allowed():
        return
    if training.request is None:
        st.caption("It was started in a terminal, where Ctrl+C stops it.")
        return
    if training.state == "stopping":
        stop, label, key = kill_training, "Stop at once", "train-kill"
        about = (
            "Without saving: what came after the last saved state, a minute at most, is done again."
        )
    else:
        stop, label, key = stop_training, "Stop", "train-stop"
        about = (
            "Its state is saved; it can be resumed, with the same result as if it had not stopped."
        )
    if st.button(label, icon=":material/stop_circle:", help=about, key=key):
        stop(training.name, state.runs_dir())
        st.rerun()


def show_unfinished(training: Training, *, busy: str | None) -> None:
    """A training that was cut off, and what can be done with it.  busy: what else is at work, in words."""
    name, progress = training.name, training.progress
    with st.container(border=True):
        st.markdown(
            f"**{wording.escape(name)}** "
            + ("was stopped." if training.state == "stopped" else "ended before it was complete.")
        )
        st.caption(described(training))
        if progress is not None and progress.number:
            reached = line(progress)
            st.caption(f"It came to {reached[:1].lower()}{reached[1:]}.")
        if training.state == "died":
            _show_death(training)
        if not state.training_allowed():
            return
        with st.container(horizontal=True):
            if training.request is not None and st.button(
                "Resume",
                key=f"train-resume-{name}",
                icon=":material/play_arrow:",
                disabled=busy is not None,
                help="It goes on where it stopped."
                if busy is None
                else f"Not while {wording.escape(busy)} is at work.",
            ):
                refuse_beside_search(state.runs_dir())
                resume_training(name, state.runs_dir())
                state.change("training", name)
                st.rerun()
            with st.popover("Discard", icon=":material/delete:"):
                st.markdown(f"Forget what **{wording.escape(name)}** has learned so far?")
                if st.button("Discard for good", type="primary", key=f"train-discard-{name}"):
                    discard_training(name, state.runs_dir())
                    state.forget("training")
                    st.rerun()
        if training.request is None and training.command:
            st.caption("It was started in a terminal; the same command goes on where it stopped:")
            st.code(training.command, language="bash", wrap_lines=True)


def _show_death(training: Training) -> None:
    tail = training.log_tail(8)
    if tail:
        st.markdown("The last lines that its process wrote:")
        st.code(tail, language=None, wrap_lines=True)
    st.caption(
        "If they name a cause, mend it. If they do not, the process was killed, or the machine was short of "
        "memory or switched off. Resuming goes on from the last saved state."
    )


def show_complete(name: str) -> None:
    """A training that has become a run."""
    st.success(f"{wording.escape(name)} is trained.", icon=":material/check_circle:")
    if st.button("See what it has learned", type="primary", key="train-open"):
        state.change("run", name)
        state.forget("training")
        st.switch_page("pages/overview.py")
