"""What do I lose when I make it smaller?"""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from reading import cells, charts, figure_of, finished, metric, numbers, texts
from streamlit.testing.v1 import AppTest
from tiny_run import as_student

from dynabert import Subnet
from dynabert.analysis.choices import find_row
from dynabert.analysis.survivors import dropping
from dynabert.errors import UserError
from dynabert.evaluation import (
    Evaluation,
    count_macs,
    describe_machine,
    evaluate,
    evaluate_gradually,
    num_params,
    retiming,
)
from dynabert.examples import load_examples
from dynabert.runs import RECIPE, Run, write_manifest
from pages.shared import by_layer, cache, found, jobs, live

pytest_plugins = ["app_fixtures", "mnli_run"]
ROOT = Path(__file__).resolve().parents[2]


def added(run: Run) -> list[dict[str, Any]]:
    """The results that came to those that the run was written with, in that order."""
    return Run.load(run.folder).all_results.iloc[4:].to_dict("records")


def answered(run: Run, subnet: Subnet) -> Evaluation:
    metrics = run.info.task.metrics
    return evaluate(run.model(), load_examples(run).dev, subnet, metrics=metrics)


def test_a_measured_subnet_shows_its_score_and_cost(open_app, tiny):
    at = open_app(tiny.folder.parent, "accuracy", w="0.5", d="1")
    config = tiny.model().config
    assert metric(at, "Accuracy") == "0.800"
    assert at.metric[0].delta == "-0.100 vs full"
    assert metric(at, "Parameters, layers") == f"{num_params(config, Subnet(0.5)) / 1e6:.2f} M"
    assert metric(at, "MACs, 8 tokens") == f"{count_macs(config, Subnet(0.5), 8) / 1e6:,.0f} M"
    assert metric(at, "Latency") == "3.0 ms"
    assert not at.button


def test_what_is_asked_is_told(open_app, mnli):
    at = open_app(mnli.folder.parent, "accuracy", w="0.5", d="0.5", auto="0")
    assert any("It takes one pass over all dev sets." in one.value for one in at.caption)


def test_what_the_page_evaluates_has_the_scores_of_every_dev_set(open_app, mnli):
    finished(open_app(mnli.folder.parent, "accuracy", w="0.5", d="0.5"))
    row = Run.load(mnli.folder).all_results.set_index("subnet").loc["w0.50-d0.50"]
    model, examples = mnli.model(), load_examples(mnli)
    for split, column in (("matched", "accuracy"), ("mismatched", "accuracy_mismatched")):
        dev = examples.all_dev[split]
        expected = evaluate(model, dev, Subnet(0.5, 0.5), metrics=("accuracy",))
        assert row[column] == expected.metrics["accuracy"]


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


def test_a_new_subnet_is_evaluated_at_once_and_kept(open_app, own_run):
    at = open_app(own_run.folder.parent, "accuracy", w="0.5", d="0.75")
    assert not at.exception
    (row,) = added(own_run)
    assert (row["subnet"], list(row["heads"])) == ("w0.50-d0.75", [3, 3, 3])
    assert row["num_examples"] == 12
    assert row["latency_ms"] > 0
    assert row["accuracy"] == answered(own_run, Subnet(0.5, 0.75)).metrics["accuracy"]
    assert metric(at, "Accuracy").removesuffix(" ✕") == f"{row['accuracy']:.3f}"
    assert metric(at, "Latency") == f"{row['latency_ms']:.1f} ms"
    assert not at.button


def test_nothing_is_evaluated_unasked_where_that_is_turned_off(open_app, own_run):
    at = open_app(own_run.folder.parent, "accuracy", w="0.5", d="0.75", auto="0")
    assert metric(at, "Accuracy") == "–"
    assert not added(own_run)
    at.button[0].click().run()
    assert len(added(own_run)) == 1
    assert not at.button


