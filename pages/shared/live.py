"""Scores and latencies of sub-networks, measured while the visitor looks on."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

import streamlit as st
import torch

from dynabert import Subnet
from dynabert.data.encoding import Encoded
from dynabert.evaluation import (
    Estimate,
    Latency,
    LatencySetup,
    evaluate_gradually,
    measure_latency,
)
from dynabert.evaluation.quality import metric_on
from dynabert.evaluation.table import result_row
from dynabert.runs import Run
from dynabert.search.background import busy_with
from pages.shared import cache, found, jobs, state

SLOW_SECONDS = 20.0  # an evaluation that takes longer waits for its visitor to ask for it
FIRST_SECONDS = 0.2
_TICK = 0.05
_NOTHING = object()  # not even that nothing has been found yet
_VISITOR, _WATCHED = "live-visitor", "live-watched"

Draw = Callable[[jobs.Job], None]


def busy() -> str | None:
    """The training or search that this machine is at work on, in words, if the app knows of one.

    Whatever is timed meanwhile comes out too long.
    """
    return busy_with(state.runs_dir())


def evaluation_key(run: Run, subnet: Subnet) -> str:
    return f"evaluate {cache.run_key(run)} {subnet.key}"


def latency_key(run: Run, subnet: Subnet) -> str:
    return f"latency {cache.run_key(run)} {subnet.key}"


def start_evaluation(run: Run, subnet: Subnet, *, however_long: bool) -> jobs.Job:
    """Evaluate on the dev set; publishes `Estimate`s. The examples must be at hand (`why_not`).

    however_long: go on also where it is found to take longer than `SLOW_SECONDS`.
    """
    known, model, store, same = (
        cache.examples(run),
        cache.model(run),
        found.store(),
        cache.run_key(run),
    )
    tokens = int(cache.results(run)["tokens"].iloc[0])

    def steps(job: jobs.Job) -> Iterator[None]:
        def read(split: Encoded) -> Iterator[Estimate]:
            return evaluate_gradually(
                *(model, split, subnet),
                metrics=run.info.task.metrics,
                generator=torch.Generator().manual_seed(run.info.seed),
                on_batch=job.check_watched,
            )

        estimates = read(known.dev)
        pace = _Pace(known.num_dev / known.dev.num_examples)
        while True:
            pace.begin()
            estimate = next(estimates)
            pace.end(estimate)
            job.progress("evaluating", estimate.num_read, estimate.num_examples)
            if estimate.evaluation is not None:
                break
            job.publish(estimate)
            if not however_long and pace.is_slow:
                store.slow[same] = pace.whole
                return
            yield
        job.publish(estimate)
        store.add((same, subnet.resolve(run.config.shape)), estimate.evaluation)
        row = result_row(model, estimate.evaluation, None, LatencySetup(tokens=tokens))
        if known.other_dev:  # nothing is lost where its visitor leaves meanwhile
            found.keep_row(run, same, row, replace=False)
        for name, split in known.other_dev.items():
            for estimate in read(split):
                job.progress(f"evaluating, {name}", estimate.num_read, estimate.num_examples)
                if estimate.evaluation is not None:
                    scores = estimate.evaluation.metrics
                    row |= {metric_on(name, metric): scores[metric] for metric in scores}
                yield
        found.keep_row(run, same, row, replace=bool(known.other_dev))
        job.kept_elsewhere = True

    return _start(evaluation_key(run, subnet), f"{subnet.key} of {run.name}", steps, alone=False)


def start_latency(
    run: Run, subnet: Subnet, setup: LatencySetup, keep: Callable[[Latency], None]
) -> jobs.Job:
    """Measure the latency of a sub-network.  keep: what becomes of it."""
    model = cache.model(run)

    def steps(job: jobs.Job) -> Iterator[None]:
        def report(done: int) -> None:
            job.progress("measuring latency", done, setup.repeats)
            job.check_watched()

        (latency,) = measure_latency(model, [subnet], setup, on_repeat=report)
        keep(latency)
        job.kept_elsewhere = True
        yield

    return _start(
        latency_key(run, subnet), f"latency of {subnet.key} of {run.name}", steps, alone=True
    )


class _Pace:
    """How fast a sub-network reads, without the time in which others had their turn."""

    def __init__(self, all_of_it: float) -> None:
        """all_of_it: how many times what is read first must be read in all."""
        self._all = all_of_it
        self.blocks, self.share, self.whole = 0, 0.0, 0.0
        self.suspected = False
        self._began = 0.0

    def begin(self) -> None:
        self._began = time.monotonic()

    def end(self, estimate: Estimate) -> None:
        seconds = time.monotonic() - self._began
        self.blocks += 1
        self.whole = self._all * seconds / max(estimate.share_of_tokens - self.share, 1e-9)
        self.share = estimate.share_of_tokens

    @property
    def is_slow(self) -> bool:
        """Whether all will take too long, by the speed of the first block.

        A process has much to set up before its first one, so the second must agree.
        """
        if self.blocks == 1:
            self.suspected = self.whole > SLOW_SECONDS
        return self.blocks == 2 and self.suspected and self.whole > SLOW_SECONDS


def _start(
    key: str, title: str, steps: Callable[[jobs.Job], Iterator[None]], *, alone: bool
) -> jobs.Job:
    st.session_state.setdefault(_WATCHED, set()).add(key)
    return jobs.start_live(key, title, _visitor(), steps, alone=alone)


def stay_with(keys: set[str]) -> None:
    """Stop watching all work but this: what nobody watches ends."""
    watched: set[str] = st.session_state.setdefault(_WATCHED, set())
    for key in watched - keys:
        if (job := jobs.find(key)) is not None:
            job.leave(_visitor())
    watched &= keys


def failure(key: str) -> str | None:
    """Why the latest work of that key failed, if it did; it is not tried again by itself."""
    job = jobs.find(key)
    return None if job is None else job.error


def glance(job: jobs.Job, draw: Draw) -> None:
    """Draw the first finding of work that has just begun, before the rest of the page is drawn.

    Not for long: work that must wait for its turn would keep the page waiting.
    """
    job.wait(None, FIRST_SECONDS)
    draw(job)


def follow(watched: list[tuple[jobs.Job, Draw]]) -> None:
    """Draw work as it comes along; when some of it has ended, draw the page anew.

    At the end of a page: a control that is touched meanwhile ends this run of it.
    """
    drawn: list[object] = [_NOTHING] * len(watched)
    while True:
        for number, (job, draw) in enumerate(watched):
            # Reading the session's state is also where Streamlit ends a run that is out of date.
            job.look(_visitor())
            if job.found is not drawn[number]:
                drawn[number] = job.found
                draw(job)
        if any(job.finished for job, _ in watched):
            st.rerun()
        watched[0][0].wait(drawn[0], _TICK)


def _visitor() -> str:
    if _VISITOR not in st.session_state:
        st.session_state[_VISITOR] = uuid.uuid4().hex
    return str(st.session_state[_VISITOR])
