"""Which sub-network to take within a budget: what the clock says decides, and never too much is taken."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_modelled import keep, made

from dynabert.errors import UserError
from dynabert.evaluation import Latency, count_macs, evaluate, num_params
from dynabert.examples import load_examples
from dynabert.search.budget import Budget
from dynabert.search.candidates import Option, missing_standard, options_of
from dynabert.search.choice import Choice
from dynabert.search.choosing import choose, decide
from dynabert.subnet import Subnet

pytest_plugins = ["searched_run"]
NAMES = [Subnet(width / 8, depth / 8) for width in range(1, 9) for depth in (4, 8)]


class FakeClock:
    """Says for each sub-network one latency after another, the last again and again."""

    def __init__(self, times: dict[str, Sequence[float]]) -> None:
        self.times = times
        self.calls: list[list[str]] = []
        self.said: dict[str, list[float]] = {}

    def __call__(self, subnets: Sequence[Subnet]) -> list[Latency]:
        keys = [subnet.key for subnet in subnets]
        assert len(set(keys)) == len(keys)
        self.calls.append(keys)
        found = []
        for key in keys:
            said = self.said.setdefault(key, [])
            said.append(self.times[key][min(len(said), len(self.times[key]) - 1)])
            found.append(Latency(median_ms=said[-1], iqr_ms=0.1))
        return found


def option(number: int, score: float, **changes: object) -> Option:
    values = {"collapsed": False, "is_standard": True, "num_params": 10, "macs": 100}
    return Option(subnet=NAMES[number], score=score, **(values | changes))


def key(number: int) -> str:
    return NAMES[number].key


def key_of(option: Option | None) -> str | None:
    return option and option.key


def test_the_best_that_is_fast_enough_and_what_lies_beside_it() -> None:
    options = [option(0, 0.9), option(1, 0.8), option(2, 0.85), option(3, 0.7), option(4, 0.95)]
    clock = FakeClock({key(0): [9], key(1): [5], key(2): [4], key(3): [1], key(4): [20]})
    choice = decide(options, Budget(latency_ms=5.0), clock=clock, metric="accuracy", machine="m")
    assert key_of(choice.chosen) == key(2)
    assert key_of(choice.runner_up) == key(1)  # exactly on the limit
    assert key_of(choice.step_up) == key(0)  # cheaper than the other that scores more
    assert choice.nearest_miss is None
    assert choice.excess == {}
    assert choice.gain == pytest.approx(0.05)
    assert choice.price("latency_ms") == 5.0
    # All in turn; those that were fast enough again; the two that lead, and the step, once more.
    everything = sorted(map(key, range(5)))
    assert [sorted(call) for call in clock.calls] == [
        everything,
        sorted(map(key, (1, 2, 3))),
        sorted(map(key, (1, 2))),
        [key(0)],
        [key(0)],
    ]
    assert choice.unrest == 1.0
    table = choice.table.set_index("subnet")
    assert table["fits"].to_dict() == {key(n): n in (1, 2, 3) for n in range(5)}
    assert table.loc[key(2), ["role", "latency_ms", "latency_ms_iqr"]].tolist() == [
        "chosen",
        4,
        0.1,
    ]
    plain = choice.as_json()
    assert plain["fits"] is True
    assert plain["chosen"]["measured_ms"] == [4, 4, 4]
    assert (plain["candidates"], plain["timed"]) == (5, 5)
    assert plain["step_up"]["subnet"] == key(0)
    assert plain["nearest_miss"] is None


def test_one_that_was_too_slow_once_does_not_fit() -> None:
    options = [option(0, 0.9), option(1, 0.8), option(2, 0.7), option(3, 0.6)]
    times = {key(0): [4, 4, 6], key(1): [4, 6], key(2): [6, 4], key(3): [4, 4, 4.5]}
    choice = decide(options, Budget(latency_ms=5), clock=FakeClock(times))
    assert key_of(choice.chosen) == key(3)  # the others failed when re-timed, twice, and at once
    assert choice.chosen.latency.median_ms == 4.5  # the slowest
    assert choice.unrest == pytest.approx(1.5)  # of the next step: 6 and 4
    assert choice.runner_up is None
    assert key_of(choice.step_up) == key(0)  # 6 ms as the others, and scores most


@pytest.mark.parametrize(
    ("medians", "iqr_ms", "unrest", "spread", "signs"),
    [
        ((4.0, 4.0, 4.0), 1.0, 1.0, 0.25, None),  # both at their bounds
        ((2.0, 3.0, 3.0), 0.5, 1.5, 0.25, None),
        (
            (2.0, 2.0, 3.2),
            0.4,
            1.6,
            0.2,
            "measurements of one sub-network were up to 1.6 times apart",
        ),
        (  # steady other work: the measurements agree
            (4.0, 4.0, 4.0),
            2.4,
            1.0,
            0.6,
            "the middle half of one measurement's passes spread over 60% of its median",
        ),
        (
            (2.0, 4.0, 4.0),
            1.0,
            2.0,
            0.5,
            "measurements of one sub-network were up to 2.0 times apart and the middle half of one "
            "measurement's passes spread over 50% of its median",
        ),
    ],
)
def test_a_busy_machine_is_warned_of(medians, iqr_ms, unrest, spread, signs) -> None:
    said = iter(medians)
    choice = decide(
        [option(0, 0.9)],
        Budget(latency_ms=5),
        clock=lambda subnets: [Latency(median_ms=next(said), iqr_ms=iqr_ms) for _ in subnets],
    )
    assert len(choice.chosen.measured) == 3
    assert choice.unrest == pytest.approx(unrest)
    assert choice.spread == pytest.approx(spread)
    assert choice.was_busy == (signs is not None)
    assert choice.warning == (
        signs
        and f"The machine was busy: {signs}. Choose again when it is quiet: the answer may be another then."
    )
    plain = choice.as_json()
    assert (plain["unrest"], plain["spread"]) == (choice.unrest, choice.spread)
    assert (plain["was_busy"], plain["warning"]) == (choice.was_busy, choice.warning)


def test_where_time_does_not_decide_the_warning_says_so() -> None:
    choice = decide(
        [option(0, 0.9)],
        Budget(num_params=20),
        clock=lambda subnets: [Latency(median_ms=4.0, iqr_ms=3.0) for _ in subnets],
    )
    assert choice.spread == 0.75
    assert "The choice does not depend on it, but latencies came out too long" in choice.warning
    missed = decide(
        [option(0, 0.9)],
        Budget(floor=0.95),
        clock=lambda subnets: [Latency(median_ms=4.0, iqr_ms=3.0) for _ in subnets],
    )
    assert key_of(missed.nearest_miss) == key(0)
    assert "The choice does not depend on it" in missed.warning
    nothing = decide([], Budget(num_params=20), clock=lambda subnets: [])
    assert (nothing.spread, nothing.unrest, nothing.warning) == (0.0, 1.0, None)


def test_where_nothing_fits_the_nearest_miss_is_told() -> None:
    options = [option(0, 0.9), option(1, 0.8), option(2, 0.7)]
    clock = FakeClock({key(0): [9], key(1): [7], key(2): [7.5]})
    choice = decide(options, Budget(latency_ms=5), clock=clock)
    assert (choice.chosen, choice.runner_up, choice.step_up, choice.gain) == (None,) * 4
    assert key_of(choice.nearest_miss) == key(1)
    assert choice.excess == {"latency_ms": 2.0}
    assert choice.as_json()["excess"] == {"latency_ms": 2.0}
    # 7 ms is 40 % too much; 0.2 below the floor counts less than that.
    both = decide(options, Budget(latency_ms=8, floor=0.9), clock=clock)
    assert key_of(both.nearest_miss) == key(1)
    assert both.excess == {"floor": pytest.approx(0.1)}
    # Shares of different limits: 90 % above 10 parameters' half, or 12.5 % above 8 ms.
    sized = [option(0, 0.9, num_params=5), option(1, 0.8, num_params=19)]
    both = decide(sized, Budget(latency_ms=8, num_params=10), clock=clock)
    assert key_of(both.nearest_miss) == key(0)
    assert both.excess == {"latency_ms": 1.0}


def test_a_floor_alone_asks_for_the_fastest_that_reaches_it() -> None:
    options = [option(0, 0.9), option(1, 0.85), option(2, 0.8), option(3, 0.95), option(4, 0.85)]
    times = {key(0): [4, 9], key(1): [5], key(2): [1], key(3): [8], key(4): [6]}
    clock = FakeClock(times)
    choice = decide(options, Budget(floor=0.85), clock=clock)
    assert key_of(choice.chosen) == key(1)  # the first was as slow as 9 ms once
    assert key_of(choice.runner_up) == key(4)
    assert key_of(choice.step_up) == key(3)
    again = decide(options[:2], Budget(floor=0.5), clock=FakeClock(times))
    assert again.table.set_index("subnet")["role"].to_dict() == {
        key(1): "chosen",
        key(0): "runner-up, next step",
    }
    assert key(2) not in clock.said  # it scores too little
    idle = FakeClock(times)
    none = decide(options, Budget(floor=0.96), clock=idle)
    # Time decides nothing: only what is told is timed.
    assert {one for call in idle.calls for one in call} == {key_of(none.nearest_miss)}
    assert none.chosen is None
    assert key_of(none.nearest_miss) == key(3)
    assert none.excess == {"floor": pytest.approx(0.01)}


def test_sizes_need_no_clock_but_what_is_told_is_timed_once() -> None:
    options = [
        option(0, 0.9, num_params=30),
        option(1, 0.8, num_params=20),
        option(2, 0.8, num_params=19),
        option(3, 0.9, num_params=29),
    ]
    clock = FakeClock({key(n): [n + 1] for n in range(4)})
    choice = decide(options, Budget(num_params=20), clock=clock)
    assert key_of(choice.chosen) == key(2)  # of equal ones the smaller
    assert key_of(choice.runner_up) == key(1)
    assert key_of(choice.step_up) == key(3)
    assert choice.price("num_params") == 10
    assert clock.said == {key(2): [3], key(1): [2], key(3): [4]}
    macs = [option(0, 0.9, macs=300), option(1, 0.8, macs=200)]
    assert key_of(decide(macs, Budget(macs=250), clock=clock).chosen) == key(1)


def test_what_scores_nothing_is_never_chosen() -> None:
    options = [
        option(0, math.nan),
        option(1, 0.99, collapsed=True),
        option(2, 0.5),
        option(3, 0.4),
    ]
    clock = FakeClock({key(n): [1] for n in range(4)})
    choice = decide(options, Budget(latency_ms=5), clock=clock)
    assert [key_of(choice.chosen), key_of(choice.runner_up)] == [key(2), key(3)]
    assert choice.step_up is None
    assert choice.table.set_index("subnet")["collapsed"].to_dict() == {
        key(n): n == 1 for n in range(4)
    }
    nothing = decide(options[:2], Budget(latency_ms=5), clock=clock)
    assert (nothing.chosen, nothing.nearest_miss) == (None, None)
    assert decide([], Budget(floor=0.1), clock=clock).nearest_miss is None


def test_a_table_spares_the_clock_what_is_far_too_slow() -> None:
    predicted = {0: 20.0, 1: 5.4, 2: 4.0, 3: 3.9, 4: 3.8, 5: 3.0, 6: 30.0}
    scores = {0: 0.9, 1: 0.89, 2: 0.8, 3: 0.7, 4: 0.6, 5: 0.5, 6: 0.85}
    options = [
        option(n, scores[n], predicted_ms=ms, is_standard=n == 6) for n, ms in predicted.items()
    ]
    clock = FakeClock({key(n): [ms] for n, ms in predicted.items()} | {key(1): [4.9]})
    choice = decide(options, Budget(latency_ms=5), clock=clock, margin=0.1)
    assert key_of(choice.chosen) == key(1)  # within the table's error
    # The recipe's own are timed whatever the table says; of what will fit, the best three.
    assert set(clock.calls[0]) == set(map(key, (1, 2, 3, 4, 6)))
    assert set(clock.said) == set(map(key, (0, 1, 2, 3, 4, 6)))  # the first: the step up
    assert key_of(choice.step_up) == key(0)
    assert choice.modelled
    # The table was wrong about all of these: the rest is timed as well.
    slow = FakeClock({key(n): [50] for n in range(7)} | {key(5): [2]})
    assert key_of(decide(options, Budget(latency_ms=5), clock=slow, margin=0.1).chosen) == key(5)
    # It was wrong by more than it said: the nearest miss turned out to fit.
    alone = [option(0, 0.9, predicted_ms=20.0, is_standard=False)]
    clock = FakeClock({key(0): [3]})
    choice = decide(alone, Budget(latency_ms=5), clock=clock, margin=0.1)
    assert (key_of(choice.chosen), choice.nearest_miss) == (key(0), None)
    # And so did the step up.
    pair = [*alone, option(1, 0.5, predicted_ms=4.0)]
    choice = decide(
        pair, Budget(latency_ms=5), clock=FakeClock({key(0): [3], key(1): [3]}), margin=0.1
    )
    assert (key_of(choice.chosen), key_of(choice.runner_up)) == (key(0), key(1))
    assert choice.step_up is None
    # The fastest of those that reach a floor: 3.9 may be faster than 3.8.
    clock = FakeClock({key(n): [ms] for n, ms in predicted.items()} | {key(3): [3.5]})
    choice = decide(options, Budget(floor=0.6), clock=clock, margin=0.1)
    assert key_of(choice.chosen) == key(3)
    assert key(0) not in clock.calls[0]


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


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "a budget needs a limit"),
        ({"tokens": 32}, "a budget needs a limit"),
        ({"latency_ms": 0}, "latency_ms must be a number above 0, for example 5, got 0"),
        ({"latency_ms": math.nan}, "latency_ms must be"),
        ({"latency_ms": math.inf}, "latency_ms must be"),
        ({"latency_ms": "5"}, "latency_ms must be"),
        ({"num_params": -1}, "num_params must be a number above 0"),
        ({"macs": True}, "macs must be"),
        ({"floor": 85}, "the floor must be a number from -1 to 1"),
        ({"floor": math.nan}, "the floor must be"),
        ({"floor": 0.5, "tokens": 0}, "tokens must be a whole number of at least 1, got 0"),
        ({"floor": 0.5, "tokens": 1.5}, "tokens must be a whole number"),
        ({"floor": 0.5, "batch_size": -3}, "batch_size must be a whole number"),
        ({"floor": 0.5, "batch_size": 1025}, "batch_size must be at most 1024, got 1025"),
    ],
)
def test_a_bad_budget_is_refused(values, said) -> None:
    with pytest.raises(UserError, match=said):
        Budget(**values)


def steady(run, ms: Callable[[Subnet], float]) -> FakeClock:
    return FakeClock({one.key: [ms(one.subnet)] for one in options_of(run, run.all_results, 8)})


def test_a_run_is_chosen_from_with_what_drops_tokens_and_what_was_kept_since(run) -> None:
    model = run.model()
    dropping = Subnet(1.0, 1.0, (0.9, 0.8, 0.7, 0.6))
    new = run.all_results.iloc[[0]].assign(
        subnet=dropping.key, length_config=dropping.length_config.key, accuracy=0.87
    )
    part = new.assign(subnet="w0.83-d1.00", length_config=None, accuracy=1.0, num_examples=6)
    part["heads"], part["neurons"] = [[4] * 4], [[49] * 4]
    run.add_results(pd.concat([new, part]))
    options = {one.key: one for one in options_of(run, run.all_results, 10)}
    # That of a part of dev is not looked at; the other counts MACs for the budget's tokens.
    assert sorted(options) == sorted(
        ["w1.00-d1.00", "w0.50-d1.00", "w1.00-d0.50", "w0.50-d0.50", dropping.key]
    )
    assert options[dropping.key].macs == count_macs(model, dropping, 10)
    assert options[dropping.key].num_params == num_params(model, dropping)
    assert [one.is_standard for one in options.values()].count(True) == 4
    assert options["w0.50-d0.50"].collapsed
    ms = {"w1.00-d1.00": 8.0, "w0.50-d1.00": 3.0, "w1.00-d0.50": 2.0, "w0.50-d0.50": 1.0}
    clock = steady(run, lambda subnet: ms.get(subnet.key, 4.5))
    choice = choose(run, model, Budget(latency_ms=5, tokens=10), clock=clock)
    assert isinstance(choice, Choice)
    assert key_of(choice.chosen) == dropping.key
    assert key_of(choice.runner_up) == "w0.50-d1.00"
    assert key_of(choice.step_up) == "w1.00-d1.00"
    assert choice.gain == pytest.approx(0.03)
    assert choice.metric == "accuracy"
    reordered = run.all_results.iloc[::-1]
    clock = steady(run, lambda subnet: ms.get(subnet.key, 4.5))
    again = choose(run, model, Budget(latency_ms=5, tokens=10), clock=clock, results=reordered)
    assert again == choice


def test_what_the_recipe_reports_is_evaluated_where_that_is_missing(run) -> None:
    known = run.all_results
    results = known[~known["subnet"].isin(["w0.50-d1.00", "w1.00-d0.50"])]
    missing = missing_standard(run, results)
    assert [subnet.key for subnet in missing] == ["w0.50-d1.00", "w1.00-d0.50"]
    assert missing_standard(run, known) == []
    # Under another name it is not missing.
    renamed = known.assign(subnet=known["subnet"].replace("w0.50-d1.00", "w0.51-d1.00"))
    assert missing_standard(run, renamed) == []
    assert "w0.50-d1.00" in {one.key for one in options_of(run, renamed, 8)}
    model, kept, told = run.model(), [], []
    choice = choose(
        run,
        model,
        Budget(num_params=1e9, tokens=8),
        results=results,
        clock=steady(run, lambda subnet: 1.0),
        on_evaluated=kept.append,
        on_progress=lambda *values: told.append(values),
    )
    (rows,) = kept
    assert rows["subnet"].tolist() == ["w0.50-d1.00", "w1.00-d0.50"]
    assert told[-1] == ("evaluate", 12, 12)
    for row in rows.to_dict("records"):
        subnet = Subnet.parse(row["subnet"])
        found = evaluate(model, load_examples(run).dev, subnet, metrics=("accuracy",))
        assert row["accuracy"] == found.metrics["accuracy"]
        assert row["macs"] == count_macs(model, subnet, 8)
        assert math.isnan(row["latency_ms"])
        score = {one.key: one.score for one in choice.options}[row["subnet"]]
        assert score == row["accuracy"]
    run.add_results(rows)
    assert run.all_results["latency_ms"].dtype.kind == "f"


def test_of_a_student_of_fixed_size_the_full_network_is_not_standard(student) -> None:
    results = student.all_results
    assert results["subnet"].tolist() == ["w1.00-d0.50"]
    assert missing_standard(student, results) == []  # the full network was never trained
    (only,) = options_of(student, results, 8)
    assert only.is_standard
    assert [one.key for one in student.recipe_grid] == ["w1.00-d0.50"]
    assert student.largest.key == "w1.00-d0.50"
    swept = results.assign(
        subnet="w1.00-d1.00", depth_mult=1.0, heads=[[6] * 4], neurons=[[60] * 4]
    ).assign(layers=[[0, 1, 2, 3]])
    student.add_results(swept)
    shown = {one.key: one.is_standard for one in options_of(student, student.all_results, 8)}
    assert shown == {"w1.00-d0.50": True, "w1.00-d1.00": False}


def test_examples_of_other_scores_are_refused(run) -> None:
    results = run.all_results.iloc[:3]
    examples = dataclasses.replace(load_examples(run), notices=("they are others",))
    with pytest.raises(UserError, match="they are others. A choice needs the run's own"):
        choose(
            run, run.model(), Budget(floor=0.1, tokens=8), results=results, load=lambda: examples
        )
    with pytest.raises(UserError, match="reads at most 40 tokens, got 41"):
        choose(run, run.model(), Budget(floor=0.1, tokens=41))


def test_a_trusted_table_of_this_machine_is_read(run) -> None:
    model, budget = run.model(), Budget(latency_ms=1e9, tokens=12)
    table = made(run)
    keep(run, table)
    clock = steady(run, lambda subnet: 1.0)
    choice = choose(run, model, budget, clock=clock)
    assert choice.modelled
    for one in choice.options:
        assert one.predicted_ms == table.predict(model, one.subnet, 12)
    keep(run, made(run, error=0.2))  # nobody trusts it
    assert not choose(run, model, budget, clock=clock).modelled
    keep(run, table)
    assert not choose(run, model, dataclasses.replace(budget, batch_size=2), clock=clock).modelled


def test_this_machines_clock(run, monkeypatch) -> None:
    monkeypatch.setattr("dynabert.search.choosing.REPEATS", 4)
    told: list[tuple[str, int, int]] = []
    choice = choose(
        run,
        run.model(),
        Budget(latency_ms=1e6, tokens=8, batch_size=2),
        on_progress=lambda *values: told.append(values),
    )
    assert key_of(choice.chosen) == "w1.00-d1.00"
    assert len(choice.chosen.measured) == 3
    assert all(one.median_ms > 0 for one in choice.chosen.measured)
    assert told[0] == ("measurement 1, 3 sub-networks", 0, 4)  # the collapsed one is left out
    assert told[-1] == ("measurement 3, 2 sub-networks", 4, 4)
