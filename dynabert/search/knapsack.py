"""Widths of single layers by importance and latency: what matters most in the time there is.

Rewiring has sorted every layer, so a layer that keeps n heads keeps its leftmost n, and only n is to
be chosen; of neurons the same. A latency table says what each choice takes, and that a pass takes a
sum over layers of what attention and what the feed-forward network takes. Choosing one count for each
of them so that most importance is kept in a given time is the multiple-choice knapsack problem
(Kellerer, Pferschy and Pisinger, "Knapsack Problems", Ch. 11); dynamic programming over the time
solves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dynabert.errors import UserError
from dynabert.evaluation.latency_table import LatencyTable, Values
from dynabert.importance import Importance
from dynabert.modeling.models import TaskModel
from dynabert.search.per_layer import Comparison, executed_scores, reachable
from dynabert.subnet import FULL, ResolvedSubnet, Subnet
from dynabert.words import figures

Objective = Comparison | Literal["shares"]

# The grid of time: so many steps from the smallest network of those layers to the slowest. What a
# layer's attention or feed-forward network takes above its least is rounded up to whole steps, so
# that with L layers up to 2 L steps of a budget stay unused: of twelve layers 0.05 % of that distance.
# The grid does not depend on the budget, so that a larger budget never buys less.
GRID_STEPS = 50_000
NEURON_STEPS = 24  # of the widest layer, where no step is asked for

_SLACK = 1e-9  # of a step: a sum of floats may miss the whole number it stands for


def subnet_for_latency(
    model: TaskModel,
    importance: Importance,
    subnet: Subnet = FULL,
    *,
    budget_ms: float,
    table: LatencyTable,
    tokens: int,
    comparison: Objective = "shares",
    neuron_step: int | None = None,
) -> Subnet:
    """The sub-network of the layers of `subnet` that keeps most importance in at most `budget_ms`.

    Every layer keeps one head and one neuron at least. As in `distributed`, no head or neuron counts
    more than one to its left, and nothing need be trained again. Of equally important ones it is the
    fastest.

    importance: of the original network's heads and neurons, (L, H) and (L, F), as a run keeps it.
    subnet: says which layers run and how many tokens leave them; its width does not count.
    budget_ms: of a pass, as `table` predicts it for texts of `tokens` tokens; see `GRID_STEPS`.
    comparison: heads and neurons of all layers are compared by how much the loss is estimated to change
    without them ("raw"), or by their share of the norm of their layer's ("by layer"). A layer has a
    hundred times as many neurons as heads, so both add up to far more for neurons, and a tight budget
    leaves nearly no heads. "shares" does not let any part starve: it maximises the product of the
    shares of their importance that the heads of each layer, and the neurons of each, keep.
    neuron_step: neurons are kept in multiples of it, or one, or all; left out, 1 / 24 of the widest layer.

    Raises:
        UserError: even the smallest of them takes longer, a step below 1, or more tokens or another
            model than the table is about.
        ValueError: the importance is not of the network that `model` was made from.
    """
    table.check_about(model, tokens)
    shape = model.config.shape
    if neuron_step is None:
        neuron_step = max(1, max(shape.neurons) // NEURON_STEPS)
    if neuron_step < 1:
        raise UserError(f"neuron_step must be at least 1 neuron, got {neuron_step}.")
    resolved = subnet.resolve(shape)
    scores = executed_scores(model, importance, resolved.layers)
    counts = [np.arange(1, len(layer) + 1) for layer in scores[0]]
    counts += [_stepped(len(layer), neuron_step) for layer in scores[1]]
    values = [
        _kept(layer, few, comparison)
        for layer, few in zip([*scores[0], *scores[1]], counts, strict=True)
    ]
    costs = _costs(table, resolved, tokens, counts)

    def with_counts(numbers: Sequence[int]) -> Subnet:
        chosen = [int(few[number]) for few, number in zip(counts, numbers, strict=True)]
        layers = len(resolved.layers)
        return replace(
            subnet, width_mult=1.0, heads=tuple(chosen[:layers]), neurons=tuple(chosen[layers:])
        )

    fastest = with_counts([int(cost.argmin()) for cost in costs])
    least = table.predict(model, fastest, tokens)
    if not least <= budget_ms:
        raise UserError(
            f"no widths of layers {', '.join(str(layer + 1) for layer in resolved.layers)} take at most "
            f"{budget_ms} ms for {tokens} tokens: the least is {figures(least, 4)} ms. Give a larger "
            "budget, or run fewer layers."
        )
    extra = [cost - cost.min() for cost in costs]
    step = sum(float(more.max()) for more in extra) / GRID_STEPS or 1.0
    steps = [np.ceil(more / step - _SLACK).astype(np.int64) for more in extra]
    most = sum(int(whole.max()) for whole in steps)
    for capacity in range(int(min((budget_ms - least) / step + _SLACK, most)), -1, -1):
        chosen = with_counts(best_choices(steps, values, capacity))
        # The slack can let through what is over by a rounding error of the sum: then a step less does.
        if table.predict(model, chosen, tokens) <= budget_ms:
            return chosen
    return fastest


def best_choices(
    costs: Sequence[NDArray[np.int64]], values: Sequence[Values], capacity: int
) -> tuple[int, ...]:
    """Which option of each group to take, so that they are worth most and cost `capacity` at most.

    Exact. Of choices that are worth the same, one that costs least.
    costs: (options,) of each group, whole numbers of at least 0.  values: the same of any worth.

    Raises:
        ValueError: even the cheapest options cost more than `capacity`.
    """
    # best[c]: the most that the groups so far are worth at a cost of at most c.
    best = np.zeros(capacity + 1)
    taken = []
    for cost, value in zip(costs, values, strict=True):
        total = np.full(capacity + 1, -np.inf)
        option = np.zeros(capacity + 1, dtype=np.int32)
        for number in np.argsort(cost, kind="stable").tolist():
            spent = int(cost[number])
            if spent > capacity:
                break
            offered = best[: capacity + 1 - spent] + value[number]
            better = offered > total[spent:]
            total[spent:][better] = offered[better]
            option[spent:][better] = number
        best = total
        taken.append(option)
    if best[-1] == -np.inf:
        raise ValueError(f"nothing costs at most {capacity}")
    left = int(np.argmax(best == best[-1]))  # what the best costs
    numbers = []
    for cost, option in zip(reversed(costs), reversed(taken), strict=True):
        numbers.append(int(option[left]))
        left -= int(cost[numbers[-1]])
    return tuple(reversed(numbers))


def _stepped(total: int, step: int) -> NDArray[np.int64]:
    """One, the multiples of a step, and all."""
    return np.unique([1, *range(step, total + 1, step), total])


def _kept(scores: Tensor, counts: NDArray[np.int64], comparison: Objective) -> Values:
    """(options,) what so many of a layer's leftmost members are worth in all."""
    each = reachable(scores.double(), "raw" if comparison == "shares" else comparison)
    kept = np.cumsum(each.numpy())
    if comparison == "shares":  # the logarithm, since of a product sums are made
        kept = np.log(kept / kept[-1]) if kept[-1] > 0 else np.zeros_like(kept)
    return kept[counts - 1]


def _costs(
    table: LatencyTable,
    resolved: ResolvedSubnet,
    tokens: int,
    counts: Sequence[NDArray[np.int64]],
) -> list[Values]:
    """(options,) milliseconds that each count of heads, then of neurons, adds to a pass."""
    flows, factor = table.flows(resolved, tokens), float(table.correction[3])
    layers = len(flows)
    attention = map(table.attention_ms, counts[:layers], flows)
    feed_forward = map(table.feed_forward_ms, counts[layers:], flows)
    return [factor * cost for cost in (*attention, *feed_forward)]
