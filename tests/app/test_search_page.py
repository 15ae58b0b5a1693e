"""Which sub-network should I take?"""

from __future__ import annotations

import pandas as pd
import pytest
from reading import cells, charts, figure_of, metric, same, texts
from tiny_run import as_student

from dynabert.examples import load_examples
from dynabert.export import export_command
from dynabert.runs import Run
from dynabert.search.front import cheapest_within, measure_front, read_front
from dynabert.search.loop import run_search
from dynabert.search.search import Search, list_searches, open_search
from dynabert.search.settings import SearchSettings
from dynabert.subnet import Subnet
from pages.shared import wording
from pages.shared.search import asking, outcome

pytest_plugins = ["app_fixtures"]
SETTINGS = SearchSettings(
    num_trials=16,
    width_mults=(1.0, 0.5),
    depth_mults=(1.0, 0.5),
    tokens=8,
    num_examples=8,
    repeats=2,
)


def searched(run: Run, name: str, *, measured: bool = True, **changes) -> Search:
    search = open_search(run, name, SETTINGS.model_copy(update=changes))
    model, examples = run.model(), load_examples(run)
    run_search(search, model, examples)
    if measured:
        measure_front(search, model, examples)
    return search


def test_a_run_without_searches_offers_one(open_app, own_run, monkeypatch):
    at = open_app(own_run.folder.parent, "search")
    assert "has not been searched yet" in at.info[0].value
    assert charts(at) == []
    at.number_input(key="search-measured").set_value(4)
    at.number_input(key="search-trials").set_value(33).run()
    command = next(code.value for code in at.code if "dynabert search" in code.value)
    assert command.startswith("python -m dynabert search tiny --name tpe --tokens 8 --trials 33")
    assert "--measured 4" in command
    at.button_group(key="search-axes").set_value(["widths", "depths"]).run()
    at.selectbox(key="search-method").set_value("evolution").run()
    command = next(code.value for code in at.code if "dynabert search" in code.value)
    for part in ("--name evolution", "--widths 1,0.5", "--depths 1,0.5", "--lengths none"):
        assert part in command
    at.text_input(key="search-name").set_value("../up").run()
    assert "cannot name a search" in at.error[0].value
    assert "search-start" not in [button.key for button in at.button]
    assert list_searches(own_run) == []
    asked = []
    monkeypatch.setattr(
        asking, "start_search", lambda run, name, settings, runs_dir: asked.append((name, settings))
    )
    at.text_input(key="search-name").set_value("mine").run()
    at.button(key="search-start").click().run()
    assert asked == [
        (
            "mine",
            SearchSettings(
                method="evolution",
                num_trials=33,
                width_mults=(1.0, 0.5),
                depth_mults=(1.0, 0.5),
                lengths=None,
                tokens=8,
                num_examples=None,
                num_measured=4,
            ),
        )
    ]
    at.button_group(key="search-axes").set_value([]).run()
    assert "Choose something to search among" in at.warning[0].value


def test_a_name_that_is_taken_is_told_while_it_is_typed(open_app, own_run):
    searched(own_run, "first", num_trials=5, measured=False)
    at = open_app(own_run.folder.parent, "search")
    at.text_input(key="search-name").set_value("first").run()
    assert "has a search 'first' with other settings" in at.error[0].value
    assert "search-start" not in [button.key for button in at.button]
    at.text_input(key="search-name").set_value("second").run()
    assert not at.error
    assert "search-start" in [button.key for button in at.button]


def test_a_student_of_fixed_size_is_searched_by_its_own_layers(open_app, own_run):
    run = as_student(own_run)
    searched(run, "whole", num_trials=4, width_mults=(1.0,), depth_mults=(1.0,))
    at = open_app(own_run.folder.parent, "search")
    command = next(code.value for code in at.code if "dynabert search" in code.value)
    assert "--widths 1 --depths 0.5" in command
    assert any("may never have been trained" in one.value for one in at.warning)
    at.button_group(key="search-axes").set_value(["lengths", "depths"]).run()
    command = next(code.value for code in at.code if "dynabert search" in code.value)
    assert "--depths 0.5" in command


