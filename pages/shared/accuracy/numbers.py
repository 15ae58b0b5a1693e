"""The numbers of the chosen sub-network, which sharpen while it is evaluated."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dynabert import Subnet
from dynabert.evaluation import Estimate, count_macs, num_params
from dynabert.runs import Run
from pages.shared import jobs, wording

LEAST_CHANGE = 0.0005  # less is none in three digits
Row = dict[str, Any]


class Numbers:
    """A tile for each metric and each cost; those that are measured now can be drawn again."""

    def __init__(
        self,
        run: Run,
        subnet: Subnet,
        row: Row | None,
        against: Row | None,
        *,
        tokens: int,
        machine: str,
    ) -> None:
        """against: the row of the run's largest.  tokens: for MACs.  machine: whose latency the rows have."""
        self.run, self.against, self.machine = run, against, machine
        config = run.config
        with st.container(horizontal=True):
            self._scores = {metric: st.empty() for metric in run.info.task.metrics}
            for title, value, share in (
                (
                    "Parameters, layers",
                    f"{num_params(config, subnet) / 1e6:.2f} M",
                    num_params(config, subnet) / num_params(config),
                ),
                (
                    f"MACs, {tokens} tokens",
                    f"{count_macs(config, subnet, tokens) / 1e6:,.0f} M",
                    count_macs(config, subnet, tokens) / count_macs(config, tokens=tokens),
                ),
            ):
                _plain_tile(st, title, value, f"{share:.0%} of the full")
            self._latency = st.empty()
        self._line = st.empty()
        if row is None:
            self._draw_unknown("not evaluated")
        else:
            self._draw_row(row)

    def draw_evaluation(self, job: jobs.Job) -> None:
        """How far the evaluation has come, and what it says so far."""
        estimate: Estimate | None = job.found
        if estimate is None:
            self._draw_unknown("evaluating …")
            return
        for metric, slot in self._scores.items():
            interval = estimate.metrics[metric]
            about = wording.metric_help(metric, self.run.info.task.kind) or ""
            done = estimate.evaluation is not None
            _plain_tile(
                slot,
                wording.capital(wording.metric_title(metric)),
                f"{interval.value:.3f}"
                if done
                else f"{interval.value:.3f} ± {interval.half_width:.3f}",
                f"{estimate.num_read:,} of {estimate.num_examples:,} read",
                f"{about} ± half the 95 % interval for the whole dev set: "
                f"{interval.low:.3f} to {interval.high:.3f}.",
            )
        self._line.progress(
            estimate.share_of_tokens,
            f"Evaluating on the dev set: {estimate.num_read:,} of {estimate.num_examples:,} examples",
        )

    def draw_latency(self, job: jobs.Job) -> None:
        """That the latency is being measured."""
        _plain_tile(self._latency, "Latency", "…", "measuring")

    def _draw_unknown(self, why: str) -> None:
        for metric, slot in self._scores.items():
            _plain_tile(slot, wording.capital(wording.metric_title(metric)), "–", why)
        _plain_tile(self._latency, "Latency", "–", "not measured")

    def _draw_row(self, row: Row) -> None:
        for metric, slot in self._scores.items():
            change = None if self.against is None else row[metric] - self.against[metric]
            differs = change is not None and abs(change) >= LEAST_CHANGE
            slot.metric(
                wording.capital(wording.metric_title(metric)),
                f"{row[metric]:.3f}{wording.collapsed_mark(row['collapsed'])}",
                self._compared(change),
                "normal" if differs and not row["collapsed"] else "off",
                delta_arrow="auto" if differs else "off",
                help=wording.metric_help(metric, self.run.info.task.kind),
                border=True,
            )
        known = not pd.isna(row["latency_ms"])
        _plain_tile(
            self._latency,
            "Latency",
            f"{row['latency_ms']:.1f} ms" if known else "–",
            f"± {row['latency_ms_iqr'] / 2:.1f} ms" if known else "not measured",
            "Median of one forward pass; ± half the interquartile range. Measured on "
            f"{wording.escape(self.machine)}."
            if known
            else None,
        )
        if row["collapsed"]:
            st.warning(
                f"This sub-network {wording.COLLAPSED}, so its score says nothing about the task.",
                icon=":material/warning:",
            )

    def _compared(self, change: float | None) -> str | None:
        """With the largest that the run has trained: the full network, a student, or the widest of some."""
        if change is None:
            return None
        largest = "trained one" if len(self.run.recipe_grid) == 1 else "largest"
        name = "full" if self.run.largest.is_full else largest
        return f"as the {name}" if abs(change) < LEAST_CHANGE else f"{change:+.3f} vs {name}"


def _plain_tile(slot: Any, title: str, value: str, below: str, about: str | None = None) -> None:
    slot.metric(title, value, below, "off", delta_arrow="off", help=about, border=True)
