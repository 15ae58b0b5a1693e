"""Subnets as values: multipliers, layer choice, keys, errors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynabert import PAPER_SPACE, SearchSpace, Subnet
from dynabert.errors import UserError
from dynabert.subnet import NetworkShape, kept_layers, num_kept

BASE = NetworkShape(heads=(12,) * 12, neurons=(3072,) * 12)
MINILM = NetworkShape(heads=(12,) * 6, neurons=(1536,) * 6)

mults = st.floats(min_value=0.01, max_value=1.0)
totals = st.integers(min_value=1, max_value=4096)


def from_one(layers: tuple[int, ...]) -> list[int]:
    return [layer + 1 for layer in layers]


@pytest.mark.parametrize(
    ("mult", "total", "kept"),
    [(1, 12, 12), (0.75, 12, 9), (0.5, 12, 6), (0.25, 12, 3), (0.75, 6, 4), (0.01, 12, 1)],
)
def test_a_multiplier_keeps_the_floor_and_at_least_one(mult: float, total: int, kept: int) -> None:
    assert num_kept(mult, total, name="width_mult", unit="heads") == kept


@given(total=totals, numerator=st.integers(1, 4096))
def test_whole_shares_are_exact_in_floating_point(total: int, numerator: int) -> None:
    kept = min(numerator, total)
    assert num_kept(kept / total, total, name="width_mult", unit="heads") == kept


@given(mult=mults, total=totals)
def test_kept_is_the_floor_up_to_rounding(mult: float, total: int) -> None:
    kept = num_kept(mult, total, name="width_mult", unit="neurons")
    assert 1 <= kept <= total
    assert kept == max(1, math.floor(mult * total)) or math.isclose(kept, mult * total)


@pytest.mark.parametrize(
    ("depth", "layers"),
    [
        (1.0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        (0.75, [1, 2, 4, 5, 6, 8, 9, 10, 12]),  # the paper's targets, mod(d + 1, 4) != 0
        (0.5, [2, 4, 6, 8, 10, 12]),
        (0.25, [4, 8, 12]),
    ],
)
def test_the_papers_layers_of_a_12_layer_network(depth: float, layers: list[int]) -> None:
    assert from_one(kept_layers(depth, 12)) == layers


@pytest.mark.parametrize(("depth", "layers"), [(0.75, [1, 3, 4, 6]), (0.5, [2, 4, 6])])
def test_the_papers_layers_of_a_6_layer_network(depth: float, layers: list[int]) -> None:
    assert from_one(kept_layers(depth, 6)) == layers


@pytest.mark.parametrize(
    ("depth", "num_layers", "layers"),
    [
        (0.75, 12, [0, 1, 2, 4, 5, 6, 8, 9, 10]),
        (0.5, 12, [0, 2, 4, 6, 8, 10]),
        (0.25, 12, [0, 4, 8]),
        (0.75, 6, [0, 1, 2, 4]),  # round(4.5) is 4: halves to even
        (0.5, 6, [0, 2, 4]),
        (1.0, 6, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_the_official_codes_layers(depth: float, num_layers: int, layers: list[int]) -> None:
    assert list(kept_layers(depth, num_layers, "official")) == layers


@given(depth=mults, num_layers=st.integers(1, 48), choice=st.sampled_from(["paper", "official"]))
def test_layers_rise_stay_in_range_and_the_papers_end_with_the_last(
    depth: float, num_layers: int, choice: str
) -> None:
    layers = kept_layers(depth, num_layers, choice)
    assert list(layers) == sorted(set(layers))
    assert 0 <= layers[0]
    assert layers[-1] < num_layers
    if choice == "paper":
        assert layers[-1] == num_layers - 1
        assert len(layers) == num_kept(depth, num_layers, name="depth_mult", unit="layers")
        gaps = {b - a for a, b in zip((-1, *layers), layers, strict=False)}
        assert max(gaps) - min(gaps) <= 1  # evenly spaced


def test_resolving_shows_the_counts_in_words() -> None:
    resolved = Subnet(0.5, 0.75).resolve(MINILM)
    assert resolved.layers == (0, 2, 3, 5)
    assert resolved.heads == (6,) * 4
    assert resolved.neurons == (768,) * 4
    assert str(resolved) == "4 layers (1, 3, 4, 6) x 6 heads x 768 neurons"
    smallest = Subnet(1 / 12, 1 / 6).resolve(MINILM)
    assert str(smallest) == "1 layer (6) x 1 head x 128 neurons"
    mixed = Subnet.parse("w1.00-d0.50-h1.12.6-n1.768.1").resolve(MINILM)
    assert str(mixed) == "3 layers (2, 4, 6) x 1-12 heads x 1-768 neurons"


def test_explicit_counts_replace_the_multipliers() -> None:
    subnet = Subnet(heads=(12, 1), neurons=(7, 1536), layers=(0, 5))
    resolved = subnet.resolve(MINILM)
    assert (resolved.layers, resolved.heads, resolved.neurons) == ((0, 5), (12, 1), (7, 1536))
    halved = Subnet(0.5, heads=(1, 2, 3), depth_mult=0.5).resolve(MINILM)
    assert (halved.heads, halved.neurons) == ((1, 2, 3), (768,) * 3)


def test_a_multiplier_is_taken_of_each_layers_own_size() -> None:
    shape = NetworkShape(heads=(4, 8), neurons=(100, 10))
    resolved = Subnet(0.5).resolve(shape)
    assert (resolved.heads, resolved.neurons) == ((2, 4), (50, 5))


counts = st.lists(st.integers(1, 5000), min_size=1, max_size=6).map(tuple)
layer_sets = st.sets(st.integers(0, 47), min_size=1, max_size=6).map(lambda s: tuple(sorted(s)))


@st.composite
def subnets(draw: st.DrawFn) -> Subnet:
    layers = draw(st.none() | layer_sets)
    depth = 1.0 if layers else draw(mults)
    if draw(st.booleans()):
        size = draw(st.integers(1, 6))
        both = st.lists(st.integers(1, 5000), min_size=size, max_size=size).map(tuple)
        return Subnet(1.0, depth, heads=draw(both), neurons=draw(both), layers=layers)
    return Subnet(draw(mults), depth, heads=draw(st.none() | counts), layers=layers)


@given(subnet=subnets())
def test_a_key_reads_back_as_the_same_subnet(subnet: Subnet) -> None:
    assert Subnet.parse(subnet.key) == subnet


def test_numpys_numbers_are_numbers() -> None:
    counts = tuple(np.array([3, 6]))
    subnet = Subnet(np.float32(1), layers=tuple(np.array([0, 2])), heads=counts, neurons=counts)
    assert subnet == Subnet(layers=(0, 2), heads=(3, 6), neurons=(3, 6))
    assert [type(n) for n in subnet.heads or ()] == [int, int]


def test_keys_are_short() -> None:
    assert Subnet(1e-5).key == "w0.00001-d1.00"
    assert Subnet(0.5, 0.75).key == "w0.50-d0.75"
    assert Subnet.parse("w0.50-d0.75") == Subnet(0.5, 0.75)
    assert Subnet(layers=(0, 2), heads=(3, 6), neurons=(5, 7)).key == "w1.00-y0.2-h3.6-n5.7"


@pytest.mark.parametrize("key", ["", "w", "w0.5-w0.5", "w0.5-x3", "../w0.5", "wnan-d1", "l96_3"])
def test_what_is_not_a_key_is_refused(key: str) -> None:
    with pytest.raises(UserError, match="is not a sub-network"):
        Subnet.parse(key)


@pytest.mark.parametrize("mult", [0, -0.5, 1.5, float("nan"), float("inf"), True, "0.5", None])
@pytest.mark.parametrize("name", ["width_mult", "depth_mult"])
def test_a_multiplier_outside_its_range_is_refused(name: str, mult: object) -> None:
    with pytest.raises(UserError, match=rf"{name} must be a number in \(0, 1\], for example 0.5"):
        Subnet(**{name: mult})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers": (3, 1)}, "layers must rise"),
        ({"layers": ()}, "layers must be whole numbers"),
        ({"heads": 3}, "heads must be whole numbers"),
        ({"layers": (1,), "depth_mult": 0.5}, "either depth_mult or layers"),
        ({"heads": (0,)}, "heads must be whole numbers of at least 1"),
        ({"heads": (1,), "neurons": (1,), "width_mult": 0.5}, "either width_mult or both"),
        ({"heads": (1, 2), "neurons": (1,)}, "must name the same layers"),
    ],
)
def test_contradictions_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Subnet(**fields)


@pytest.mark.parametrize(
    ("subnet", "message"),
    [
        (Subnet(layers=(6,)), "this model has 6"),
        (Subnet(heads=(13,) * 6), "this model has .* heads"),
        (Subnet(heads=(1,)), "one count for each of the 6 executed layers"),
    ],
)
def test_what_a_model_does_not_have_is_refused(subnet: Subnet, message: str) -> None:
    with pytest.raises(UserError, match=message):
        subnet.resolve(MINILM)


def test_the_papers_twelve_subnets() -> None:
    assert len(PAPER_SPACE) == 12
    found = list(PAPER_SPACE)
    assert len(set(found)) == 12
    assert found[0] == Subnet()
    assert found[-1] == Subnet(0.25, 0.5)


def test_a_search_space_sorts_and_removes_doubles() -> None:
    space = SearchSpace((0.25, 1.0, 0.25), (0.5,))
    assert space.width_mults == (1.0, 0.25)
    with pytest.raises(UserError, match="width_mults must name at least one"):
        SearchSpace((), (1.0,))
    with pytest.raises(UserError, match="depth_mults must be a number"):
        SearchSpace((1.0,), (2.0,))
