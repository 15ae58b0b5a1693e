"""What optimal subarchitecture extractions of the open run have found, and the start of another."""

from __future__ import annotations

import streamlit as st

from dynabert.errors import UserError
from dynabert.runs import Run
from dynabert.search.ose.folder import (
    PLAIN,
    SUPERNET,
    ExtractionFolder,
    list_extractions,
)
from dynabert.search.ose.plain_report import PlainReport
from dynabert.search.ose.report import Report
from pages.shared import controls, jobs, state, wording
from pages.shared.ose import asking, outcome, plain_outcome


def show(run: Run, *, may_start: bool) -> None:
    """The section: one extraction, or what to do to get one.

    may_start: whether the machine is free for another.
    """
    st.subheader("Optimal subarchitecture extraction")
    st.markdown(
        "The search that found Bort weighs three things at once: parameters *p*, inference cost *i*, error "
        "*e*. It sorts the architectures, tries every ε-th for a moment, and takes the one with the largest "
        "**W** = (share of parameters saved) × (share of inference cost saved) ÷ *e*. Over the sub-networks "
        "of a run nothing is trained: they share their weights."
    )
    done, unfinished = _reports(run)
    if jobs.watch(asking.job_key(run)):
        return
    if not done:
        for name in ("extraction", "epsilon", "round"):
            state.forget_quietly(name)
        st.info(
            f"Nothing has been extracted from {wording.escape(run.name)} yet.",
            icon=":material/deployed_code:",
        )
    else:
        name = controls.choose_one("Extraction", "extraction", list(done))
        folder, report = done[name]
        if isinstance(report, Report):
            outcome.show(run, folder, report)
        else:
            plain_outcome.show(run, folder, report)
    for name, command in unfinished:
        st.caption(
            f"{wording.escape(name)} is not done; the command that began it goes on with it: "
            f"`python -m dynabert {command} {run.argument} --name {name} ...`"
        )
    if may_start:
        asking.offer(run, taken={*done, *(name for name, _ in unfinished)})


Found = tuple[ExtractionFolder, Report | PlainReport]  # type: ignore[type-arg]


def _reports(run: Run) -> tuple[dict[str, Found], list[tuple[str, str]]]:
    """Reports by name, and the names of extractions that have none, each with its verb."""
    done: dict[str, Found] = {}
    unfinished = []
    for kind, verb in ((SUPERNET, "ose"), (PLAIN, "ose-plain")):
        for folder in list_extractions(run, kind):
            # Of two kinds with one name both are shown.
            name = folder.name if folder.name not in done else f"{folder.name} ({verb})"
            try:
                report = folder.report()
            except UserError as error:
                st.warning(wording.sentence(error), icon=":material/broken_image:")
                continue
            if report is None:
                unfinished.append((folder.name, verb))
            else:
                done[name] = (folder, report)
    return done, unfinished