def test_a_damaged_search_is_told(open_app, own_run):
    folder = own_run.folder / "searches" / "broken"
    folder.mkdir(parents=True)
    (folder / "search.json").write_text("{<b>")
    at = open_app(own_run.folder.parent, "search")
    assert "broken" in at.warning[0].value
    assert "It is left out" in at.warning[0].value
    assert "has not been searched yet" in at.info[0].value


def test_modelled_latency_needs_a_table(open_app, own_run):
    at = open_app(own_run.folder.parent, "search")
    at.segmented_control(key="search-cost").set_value("modelled").run()
    assert "no latency table of this machine" in at.error[0].value
    said = at.error[0].value.replace("\\", "")
    assert "python -m dynabert latency " in said
    assert said.endswith("tiny --tokens 8 --batch 1")
    assert "search-start" not in [button.key for button in at.button]


def test_what_was_found_is_shown_and_can_be_taken(open_app, own_run):
    search = searched(own_run, "first")
    at = open_app(own_run.folder.parent, "search")
    assert not at.error
    tried, best = charts(at)
    points = [point for trace in tried["data"] for point in trace.get("customdata") or ()]
    assert sorted(points) == sorted(trial.subnet for trial in search.trials)
    table = read_front(search)
    row, _ = cheapest_within(table, metric="accuracy", cost="macs", points=1.0)
    mark = " ✕" if row["collapsed"] else ""
    whole = table.iloc[0]
    assert any(f"**{row['subnet']}**" in text.replace("\\", "") for text in texts(at))
    assert metric(at, "Dev accuracy") == f"{row['accuracy']:.3f}{mark}"
    shown = {one.label: one for one in at.metric}
    assert shown["MACs for 8 tokens (million)"].value == f"{row['macs'] / 1e6:,.4g}"
    assert shown["MACs for 8 tokens (million)"].delta == (
        f"{whole['macs'] / row['macs']:.2f} times less"
    )
    faster = whole["latency_ms_batch_32"] / row["latency_ms_batch_32"]
    said = f"{faster:.2f} times less" if faster >= 1 else f"{1 / faster:.2f} times more"
    spread = row["latency_ms_batch_32_iqr"] / 2
    assert shown["Latency (ms, batch 32)"].delta == f"± {spread:.2f}, {said}"
    assert export_command(own_run, Subnet.parse(row["subnet"])) in [one.value for one in at.code]
    smallest = table.sort_values("macs")["subnet"].iloc[0]
    at = open_app(own_run.folder.parent, "search", point=smallest, search_cost="latency_ms_batch_1")
    assert export_command(own_run, Subnet.parse(smallest)) in [one.value for one in at.code]
    assert charts(at)[1]["layout"]["xaxis"]["title"]["text"] == "latency (ms, batch 1)"


def test_cells_draw_the_figures(open_app, own_run):
    searched(own_run, "first")
    searched(own_run, "second", method="random")
    at = open_app(
        own_run.folder.parent, "search", search="second", beside_search="first", search_cost="macs"
    )
    assert len(cells(at)) == 2
    for cell, chart in zip(cells(at), charts(at), strict=True):
        assert same(figure_of(cell), chart), cell
    names = {trace.get("name") for trace in charts(at)[0]["data"]} - {None, ""}
    assert names == {"first", "second"}
    (table,) = (frame.value for frame in at.dataframe)
    assert table["search"].tolist() == ["second", "first"]
    assert table["trials"].tolist() == [16, 16]
    assert table["area"].between(0, 100).all()


def test_searches_of_another_cost_are_not_compared(open_app, own_run):
    searched(own_run, "first")
    searched(own_run, "other", tokens=9, measured=False)
    searched(own_run, "third", seed=3, measured=False)  # which draws other examples
    at = open_app(own_run.folder.parent, "search", search="first")
    assert not at.multiselect


