"""ONNX files that visitors have asked for: made one at a time while nothing else runs, the latest kept."""

from __future__ import annotations

from collections import OrderedDict

import streamlit as st

from dynabert import Subnet
from dynabert.export import Format, OnnxArchive, onnx_archive
from dynabert.runs import Run
from pages.shared import cache, jobs

MOST_BYTES = 500_000_000  # of those that are kept; the latest always is
MOST_SCORED = 3000  # examples of dev: of more, scoring would take minutes

_Key = tuple[tuple[str, int], str, Format]


@st.cache_resource(show_spinner=False)
def _made() -> OrderedDict[_Key, OnnxArchive]:
    return OrderedDict()


def made(run: Run, subnet: Subnet, form: Format) -> OnnxArchive | None:
    """The archive, where it has been made for this run as it is now."""
    return _made().get((cache.run_key(run), subnet.key, form))


def is_scored(run: Run, form: Format) -> bool:
    """Whether the file of that form is scored when it is made here."""
    info = run.info.task
    return form == "onnx-int8" and info.kind != "spans" and info.num_dev <= MOST_SCORED


def job_key(run: Run, subnet: Subnet, form: Format) -> str:
    return f"onnx {cache.run_key(run)} {subnet.key} {form}"


def start(run: Run, subnet: Subnet, form: Format) -> None:
    """Make it, when no other work is under way: the file is timed. It goes on when nobody watches."""
    key, archives, scored = (cache.run_key(run), subnet.key, form), _made(), is_scored(run, form)

    def work(job: jobs.Job) -> None:
        archive = onnx_archive(
            *(run, subnet, form),
            scored=scored,
            on_line=lambda line: job.progress(line.rstrip(" …") or "starting", 0, 1),
        )
        cache.check_same(run, key[0])
        archives[key] = archive
        while len(archives) > 1 and _num_bytes(archives) > MOST_BYTES:
            archives.popitem(last=False)
        job.kept_elsewhere = True

    jobs.start_alone(job_key(run, subnet, form), f"{subnet.key} of {run.name} as ONNX", work)


def _num_bytes(archives: OrderedDict[_Key, OnnxArchive]) -> int:
    return sum(len(one.content) for one in archives.values())
