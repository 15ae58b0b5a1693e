"""Making an ONNX file in a process of its own.

To export, torch turns a whole process into one that exports; other visitors of a server must not notice.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dynabert.export.card import CARD
from dynabert.export.folder import zip_folder
from dynabert.export.naming import Format, export_name
from dynabert.processes import run_apart
from dynabert.runs import Run
from dynabert.subnet import Subnet


@dataclass(frozen=True, kw_only=True)
class OnnxArchive:
    """A zipped folder with an ONNX file, and what was found out about it."""

    content: bytes
    card: str
    num_bytes: int  # of the ONNX file
    metrics: (
        dict[str, float | None] | None
    )  # of the file on dev; None: it was not scored, or has none
    collapsed: bool | None  # gives every dev example the same answer; None: it was not scored
    not_scored: str | None  # why, where it was to be
    tokens: int
    latency_ms: float
    latency_ms_torch: float
    was_busy: bool  # the machine, while it was timed


def onnx_archive(
    run: Run,
    subnet: Subnet,
    form: Format,
    *,
    scored: bool = True,
    on_line: Callable[[str], None],
) -> OnnxArchive:
    """The files of `export_onnx` in a zip archive, in one folder named after run and sub-network.

    scored: score an 8-bit file on dev.
    on_line: called several times a second with what is at work; what it raises ends the process.

    Raises:
        UserError: it failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / export_name(run, subnet, form)
        arguments = ["extract", str(run.folder), "--subnet", subnet.key, "--format", form]
        if form == "onnx-int8" and not scored:
            arguments.append("--no-score")
        found = json.loads(run_apart([*arguments, "--json", "--out", str(folder)], on_line=on_line))
        return OnnxArchive(
            content=zip_folder(folder),
            card=(folder / CARD).read_text(encoding="utf-8"),
            num_bytes=found["bytes"],
            metrics=found["metrics"],
            collapsed=found["collapsed"],
            not_scored=found["not_scored"],
            tokens=found["tokens"],
            latency_ms=found["latency_ms"],
            latency_ms_torch=found["latency_ms_torch"],
            was_busy=found["was_busy"],
        )
