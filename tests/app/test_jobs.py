"""Live work: who watches it, and whose turn it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import streamlit as st

from pages.shared import jobs

SECONDS = 60.0  # a busy machine is slow, not wrong


@pytest.fixture(autouse=True)
def _no_jobs() -> None:
    st.cache_resource.clear()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def test_live_work_takes_turns_step_by_step():
    order: list[str] = []
    gate = threading.Event()

    def steps(name: str):
        def work(job: jobs.Job) -> Iterator[None]:
            gate.wait(SECONDS)
            for number in range(3):
                order.append(f"{name}{number}")
                job.publish(number)
                yield

        return work

    waiting = jobs._jobs().turns["live"]._queue
    first = jobs.start_live("a", "a", "one", steps("a"), alone=False)
    until(lambda: len(waiting) == 1)  # it holds its turn
    second = jobs.start_live("b", "b", "two", steps("b"), alone=False)
    until(lambda: len(waiting) == 2)
    gate.set()
    until(lambda: first.finished and second.finished)
    assert order == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert (first.found, second.found) == (2, 2)


def test_work_that_its_visitor_left_ends_and_lets_others_go():
    stopped = threading.Event()

    def endless(job: jobs.Job) -> Iterator[None]:
        while True:
            time.sleep(0.005)
            yield

    def short(job: jobs.Job) -> Iterator[None]:
        stopped.set()
        yield

    left = jobs.start_live("a", "a", "visitor", endless, alone=False)
    left.leave("visitor")
    jobs.start_live("b", "b", "visitor", short, alone=False)
    assert stopped.wait(SECONDS)
    until(lambda: left.finished)
    assert left.error is None
    assert jobs.find("a") is None  # it can begin anew


def test_one_watcher_is_enough(monkeypatch):
    now = 0.0
    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: now))
    steps_done: list[int] = []

    def work(job: jobs.Job) -> Iterator[None]:
        while True:
            time.sleep(0.01)
            steps_done.append(1)
            yield

    job = jobs.start_live("a", "a", "one", work, alone=False)
    assert jobs.start_live("a", "a", "two", work, alone=False) is job
    job.leave("one")
    for _ in range(10):
        now += 0.9 * jobs.UNWATCHED_SECONDS
        before = len(steps_done)
        until(lambda before=before: len(steps_done) >= before + 2)
        job.look("two")
    assert not job.finished
    now += 1.1 * jobs.UNWATCHED_SECONDS  # nobody looks
    until(lambda: job.finished)


def test_what_measures_time_waits_for_long_work_and_live_work_does_not():
    gate, begun = threading.Event(), threading.Event()
    jobs.start("long", "long", lambda report: begun.set() or gate.wait(SECONDS))
    assert begun.wait(SECONDS)

    def once(job: jobs.Job) -> Iterator[None]:
        yield

    quick = jobs.start_live("quick", "quick", "one", once, alone=False)
    until(lambda: quick.finished)
    timed = jobs.start_live("timed", "timed", "one", once, alone=True)
    time.sleep(0.1)
    assert not timed.finished
    gate.set()
    until(lambda: timed.finished)


def test_a_failure_is_told():
    def fails(job: jobs.Job) -> Iterator[None]:
        raise OSError("no such file")
        yield

    job = jobs.start_live("a", "a", "one", fails, alone=False)
    until(lambda: job.finished)
    assert job.error == "no such file"


def test_long_work_that_is_stopped_ends_at_its_next_word_and_lets_others_go():
    begun, gate, kept = threading.Event(), threading.Event(), []

    def long(report: jobs.OnProgress) -> None:
        for number in range(9):
            begun.set()
            gate.wait(SECONDS)
            kept.append(number)
            report("steps", number, 9)

    jobs.start("long", "long", long)
    assert begun.wait(SECONDS)
    jobs.start("waits", "waits", lambda report: kept.append("never"))
    waiting = jobs.find("waits")
    jobs.stop("waits")  # before its turn has come
    until(lambda: waiting.finished)
    jobs.start("next", "next", lambda report: kept.append("next"))
    stopped = jobs.find("long")
    jobs.stop("long")
    assert stopped.asked_to_stop
    gate.set()
    until(lambda: (one := jobs.find("next")) is not None and one.finished)
    assert kept == [0, "next"]
    assert (stopped.finished, stopped.error) == (True, None)
    assert jobs.find("long") is None  # it can begin anew
    jobs.stop("long")  # there is nothing to stop: nothing happens


def test_work_that_measures_time_is_alone_and_goes_on_unwatched():
    gate, order = threading.Event(), []

    def alone(job: jobs.Job) -> None:
        gate.wait(5)
        order.append("alone")
        job.publish("found")

    def live(job: jobs.Job) -> Iterator[None]:
        order.append("live")
        yield

    jobs.start_alone("a", "a", alone)
    until(lambda: jobs.find("a").phase == "starting")
    waiting = jobs.start_live("b", "b", "one", live, alone=False)
    jobs.start("c", "c", lambda report: order.append("long"))
    time.sleep(0.3)
    assert order == []
    gate.set()
    until(lambda: waiting.finished and jobs.find("c").finished)
    assert order[0] == "alone"
    assert sorted(order) == ["alone", "live", "long"]
    assert jobs.find("a").found == "found"
