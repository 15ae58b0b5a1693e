"""Optimal subarchitecture extraction on toy spaces, by hand and against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynabert.analysis.pareto import pareto_front
from dynabert.errors import UserError
from dynabert.search.ose import (
    Exponents,
    MaximumPoint,
    Member,
    check_assumptions,
    extract,
    frozen_winner,
    maximum_point,
    w_coefficient,
    zoom,
)

COSTS = st.integers(1, 12)
ERRORS = st.sampled_from([0.25, 0.5, 0.75, 1.0, 2.0])
SPACES = st.lists(st.tuples(COSTS, COSTS, ERRORS), min_size=2, max_size=14)


def space_of(values):
    members = [
        Member(key=f"m{number:02}", num_params=p, inference=i)
        for number, (p, i, _) in enumerate(values)
    ]
    errors = {f"m{number:02}": e for number, (_, _, e) in enumerate(values)}
    return members, lambda member, _: errors[member.key]


SMALL = Member(key="small", num_params=20.0, inference=5.0)
LARGE = Member(key="large", num_params=100.0, inference=10.0)
T = MaximumPoint(num_params=100.0, inference=10.0)


def test_w_is_what_it_is_by_hand():
    # (100 - 20) / 100 * (10 - 5) / 10 / 0.5 = 0.8 * 0.5 * 2
    assert w_coefficient(SMALL, 0.5, T) == pytest.approx(0.8)
    assert w_coefficient(LARGE, 0.5, T) == 0
    # 0.8^2 * 0.5^0 * 0.5^-3
    generalised = Exponents(params=2, inference=0, error=3)
    assert w_coefficient(SMALL, 0.5, T, generalised) == pytest.approx(0.64 * 8)
    # 10 % beyond the largest: (110 - 100) / 110 * (11 - 10) / 11 / 0.5
    beyond = maximum_point([SMALL, LARGE], margin=0.1)
    assert w_coefficient(LARGE, 0.5, beyond) == pytest.approx(10 / 110 / 11 / 0.5)


def test_what_costs_more_than_the_maximum_point_gains_nothing_by_it():
    both = Member(
        key="both", num_params=300.0, inference=30.0
    )  # a positive product of two negatives
    assert w_coefficient(both, 0.5, T) == 0


@pytest.mark.parametrize("error", [0.0, -1.0, math.inf, math.nan])
def test_an_error_must_be_a_loss_above_zero(error):
    with pytest.raises(UserError, match=r"error of small must be a finite number above 0"):
        w_coefficient(SMALL, error, T)


@pytest.mark.parametrize("cost", [0.0, -1.0, math.inf, math.nan])
def test_costs_must_be_above_zero(cost):
    with pytest.raises(UserError, match="num_params of m must be a finite number above 0"):
        Member(key="m", num_params=cost, inference=1.0)


@given(SPACES)
def test_epsilon_1_is_brute_force(values):
    members, error_of = space_of(values)
    maximum = maximum_point(members)
    ws = {
        one.key: (maximum.num_params - one.num_params)
        / maximum.num_params
        * (maximum.inference - one.inference)
        / maximum.inference
        / error_of(one, None)
        for one in members
    }
    if max(ws.values()) == 0:
        with pytest.raises(UserError, match=f"W is 0 for each of the {len(members)} architectures"):
            extract(members, error_of)
        return
    found = extract(members, error_of)
    assert found.winner.w == pytest.approx(max(ws.values()), rel=1e-12)
    assert [one.w for one in found.tried] == pytest.approx(
        [ws[one.member.key] for one in found.tried], rel=1e-12
    )
    assert found.num_members == len(members) == len(found.tried)
    # Nothing tried is as small, as fast and as right, and better in one of them.
    winner = found.winner
    for one in found.tried:
        costs = (one.member.num_params, one.member.inference, one.error)
        best = (winner.member.num_params, winner.member.inference, winner.error)
        assert not (all(a <= b for a, b in zip(costs, best, strict=True)) and costs != best)


@given(SPACES, st.data())
def test_a_dominated_architecture_never_changes_the_winner(values, data):
    members, error_of = space_of(values)
    try:
        before = extract(members, error_of)
    except UserError:
        return
    p, i, e = data.draw(st.sampled_from(values))
    maximum = before.maximum
    # No better in anything than one that is there, and within the maximum point.
    worse = (
        data.draw(st.integers(p, int(maximum.num_params))),
        data.draw(st.integers(i, int(maximum.inference))),
        e * data.draw(st.sampled_from([1.0, 1.5, 4.0])),
    )
    more, error_of_more = space_of([*values, worse])
    after = extract(more, error_of_more)
    assert after.winner.member == before.winner.member
    assert after.maximum == maximum


@given(SPACES, st.integers(1, 14))
def test_epsilon_tries_every_so_many_th_from_the_smallest(values, epsilon):
    members, error_of = space_of(values)
    if epsilon > len(members):
        with pytest.raises(UserError, match=f"from 1 to {len(members)}, the size of the space"):
            extract(members, error_of, epsilon=epsilon)
        return
    ordered = sorted(members, key=lambda one: (one.num_params, one.inference, one.key))
    told = []
    try:
        found = extract(
            members, error_of, epsilon=epsilon, on_tried=lambda one, *rest: told.append(rest)
        )
    except UserError:
        return
    assert [one.member for one in found.tried] == ordered[::epsilon]
    wanted = math.ceil(len(members) / epsilon)
    assert told == [(done, wanted) for done in range(1, wanted + 1)]
    assert {*found.skipped} == {*members} - {*ordered[::epsilon]}
    near = zoom(found, error_of)
    brute = extract(members, error_of)
    assert found.winner.w <= near.winner.w <= brute.winner.w
    place = ordered.index(found.winner.member)
    reached = {*ordered[max(0, place - epsilon + 1) : place + epsilon]} | {*ordered[::epsilon]}
    assert {one.member for one in near.tried} == reached
    assert near.num_members == len(members)


def test_hyperparameters_are_tried_with_every_architecture():
    members, _ = space_of([(1, 1, 1.0), (2, 2, 1.0), (3, 3, 1.0)])
    asked = []

    def error_of(member, rate):
        asked.append((member.key, rate))
        return 2.0 if rate == "small" else 1.0 + member.num_params

    found = extract(members, error_of, hyperparameters=("small", "large"))
    assert asked == [(f"m0{n}", rate) for n in range(3) for rate in ("small", "large")]
    # m00: saves 2/3 and 2/3; e is 2 with either.
    assert found.winner.member.key == "m00"
    assert found.winner.w == pytest.approx(4 / 9 / 2)
    assert found.num_members == 3


def test_a_space_of_equal_parameters_is_told_and_not_silently_zero():
    members, error_of = space_of([(5, 1, 1.0), (5, 2, 0.5), (5, 3, 0.25)])
    with pytest.raises(
        UserError, match=r"none has less parameters than .* margin, for example 0.1"
    ):
        extract(members, error_of)
    beyond = maximum_point(members, margin=0.5)
    # P is 1/3 for each; I = (4.5 - i) / 4.5
    found = extract(members, error_of, maximum=beyond)
    ws = [1 / 3 * (4.5 - i) / 4.5 / e for i, e in ((1, 1.0), (2, 0.5), (3, 0.25))]
    assert [one.w for one in found.tried] == pytest.approx(ws)
    left_out = extract(members, error_of, exponents=Exponents(params=0))
    assert [one.w for one in left_out.tried] == pytest.approx([2 / 3, 1 / 3 / 0.5, 0.0])


@pytest.mark.parametrize("values", [[(5, 5, 1.0)], [(1, 9, 1.0), (9, 1, 1.0)]])
def test_a_space_without_a_choice_is_told(values):
    members, error_of = space_of(values)
    with pytest.raises(UserError, match="it cannot choose among them"):
        extract(members, error_of)


def test_names_must_differ_and_the_space_must_hold_something():
    with pytest.raises(UserError, match="two architectures of the space are called small"):
        extract([SMALL, SMALL, LARGE], lambda *_: 1.0)
    with pytest.raises(UserError, match="space is empty"):
        extract([], lambda *_: 1.0)


def test_the_frozen_winner_is_who_wins_when_all_errors_are_equal():
    values = [(1, 1, 4.0), (5, 5, 0.25), (10, 10, 0.2)]
    members, error_of = space_of(values)
    found = extract(members, error_of)
    assert found.winner.member.key == "m01"
    assert frozen_winner(found).key == "m00"
    equal = extract(members, lambda *_: 1.0)
    assert equal.winner.member == frozen_winner(equal)


def test_the_guarantee_is_claimed_only_where_its_conditions_hold():
    ordered, error_of = space_of([(1, 1, 3.0), (2, 2, 2.0), (3, 3, 1.0)])
    tried = extract(ordered, error_of).tried
    assert check_assumptions(tried, strongly_convex=True).guarantee_holds
    network = check_assumptions(tried)
    assert not network.guarantee_holds
    assert network.in_words == (
        "No approximation guarantee: the loss of a Transformer is not strongly convex."
    )
    disordered, error_of = space_of([(1, 1, 1.0), (2, 2, 2.0), (3, 3, 0.5)])
    found = check_assumptions(extract(disordered, error_of).tried, strongly_convex=True)
    # Of three pairs the errors rise in one and fall in two.
    assert found.params_error == pytest.approx(-1 / 3)
    assert found.params_inference == 1
    assert not found.guarantee_holds


def test_rank_agreement_of_errors_after_few_and_many_steps():
    members, error_of = space_of([(1, 1, 3.0), (2, 2, 2.0), (3, 3, 1.0)])
    found = check_assumptions(
        extract(members, error_of).tried,
        short_long={"3 and 200 steps": ([3.0, 2.0, 1.0], [1.0, 2.0, 3.0])},
    )
    assert found.short_long == {"3 and 200 steps": -1.0}
    same = check_assumptions(extract(members, lambda *_: 1.0).tried)
    assert math.isnan(same.params_error)


@given(SPACES)
def test_the_winner_is_on_the_front_of_cost_and_error(values):
    members, error_of = space_of(values)
    try:
        winner = extract(members, error_of).winner
    except UserError:
        return
    # At equal parameters or less, nobody has both less inference cost and less error.
    rivals = [one for one in members if one.num_params <= winner.member.num_params]
    cost = np.array([one.inference for one in rivals], dtype=float)
    quality = np.array([-error_of(one, None) for one in rivals])
    assert pareto_front(cost, quality)[[one.key for one in rivals].index(winner.member.key)]
