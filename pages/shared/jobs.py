"""Work that goes on while its visitor does something else.

A page's run ends where its visitor touches a control, and whatever it was computing is lost. A job
runs in a thread of its own instead, and every visitor sees the same one.

Long work is done one piece after another, for two at once would only take turns. Live work (`start_live`)
is short, has a result from the beginning, and is for those who watch it: it goes on beside the long
work, hands its turn to other live work between its steps, and ends when nobody watches any more.
Whoever measures time needs the machine alone.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import streamlit as st

from dynabert.errors import UserError
from pages.shared import wording

OnProgress = Callable[[str, int, int], None]  # in words, done, total
Work = Callable[[OnProgress], None]
LiveWork = Callable[["Job"], None]
Lane = Literal["long", "live"]

_WATCH = "500ms"
_WAITING = "waiting for other work"
UNWATCHED_SECONDS = 2.0  # so long may a page that is drawn anew not look


class AbandonedError(Exception):
    """Nobody wants this work any more."""


class Turns:
    """A lock that is handed on in the order of asking."""

    def __init__(self) -> None:
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, check: Callable[[], None]) -> Iterator[None]:
        """Wait for a turn, keep it inside.  check: called while waiting; may raise to give up."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
        try:
            with self._changed:
                while self._queue[0] is not ticket:
                    self._changed.wait(0.1)
                    check()
            yield
        finally:
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()


@dataclass
class Job:
    """One piece of work and how far it has come."""

    title: str
    lanes: tuple[Lane, ...] = ("long",)
    phase: str = _WAITING
    done: int = 0
    total: int = 1
    found: Any = None  # what live work has so far
    kept_elsewhere: bool = False  # what it found: when it ends well, it is forgotten
    error: str | None = None
    finished: bool = False
    asked_to_stop: bool = False
    watched: bool = False  # whether it ends when nobody watches any more
    phase_started: float = field(default_factory=time.monotonic)
    _watchers: dict[str, float] = field(default_factory=dict)  # of live work: when each last looked
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def progress(self, phase: str, done: int, total: int) -> None:
        """Raises AbandonedError where it was asked to stop."""
        self.check_wanted()
        if phase != self.phase:
            self.phase, self.phase_started = phase, time.monotonic()
        self.done, self.total = done, max(total, 1)

    @property
    def is_waiting(self) -> bool:
        """Whether it has not begun."""
        return self.phase == _WAITING and not self.finished

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

    def publish(self, found: Any) -> None:
        """Show those who watch what has been found so far."""
        with self._changed:
            self.found = found
            self._changed.notify_all()

    def look(self, visitor: str) -> None:
        """Note that a visitor watches."""
        self._watchers[visitor] = time.monotonic()

    def leave(self, visitor: str) -> None:
        """Note that a visitor has gone on to something else."""
        self._watchers.pop(visitor, None)

    def wait(self, known: Any, seconds: float) -> None:
        """Return when something else than `known` has been found, or after that time."""
        with self._changed:
            self._changed.wait_for(lambda: self.finished or self.found is not known, seconds)

    def check_wanted(self) -> None:
        """Raises AbandonedError where it was asked to stop."""
        if self.asked_to_stop:
            raise AbandonedError

    def check_watched(self) -> None:
        """Raises AbandonedError where nobody has looked for a while."""
        now = time.monotonic()
        if all(now - looked > UNWATCHED_SECONDS for looked in list(self._watchers.values())):
            raise AbandonedError

    def end(self) -> None:
        with self._changed:
            self.finished = True
            self._changed.notify_all()


class _Jobs:
    def __init__(self) -> None:
        self.by_key: dict[str, Job] = {}
        self.lock = threading.Lock()
        self.turns: dict[Lane, Turns] = {"long": Turns(), "live": Turns()}

    def start(self, key: str, job: Job, work: LiveWork) -> Job:
        with self.lock:
            if (known := self.by_key.get(key)) and not known.finished:
                return known  # another visitor was first
            self.by_key[key] = job
        run = threading.Thread(target=self._run, args=(key, job, work), daemon=True, name=job.title)
        run.start()
        return job

    def _run(self, key: str, job: Job, work: LiveWork) -> None:
        try:
            with self.turn(job):
                job.progress("starting", 0, 1)
                work(job)
        except AbandonedError:
            self.forget(key, job)
        except (UserError, OSError) as error:
            job.error = str(error)
        except Exception as error:
            job.error = f"{type(error).__name__}: {error}"
            raise  # into the server's log
        else:
            if job.kept_elsewhere:
                self.forget(key, job)
        finally:
            job.end()

    @contextmanager
    def turn(self, job: Job) -> Iterator[None]:
        """The job's turn in each of its lanes; in the same order for all, so none block each other."""
        check = job.check_watched if job.watched else job.check_wanted
        with ExitStack() as held:
            for lane in job.lanes:
                held.enter_context(self.turns[lane].turn(check))
            yield

    def forget(self, key: str, job: Job) -> None:
        with self.lock:
            if self.by_key.get(key) is job:
                del self.by_key[key]


@st.cache_resource(show_spinner=False)
def _jobs() -> _Jobs:
    return _Jobs()


def start(key: str, title: str, work: Work) -> None:
    """Begin a piece of work unless it is under way. `work` must not call Streamlit."""
    _jobs().start(key, Job(title), lambda job: work(job.progress))


def start_alone(key: str, title: str, work: LiveWork) -> None:
    """Begin a piece of work that measures time, unless it is under way: nothing else runs beside it.

    It goes on when nobody watches. `work` must not call Streamlit.
    """
    _jobs().start(key, Job(title, lanes=("long", "live")), work)


def start_live(
    key: str, title: str, visitor: str, steps: Callable[[Job], Iterator[None]], *, alone: bool
) -> Job:
    """Begin live work, or join in watching it. It must not call Streamlit.

    steps: yields wherever it may stop for good or let others go first.
    alone: it measures time, so nothing else may run, and it keeps its turn.
    """
    jobs = _jobs()

    def work(job: Job) -> None:
        # Between two steps the turn goes round; `_run` holds none in this job's lanes.
        todo = steps(job)
        if alone:
            for _ in todo:
                job.check_watched()
            return
        while True:
            with jobs.turns["live"].turn(job.check_watched):
                job.check_watched()
                if next(todo, _END) is _END:
                    return

    lanes: tuple[Lane, ...] = ("long", "live") if alone else ()
    job = Job(title, lanes=lanes, watched=True)
    job.look(visitor)
    joined = jobs.start(key, job, work)
    joined.look(visitor)
    return joined


_END = object()


def find(key: str) -> Job | None:
    """The latest work of that key, under way or finished."""
    return _jobs().by_key.get(key)


def is_at_work(key: str) -> bool:
    """Whether work of that key is under way, or waits for its turn."""
    job = find(key)
    return job is not None and not job.finished


def stop(key: str) -> None:
    """Ask long work to end where it next says how far it is; it is forgotten then."""
    if (job := find(key)) is not None:
        job.asked_to_stop = True


def offer_stop(key: str, widget: str) -> None:
    """A button, of that key, which asks the work of a key to end; then that it does."""
    job = find(key)
    if job is not None and job.asked_to_stop:
        st.caption("It stops.")
    elif st.button("Stop", icon=":material/stop_circle:", key=widget):
        stop(key)
        st.rerun()


def forget(key: str) -> None:
    """Let go of finished work and what it found."""
    jobs = _jobs()
    job = jobs.by_key.get(key)
    if job is not None and job.finished:
        jobs.forget(key, job)


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
