"""A choice from what a run has: its results, its searches, and this machine's latency table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pandas as pd
import pytest
from fake_clock import FakeClock, key_of
from test_modelled import keep, made

from dynabert.errors import UserError
from dynabert.evaluation import count_macs, evaluate, num_params
from dynabert.examples import load_examples
from dynabert.search.budget import Budget
from dynabert.search.candidates import missing_standard, options_of
from dynabert.search.choice import Choice
from dynabert.search.choosing import choose
from dynabert.subnet import Subnet

pytest_plugins = ["searched_run"]


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
