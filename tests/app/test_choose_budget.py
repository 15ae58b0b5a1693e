"""The control *Choose for my budget* of the page Search."""

from __future__ import annotations

import threading

import pytest
import yaml
from reading import cells, charts, figure_of, finished, metric, numbers, same, texts

from dynabert.evaluation import Latency, count_macs
from dynabert.export import export_command
from dynabert.runs import write_manifest
from dynabert.search import choosing as core
from dynabert.search.search import open_search
from dynabert.search.settings import SearchSettings
from dynabert.subnet import FULL, NetworkShape, Subnet
from pages.shared import links

pytest_plugins = ["app_fixtures"]
NARROW, SHALLOW = Subnet(0.5), Subnet(1.0, 0.5)
MS = {"w1.00-d1.00": 9.0, NARROW.key: 7.0, SHALLOW.key: 4.0}


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Known latencies instead of this machine's, and what was timed."""
    calls: list[list[str]] = []

    def measure(model, subnets, setup, *, on_repeat):
        on_repeat(setup.repeats)
        calls.append([subnet.key for subnet in subnets])
        return [Latency(median_ms=MS.get(one.key, 5.0), iqr_ms=0.4) for one in subnets]

    monkeypatch.setattr(core, "measure_latency", measure)
    return calls


def chosen(at):
    """The page once the button has been pressed and the work is done."""
    at.button(key="budget-choose").click().run()
    at = finished(at)
    assert not at.exception
    return at


def captions(at) -> str:
    return " ".join(caption.value for caption in at.caption).replace("\\", "")


def said(at) -> str:
    return " ".join(texts(at)).replace("\\", "")


def test_without_a_budget_it_asks_for_one(open_app, tiny, measured):
    at = open_app(tiny.folder.parent, "search")
    assert "Say what it may take at most (time, parameters or MACs)" in captions(at)
    assert "budget-choose" not in [button.key for button in at.button]
    at.number_input(key="field-budget_ms").set_value(8.0).run()
    assert at.button(key="budget-choose").label == "Choose"
    assert at.session_state["view"]["budget_ms"] == "8"
    assert measured == []  # before it is asked for
    at.number_input(key="field-budget_ms").set_value(None).run()
    assert "budget_ms" not in at.session_state["view"]


def test_the_answer_with_runner_up_and_next_step(open_app, tiny, measured, monkeypatch):
    opened = []
    monkeypatch.setattr(
        links.st,
        "page_link",
        lambda page, **options: opened.append((page, options["query_params"])),
    )
    at = chosen(open_app(tiny.folder.parent, "search", budget_ms="8", budget_tokens="10"))
    assert "Take **width 0.5, depth 1**." in said(at)
    assert "Runner-up: **width 1, depth 0.5**, accuracy 0.700, 4 ms." in said(at)
    assert (
        "Next step up: **width 1, depth 1**, accuracy 0.900, 9 ms: +10.0 points for 2 ms more."
        in said(at)
    )
    assert metric(at, "Dev accuracy") == "0.800"
    assert metric(at, "Latency") == "7.00 ms"
    shown = {one.label: one for one in at.metric}
    assert shown["Latency"].delta == "± 0.20, 88% of the budget"
    assert export_command(tiny, NARROW) in [code.value for code in at.code]
    assert at.button(key="budget-choose").label == "Choose again"
    assert "4 sub-networks, 3 of them timed at" in captions(at)
    assert "Collapsed ones are never chosen." in captions(at)
    assert [page for page, _ in opened[-4:]] == [
        f"pages/{name}.py" for name in ("accuracy", "attention", "try_it", "take_away")
    ]
    for _, parameters in opened[-4:]:
        assert (parameters["w"], parameters["d"], parameters["budget_ms"]) == ("0.5", "1", "8")
    (chart,) = charts(at)
    drawn = {trace.get("name"): trace for trace in chart["data"]}
    assert numbers(drawn["fits"]["x"]).tolist() == [7.0, 4.0]
    assert numbers(drawn["does not fit"]["x"]).tolist() == [9.0]
    assert numbers(drawn["chosen"]["x"]).tolist() == [7.0]
    assert chart["layout"]["shapes"][0]["x0"] == 8.0
    # The same link shows it again, and measures nothing.
    before = len(measured)
    again = at.run()
    assert "Take **width 0.5, depth 1**." in said(again)
    assert len(measured) == before


