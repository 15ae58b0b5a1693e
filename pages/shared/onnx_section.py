"""A sub-network as an ONNX file, on the page Take it away."""

from __future__ import annotations

import streamlit as st

from dynabert import Subnet
from dynabert.export import Format, OnnxArchive, export_command, export_name, onnx_usage
from dynabert.runs import Run
from pages.shared import controls, jobs, live, onnx_archives, wording


def show(run: Run, subnet: Subnet, form: Format, score: float | None) -> None:
    """Make the file when asked, then what was measured of it, and the file itself.

    score: of the sub-network itself on dev; None: it was not evaluated.
    """
    name = export_name(run, subnet, form)
    # Asked before it is looked for: it may be finished at any moment.
    at_work = jobs.watch(key := onnx_archives.job_key(run, subnet, form))
    archive = onnx_archives.made(run, subnet, form)
    if at_work:
        jobs.offer_stop(key, "stop-onnx")
    elif archive is None:
        _offer(run, subnet, form)
    else:
        _measured(run, archive, score)
        controls.download_zip(name, lambda: archive.content, f"onnx-zip-{name}")
    st.markdown("The same from the command line:")
    st.code(export_command(run, subnet, form=form), language="bash", wrap_lines=True)
    st.markdown("Then, with `onnxruntime` and `transformers` installed, and nothing else:")
    st.code(onnx_usage(run, name), language="python")
    if archive is not None:
        with st.expander("The model card that goes with it"):
            st.code(archive.card, language="markdown", wrap_lines=True)


def _offer(run: Run, subnet: Subnet, form: Format) -> None:
    """Make the file when asked."""
    busy = live.busy()
    about = "It takes about half a minute. Its answers are compared with the network's before you get it"
    if onnx_archives.is_scored(run, form):
        about += ", and it is scored on the dev examples."
    elif form == "onnx-int8":
        about += ". Scoring it on dev would take long: the command below does that."
    else:
        about += "."
    if busy is not None:
        about = f"Not while {wording.escape(busy)} is at work: the file is timed, too."
    if st.button(
        "Write the file",
        key="write-onnx",
        type="primary",
        icon=":material/deployed_code:",
        help=about,
        disabled=busy is not None,
    ):
        onnx_archives.start(run, subnet, form)
        st.rerun()


def _measured(run: Run, archive: OnnxArchive, score: float | None) -> None:
    task = run.info.task
    with st.container(horizontal=True):
        st.metric(
            "Size of the file", f"{archive.num_bytes / 1e6:.1f} MB", border=True, height="stretch"
        )
        faster = archive.latency_ms_torch / archive.latency_ms
        st.metric(
            f"Latency, {archive.tokens} tokens",
            f"{archive.latency_ms:.2f} ms",
            f"{faster:.1f} times as fast as PyTorch",
            delta_color="off",
            delta_arrow="off",
            help=f"Median of one text at a time on this machine; {archive.latency_ms_torch:.2f} ms in "
            "PyTorch, in 32 bits, timed in turn.",
            border=True,
            height="stretch",
        )
        if archive.metrics is not None:
            found = archive.metrics[task.metric]
            st.metric(
                f"Dev {wording.metric_title(task.metric)} of the file",
                "–" if found is None else f"{found:.3f}{wording.collapsed_mark(archive.collapsed)}",
                None if score is None or found is None else f"{found - score:+.3f}",
                help="Scored by ONNX Runtime, against the sub-network in PyTorch.",
                border=True,
                height="stretch",
            )
    if archive.was_busy:
        st.caption("The machine was busy while it was timed: the passes took very different times.")
    if archive.collapsed:
        st.warning(f"This file {wording.COLLAPSED}.", icon=":material/warning:")
    if archive.not_scored is not None:
        st.caption(f"It was not scored: {wording.escape(archive.not_scored)}")
