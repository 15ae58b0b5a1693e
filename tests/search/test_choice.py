"""Which sub-network to take within a budget: what the clock says decides, and never too much is taken."""

from __future__ import annotations

import math

import pytest
from fake_clock import FakeClock, key, key_of, option

from dynabert.errors import UserError
from dynabert.evaluation import Latency
from dynabert.search.budget import Budget
from dynabert.search.choosing import decide


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
