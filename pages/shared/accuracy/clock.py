"""Whose latencies the page shows: those of the machine that trained the run, or of this one."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st
import torch

from dynabert.evaluation.latency import WIDE, Latency, LatencySetup, describe_machine
from dynabert.evaluation.retiming import time_results, time_row, with_times
from dynabert.runs import Run
from pages.shared import cache, found, jobs, live, wording
from pages.shared.accuracy.numbers import Row


class Clock:
    """The results of a run, with the latencies that can be compared."""

    def __init__(self, run: Run) -> None:
        here = describe_machine(torch.device("cpu"))
        self.run, self.is_own = run, run.info.machine == here
        self._key = f"time {cache.run_key(run)}"
        # Whether all are being timed, so that nothing else may be at work; asked before the times are read.
        self.is_measuring = jobs.is_at_work(self._key)
        self._times = None if self.is_own else found.store().timed.get(cache.run_key(run))
        self.is_here = self._times is not None
        self.machine = here if self.is_here else run.info.machine

    @property
    def results(self) -> pd.DataFrame:
        """All of the run's, as `found.results`."""
        results = found.results(self.run)
        return results if self._times is None else with_times(results, self._times)

    @property
    def setup(self) -> LatencySetup | None:
        """How the latencies that are shown were measured; None where another could not be compared."""
        return _setup(self.run) if self.is_own or self.is_here else None

    def keeper(self, row: Row, setup: LatencySetup) -> Callable[[Latency], None]:
        """What keeps the latency of one more sub-network where the others' are.  row: of `results`."""
        run, same, is_here = self.run, cache.run_key(self.run), self.is_here

        def keep(latency: Latency) -> None:
            time = time_row(str(row["subnet"]), latency, setup)
            if is_here:
                found.keep_time(same, time)
            else:
                found.keep_row(run, same, row | time, replace=True)

        return keep

    @property
    def cell(self) -> str:
        """Code for a notebook that makes `results`."""
        if not self.is_here:
            return "results = run.all_results"
        setup = _setup(self.run)
        assert setup is not None
        return (
            f"setup = {setup!r}\n"
            "times = time_results(run.model(), run.all_results, setup)\n"
            "results = with_times(run.all_results, times)"
        )

    def offer(self) -> None:
        """Say whose latencies they are where they are of another machine, and measure this one's."""
        if self.is_own or (setup := _setup(self.run)) is None:
            return
        if jobs.watch(self._key):
            jobs.offer_stop(self._key, "time-stop")
            return
        if self.is_measuring:
            st.rerun()  # it ended meanwhile: the page above shows what was known before
        trained = wording.escape(self.run.info.machine)
        again = "Measure again" if self.is_here else "Measure on this machine"
        with st.container(horizontal=True, vertical_alignment="center"):
            if self.is_here:
                st.caption(
                    "Latencies are of this machine, all measured in turn; they are kept until the app "
                    f"ends. {self._how_quiet()}"
                )
            else:
                st.caption(f"Latencies are of the machine that trained this run: {trained}.")
            busy = live.busy()
            about = (
                f"Times every sub-network that was evaluated, with {wording.count(setup.tokens, 'token')}, "
                f"{wording.count(setup.batch_size, 'text')} at a time. Other work on this machine makes them "
                "longer."
            )
            if busy is not None:
                about = (
                    f"Not while {wording.escape(busy)} is at work: they would come out too long."
                )
            if st.button(
                again,
                icon=":material/timer:",
                key="time-here",
                help=about,
                disabled=busy is not None,
            ):
                self._start(setup)
                st.rerun()

    def _how_quiet(self) -> str:
        assert self._times is not None
        spread = float((self._times["latency_ms_iqr"] / self._times["latency_ms"]).median())
        if spread <= WIDE:
            return ""
        return (
            "The machine was busy: of half of the sub-networks the middle half of the passes spread over "
            f"more than {spread:.0%} of their median."
        )

    def _start(self, setup: LatencySetup) -> None:
        model, results = cache.model(self.run), found.results(self.run)
        same, run = cache.run_key(self.run), self.run

        def work(job: jobs.Job) -> None:
            times = time_results(
                model,
                results,
                setup,
                on_repeat=lambda done: job.progress("measuring latency", done, setup.repeats),
            )
            cache.check_same(run, same)
            found.keep_times(same, times)
            job.kept_elsewhere = True

        jobs.start_alone(self._key, f"latencies of {run.name}", work)


def _setup(run: Run) -> LatencySetup | None:
    """As the run measured its own; None where it measured none."""
    known = cache.results(run)
    batch = known["latency_batch_size"].dropna()
    if not len(batch):
        return None
    return LatencySetup(tokens=int(known["tokens"].iloc[0]), batch_size=int(batch.iloc[0]))
