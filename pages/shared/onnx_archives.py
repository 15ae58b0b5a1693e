"""ONNX files that visitors have asked for: made one at a time, the latest few kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import streamlit as st

from dynabert import Subnet
from dynabert.export import Format, OnnxArchive, onnx_archive
from dynabert.runs import Run
from pages.shared import cache

MOST_KEPT = 3  # of up to a hundred megabytes each
_LOOK_SECONDS = 0.5

_Key = tuple[tuple[str, int], str, Format]


class _Archives:
    def __init__(self) -> None:
        self.made: OrderedDict[_Key, OnnxArchive] = OrderedDict()
        self.at_work = threading.Lock()


@st.cache_resource(show_spinner=False)
def _archives() -> _Archives:
    return _Archives()


def made(run: Run, subnet: Subnet, form: Format) -> OnnxArchive | None:
    """The archive, where it has been made for this run as it is now."""
    return _archives().made.get(_key(run, subnet, form))


def make(run: Run, subnet: Subnet, form: Format, *, on_line: Callable[[str], None]) -> OnnxArchive:
    """Make it now, when no other is being made.

    on_line: called several times a second with what is at work.

    Raises:
        UserError: it failed.
    """
    archives, key = _archives(), _key(run, subnet, form)
    while not archives.at_work.acquire(timeout=_LOOK_SECONDS):
        on_line("waiting for another visitor's file")
    try:
        if key not in archives.made:
            archives.made[key] = onnx_archive(run, subnet, form, on_line=on_line)
        while len(archives.made) > MOST_KEPT:
            archives.made.popitem(last=False)
        return archives.made[key]
    finally:
        archives.at_work.release()


def _key(run: Run, subnet: Subnet, form: Format) -> _Key:
    return cache.run_key(run), subnet.key, form
