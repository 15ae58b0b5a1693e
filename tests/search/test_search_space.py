"""Points of a search: every number gives a valid sub-network, and each sub-network has one spelling."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynabert.errors import UserError
from dynabert.search.evolution import crossed, mutated, nudged, offspring
from dynabert.search.space import Candidate, JointSpace, Lengths
from dynabert.subnet import NetworkShape, SearchSpace, Subnet

WIDTHS, DEPTHS = (1.0, 0.75, 0.5, 0.25), (1.0, 0.75, 0.5)
SHAPE = NetworkShape((12,) * 6, (48,) * 6, 4)
SHARES = Lengths(unit="shares", fewest=24, most=100)
SPACE = JointSpace(SHAPE, SearchSpace(WIDTHS, DEPTHS), SHARES)


@st.composite
def spaces(draw: st.DrawFn) -> JointSpace:
    layers = draw(st.integers(1, 12))
    widths = draw(st.lists(st.sampled_from(WIDTHS), min_size=1, unique=True))
    depths = draw(st.lists(st.sampled_from(DEPTHS), min_size=1, unique=True))
    kind = draw(st.sampled_from(("shares", "tokens", None)))
    lengths = None
    if kind == "shares":
        lengths = Lengths(unit="shares", fewest=draw(st.integers(1, 100)), most=100)
    elif kind == "tokens":
        most = draw(st.integers(1, 384))
        lengths = Lengths(unit="tokens", fewest=draw(st.integers(1, most)), most=most)
    shape = NetworkShape((12,) * layers, (48,) * layers, 4)
    return JointSpace(shape, SearchSpace(tuple(widths), tuple(depths)), lengths)


def drawn(data: st.DataObject, space: JointSpace) -> Candidate:
    return space.from_numbers({name: data.draw(st.floats(0, 1)) for name in space.names})


@given(space=spaces(), data=st.data())
def test_any_numbers_give_a_sub_network_that_can_run(space, data):
    candidate = drawn(data, space)
    assert space.holds(candidate)
    resolved = space.subnet(candidate).resolve(space.shape)
    left = resolved.tokens_left(384)
    assert all(a >= b for a, b in itertools.pairwise((384, *left)))
    if space.lengths is not None and space.lengths.unit == "tokens":
        most = space.lengths.most
        assert min(resolved.tokens_left(most)) >= space.lengths.fewest
    assert space.from_numbers(space.numbers(candidate)) == candidate


@given(space=spaces(), data=st.data())
def test_two_points_are_equal_exactly_if_their_sub_networks_are(space, data):
    one, other = drawn(data, space), drawn(data, space)
    assert (one == other) == (space.subnet(one) == space.subnet(other))
    assert space.canonical(one) == one


@given(space=spaces(), data=st.data(), seed=st.integers(0, 2**31))
def test_children_lie_in_the_space(space, data, seed):
    one, other = drawn(data, space), drawn(data, space)
    rng = np.random.default_rng(seed)
    for child in (mutated(space, one, rng), crossed(space, one, other), space.random(rng)):
        assert space.holds(child)
        assert space.canonical(child) == child


@given(data=st.data(), seed=st.integers(0, 2**31))
def test_a_mutated_length_lies_between_the_parent_s_next_and_the_new_one_before(data, seed):
    space = JointSpace(SHAPE, SearchSpace((1.0,), (1.0,)), SHARES)
    parent = drawn(data, space)
    child = mutated(space, parent, np.random.default_rng(seed)).lengths
    lower = (*parent.lengths[1:], SHARES.fewest)
    upper = (SHARES.most, *child[:-1])
    assert all(a <= n <= b for a, n, b in zip(lower, child, upper, strict=True))


def test_half_of_the_places_change_and_crossing_rounds_up():
    space = JointSpace(SHAPE, SearchSpace((1.0,), (1.0,)), SHARES)
    parent = Candidate(0, 0, (95, 85, 75, 65, 55, 45))
    rng = np.random.default_rng(0)
    children = np.array([mutated(space, parent, rng).lengths for _ in range(2000)])
    changed = (children != np.array(parent.lengths)).mean(axis=0)
    # A new length may be the old one: rarer, the more lengths there are to draw from.
    assert np.all((changed > 0.42) & (changed < 0.52)), changed
    other = Candidate(0, 0, (100, 86, 75, 60, 24, 24))
    assert crossed(space, parent, other).lengths == (98, 86, 75, 63, 40, 35)
    corner = Candidate(3, 2, ())
    plain = JointSpace(SHAPE, SearchSpace(WIDTHS, DEPTHS))
    assert crossed(plain, Candidate(0, 0), corner) == Candidate(2, 1)


def test_every_layer_that_runs_may_get_shorter_and_longer():
    space = JointSpace(SHAPE, SearchSpace((1.0,), (0.5,)), SHARES)
    parent = space.with_running(0, 0, (80, 60, 40))
    rng = np.random.default_rng(0)
    for make, at_least in ((mutated, 300), (nudged, 100)):
        children = [space.subnet(make(space, parent, rng)) for _ in range(2000)]
        lengths = np.array(
            [child.length_config.entries for child in children if child.length_config]
        )
        for place, before in enumerate((0.8, 0.6, 0.4)):
            assert (lengths[:, place] < before).sum() > at_least
            assert (lengths[:, place] > before).sum() > at_least


@given(space=spaces(), data=st.data(), seed=st.integers(0, 2**31))
def test_a_nudge_stays_in_the_space(space, data, seed):
    child = nudged(space, drawn(data, space), np.random.default_rng(seed))
    assert space.holds(child)
    assert space.canonical(child) == child


def test_a_cross_needs_two_parents_and_an_unwanted_child_is_not_born():
    rng = np.random.default_rng(0)
    parent = SPACE.largest
    child, origin = offspring(SPACE, [parent], crossover=True, wanted=lambda c: True, rng=rng)
    assert origin == "mutation"
    none = offspring(SPACE, [parent], crossover=False, wanted=lambda c: False, rng=rng)
    assert none is None
    few = offspring(SPACE, [parent], crossover=False, wanted=lambda c: c.width == 2, rng=rng)
    assert few[0].width == 2


def test_lengths_of_layers_that_do_not_run_do_not_count():
    # Depth 0.5 runs layers 2, 4 and 6.
    candidate = SPACE.canonical(Candidate(1, 2, (90, 80, 70, 60, 50, 40)))
    assert candidate.lengths == (100, 80, 80, 60, 60, 40)
    assert SPACE.subnet(candidate) == Subnet(0.75, 0.5, (0.8, 0.6, 0.4))


def test_all_tokens_is_the_sub_network_without_lengths():
    assert SPACE.subnet(SPACE.largest) == Subnet()
    assert SPACE.subnet(SPACE.smallest).key == "w0.25-d0.50-r0.24_0.24_0.24"
    counts = JointSpace(
        SHAPE, SearchSpace((1.0,), (0.5,)), Lengths(unit="tokens", fewest=91, most=384)
    )
    assert counts.subnet(counts.smallest).key == "w1.00-d0.50-l91.91.91"
    assert counts.subnet(counts.largest).key == "w1.00-d0.50"


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_number_of_points_is_what_counting_gives(layers):
    shape = NetworkShape((4,) * layers, (4,) * layers, 2)
    space = JointSpace(
        shape, SearchSpace((1.0, 0.5), (1.0, 0.5)), Lengths(unit="tokens", fewest=3, most=6)
    )
    every = {
        space.canonical(Candidate(width, depth, lengths))
        for width in range(2)
        for depth in range(2)
        for lengths in itertools.product(range(3, 7), repeat=layers)
        if all(a >= b for a, b in itertools.pairwise(lengths))
    }
    points = {space.subnet(candidate).resolve(shape) for candidate in every}
    # With one layer both depths run it: the same network under two names.
    assert space.num_points == len({space.subnet(candidate) for candidate in every})
    listed = list(space.every())
    assert len(listed) == len(set(listed)) == space.num_points
    assert set(listed) == every
    assert len(points) == space.num_points // (2 if layers == 1 else 1)


@given(space=spaces(), count=st.integers(1, 40))
def test_a_search_begins_with_points_all_over_the_space(space, count):
    anchors = space.anchors(count)
    assert len(anchors) == len(set(anchors)) <= count
    assert anchors[0] == space.largest
    if count > 1 and space.num_points > 1:
        assert anchors[1] == space.smallest
    for candidate in anchors:
        assert space.holds(candidate)
        assert space.canonical(candidate) == candidate


def test_the_search_of_the_length_adaptive_transformer_begins_with_falling_lengths():
    space = JointSpace(SHAPE, SearchSpace((1.0,), (1.0,)), SHARES)
    for candidate in space.anchors(22)[2:]:
        lengths = (100, *candidate.lengths)
        factor = lengths[-1] / 100
        for place, length in enumerate(lengths):
            assert length == pytest.approx(100 * factor ** (place / 6), abs=1.1)
    least = [candidate.lengths[-1] for candidate in space.anchors(22)[2:]]
    assert least == sorted(least)
    assert least[0] == 24
    assert least[-1] > 75


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        ({"unit": "tokens", "fewest": 0, "most": 8}, "from 1 to 8, got 0"),
        ({"unit": "tokens", "fewest": 9, "most": 8}, "from 1 to 8, got 9"),
        ({"unit": "shares", "fewest": 9, "most": 80}, "so the most are 100, got 80"),
    ],
)
def test_impossible_lengths_are_refused(lengths, said):
    with pytest.raises(UserError, match=said):
        Lengths(**lengths)


@pytest.mark.parametrize(
    "candidate",
    [
        Candidate(4, 0, (100,) * 6),
        Candidate(0, -1, (100,) * 6),
        Candidate(0, 0),
        Candidate(0, 0, (100,) * 5),
        Candidate(0, 0, (50, 60, 50, 50, 50, 50)),
        Candidate(0, 0, (101, 60, 50, 50, 50, 50)),
        Candidate(0, 0, (100, 60, 50, 50, 50, 23)),
    ],
)
def test_a_point_outside_is_told_from_one_inside(candidate):
    assert not SPACE.holds(candidate)


def test_widths_and_depths_are_equally_likely():
    rng = np.random.default_rng(0)
    drawn_ = [SPACE.random(rng) for _ in range(2400)]
    for name, size in (("width", 4), ("depth", 3)):
        counts = np.bincount([getattr(one, name) for one in drawn_], minlength=size)
        spread = 4 * math.sqrt(2400 / size)
        assert np.all(abs(counts - 2400 / size) < spread)