def test_a_long_evaluation_stops_after_a_look_and_waits_to_be_asked(open_app, own_run, monkeypatch):
    monkeypatch.setattr(live, "SLOW_SECONDS", 0.0)
    gradually = partial(evaluate_gradually, first_block=4, later_blocks=4)
    monkeypatch.setattr(live, "evaluate_gradually", gradually)
    at = open_app(own_run.folder.parent, "accuracy", w="0.5", d="0.75")
    assert not at.toggle(key="auto-evaluation").value
    assert "not been evaluated to its end" in " ".join(one.value for one in at.caption)
    assert not added(own_run)
    at.button[0].click().run()
    assert len(added(own_run)) == 1


def test_layers_may_differ_in_width_and_the_link_says_how(open_app, own_run):
    at = open_app(own_run.folder.parent, "accuracy", w="0.5", d="0.75")
    at.toggle(key="by-layer").set_value(True).run()
    labels = [slider.label for slider in at.select_slider][2:5]
    assert labels == ["Layer 1", "Layer 2", "Layer 4"]
    at.select_slider(key="heads-1").set_value(6).run()
    at.select_slider(key="heads-3").set_value(1).run()
    row = added(own_run)[-1]
    assert (row["layers"].tolist(), row["heads"].tolist()) == ([0, 1, 3], [3, 6, 1])
    assert row["neurons"].tolist() == [30, 60, 10]
    expected = answered(own_run, Subnet.parse(row["subnet"])).metrics["accuracy"]
    assert metric(at, "Accuracy").removesuffix(" ✕") == f"{expected:.3f}"
    assert metric(at, "Parameters, layers") == f"{row['num_params'] / 1e6:.2f} M"

    again = open_app(own_run.folder.parent, "accuracy", w="0.5", d="0.75", per_layer="3.6.1")
    assert again.toggle(key="by-layer").value
    assert [again.select_slider(key=f"heads-{layer}").value for layer in (0, 1, 3)] == [3, 6, 1]
    # Another depth leaves the layers that stay as they are; another width sets all.
    again.select_slider(key="d").set_value(1.0).run()
    assert [again.select_slider(key=f"heads-{layer}").value for layer in range(4)] == [3, 6, 3, 1]
    again.select_slider(key="w").set_value(1.0).run()
    assert [again.select_slider(key=f"heads-{layer}").value for layer in range(4)] == [6] * 4
    assert metric(again, "Accuracy") == "0.900"  # as the full network, whose row it is
    again.toggle(key="by-layer").set_value(False).run()
    assert len(again.select_slider) < 6


@pytest.mark.parametrize("nonsense", ["7.1", "1.2.3.4.5", "0.1", "6.x", "", "9" * 99])
def test_nonsense_for_the_layers_falls_back_to_the_width(open_app, tiny, nonsense):
    at = open_app(tiny.folder.parent, "accuracy", w="0.5", d="0.5", per_layer=nonsense)
    assert not at.exception
    assert metric(at, "Accuracy") == "0.500 ✕"
    assert not at.toggle(key="by-layer").value
    if nonsense:
        assert "the width holds for all layers" in at.info[0].value


def test_a_score_that_cannot_be_kept_is_shown_and_says_so(open_app, own_run, monkeypatch):
    def refuse(run: Run) -> None:
        raise UserError("no")

    monkeypatch.setattr(Run, "check_writable", refuse)
    at = open_app(own_run.folder.parent, "accuracy", w="0.5", d="0.75")
    assert not added(own_run)
    expected = answered(own_run, Subnet(0.5, 0.75)).metrics["accuracy"]
    assert metric(at, "Accuracy").removesuffix(" ✕") == f"{expected:.3f}"
    assert "not kept" in " ".join(one.value for one in at.caption)
    # Another visitor of the same server sees it too.
    again = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    again.query_params.update({"w": "0.5", "d": "0.75"})
    again.run().switch_page("pages/accuracy.py").run()
    assert metric(again, "Accuracy").removesuffix(" ✕") == f"{expected:.3f}"