@pytest.mark.parametrize("allowed", [True, False])
def test_one_that_was_cut_off_can_go_on(open_app, own_run, monkeypatch, allowed):
    searched(own_run, "first", num_trials=5, measured=False)
    open_search(own_run, "first", SETTINGS)
    monkeypatch.setenv("DYNABERT_TRAINING", "on" if allowed else "off")
    at = open_app(own_run.folder.parent, "search")
    assert "was stopped after 5 of 16 trials" in at.warning[0].value
    assert len(charts(at)) == 1
    buttons = [button.label for button in at.button]
    assert ("Go on" in buttons) == ("Discard for good" in buttons) == allowed
    if not allowed:
        assert "has kept visitors from starting work" in at.info[0].value
        return
    at.button(key="search-discard-first").click().run()
    assert list_searches(own_run) == []
    assert "has not been searched yet" in at.info[0].value


def test_one_at_work_shows_how_far_it_is(open_app, own_run):
    search = searched(own_run, "first", num_trials=5, measured=False)
    open_search(own_run, "first", SETTINGS)
    with search.at_work():
        at = open_app(own_run.folder.parent, "search")
        assert any("started in a terminal" in caption.value for caption in at.caption)
        assert len(charts(at)) == 1
        assert [button.label for button in at.button] == []  # a second one cannot be started


def test_a_damaged_front_is_told(open_app, own_run):
    search = searched(own_run, "first")
    (search.folder / "front.parquet").write_bytes(b"x")
    at = open_app(own_run.folder.parent, "search")
    assert "is damaged" in at.error[0].value
    assert "Discard for good" in [button.label for button in at.button]


def test_text_from_a_file_cannot_inject(open_app, own_run):
    search = searched(own_run, "first", measured=False)
    machine = "<script>alert(1)</script> [a](b)"
    info = search.info.model_copy(update={"machine": machine})
    (search.folder / "search.json").write_text(info.model_dump_json())
    at = open_app(own_run.folder.parent, "search")
    (said,) = (caption.value for caption in at.caption if "alert" in caption.value)
    assert "[a](b)" not in said
    assert "\\[a\\]" in said


def test_every_point_of_a_front_can_be_taken(open_app, own_run):
    search = searched(own_run, "first")
    path = search.folder / "front.parquet"
    table = pd.read_parquet(path).assign(accuracy=0.75)  # all score alike
    table.to_parquet(path, index=False)
    at = open_app(own_run.folder.parent, "search")
    slider = at.select_slider(key="point")
    assert len(set(slider.options)) == len(table)
    for key in table["subnet"]:
        at.select_slider(key="point").set_value(key).run()
        assert export_command(own_run, Subnet.parse(key)) in [one.value for one in at.code]


def test_where_none_is_within_a_point_the_largest_is_shown_first(open_app, own_run):
    search = searched(own_run, "first")
    path = search.folder / "front.parquet"
    table = pd.read_parquet(path)
    table["accuracy"] = table["is_reference"].map({True: 0.9, False: 0.7})
    table["collapsed"] = False
    table.to_parquet(path, index=False)
    at = open_app(own_run.folder.parent, "search")
    largest = str(table.loc[table["is_reference"], "subnet"].iloc[0])
    assert at.select_slider(key="point").value == largest
    said = next(one.value for one in at.caption if "None of the others" in one.value)
    assert "loses 20.00 points" in said
    assert "0.700, " in said
    assert " million MACs" in said
    assert at.metric[0].delta == "the largest"
    assert at.metric[1].delta == ""


