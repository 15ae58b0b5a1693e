"""Work that goes on while its visitor does something else.

A page's run ends where its visitor touches a control, and whatever it was computing is lost. A job
runs in a thread of its own instead; every visitor sees the same one, and jobs run one after another,
for two at once would only take turns.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st

from dynabert.errors import UserError
from pages.shared import wording

OnProgress = Callable[[str, int, int], None]  # in words, done, total
Work = Callable[[OnProgress], None]

_WATCH = "500ms"


@dataclass
class Job:
    """One piece of work and how far it has come."""

    title: str
    phase: str = "waiting for other work"
    done: int = 0
    total: int = 1
    error: str | None = None
    finished: bool = False
    phase_started: float = field(default_factory=time.monotonic)

    def progress(self, phase: str, done: int, total: int) -> None:
        if phase != self.phase:
            self.phase, self.phase_started = phase, time.monotonic()
        self.done, self.total = done, max(total, 1)

    @property
    def line(self) -> str:
        """For example "Removing heads: 300 of 1,560, 12 s left"."""
        if not self.done:
            return f"{wording.capital(self.phase)} …"
        left = (time.monotonic() - self.phase_started) * (self.total - self.done) / self.done
        return (
            f"{wording.capital(self.phase)}: {self.done:,} of {self.total:,}, "
            f"{wording.duration(left)} left"
        )


class _Jobs:
    def __init__(self) -> None:
        self.by_key: dict[str, Job] = {}
        self.lock = threading.Lock()
        self.turn = threading.Lock()

    def start(self, key: str, title: str, work: Work) -> None:
        with self.lock:
            if (known := self.by_key.get(key)) and not known.finished:
                return  # another visitor was first
            job = self.by_key[key] = Job(title)
        threading.Thread(target=self._run, args=(job, work), daemon=True, name=title).start()

    def _run(self, job: Job, work: Work) -> None:
        with self.turn:
            job.progress("starting", 0, 1)
            try:
                work(job.progress)
            except (UserError, OSError) as error:
                job.error = str(error)
            except Exception as error:
                job.error = f"{type(error).__name__}: {error}"
                raise  # into the server's log
            finally:
                job.finished = True


@st.cache_resource(show_spinner=False)
def _jobs() -> _Jobs:
    return _Jobs()


def start(key: str, title: str, work: Work) -> None:
    """Begin a piece of work unless it is under way. `work` must not call Streamlit."""
    _jobs().start(key, title, work)


def find(key: str) -> Job | None:
    """The latest work of that key, under way or finished."""
    return _jobs().by_key.get(key)


def watch(key: str) -> bool:
    """Show how far the work of that key has come, or why it failed; whether it is under way."""
    job = find(key)
    if job is None:
        return False
    if job.finished:
        if job.error:
            st.error(wording.sentence(ValueError(job.error)), icon=":material/error:")
        return False
    _progress(key)
    return True


@st.fragment(run_every=_WATCH)
def _progress(key: str) -> None:
    job = find(key)
    if job is None or job.finished:
        st.rerun()  # the whole page: it has something to show now
    st.progress(min(job.done / job.total, 1.0), job.line)