def test_two_visitors_never_see_each_others_numbers(open_app, own_run):
    first = open_app(own_run.folder.parent, "accuracy", w="0.5", d="0.75", auto="0")
    second = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    second.query_params.update({"w": "0.166667", "d": "0.25", "auto": "0"})
    second.run().switch_page("pages/accuracy.py").run()
    visitors = {first: Subnet(0.5, 0.75), second: Subnet(1 / 6, 0.25)}
    for at in visitors:
        at.button[0].click()
    for at in (second, first, second, first):
        at.run()
        assert not at.exception
    shape = own_run.config.shape
    for at, subnet in visitors.items():
        row = find_row(Run.load(own_run.folder).results, subnet.resolve(shape))
        expected = answered(own_run, subnet)
        assert row["accuracy"] == expected.metrics["accuracy"]
        assert row["loss"] == pytest.approx(expected.loss, rel=1e-5)
        assert metric(at, "Accuracy").removesuffix(" ✕") == f"{row['accuracy']:.3f}"
        assert metric(at, "Latency") == f"{row['latency_ms']:.1f} ms"


@pytest.fixture
def foreign(own_run: Run) -> Run:
    """A run that another machine trained and timed."""
    recipe = own_run.folder / RECIPE
    text = recipe.read_text()
    changed = text.replace(f"machine: {own_run.info.machine}", "machine: a far machine, 64 threads")
    assert changed != text
    recipe.write_text(changed)
    write_manifest(own_run.folder)
    return Run.load(own_run.folder)


def test_latencies_of_another_machine_are_measured_here_where_that_is_wanted(open_app, foreign):
    at = open_app(foreign.folder.parent, "accuracy", w="0.5", d="1", cost="latency")
    assert metric(at, "Latency") == "3.0 ms"
    said = " ".join(one.value for one in at.caption).replace("\\", "")
    assert "Latencies are of the machine that trained this run: a far machine, 64 threads" in said
    at.button(key="time-here").click().run()
    at = finished(at)
    times = found.store().timed[cache.run_key(foreign)].set_index("subnet")
    assert len(times) == 4
    row = times.loc["w0.50-d1.00"]
    assert metric(at, "Latency") == f"{row['latency_ms']:.1f} ms"
    latency = next(one for one in at.metric if one.label == "Latency")
    assert describe_machine(torch.device("cpu")) in latency.help.replace("\\", "")
    drawn = np.concatenate([numbers(one["x"]) for one in charts(at)[0]["data"]])
    assert set(times["latency_ms"]) <= {float(value) for value in drawn}
    # The run keeps what its own machine measured.
    assert list(Run.load(foreign.folder).results["latency_ms"]) == [4.0, 3.0, 2.0, 1.0]
    figure = figure_of(next(code for code in cells(at) if "with_times(" in code))
    assert figure["layout"]["xaxis"]["title"] == charts(at)[0]["layout"]["xaxis"]["title"]


def test_latencies_that_arrive_while_the_page_is_drawn_are_on_it(open_app, foreign, monkeypatch):
    go_on, measure, choose = threading.Event(), retiming.measure_latency, by_layer.choose_subnet

    def wait_and_measure(*arguments, **options):
        assert go_on.wait(60)
        return measure(*arguments, **options)

    def choose_after_all_is_timed(run, results):
        job = jobs.find(f"time {cache.run_key(run)}")
        go_on.set()
        while job is not None and not job.finished:
            time.sleep(0.01)
        return choose(run, results)

    monkeypatch.setattr(retiming, "measure_latency", wait_and_measure)
    at = open_app(foreign.folder.parent, "accuracy", w="0.5", d="1", cost="latency")
    at.button(key="time-here").click().run()
    assert metric(at, "Latency") == "3.0 ms"
    monkeypatch.setattr(by_layer, "choose_subnet", choose_after_all_is_timed)
    at.run()
    times = found.store().timed[cache.run_key(foreign)].set_index("subnet")
    assert metric(at, "Latency") == f"{times.loc['w0.50-d1.00', 'latency_ms']:.1f} ms"


