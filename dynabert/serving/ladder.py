"""The sub-networks worth running: each rung takes longer and scores better than the one below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dynabert.analysis.pareto import pareto_front
from dynabert.errors import UserError
from dynabert.evaluation.latency_table import LatencyTable
from dynabert.modeling.models import TaskModel
from dynabert.subnet import Subnet


@dataclass(frozen=True, kw_only=True)
class Rung:
    """A sub-network and what it scores on dev; the higher, the better."""

    subnet: Subnet
    score: float


def pareto_ladder(
    results: pd.DataFrame,
    metric: str,
    model: TaskModel,
    table: LatencyTable,
    *,
    tokens: int | None = None,
    least_score: float = float("-inf"),
) -> tuple[Rung, ...]:
    """The rows of a run's `all_results` than which no other is both faster and better, fastest first.

    Fast is what `table` predicts for texts of `tokens` tokens; left out, of the longest that it is
    about. Collapsed sub-networks are none of it, nor those that score less than `least_score`: whose
    answers are worth less than a late one.

    Raises:
        UserError: no row has such a score, or more tokens or another model than the table is about.
    """
    rows = results[~results["collapsed"].astype(bool) & (results[metric] >= least_score)]
    subnets = [Subnet.parse(key) for key in rows["subnet"]]
    scores = rows[metric].to_numpy(dtype=float)
    if not np.isfinite(scores).any():
        raise UserError(
            f"no sub-network that has not collapsed reaches a {metric} of {least_score:g} in the results."
        )
    times = np.array([table.predict(model, one, tokens or table.max_tokens) for one in subnets])
    on_front = np.flatnonzero(pareto_front(times, scores))
    return tuple(
        Rung(subnet=subnets[place], score=float(scores[place]))
        for place in on_front[np.argsort(times[on_front], kind="stable")]
    )
