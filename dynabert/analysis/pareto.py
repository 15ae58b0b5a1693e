"""The Pareto front: sub-networks than which no other is both cheaper and better."""

from __future__ import annotations

import numpy as np


def pareto_front(cost: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """(N,) True where no other entry costs no more and scores no less, with one of the two strict.

    Entries that tie in both are all on the front; NaN in either is never.
    """
    known = ~(np.isnan(cost) | np.isnan(quality))
    on_front = np.zeros(len(cost), dtype=bool)
    best, best_cost = -np.inf, np.nan
    # Cheapest first, of those that cost the same the best first.
    for place in np.lexsort((-quality, cost)):
        ties = quality[place] == best and cost[place] == best_cost
        if known[place] and (quality[place] > best or ties):
            on_front[place] = True
            best, best_cost = quality[place], cost[place]
    return on_front


def hypervolume(
    cost: np.ndarray, quality: np.ndarray, *, most_cost: float, least_quality: float
) -> float:
    """The area of what entries dominate, up to a cost and down to a quality.

    Larger is better: how much cheaper and better a search's findings are than a point that is bad in
    both. Zitzler and Thiele, 1998. Entries that are no better than that point count nothing.
    """
    on = pareto_front(cost, quality)
    area, best = 0.0, least_quality
    for this_cost, this_quality in sorted(zip(cost[on], quality[on], strict=True)):
        if this_cost < most_cost and this_quality > best:
            area += (most_cost - this_cost) * (this_quality - best)
            best = this_quality
    return float(area)