def test_nothing_fits(open_app, tiny):
    at = chosen(open_app(tiny.folder.parent, "search", budget_ms="3.5"))
    (warning,) = (one.value.replace("\\", "") for one in at.warning)
    assert (
        warning
        == "Nothing fits. Nearest is **width 1, depth 0.5**: 0.5 ms more than the budget's 3.5 ms."
    )
    assert export_command(tiny, SHALLOW) in [
        code.value for code in at.code
    ]  # for who takes it anyway
    assert metric(at, "Latency") == "4.00 ms"
    assert "nearest miss" in [trace.get("name") for trace in charts(at)[0]["data"]]


def test_a_floor_alone_takes_the_fastest(open_app, tiny):
    at = chosen(open_app(tiny.folder.parent, "search", budget_floor="0.65"))
    assert "Take **width 1, depth 0.5**." in said(at)
    assert "Runner-up and next step up: **width 0.5, depth 1**, accuracy 0.800, 7 ms" in said(at)
    assert "+10.0 points for 3 ms more." in said(at)
    # The line of what it must score.
    assert charts(at)[0]["layout"]["shapes"][0]["y0"] == 0.65


def test_a_busy_machine_is_warned_of(open_app, tiny, monkeypatch):
    def measure(model, subnets, setup, *, on_repeat):
        return [Latency(median_ms=MS.get(one.key, 5.0), iqr_ms=2.8) for one in subnets]

    monkeypatch.setattr(core, "measure_latency", measure)
    at = chosen(open_app(tiny.folder.parent, "search", budget_ms="8"))
    (warning,) = (one.value.replace("\\", "") for one in at.warning)
    assert warning == (
        "The machine was busy: the middle half of one measurement's passes spread over 70% of its median. "
        "Choose again when it is quiet: the answer may be another then."
    )


def test_macs_for_so_many_tokens(open_app, tiny):
    model, tokens = tiny.model(), 10
    limit = count_macs(model, NARROW, tokens)
    assert count_macs(model, SHALLOW, tokens) <= limit < count_macs(model, FULL, tokens)
    at = open_app(tiny.folder.parent, "search", budget_tokens=str(tokens))
    at.number_input(key="field-budget_macs").set_value(limit / 1e6).run()
    assert at.session_state["view"]["budget_macs"] == f"{limit / 1e6:.6g}"
    at = chosen(at)
    assert "Take **width 0.5, depth 1**." in said(at)
    shown = {one.label: one for one in at.metric}
    assert shown[f"MACs, {tokens} tokens"].value == f"{limit / 1e6:,.4g} M"
    assert shown[f"MACs, {tokens} tokens"].delta == "100% of the budget"
    assert charts(at)[0]["layout"]["shapes"][0]["x0"] == pytest.approx(limit / 1e6)


def test_parameters_and_the_cell_of_their_figure(open_app, tiny):
    at = chosen(open_app(tiny.folder.parent, "search", budget_params="0.035"))
    (cell,), (chart,) = cells(at), charts(at)
    assert "Budget(latency_ms=None, num_params=35000.0" in cell
    assert same(figure_of(cell), chart)


def test_bad_values_of_a_link_fall_back(open_app, tiny):
    at = open_app(
        tiny.folder.parent,
        "search",
        budget_ms="soon",
        budget_tokens="9.5",
        budget_floor="85",
        budget_macs="0",
    )
    notices = [info.value for info in at.info if info.value.startswith("The link asks for")]
    assert len(notices) == 4
    assert any("asks for MACs (M) “0”" in one.replace("\\", "") for one in notices)
    assert at.number_input(key="field-budget_tokens").value == 8  # as the run's results
    assert at.number_input(key="field-budget_floor").value is None
    assert "Say what it may take at most" in captions(at)


