"""A sub-network as an ONNX file, on the page Take it away."""

from __future__ import annotations

import streamlit as st

from dynabert import Subnet
from dynabert.errors import UserError
from dynabert.export import Format, OnnxArchive, export_command, export_name, onnx_usage
from dynabert.runs import Run
from pages.shared import onnx_archives, wording


def show(run: Run, subnet: Subnet, form: Format, score: float | None) -> None:
    """Make the file when asked, then what was measured of it, and the file itself.

    score: of the sub-network itself on dev; None: it was not evaluated.
    """
    name = export_name(run, subnet, form)
    archive = onnx_archives.made(run, subnet, form)
    if archive is None:
        archive = _make(run, subnet, form)
    if archive is not None:
        _measured(run, archive, score)
        st.download_button(
            wording.escape(f"{name}.zip"),
            archive.content,
            f"{name}.zip",
            "application/zip",
            key=f"onnx-zip-{name}",
            type="primary",
            icon=":material/download:",
            on_click="ignore",
        )
    st.markdown("The same from the command line:")
    st.code(export_command(run, subnet, form=form), language="bash", wrap_lines=True)
    st.markdown("Then, with `onnxruntime` and `transformers` installed, and nothing else:")
    st.code(onnx_usage(run, name), language="python")
    if archive is not None:
        with st.expander("The model card that goes with it"):
            st.code(archive.card, language="markdown", wrap_lines=True)


def _make(run: Run, subnet: Subnet, form: Format) -> OnnxArchive | None:
    """The archive, if it was asked for and could be made."""
    place = st.empty()
    if not place.button(
        "Write the file",
        key="write-onnx",
        type="primary",
        icon=":material/deployed_code:",
        help="It takes about half a minute. Its answers are compared with the network's before you get it"
        + (", and it is scored on the dev examples." if form == "onnx-int8" else "."),
    ):
        return None
    with place.status("Starting …") as status:
        try:
            archive = onnx_archives.make(
                run, subnet, form, on_line=lambda line: status.update(label=_heading(line))
            )
        except UserError as error:
            status.update(label=wording.escape(str(error)), state="error")
            return None
    place.empty()
    return archive


def _heading(line: str) -> str:
    return wording.escape(wording.capital(line)) if line else "Starting …"


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
                f"{found:.3f}",
                None if score is None else f"{found - score:+.3f}",
                help="Scored by ONNX Runtime, against the sub-network in PyTorch.",
                border=True,
                height="stretch",
            )
