"""The Pareto front: sub-networks than which no other is both cheaper and better."""

from __future__ import annotations

import numpy as np


def pareto_front(cost: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """(N,) True where no other entry costs no more and scores no less, with one of the two strict.

    Entries that tie in both are all on the front; NaN in either is never.
    """
    known = ~(np.isnan(cost) | np.isnan(quality))
    no_worse = (cost[None] <= cost[:, None]) & (quality[None] >= quality[:, None])
    better = (cost[None] < cost[:, None]) | (quality[None] > quality[:, None])
    dominated = (no_worse & better & known[None]).any(axis=1)
    return known & ~dominated
