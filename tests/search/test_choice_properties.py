"""What holds of every choice, whatever the sub-networks, the budget and the clock."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable

import pytest
from fake_clock import FakeClock, key, option
from hypothesis import given, settings
from hypothesis import strategies as st

from dynabert.search.budget import Budget
from dynabert.search.candidates import Option
from dynabert.search.choosing import decide

SCORES = st.one_of(st.sampled_from([0.5, 0.6, 0.7, 0.8, 0.9]), st.just(math.nan))
TIMES = st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), min_size=1, max_size=4)


@st.composite
def fields(draw: Callable) -> tuple[list[Option], dict[str, list[float]]]:
    numbers = draw(st.lists(st.integers(0, 15), min_size=1, max_size=9, unique=True))
    options = [
        option(
            number,
            draw(SCORES),
            collapsed=draw(st.integers(0, 5)) == 0,
            is_standard=draw(st.booleans()),
            num_params=draw(st.integers(1, 4)),
            macs=draw(st.integers(1, 4)),
            predicted_ms=draw(st.floats(0.5, 7)),
        )
        for number in numbers
    ]
    return options, {key(number): draw(TIMES) for number in numbers}


BUDGETS = st.builds(
    Budget,
    latency_ms=st.sampled_from([0.5, 2.0, 3.5, 5.0]),
    num_params=st.sampled_from([None, 1, 3]),
    macs=st.sampled_from([None, 2]),
    floor=st.sampled_from([None, 0.65, 0.8]),
)


@settings(max_examples=150, deadline=None)
@given(fields(), BUDGETS, st.sampled_from([None, 0.0, 0.3, 2.0]), st.randoms())
def test_the_guarantees_hold_whatever_the_clock_says(field, budget, margin, random) -> None:
    options, times = field
    clock = FakeClock(times)
    choice = decide(options, budget, clock=clock, margin=margin)
    within = [
        one
        for one in options
        if one.is_sound
        and budget.reached_by(one.score)
        and one.num_params <= (budget.num_params or math.inf)
        and one.macs <= (budget.macs or math.inf)
    ]
    for taken in (choice.chosen, choice.runner_up):
        if taken is not None:
            assert len(clock.said[taken.key]) >= 3
            assert max(clock.said[taken.key]) <= budget.latency_ms
            assert taken.key in {one.key for one in within}
    standard = [one for one in within if one.is_standard]
    # What fits is what never was too slow in all that the clock was asked for.
    fit = [one for one in standard if max(clock.said[one.key]) <= budget.latency_ms]
    assert all(len(clock.said[one.key]) >= 2 for one in fit)
    if fit:
        assert choice.chosen is not None
        assert choice.chosen.score >= max(one.score for one in fit)
    if choice.chosen is not None:
        assert choice.nearest_miss is None
        if choice.step_up is not None:
            assert choice.step_up.score > choice.chosen.score
            assert budget.excess(choice.step_up.score, choice.step_up.costs)
    else:
        assert choice.runner_up is None
        assert choice.step_up is None
        assert (choice.nearest_miss is None) == (not any(one.is_sound for one in options))
        assert (choice.nearest_miss is None) == (not choice.excess)
    shuffled = random.sample(options, len(options))
    assert decide(shuffled, budget, clock=FakeClock(times), margin=margin) == choice


def brute_force(options: list[Option], budget: Budget, ms: dict[str, float]) -> list[Option]:
    """All that fit a steady clock, the best first."""

    def load(one: Option) -> float:
        costs = {"latency_ms": ms[one.key], "num_params": one.num_params, "macs": one.macs}
        shares = [costs[name] / limit for name, limit in budget.limits.items()]
        return max(shares) if shares else ms[one.key]

    fit = [
        one
        for one in options
        if not one.collapsed
        and one.score == one.score
        and (budget.floor is None or one.score >= budget.floor)
        and ms[one.key] <= (budget.latency_ms or math.inf)
        and one.num_params <= (budget.num_params or math.inf)
        and one.macs <= (budget.macs or math.inf)
    ]
    if budget.limits:
        return sorted(fit, key=lambda one: (-one.score, load(one)))
    return sorted(fit, key=lambda one: (load(one), -one.score))


@settings(max_examples=150, deadline=None)
@given(
    fields(),
    st.one_of(BUDGETS, st.builds(Budget, floor=st.sampled_from([0.4, 0.65, 0.85]))),
)
def test_with_a_steady_clock_it_is_what_a_look_at_all_finds(field, budget) -> None:
    options, times = field
    options = [dataclasses.replace(one, predicted_ms=math.nan) for one in options]
    ms = {name: values[0] for name, values in times.items()}
    clock = FakeClock({name: [value] for name, value in ms.items()})
    choice = decide(options, budget, clock=clock)
    fit = brute_force(options, budget, ms)
    sizes = {name: lambda one, name=name: getattr(one, name) for name in ("num_params", "macs")}

    def cost(one: Option) -> float:
        values = {"latency_ms": ms[one.key]} | {name: of(one) for name, of in sizes.items()}
        shares = [values[name] / limit for name, limit in budget.limits.items()]
        return max(shares) if shares else ms[one.key]

    for taken, expected in itertools.zip_longest((choice.chosen, choice.runner_up), fit[:2]):
        assert (taken is None) == (expected is None)
        if taken is not None:
            assert (taken.score, cost(taken)) == (expected.score, cost(expected))
    sound = [one for one in options if one.is_sound]
    if fit:
        better = [one for one in sound if one.score > choice.chosen.score]
        assert (choice.step_up is None) == (not better)
        if better:
            assert cost(choice.step_up) == min(map(cost, better))
    elif sound:

        def miss(one: Option) -> float:
            low = max(0.0, (budget.floor or -1) - one.score)
            over = max(0.0, cost(one) - 1) if budget.limits else 0.0
            return max(low, over)

        assert miss(choice.nearest_miss) == pytest.approx(min(map(miss, sound)))