@pytest.mark.parametrize("sound", [True, False])
def test_a_collapsed_one_is_marked_and_not_shown_first(open_app, own_run, sound):
    search = searched(own_run, "first")
    path = search.folder / "front.parquet"
    table = pd.read_parquet(path).sort_values("macs").reset_index(drop=True)
    table["accuracy"] = table["is_reference"].map({True: 0.9, False: 0.895})
    table["collapsed"] = ~table["is_reference"]
    table.loc[1, "collapsed"] = not sound  # the cheapest but one
    table.to_parquet(path, index=False)
    at = open_app(own_run.folder.parent, "search")
    largest = str(table.loc[table["is_reference"], "subnet"].iloc[0])
    assert at.select_slider(key="point").value == (str(table["subnet"][1]) if sound else largest)
    assert not any(wording.COLLAPSED in one.value for one in at.warning)
    nothing = [one for one in at.caption if "None of the others has a score" in one.value]
    assert bool(nothing) is not sound
    at.select_slider(key="point").set_value(str(table["subnet"][0])).run()
    assert any(wording.COLLAPSED in one.value for one in at.warning)
    assert metric(at, "Dev accuracy") == "0.895 ✕"
    crosses = [
        key
        for trace in charts(at)[1]["data"]
        if trace.get("mode") == "markers" and trace.get("customdata")
        for key, symbol in zip(trace["customdata"], trace["marker"]["symbol"], strict=True)
        if symbol == "x"
    ]
    assert sorted(crosses) == sorted(table.loc[table["collapsed"], "subnet"])


def test_of_a_front_it_is_told_how_much_was_not_measured(open_app, own_run):
    search = searched(own_run, "first")
    path = search.folder / "front.parquet"
    table = pd.read_parquet(path)
    (front,) = set(table["num_front"])
    assert front == len(table) - 1 > 2

    def said():
        at = open_app(own_run.folder.parent, "search")
        return next(one.value for one in at.caption if one.value.startswith("Front of"))

    assert "as asked" not in said()
    table.iloc[:2].to_parquet(path, index=False)  # the largest and one more
    assert (
        f"; of first 1 of the {front} sub-networks on its front were measured, as asked." in said()
    )


def test_a_front_without_times_says_so(open_app, own_run):
    search = searched(own_run, "first")
    at = open_app(own_run.folder.parent, "search")
    assert any("Timed on" in one.value for one in at.caption)
    path = search.folder / "front.parquet"
    table = pd.read_parquet(path)
    table.drop(columns=[name for name in table if "_batch_" in name]).to_parquet(path, index=False)
    at = open_app(own_run.folder.parent, "search")
    assert any(one.value.startswith("Front of") and "Not timed" in one.value for one in at.caption)
    assert "The best, measured again on all of dev" in [one.value for one in at.subheader]


@pytest.mark.parametrize("spread", [0.2, 0.4])
def test_a_busy_machine_is_told(open_app, own_run, monkeypatch, spread):
    search = searched(own_run, "first")
    path = search.folder / "front.parquet"
    table = pd.read_parquet(path)
    for size in (1, 32):
        table[f"latency_ms_batch_{size}_iqr"] = 0.1 * table[f"latency_ms_batch_{size}"]
    table.loc[0, "latency_ms_batch_32_iqr"] = spread * table.loc[0, "latency_ms_batch_32"]
    table.to_parquet(path, index=False)
    at = open_app(own_run.folder.parent, "search")
    busy = [one.value for one in at.warning if "The machine was busy" in one.value]
    assert bool(busy) == (spread > 0.25)
    assert all("spread over 40% of its median" in said for said in busy)
    asked = []
    monkeypatch.setattr(outcome, "measure_again", lambda *given: asked.append(given))
    if busy:
        at.button(key="search-measure-again").click().run()
        assert [(run.name, one.name) for run, one, _ in asked] == [("tiny", "first")]


def test_the_link_to_a_sub_network_forgets_what_was_chosen_before(open_app, own_run, monkeypatch):
    searched(own_run, "first")
    links = []
    monkeypatch.setattr(
        outcome.st, "page_link", lambda page, **options: links.append(options["query_params"])
    )
    open_app(
        own_run.folder.parent, "search", point="w1.00-d1.00", drop="0.2", per_layer="1.2", w="0.5"
    )
    assert links[-1]["w"] == "1"
    assert not {"drop", "lengths", "per_layer"} & links[-1].keys()