def test_what_was_evaluated_for_it_is_kept(open_app, own_run):
    recipe = own_run.info.recipe | {"width_mults": [1.0, 0.5, 0.25]}
    info = own_run.info.model_copy(update={"recipe": recipe})
    text = yaml.safe_dump(info.model_dump(mode="json"), sort_keys=False)
    (own_run.folder / "recipe.yaml").write_text(text, encoding="utf-8")
    write_manifest(own_run.folder)
    assert "w0.25-d1.00" not in set(own_run.all_results["subnet"])
    at = chosen(open_app(own_run.folder.parent, "search", budget_params="1"))
    assert "6 sub-networks" in captions(at)
    assert {"w0.25-d1.00", "w0.25-d0.50"} <= set(own_run.all_results["subnet"])


def test_a_failure_is_told(open_app, tiny, monkeypatch):
    def fail(*arguments, **options):
        raise OSError("the clock has stopped")

    monkeypatch.setattr(core, "measure_latency", fail)
    at = chosen(open_app(tiny.folder.parent, "search", budget_ms="8"))
    assert at.error[0].value == "The clock has stopped"
    assert at.button(key="budget-choose").label == "Choose"


def test_it_can_be_stopped(open_app, tiny, monkeypatch):
    go_on = threading.Event()

    def measure(model, subnets, setup, *, on_repeat):
        assert go_on.wait(60)
        on_repeat(1)
        raise AssertionError("it was asked to stop")

    monkeypatch.setattr(core, "measure_latency", measure)
    at = open_app(tiny.folder.parent, "search", budget_ms="8")
    at.button(key="budget-choose").click().run()
    at.button(key="budget-stop").click().run()
    assert "It stops." in captions(at)
    go_on.set()
    at = finished(at)
    assert not at.error
    assert at.button(key="budget-choose").label == "Choose"


def test_nothing_is_timed_beside_a_search(open_app, own_run):
    settings = SearchSettings(num_trials=5, tokens=8, num_examples=8)
    with open_search(own_run, "first", settings).at_work():
        at = open_app(own_run.folder.parent, "search", budget_ms="8")
        assert "Nothing is timed while the search first of tiny is at work" in captions(at)
        assert "budget-choose" not in [button.key for button in at.button]
        at = open_app(own_run.folder.parent, "search", budget_params="1")
        assert "budget-choose" in [button.key for button in at.button]


@pytest.mark.parametrize(
    ("key", "parameters"),
    [
        ("w0.50-d0.75", {"w": "0.5", "d": "0.75"}),
        ("w1.00-d0.50-h3.2-n30.20", {"w": "1", "d": "0.5", "per_layer": "3.2"}),
        ("w1.00-d0.50-r0.9_0.8", {"w": "1", "d": "0.5", "lengths": "r0.9_0.8"}),
    ],
)
def test_links_open_the_sub_network_and_nothing_of_another(monkeypatch, key, parameters):
    before = {"run": "tiny", "drop": "0.2", "per_layer": "6.6", "lengths": "r0.5_0.5", "w": "0.25"}
    monkeypatch.setattr(links.state, "link", lambda: before)
    subnet = Subnet.parse(key)
    assert links.to(subnet) == {"run": "tiny"} | parameters
    shape = NetworkShape((6,) * 4, (60,) * 4)
    assert links.can_be_opened(subnet, shape)
    assert links.is_known_everywhere(subnet) == (key == "w0.50-d0.75")
    assert not links.can_be_opened(Subnet.parse("w1.00-y0.2"), shape)
    assert not links.can_be_opened(Subnet.parse("w1.00-d1.00-h3.2"), shape)
    # Neurons that do not follow from the heads: the controls would open another sub-network.
    assert not links.can_be_opened(Subnet.parse("w1.00-d0.50-h3.2-n30.21"), shape)
