"""What do I lose when I make it smaller?"""

from __future__ import annotations

import pytest
from reading import charts, finished, metric, numbers

from dynabert import Subnet
from dynabert.evaluation import count_macs, num_params
from dynabert.runs import Run

pytest_plugins = ["app_fixtures"]


def test_a_measured_subnet_shows_its_score_and_cost(open_app, tiny):
    at = open_app(tiny.folder.parent, "accuracy", w="0.5", d="1")
    config = tiny.model().config
    assert metric(at, "Accuracy") == "0.800"
    assert at.metric[0].delta == "-0.100 vs full"
    assert metric(at, "Parameters, layers") == f"{num_params(config, Subnet(0.5)) / 1e6:.2f} M"
    assert metric(at, "MACs, 8 tokens") == f"{count_macs(config, Subnet(0.5), 8) / 1e6:,.0f} M"
    assert metric(at, "Latency") == "3.0 ms"
    assert not at.button


def test_a_collapsed_subnet_is_marked_beside_its_score(open_app, tiny):
    at = open_app(tiny.folder.parent, "accuracy", w="0.5", d="0.5")
    assert metric(at, "Accuracy") == "0.500 ✕"
    assert "same answer" in at.warning[0].value


def test_the_front_leaves_collapsed_subnets_out(open_app, tiny):
    front, sound, collapsed, chosen = charts(open_app(tiny.folder.parent, "accuracy"))[0]["data"]
    # Of width 0.5 and depth 0.5 the first is better and about as cheap.
    assert list(numbers(front["y"])) == sorted(numbers(front["y"]))
    assert 0.9 in numbers(front["y"])
    assert 0.5 not in numbers(front["y"])
    assert list(numbers(collapsed["y"])) == [0.5]
    assert len(numbers(sound["x"])) == 3
    assert list(numbers(chosen["y"])) == [0.9]


@pytest.mark.parametrize(("cost", "unit"), [("macs", "multiply"), ("latency", "ms")])
def test_the_cost_axis_is_a_choice_that_the_link_keeps(open_app, tiny, cost, unit):
    at = open_app(tiny.folder.parent, "accuracy")
    at.segmented_control(key="cost").set_value(cost).run()
    assert unit in charts(at)[0]["layout"]["xaxis"]["title"]["text"]
    again = open_app(tiny.folder.parent, "accuracy", cost=cost)
    assert again.segmented_control(key="cost").value == cost


def test_a_new_subnet_is_evaluated_on_request_and_kept(open_app, own_run):
    at = open_app(own_run.folder.parent, "accuracy", w="0.5", d="0.75")
    assert metric(at, "Accuracy") == "–"
    at.button[0].click().run()
    finished(at)
    assert not at.exception
    results = Run.load(own_run.folder).results
    (row,) = results[results["depth_mult"] == 0.75].to_dict("records")
    assert list(row["heads"]) == [3, 3, 3]
    assert row["num_examples"] == 12
    assert row["latency_ms"] > 0
    assert metric(at, "Accuracy").removesuffix(" ✕") == f"{row['accuracy']:.3f}"
    assert not at.button


def test_changed_examples_are_not_mixed_with_the_runs_results(open_app, own_run):
    dev_file = own_run.info.data.csv.dev_file
    original = dev_file.read_text()
    try:
        dev_file.write_text(original + "the cat is good.,pos\n")
        at = open_app(own_run.folder.parent, "accuracy", w="0.5", d="0.75")
        at.button[0].click().run()
        assert not at.exception
        assert "fingerprint differs" in at.error[0].value
        assert len(Run.load(own_run.folder).results) == 4
    finally:
        dev_file.write_text(original)


def test_missing_examples_get_a_sentence(open_app, own_run):
    dev_file = own_run.info.data.csv.dev_file
    moved = dev_file.rename(dev_file.with_suffix(".moved"))
    try:
        at = open_app(own_run.folder.parent, "accuracy", w="0.5", d="0.75")
        at.button[0].click().run()
        assert not at.exception
        assert "dev" in at.error[0].value
    finally:
        moved.rename(dev_file)


def test_depth_by_another_number_is_the_same_subnet(open_app, own_run):
    """Of 4 layers, depth 0.6 keeps the two that depth 0.5 keeps."""
    at = open_app(own_run.folder.parent, "accuracy", w="1", d="0.6")
    assert at.select_slider(key="d").value == 0.5
    assert metric(at, "Accuracy") == "0.700"
