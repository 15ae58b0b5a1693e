"""Which sub-networks a step trains."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

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


def test_a_choice_without_a_kind_is_a_grid() -> None:
    read = TypeAdapter(Subnets).validate_python
    assert read({"width_mults": [0.5]}) == Grid(width_mults=(0.5,))
    assert read({"kind": "layer-drop", "rate": 0.5}) == LayerDrop(rate=0.5)
    with pytest.raises(ValidationError, match="pyramid"):
        read({"kind": "pyramid"})
    with pytest.raises(ValidationError, match="rate"):
        read({"kind": "grid", "rate": 0.5})