def test_a_new_sub_network_is_timed_where_the_others_are(open_app, foreign):
    at = open_app(foreign.folder.parent, "accuracy", w="0.5", d="0.75")
    assert metric(at, "Latency") == "–"
    assert "of another machine" in " ".join(one.value for one in at.caption)
    at.button(key="time-here").click().run()
    at = finished(at)
    times = found.store().timed[cache.run_key(foreign)].set_index("subnet")
    assert metric(at, "Latency") == f"{times.loc['w0.50-d0.75', 'latency_ms']:.1f} ms"
    other = open_app(foreign.folder.parent, "accuracy", w="0.25", d="1")
    times = found.store().timed[cache.run_key(foreign)].set_index("subnet")
    (key,) = set(times.index) - {"w0.50-d0.75", *foreign.results["subnet"].iloc[:4]}
    assert metric(other, "Latency") == f"{times.loc[key, 'latency_ms']:.1f} ms"
    assert pd.isna(added(foreign)[-1]["latency_ms"])


def test_while_all_are_timed_nothing_else_begins_and_it_can_be_stopped(
    open_app, foreign, monkeypatch
):
    go_on = threading.Event()

    def measure(model, subnets, setup, *, on_repeat):
        assert go_on.wait(60)
        on_repeat(1)
        raise AssertionError("it was asked to stop")

    monkeypatch.setattr(retiming, "measure_latency", measure)
    at = open_app(foreign.folder.parent, "accuracy", w="0.5", d="1")
    at.button(key="time-here").click().run()
    at.query_params.update({"w": "0.5", "d": "0.75"})
    at.run()
    assert "It is evaluated as soon as the latencies have been measured." in [
        c.value for c in at.caption
    ]
    assert not added(foreign)
    at.button(key="time-stop").click().run()
    assert "It stops." in [c.value for c in at.caption]
    go_on.set()
    at = finished(at)
    assert cache.run_key(foreign) not in found.store().timed
    assert [row["subnet"] for row in added(foreign)] == ["w0.50-d0.75"]  # now it was its turn


def test_filters_are_kept_in_the_link_and_the_front_follows(open_app, tiny):
    at = open_app(tiny.folder.parent, "accuracy", layers="4-4")
    outside, front = charts(at)[0]["data"][:2]
    assert sorted(numbers(outside["y"])) == [0.5, 0.7]
    assert sorted(numbers(front["y"])) == [0.8, 0.9]
    assert any("2 of 4 shown, 2 on the front" in one.value for one in at.caption)
    at.slider(key="filter-layers").set_value((2, 4)).run()
    assert any("4 of 4 shown" in one.value for one in at.caption)
    at.slider(key="filter-heads").set_value((3, 3)).run()
    assert any("2 of 4 shown, 1 on the front" in one.value for one in at.caption)
    nonsense = open_app(tiny.folder.parent, "accuracy", layers="9-x", heads="5-1", max_params="-1")
    assert not nonsense.exception


def test_the_answers_that_change_are_those_of_the_two_networks(open_app, own_run):
    at = open_app(own_run.folder.parent, "accuracy", w="0.166667", d="0.25")
    at.toggle(key="changes").set_value(True).run()
    assert not at.exception
    full, small = (answered(own_run, one) for one in (Subnet(), Subnet(1 / 6, 0.25)))
    changed = int((full.predictions != small.predictions).sum())
    assert f"**{changed}** get another answer" in " ".join(texts(at))
    if changed:
        assert len(at.dataframe[0].value) == changed


def test_others_are_compared_with_the_student_that_was_trained(open_app, own_run):
    as_student(own_run)
    at = open_app(own_run.folder.parent, "accuracy")
    assert at.metric[0].delta == "as the trained one"
    at = open_app(own_run.folder.parent, "accuracy", w="0.5", d="0.5")
    finished(at)
    trained, other = Subnet(1.0, 0.5), Subnet(0.5, 0.5)
    before, after = (answered(own_run, one) for one in (trained, other))
    change = after.metrics["accuracy"] - 0.7  # what the table says of the student
    assert at.metric[0].delta == f"{change:+.3f} vs trained one"
    at.toggle(key="changes").set_value(True).run()
    finished(at)
    changed = int((before.predictions != after.predictions).sum())
    assert any("than the sub-network of width 1 and depth 0.5" in one.label for one in at.toggle)
    assert f"**{changed}** get another answer" in " ".join(texts(at))


