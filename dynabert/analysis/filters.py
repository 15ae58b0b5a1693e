"""Which sub-networks of a results table a reader wants to compare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dynabert.analysis.choices import drops_tokens
from dynabert.analysis.pareto import pareto_front


@dataclass(frozen=True, kw_only=True)
class SizeFilter:
    """Lowest and highest number of layers, and of heads in a layer; None leaves nothing out."""

    layers: tuple[int, int] | None = None
    heads: tuple[int, int] | None = None  # every executed layer must lie within
    most_cost: float | None = None
    all_tokens: bool = False  # leave out those that drop tokens

    def passes(self, results: pd.DataFrame, cost: str) -> np.ndarray:
        """(N,) True for the rows within; a cost that was not measured is not below any limit.

        results: rows as from `dynabert.evaluation.sweep`.  cost: name of the column `most_cost` is of.
        """
        inside = np.ones(len(results), dtype=bool)
        if self.layers is not None:
            low, high = self.layers
            inside &= results["layers"].map(len).between(low, high).to_numpy(bool)
        if self.heads is not None:
            low, high = self.heads
            inside &= np.array(
                [low <= min(counts) and max(counts) <= high for counts in results["heads"]], bool
            )
        if self.all_tokens:
            inside &= ~drops_tokens(results)
        if self.most_cost is not None:
            costs = pd.to_numeric(results[cost]).to_numpy(float)
            # A limit that was rounded for a link still lets the one through that it was made for.
            inside &= costs <= self.most_cost * (1 + 1e-6)
        return inside


def front_of(results: pd.DataFrame, metric: str, cost: str) -> np.ndarray:
    """(N,) True for the rows on the Pareto front; collapsed ones never are and hide nobody."""
    sound = ~results["collapsed"].to_numpy(bool)
    costs = np.where(sound, pd.to_numeric(results[cost]).to_numpy(float), np.nan)
    return pareto_front(costs, results[metric].to_numpy(float))
