"""What optimal subarchitecture extractions of the open run have found, and the start of another."""

from __future__ import annotations

import shlex
from typing import Any

import streamlit as st

from dynabert.errors import UserError
from dynabert.runs import Run
from dynabert.search.ose.folder import (
    PLAIN,
    SUPERNET,
    ExtractionFolder,
    discard_extraction,
    list_extractions,
)
from dynabert.search.ose.plain_report import PlainReport
from dynabert.search.ose.report import Report
from pages.shared import controls, jobs, state, wording
from pages.shared.ose import asking, outcome, plain_outcome


def show(run: Run, *, busy: str | None) -> None:
    """The section: one extraction, or what to do to get one.

    busy: the search or training beside which nothing is timed, in words.
    """
    st.subheader("Optimal subarchitecture extraction")
    st.markdown(
        "The search that found Bort weighs three things at once: parameters *p*, inference cost *i*, error "
        "*e*. It sorts the architectures, tries every ε-th for a moment, and takes the one with the largest "
        "**W** = (share of parameters saved) × (share of inference cost saved) ÷ *e*. Over the sub-networks "
        "of a run nothing is trained: they share their weights."
    )
    if jobs.watch(asking.job_key(run)):
        asking.offer_stop(run)
        return
    found = _found(run)
    if not found:
        _forget("extraction", "epsilon", "round")
        st.info(
            f"Nothing has been extracted from {wording.escape(run.name)} yet.",
            icon=":material/deployed_code:",
        )
    else:
        name = controls.choose_one(
            "Extraction",
            "extraction",
            list(found),
            format_option=lambda name: name if found[name][1] else f"{name} (not done)",
        )
        folder, report = found[name]
        if report is None:
            _forget("epsilon", "round")
            _show_unfinished(run, folder, busy=busy)
        elif isinstance(report, Report):
            outcome.show(run, folder, report)
        else:
            plain_outcome.show(run, folder, report)
        _offer_discard(run, name, folder)
    taken = {folder.name for folder, _ in found.values()}
    asking.offer(run, taken=taken, busy=busy)


Folder = ExtractionFolder[Any, Any]  # of either kind
Found = tuple[Folder, Report | PlainReport | None]


def _found(run: Run) -> dict[str, Found]:
    """Extractions and their reports by name, those that are done first; what is damaged is told."""
    found: dict[str, Found] = {}
    for kind in (SUPERNET, PLAIN):
        for folder in list_extractions(run, kind):
            # Of two kinds with one name both are shown.
            name = folder.name if folder.name not in found else f"{folder.name} ({kind.folder})"
            try:
                found[name] = (folder, folder.report())
            except UserError as error:
                st.warning(wording.sentence(error), icon=":material/broken_image:")
    return dict(sorted(found.items(), key=lambda item: item[1][1] is None))


def _show_unfinished(run: Run, folder: Folder, *, busy: str | None) -> None:
    """How far it came, and how it goes on."""
    trials = wording.count(len(folder.errors()), "trial")
    if folder.is_under_way:
        st.info(
            f"It is being carried out in a terminal, where Ctrl+C stops it: {trials} so far.",
            icon=":material/hourglass_top:",
        )
        return
    st.warning(
        f"This extraction was stopped after {trials}. With the same settings it goes on from there.",
        icon=":material/pause_circle:",
    )
    if folder.kind is PLAIN:
        st.caption(
            "It goes on by the command that began it: "
            f"`python -m dynabert ose-plain {shlex.quote(run.argument)} --name {folder.name} ...`"
        )
    elif state.training_allowed():
        asking.offer_to_go_on(run, folder, busy=busy)


def _offer_discard(run: Run, name: str, folder: Folder) -> None:
    """A button that removes the extraction for good."""
    if not state.training_allowed() or folder.is_under_way:
        return
    with st.popover("Discard this extraction", icon=":material/delete:"):
        st.markdown(f"Forget all that **{wording.escape(name)}** has tried?")
        if st.button("Discard for good", type="primary", key=f"ose-discard-{name}"):
            discard_extraction(folder)
            jobs.forget(asking.job_key(run))  # and why it may have failed
            state.forget("extraction")
            st.rerun()


def _forget(*names: str) -> None:
    for name in names:
        state.forget_quietly(name)