def test_changed_examples_are_not_mixed_with_the_runs_results(open_app, own_run):
    dev_file = own_run.info.data.csv.dev_file
    original = dev_file.read_text()
    try:
        dev_file.write_text(original + "the cat is good.,pos\n")
        at = open_app(own_run.folder.parent, "accuracy", w="0.5", d="0.75")
        assert not at.exception
        assert "fingerprint differs" in at.warning[0].value
        assert not added(own_run)
    finally:
        dev_file.write_text(original)
    at.button[-1].click().run()  # look again
    assert not any("fingerprint" in one.value for one in at.warning)
    assert len(added(own_run)) == 1


def test_without_its_examples_a_run_shows_what_is_known(open_app, own_run):
    dev_file = own_run.info.data.csv.dev_file
    moved = dev_file.rename(dev_file.with_suffix(".moved"))
    try:
        at = open_app(own_run.folder.parent, "accuracy", w="0.5", d="0.75")
        assert not at.exception
        assert "dev" in at.warning[0].value
        assert len(charts(at)) == 1
        at.toggle(key="changes").set_value(True).run()
        assert not at.exception
        at.select_slider(key="d").set_value(1.0).run()
        assert metric(at, "Accuracy") == "0.800"
    finally:
        moved.rename(dev_file)


def test_depth_by_another_number_is_the_same_subnet(open_app, own_run):
    """Of 4 layers, depth 0.6 keeps the two that depth 0.5 keeps."""
    at = open_app(own_run.folder.parent, "accuracy", w="1", d="0.6")
    assert at.select_slider(key="d").value == 0.5
    assert metric(at, "Accuracy") == "0.700"


def test_length_is_a_third_control(open_app, own_run):
    at = open_app(own_run.folder.parent, "accuracy", w="0.5", drop="0.2")
    slider = at.select_slider(key="lengths-choice")
    assert slider.value == "0.2"
    (row,) = added(own_run)
    (subnet,) = dropping(Subnet(0.5), own_run.config.shape, drops=(0.2,))
    assert row["subnet"] == subnet.key
    assert row["accuracy"] == answered(own_run, subnet).metrics["accuracy"]
    assert row["macs"] == count_macs(own_run.config, subnet, 8)
    assert metric(at, "Accuracy").removesuffix(" ✕") == f"{row['accuracy']:.3f}"
    assert "80%, 64%, 51%, 41% of the tokens leave them" in " ".join(c.value for c in at.caption)
    names = {trace.get("name") for trace in charts(at)[0]["data"]}
    assert ("drops tokens" in names) == (not row["collapsed"])
    at.toggle(key="filter-whole").set_value(True).run()
    assert "4 of 5 shown" in " ".join(c.value for c in at.caption)
    slider = at.select_slider(key="lengths-choice")
    slider.set_value("0").run()
    assert metric(at, "Accuracy") == "0.800"
    assert len(added(own_run)) == 1
    # What the other pages show is of networks that keep all tokens.
    assert open_app(own_run.folder.parent, "overview").metric[0].value


def test_a_link_may_name_lengths(open_app, own_run):
    at = open_app(own_run.folder.parent, "accuracy", w="1", d="0.5", lengths="r0.9_0.3", auto="0")
    assert at.select_slider(key="lengths-choice").value == "w1.00-d0.50-r0.9_0.3"
    assert "90%, 30% of the tokens leave them" in " ".join(c.value for c in at.caption)
    # One that a step of the slider names as well has that name.
    at = open_app(own_run.folder.parent, "accuracy", d="0.5", lengths="r0.8_0.64", auto="0")
    assert at.select_slider(key="lengths-choice").value == "0.2"
    for wrong in ("r0.9", "r0.3_0.9", "l<b>", ""):
        at = open_app(own_run.folder.parent, "accuracy", d="0.5", lengths=wrong, auto="0")
        assert at.select_slider(key="lengths-choice").value == "0"


def test_a_sub_network_that_drops_tokens_can_be_taken_away(open_app, own_run):
    at = open_app(own_run.folder.parent, "take_away", d="0.5", lengths="r0.9_0.3")
    assert any("--subnet w1.00-d0.50-r0.9_0.3 " in code.value for code in at.code)
