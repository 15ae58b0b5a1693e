"""Which sub-networks a step trains."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dynabert.length_config import shrinking
from dynabert.subnet import PAPER_DEPTHS, PAPER_WIDTHS, NetworkShape, Subnet
from dynabert.training.subnets import Grid, LayerDrop, Sandwich, Subnets

SHAPE = NetworkShape(heads=(12,) * 6, neurons=(1536,) * 6, head_dim=32)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_grid_trains_all_of_itself() -> None:
    grid = Grid(width_mults=(0.5, 1.0), depth_mults=(0.5, 1.0))
    keys = ["w1.00-d1.00", "w0.50-d1.00", "w1.00-d0.50", "w0.50-d0.50"]
    assert [subnet.key for subnet in grid.of_step(SHAPE, generator())] == keys
    assert grid.judged == grid.of_step(SHAPE, generator(1))


@given(seed=st.integers(0, 2**32), num_random=st.integers(0, 5))
def test_a_sandwich_holds_the_largest_and_the_smallest(seed: int, num_random: int) -> None:
    sandwich = Sandwich(width_mults=PAPER_WIDTHS, depth_mults=PAPER_DEPTHS, num_random=num_random)
    chosen = sandwich.of_step(SHAPE, generator(seed))
    assert chosen[0] == Subnet(1.0, 1.0)
    assert Subnet(0.25, 0.5) in chosen
    assert len(chosen) == len(set(chosen)) <= 2 + num_random
    assert set(chosen) <= set(sandwich.judged)
    assert len(sandwich.judged) == 12


def test_a_sandwich_of_any_width_reaches_every_number_of_heads() -> None:
    sandwich = Sandwich(width_mults=PAPER_WIDTHS, num_random=2, between="any")
    chooser = generator()
    heads = {
        subnet.resolve(SHAPE).heads[0]
        for _ in range(200)
        for subnet in sandwich.of_step(SHAPE, chooser)
    }
    assert heads == set(range(3, 13))
    assert all(
        subnet.depth_mult == 1 for _ in range(20) for subnet in sandwich.of_step(SHAPE, chooser)
    )


def test_random_members_are_drawn_evenly() -> None:
    sandwich = Sandwich(width_mults=PAPER_WIDTHS, depth_mults=PAPER_DEPTHS, num_random=1)
    chooser, seen = generator(), 0
    for _ in range(2000):
        seen += Subnet(0.5, 0.75) in sandwich.of_step(SHAPE, chooser)
    assert seen / 2000 == pytest.approx(1 / 12, abs=0.02)


@given(seed=st.integers(0, 2**32), rate=st.floats(0, 0.99))
def test_layer_drop_keeps_a_layer_and_their_order(seed: int, rate: float) -> None:
    (subnet,) = LayerDrop(rate=rate).of_step(SHAPE, generator(seed))
    resolved = subnet.resolve(SHAPE)
    assert 1 <= len(resolved.layers) <= 6
    assert list(resolved.layers) == sorted(set(resolved.layers))
    assert set(resolved.heads) == {12}


def test_layer_drop_leaves_out_its_share() -> None:
    drop, chooser = LayerDrop(rate=0.2), generator()
    kept = [len(drop.of_step(SHAPE, chooser)[0].layers or ()) for _ in range(2000)]
    assert sum(kept) / 2000 == pytest.approx(0.8 * 6, abs=0.1)
    assert len(LayerDrop(rate=0).of_step(SHAPE, chooser)[0].layers or ()) == 6


@given(seed=st.integers(0, 2**32), drop=st.floats(0.05, 0.9), num_random=st.integers(0, 3))
def test_length_drop_draws_layer_by_layer(seed: int, drop: float, num_random: int) -> None:
    """Each layer keeps from 1 - p to all of the tokens that enter it, the smallest just so many."""
    sandwich = Sandwich(
        width_mults=(1.0, 0.5), depth_mults=(1.0, 0.5), num_random=num_random, length_drop=drop
    )
    largest, *others = sandwich.of_step(SHAPE, generator(seed))
    assert largest == Subnet()
    smallest = others[-1]
    assert (smallest.width_mult, smallest.depth_mult) == (0.5, 0.5)
    assert smallest.length_config is not None
    assert smallest.length_config == shrinking(3, drop)
    for subnet in others[:-1]:
        assert subnet.length_config is not None
        assert len(subnet.length_config) == len(subnet.resolve(SHAPE).layers)
        shares = (1.0, *subnet.length_config.entries)
        for before, after in itertools.pairwise(shares):
            assert before * (1 - drop) * (1 - 1e-9) <= after <= before


def test_length_drop_is_even_between_its_bounds() -> None:
    sandwich, chooser = Sandwich(num_random=1, length_drop=0.2), generator()
    first = [sandwich.of_step(SHAPE, chooser)[1].length_config.entries[0] for _ in range(2000)]
    assert sum(first) / 2000 == pytest.approx(0.9, abs=0.01)
    assert (min(first), max(first)) == pytest.approx((0.8, 1.0), abs=0.01)


def test_layers_of_a_sandwich_are_left_out_anew_for_each() -> None:
    sandwich = Sandwich(depth_mults=(1.0, 0.5), num_random=1, layer_drop=0.3, length_drop=0.1)
    chooser = generator()
    seen = [sandwich.of_step(SHAPE, chooser) for _ in range(500)]
    largest = [len(step[0].layers or ()) for step in seen]
    assert sum(largest) / 500 == pytest.approx(0.7 * 6, abs=0.15)
    assert {layer for step in seen for layer in step[-1].layers or ()} == {1, 3, 5}
    assert any(step[0].layers != step[1].layers for step in seen)
    for step in seen:
        assert step[0].length_config is None
        for subnet in step[1:]:
            assert len(subnet.length_config or ()) == len(subnet.layers or ())


def test_a_choice_without_a_kind_is_a_grid() -> None:
    read = TypeAdapter(Subnets).validate_python
    assert read({"width_mults": [0.5]}) == Grid(width_mults=(0.5,))
    assert read({"kind": "layer-drop", "rate": 0.5}) == LayerDrop(rate=0.5)
    with pytest.raises(ValidationError, match="pyramid"):
        read({"kind": "pyramid"})
    with pytest.raises(ValidationError, match="rate"):
        read({"kind": "grid", "rate": 0.5})
