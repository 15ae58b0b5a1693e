"""Widths of layers for a latency: no other choice keeps more importance in the time."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from conftest import make_hf
from hypothesis import given, settings
from hypothesis import strategies as st

from dynabert import DynaBertForSequenceClassification, Subnet
from dynabert.errors import UserError
from dynabert.evaluation.latency_table import SHARES, LatencyTable, model_key
from dynabert.importance import Importance
from dynabert.rewiring import rewire_
from dynabert.search.knapsack import GRID_STEPS, best_choices, subnet_for_latency

HEADS, NEURON_STEP, TOKENS = 6, 20, 8
COUNTS = (1, 20, 40, 60)  # of neurons, in that step
TWO_LAYERS = Subnet(layers=(1, 3))
PASS_MS, FACTOR = 0.5, 1.5


@functools.cache
def network() -> DynaBertForSequenceClassification:
    return DynaBertForSequenceClassification.from_hf(make_hf())


def table_of(
    keeping: Sequence[float], reading: Sequence[float], feed_forward: Sequence[float]
) -> LatencyTable:
    """Milliseconds of 1 to 6 heads, and of `COUNTS`; the same for every number of tokens but in the
    feed-forward network, where one token takes half of it."""
    both = np.ones((1, 2))
    return LatencyTable(
        tokens=np.array([1.0, TOKENS]),
        heads=np.arange(1.0, HEADS + 1),
        neurons=np.array(COUNTS, dtype=float),
        keeping=np.array(keeping)[:, None] * both,
        dropping=np.array(keeping)[:, None, None] * np.ones((1, 2, len(SHARES))),
        reading=np.array(reading)[:, None] * both,
        feed_forward=np.array(feed_forward)[:, None] * np.array([0.5, 1.0]),
        correction=np.array([PASS_MS, 0.0, 0.0, FACTOR]),
        batch_size=1,
        reads_all_tokens=False,
        model=model_key(network()),
        machine="any",
        repeats=1,
    )


EVEN = table_of(
    [0.1 * n for n in range(1, 7)], [0.05 * n for n in range(1, 7)], [0.1, 2.0, 4.0, 6.0]
)

times = st.floats(0.0, 10.0, width=32)
tables = st.builds(
    table_of,
    st.lists(times, min_size=HEADS, max_size=HEADS),
    st.lists(times, min_size=HEADS, max_size=HEADS),
    st.lists(times, min_size=len(COUNTS), max_size=len(COUNTS)),
)
importances = st.integers(0, 2**31).map(
    lambda seed: Importance(*(torch.rand(4, n, generator=seeded(seed)) for n in (HEADS, 60)))
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def worth(importance: Importance, heads: Sequence[int], neurons: Sequence[int]) -> float:
    """The importance that layers 1 and 3 keep, by the definition."""
    total = 0.0
    for scores, counts in ((importance.heads, heads), (importance.neurons, neurons)):
        for layer, count in zip((1, 3), counts, strict=True):
            kept = scores[layer].tolist()[:count]
            total += sum(min(kept[: place + 1]) for place in range(count))
    return total


def took(table: LatencyTable, heads: Sequence[int], neurons: Sequence[int]) -> float:
    """Milliseconds of layers 1 and 3, of which the last reads one token, by hand."""
    first, last = (COUNTS.index(count) for count in neurons)
    parts = table.keeping[heads[0] - 1, 1] + table.reading[heads[1] - 1, 1]
    return PASS_MS + FACTOR * (parts + table.feed_forward[first, 1] + table.feed_forward[last, 0])


def everything(importance: Importance, table: LatencyTable) -> list[tuple[float, float]]:
    """(milliseconds, importance) of every choice there is."""
    heads = list(itertools.product(range(1, HEADS + 1), repeat=2))
    neurons = list(itertools.product(COUNTS, repeat=2))
    # Both parts of each add up, so that not every pair of pairs is worked out anew.
    least = took(table, (1, 1), (1, 1))
    floor = worth(importance, (1, 1), (1, 1))
    of_heads = [(took(table, h, (1, 1)) - least, worth(importance, h, (1, 1))) for h in heads]
    of_neurons = [(took(table, (1, 1), n), worth(importance, (1, 1), n) - floor) for n in neurons]
    return [(a + b, v + w) for (a, v), (b, w) in itertools.product(of_heads, of_neurons)]


def chosen(importance: Importance, table: LatencyTable, budget_ms: float, **options) -> Subnet:
    options = {"neuron_step": NEURON_STEP, "comparison": "raw"} | options
    return subnet_for_latency(
        network(),
        importance,
        TWO_LAYERS,
        budget_ms=budget_ms,
        table=table,
        tokens=TOKENS,
        **options,
    )


@settings(deadline=None, max_examples=60)
@given(importance=importances, table=tables, share=st.floats(0, 1))
def test_no_choice_keeps_more_in_the_time(importance, table, share) -> None:
    choices = everything(importance, table)
    least, most = (f(ms for ms, _ in choices) for f in (min, max))
    budget = least + 1e-9 + share * (most - least)
    found = chosen(importance, table, budget)
    assert found.layers == (1, 3)
    assert table.predict(network(), found, TOKENS) <= budget
    kept = worth(importance, found.heads, found.neurons)
    rounding = 4 * (most - least) / GRID_STEPS  # two layers of two parts
    surely = max((v for ms, v in choices if ms <= budget - rounding), default=0.0)
    assert kept >= surely - 1e-5
    assert kept <= max(v for ms, v in choices if ms <= budget + 1e-9) + 1e-5


@settings(deadline=None, max_examples=40)
@given(importance=importances, table=tables, shares=st.lists(st.floats(0, 1.2), min_size=2))
def test_a_larger_budget_never_keeps_less(importance, table, shares) -> None:
    times_ms = [ms for ms, _ in everything(importance, table)]
    least, most = min(times_ms) + 1e-9, max(times_ms)
    kept = []
    for share in sorted(shares):
        found = chosen(importance, table, least + share * (most - least))
        kept.append(worth(importance, found.heads, found.neurons))
    assert all(b >= a - 1e-5 for a, b in itertools.pairwise(kept))


@settings(deadline=None)
@given(data=st.data(), capacity=st.integers(0, 25))
def test_the_dynamic_programme_is_exact(data, capacity) -> None:
    number = st.integers(0, 12)
    groups = data.draw(
        st.lists(
            st.lists(st.tuples(number, number), min_size=1, max_size=5), min_size=1, max_size=4
        )
    )
    costs = [np.array([cost for cost, _ in group]) for group in groups]
    values = [np.array([float(value) for _, value in group]) for group in groups]
    every = [
        (sum(g[i][1] for g, i in zip(groups, one, strict=True)), -cost)
        for one in itertools.product(*(range(len(group)) for group in groups))
        if (cost := sum(g[i][0] for g, i in zip(groups, one, strict=True))) <= capacity
    ]
    if not every:
        with pytest.raises(ValueError, match=f"nothing costs at most {capacity}"):
            best_choices(costs, values, capacity)
        return
    taken = best_choices(costs, values, capacity)
    value = sum(g[i][1] for g, i in zip(groups, taken, strict=True))
    cost = sum(g[i][0] for g, i in zip(groups, taken, strict=True))
    assert (value, -cost) == max(every)


def test_time_goes_to_the_layer_that_matters() -> None:
    """By hand: the smallest of two layers takes 0.5 + 1.5 (0.1 + 0.05 + 0.1 + 0.05) = 0.95 ms."""
    heads = torch.tensor([[0.1] * 6, [9, 8, 7, 6, 5, 4.0], [0.1] * 6, [3, 2, 1, 0.5, 0.4, 0.3]])
    importance = Importance(heads, torch.full((4, 60), 1e-6))
    # Another head of the first layer takes 0.15 ms, of the last one 0.075 ms; the grid has steps of 0.0003.
    assert chosen(importance, EVEN, 0.95).heads == (1, 1)
    assert chosen(importance, EVEN, 0.95 + 0.076).heads == (1, 2)  # 2 in half of the time of 8
    assert chosen(importance, EVEN, 0.95 + 0.151).heads == (2, 1)
    assert chosen(importance, EVEN, 0.95 + 0.226).heads == (2, 2)
    all_of_it = chosen(importance, EVEN, 1e9)
    assert (all_of_it.heads, all_of_it.neurons) == ((6, 6), (60, 60))


def test_by_layer_a_layer_of_small_scores_counts_as_much() -> None:
    heads = torch.zeros(4, HEADS)
    heads[1, :2], heads[3, :2] = torch.tensor([9.0, 3.0]), torch.tensor([0.2, 0.19])
    importance = Importance(heads, torch.zeros(4, 60))
    even = table_of([0.1 * n for n in range(1, 7)], [0.1 * n for n in range(1, 7)], [1.0] * 4)
    budget = PASS_MS + FACTOR * (0.3 + 1.5) + 1e-3  # three heads in all
    assert chosen(importance, even, budget).heads == (2, 1)
    assert chosen(importance, even, budget, comparison="by layer").heads == (1, 2)


@settings(deadline=None, max_examples=20)
@given(importance=importances, table=tables, share=st.floats(0.0, 1.0))
def test_by_shares_the_product_of_what_is_kept_is_largest(importance, table, share) -> None:
    def product(heads: Sequence[int], neurons: Sequence[int]) -> float:
        found = 1.0
        for scores, counts in ((importance.heads, heads), (importance.neurons, neurons)):
            for layer, count in zip((1, 3), counts, strict=True):
                each = np.minimum.accumulate(scores[layer].double().numpy())
                found *= each[:count].sum() / each.sum()
        return found

    every = [
        (took(table, heads, neurons), product(heads, neurons))
        for heads in itertools.product((1, 2, 4, 6), repeat=2)
        for neurons in itertools.product(COUNTS, repeat=2)
    ]
    least, most = (f(ms for ms, _ in everything(importance, table)) for f in (min, max))
    budget = least + 1e-9 + share * (most - least)
    found = chosen(importance, table, budget, comparison="shares")
    assert table.predict(network(), found, TOKENS) <= budget
    rounding = 4 * (most - least) / GRID_STEPS
    surely = max((kept for ms, kept in every if ms <= budget - rounding), default=0.0)
    assert product(found.heads, found.neurons) >= surely * (1 - 1e-9)


def test_heads_that_all_count_nothing_are_no_obstacle_to_shares() -> None:
    importance = Importance(torch.zeros(4, HEADS), torch.rand(4, 60))
    found = chosen(importance, EVEN, 1e9, comparison="shares")
    assert (found.heads, found.neurons) == ((1, 1), (60, 60))  # the fastest of equal ones


def test_under_the_least_time_nothing_is_chosen() -> None:
    importance = Importance(torch.rand(4, HEADS), torch.rand(4, 60))
    for budget in (0.94, 0.0, -1.0, float("nan")):
        with pytest.raises(UserError, match=r"layers 2, 4 take at most .* the least is 0\.95 ms"):
            chosen(importance, EVEN, budget)
    with pytest.raises(UserError, match="neuron_step must be at least 1 neuron, got 0"):
        chosen(importance, EVEN, 2.0, neuron_step=0)
    with pytest.raises(UserError, match="1 to 8 tokens, got 9"):
        subnet_for_latency(network(), importance, budget_ms=9, table=EVEN, tokens=9)


def test_neurons_come_in_steps() -> None:
    importance = Importance(torch.rand(4, HEADS), torch.rand(4, 60))
    for step, allowed in ((7, {1, *range(7, 60, 7), 60}), (None, {1, *range(2, 61, 2)})):
        for budget in np.linspace(1.0, 16.0, 12):
            assert set(chosen(importance, EVEN, budget, neuron_step=step).neurons) <= allowed


def test_of_a_rewired_network_the_best_heads_are_kept_and_lengths_stay() -> None:
    model = DynaBertForSequenceClassification.from_hf(make_hf())
    importance = Importance(torch.rand(4, HEADS), torch.rand(4, 60))
    rewire_(model, importance)
    before = Subnet(0.5, 0.5, (0.8, 0.4))
    found = subnet_for_latency(
        model, importance, before, budget_ms=7.0, table=EVEN, tokens=TOKENS, neuron_step=20
    )
    assert found.length_config == before.length_config
    resolved = found.resolve(model.config.shape)
    assert resolved.layers == before.resolve(model.config.shape).layers
    assert EVEN.predict(model, found, TOKENS) <= 7.0
    for layer, count in zip(resolved.layers, resolved.heads, strict=True):
        ids = model.backbone.encoder.layers[layer].attention.head_ids[:count].tolist()
        assert set(ids) == set(importance.heads[layer].topk(count).indices.tolist())
    wrong = Importance(torch.rand(2, HEADS), torch.rand(2, 60))
    with pytest.raises(ValueError, match="not of this network"):
        subnet_for_latency(model, wrong, budget_ms=9, table=EVEN, tokens=TOKENS)
