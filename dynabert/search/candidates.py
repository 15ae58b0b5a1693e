"""The sub-networks that a choice is made among: what each scores on all of dev, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from dynabert.analysis.choices import resolved_row
from dynabert.evaluation.cost import count_macs, num_params
from dynabert.evaluation.latency import Latency, LatencySetup
from dynabert.evaluation.quality import evaluate_many
from dynabert.evaluation.retiming import TIMES
from dynabert.evaluation.table import result_row
from dynabert.examples import RunExamples
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.models import TaskModel
from dynabert.runs import Run
from dynabert.subnet import ResolvedSubnet, Subnet


@dataclass(frozen=True, kw_only=True)
class Option:
    """A sub-network that could be taken."""

    subnet: Subnet
    score: float  # the task's metric on all of dev
    collapsed: bool  # it gives every dev example the same answer
    is_standard: bool  # of the grid that the run's recipe reports
    num_params: int  # of the Transformer layers
    macs: int  # of the Transformer layers for one text of the budget's tokens
    predicted_ms: float = math.nan  # by a latency table; NaN without one
    measured: tuple[Latency, ...] = ()  # one measurement after another

    @property
    def key(self) -> str:
        return self.subnet.key

    @property
    def is_sound(self) -> bool:
        """Whether its score says something: it is a number, and not of one answer for all."""
        return not self.collapsed and not math.isnan(self.score)

    @property
    def latency(self) -> Latency | None:
        """The slowest of its measurements, for a budget must hold in all; None: it was not timed."""
        return max(self.measured, key=lambda one: one.median_ms, default=None)

    @property
    def costs(self) -> dict[str, float]:
        """By the names of `dynabert.search.budget.COSTS`; latency as measured, else as predicted."""
        latency = self.latency
        return {
            "latency_ms": self.predicted_ms if latency is None else latency.median_ms,
            "num_params": float(self.num_params),
            "macs": float(self.macs),
        }


def missing_standard(run: Run, results: pd.DataFrame) -> list[Subnet]:
    """Sub-networks of the recipe's grid that have no result on all of dev, under whatever name."""
    known = {resolved_row(row) for row in _of_all_dev(run, results).to_dict("records")}
    return [subnet for resolved, subnet in _standard(run).items() if resolved not in known]


def evaluate_missing(
    run: Run,
    model: TaskModel,
    examples: RunExamples,
    missing: list[Subnet],
    *,
    tokens: int,
    on_batch: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """The rows of `dynabert.evaluation.sweep` for sub-networks, on all of dev, none of them timed.

    tokens: for which the run's results count MACs.

    Raises:
        UserError: the examples are not those of the run's other scores.
    """
    examples.check_own("A choice")
    evaluations = evaluate_many(
        *(model, examples.dev, missing),
        metrics=run.info.task.metrics,
        other_splits=examples.other_dev,
        on_batch=on_batch,
    )
    setup = LatencySetup(tokens=tokens)
    rows = pd.DataFrame([result_row(model, one, None, setup) for one in evaluations])
    # Empty columns, in the type of those that are not.
    return rows.astype(dict.fromkeys(TIMES, float))


def options_of(run: Run, results: pd.DataFrame, tokens: int) -> list[Option]:
    """An option for each sub-network with a result on all of dev, by key.

    One that has results under several names is known by the recipe's, else by the first in the alphabet.
    tokens: for which MACs are counted.
    """
    standard, config = _standard(run), run.config
    metric = run.info.task.metric
    usual = {subnet.key for subnet in standard.values()}
    found: dict[ResolvedSubnet, Option] = {}
    rows = _of_all_dev(run, results).to_dict("records")
    for row in sorted(rows, key=lambda row: (row["subnet"] not in usual, row["subnet"])):
        subnet = Subnet.parse(str(row["subnet"]))
        resolved = subnet.resolve(config.shape)
        if resolved in found:
            continue
        subnet = standard.get(resolved, subnet)
        found[resolved] = Option(
            subnet=subnet,
            score=float(row[metric]),
            collapsed=bool(row["collapsed"]),
            is_standard=resolved in standard,
            num_params=num_params(config, subnet),
            macs=count_macs(config, subnet, tokens),
        )
    return sorted(found.values(), key=lambda option: option.key)


def _of_all_dev(run: Run, results: pd.DataFrame) -> pd.DataFrame:
    return results[results["num_examples"] == run.info.task.num_dev]


def _standard(run: Run) -> dict[ResolvedSubnet, Subnet]:
    """The recipe's grid; of two that keep the same the first stands for both."""
    config: DynaBertConfig = run.config
    found: dict[ResolvedSubnet, Subnet] = {}
    for subnet in run.recipe_grid:
        found.setdefault(subnet.resolve(config.shape), subnet)
    return found
