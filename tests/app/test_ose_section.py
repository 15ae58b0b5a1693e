"""The section on optimal subarchitecture extraction of the page Search."""

from __future__ import annotations

import threading

import pytest
from reading import cells, charts, figure_of, finished, metric, numbers, same, texts

from dynabert.examples import load_examples
from dynabert.export import export_command
from dynabert.runs import Run
from dynabert.search.ose.carry_out import carry_out
from dynabert.search.ose.folder import PLAIN, SUPERNET, list_extractions, open_extraction
from dynabert.search.ose.full_training import training_command
from dynabert.search.ose.plain import carry_out_plain
from dynabert.search.ose.plain_settings import ask_plain
from dynabert.search.ose.settings import ask_ose
from dynabert.search.ose.supernet import Calibration
from dynabert.search.ose.tables import member_table, round_table
from dynabert.search.search import open_search
from dynabert.search.settings import SearchSettings
from dynabert.subnet import Subnet
from pages.shared import wording
from pages.shared.wording import subnet_title

pytest_plugins = ["app_fixtures"]


def extracted(run: Run, name: str = "first", **changes):
    values = {
        "width_mults": (1.0, 0.5, 1 / 6),
        "depth_mults": (1.0, 0.5),
        "epsilons": (1, 2),
        "tokens": 8,
        "num_examples": 8,
    }
    folder = open_extraction(run, name, ask_ose(**(values | changes)), SUPERNET)
    return carry_out(folder, run, run.model(), load_examples(run))


def plainly_extracted(run: Run, name: str = "plain"):
    settings = ask_plain(
        layers=(1, 2),
        heads=(2, 6),
        hiddens=(12, 48),
        neurons=(20,),
        steps=(1, 2),
        batch_size=4,
        num_examples=6,
        tokens=8,
    )
    folder = open_extraction(run, name, settings, PLAIN)
    return carry_out_plain(folder, run, run.model(), load_examples(run))


def test_the_page_says_what_the_report_says(open_app, own_run):
    report = extracted(own_run)
    at = open_app(own_run.folder.parent, "search")
    winner = report.finalist(report.best.winner)
    assert metric(at, "W") == f"{report.best.w:.3f}"
    assert metric(at, "Dev accuracy") == f"{winner.score:.3f}" + " ✕" * winner.collapsed
    said = " ".join(texts(at))
    assert "All **6** architectures were tried" in said
    assert "No approximation guarantee" in said
    table = member_table(report, 1)
    w, errors = charts(at)
    points = next(one for one in w["data"] if one.get("name") == "tried")
    assert numbers(points["y"]) == pytest.approx(table["w"].to_numpy())
    frozen = next(one for one in w["data"] if one.get("name") == "all errors equal")
    assert numbers(frozen["y"]) == pytest.approx(table["frozen_w"].to_numpy())
    dots = next(one for one in errors["data"] if one.get("name") == "tried")
    assert numbers(dots["y"]) == pytest.approx(table["error"].to_numpy())
    for chart, cell in zip((w, errors), cells(at), strict=True):
        assert same(figure_of(cell), chart)
    assert export_command(own_run, Subnet.parse(winner.key)) in [code.value for code in at.code]
    full = max(report.finalists, key=lambda one: one.num_params)
    tiles = {one.label: one for one in at.metric}
    for label, value, share in (
        ("Parameters", f"{winner.num_params / 1e6:.2f} M", winner.num_params / full.num_params),
        ("MACs, 8 tokens", f"{winner.macs / 1e6:,.4g} M", winner.macs / full.macs),
        ("Latency", f"{winner.latency_ms:.2f} ms", winner.latency_ms / full.latency_ms),
    ):
        assert (tiles[label].value, tiles[label].delta) == (value, f"{share:.0%} of the largest")
    judged = at.dataframe[1].value  # after that of the assumptions
    titles = [
        subnet_title(Subnet.parse(one.key)) + " ✕" * one.collapsed for one in report.finalists
    ]
    assert sorted(judged["key"]) == sorted(titles)
    assert "width 0.5, depth 1" in titles
    assert "width 0.5, depth 0.5 ✕" in titles
    assumed = at.dataframe[0].value
    assert assumed["assumed"].tolist() == [1, -1, -1, 1, -1]
    assert f"± {winner.latency_ms_iqr / 2:.2f} ms" in tiles["Latency"].help


@pytest.mark.parametrize("collapsed", [True, False, None])
def test_a_collapsed_winner_is_called_so(open_app, own_run, collapsed):
    report = extracted(own_run)
    (folder,) = list_extractions(own_run, SUPERNET)
    finalists = tuple(
        one.model_copy(update={"collapsed": collapsed, "score": 0.6838}) for one in report.finalists
    )
    folder.keep_report(report.model_copy(update={"finalists": finalists}))
    at = open_app(own_run.folder.parent, "search")
    assert metric(at, "Dev accuracy") == ("0.684 ✕" if collapsed else "0.684")
    assert any(wording.COLLAPSED in one.value for one in at.warning) == bool(collapsed)


def test_what_epsilon_skips_is_told(open_app, own_run):
    report = extracted(own_run)
    at = open_app(own_run.folder.parent, "search", epsilon="2")
    outcome = report.outcomes[1]
    assert metric(at, "W") == f"{outcome.w:.3f}"
    said = " ".join(texts(at))
    assert f"**{outcome.num_tried} of 6** architectures were tried, 3 skipped" in said
    assert f"**{outcome.ratio:.0%}** of the W that brute force finds" in said
    skipped = next(one for one in charts(at)[0]["data"] if one.get("name") == "skipped")
    assert len(numbers(skipped["x"])) == 3


def test_plain_architectures_round_by_round(open_app, own_run):
    report = plainly_extracted(own_run)
    at = open_app(own_run.folder.parent, "search")
    for number, one in ((1, report.rounds[1]), (0, report.rounds[0])):
        if number == 0:
            at.button_group(key="round").set_value("1").run()
        table = round_table(report, number)
        points = next(t for t in charts(at)[0]["data"] if t.get("name") == "tried")
        assert numbers(points["y"]) == pytest.approx(table.loc[table["is_tried"], "w"].to_numpy())
        assert "⟨" + ", ".join(one.winner.split("-")) + "⟩" in " ".join(texts(at))
        member = next(row for row in report.members if row.key == one.winner)
        saved = 1 - member.num_params / report.maximum_params
        spared = 1 - member.inference / report.maximum_inference
        assert [(tile.label, tile.value, tile.delta) for tile in at.metric] == [
            ("W", f"{one.w:.3f}", ""),
            (
                "Dev accuracy",
                f"{one.dev_score:.3f}" + " ✕" * one.collapsed,
                f"after {one.steps} step{'s' * (number == 1)}",
            ),
            ("Parameters", f"{member.num_params / 1e6:.2f} M", f"{saved:.0%} saved"),
            ("MACs, 8 tokens", f"{member.inference / 1e6:,.4g} M", f"{spared:.0%} saved"),
        ]
        assert training_command(own_run, one.winner) in [code.value for code in at.code]
        warnings = [f"between {low:.4f} and {high:.4f}" for low, high in [one.error_range]]
        assert one.errors_are_alike == any(warnings[0] in each.value for each in at.warning)
    for chart, cell in zip(charts(at), cells(at), strict=True):
        assert same(figure_of(cell), chart)


def test_an_extraction_is_started_watched_and_shown(open_app, own_run):
    at = open_app(own_run.folder.parent, "search")
    assert "Nothing has been extracted from tiny yet" in at.info[1].value
    at.text_input(key="ose-name").set_value("../up").run()
    at.button(key="ose-start").click().run()
    assert "cannot name an extraction" in at.error[0].value
    at.text_input(key="ose-name").set_value("mine").run()
    at.button_group(key="ose-axes").set_value(["lengths", "per_layer"]).run()
    at.number_input(key="ose-margin").set_value(10).run()
    at.button(key="ose-start").click().run()
    at = finished(at)
    (folder,) = list_extractions(own_run, SUPERNET)
    settings, report = folder.settings, folder.report()
    assert folder.name == "mine"
    assert settings.drops == (0.0, 0.1, 0.2, 0.3)
    assert settings.width_mults == (1.0, 0.5)
    assert settings.per_layer == ("raw", "by layer")
    assert settings.margin == 0.1
    assert metric(at, "W") == f"{report.best.w:.3f}"
    assert "10% more than the largest costs" in " ".join(c.value for c in at.caption)
    assert report.command.startswith(
        f"python -m dynabert ose {own_run.argument} --name mine --widths"
    )


def test_one_that_is_stopped_keeps_its_errors_and_goes_on(open_app, own_run, monkeypatch):
    measured, slow, gate = [], threading.Event(), threading.Event()
    measure = Calibration.error_of

    def error_of(self: Calibration, subnet: Subnet) -> float:
        if len(measured) == 2:
            slow.set()
            assert gate.wait(60)
        measured.append(subnet.key)
        return measure(self, subnet)

    monkeypatch.setattr(Calibration, "error_of", error_of)
    at = open_app(own_run.folder.parent, "search")
    at.button_group(key="ose-axes").set_value(["lengths"]).run()
    at.button(key="ose-start").click().run()
    assert slow.wait(60)
    at.button(key="ose-stop").click().run()
    assert any("It stops; every trial" in info.value for info in at.info)
    assert "ose-stop" not in [button.key for button in at.button]
    gate.set()
    at = finished(at)
    (folder,) = list_extractions(own_run, SUPERNET)
    before = folder.errors()
    assert [*before] == measured
    assert len(measured) == 3
    assert any("stopped after 3 trials" in warning.value for warning in at.warning)
    assert not at.error
    at.button(key="ose-resume").click().run()
    at = finished(at)
    report = folder.report()
    assert len(measured) == len({*measured}) == len(report.members)
    assert {key: folder.errors()[key] for key in before} == before
    assert metric(at, "W") == f"{report.best.w:.3f}"


@pytest.mark.parametrize("allowed", [True, False])
def test_an_extraction_is_discarded_by_those_who_may(open_app, own_run, monkeypatch, allowed):
    extracted(own_run)
    extracted(own_run, "second")
    monkeypatch.setenv("DYNABERT_TRAINING", "on" if allowed else "off")
    at = open_app(own_run.folder.parent, "search", extraction="second")
    assert ("ose-discard-second" in [button.key for button in at.button]) == allowed
    if allowed:
        at.button(key="ose-discard-second").click().run()
        assert [one.name for one in list_extractions(own_run, SUPERNET)] == ["first"]
        assert at.segmented_control(key="extraction").value == "first"
        assert not [one for one in at.warning if wording.COLLAPSED not in one.value]


def test_while_a_search_is_at_work_nothing_is_started(open_app, own_run):
    settings = SearchSettings(method="random", num_trials=4, tokens=8, num_examples=6)
    begun = {"width_mults": (1.0, 0.5), "depth_mults": (1.0,), "tokens": 8}
    with open_search(own_run, "s", settings).at_work():
        at = open_app(own_run.folder.parent, "search")
        said = [info.value for info in at.info]
        assert (
            "An extraction measures latency; it can be started when the search s of tiny has ended."
            in said
        )
        assert "ose-start" not in [button.key for button in at.button]
        open_extraction(own_run, "begun", ask_ose(**begun), SUPERNET)
        assert at.run().button(key="ose-resume").disabled
    at.run()
    assert not at.button(key="ose-resume").disabled
    assert "ose-start" in [button.key for button in at.button]


def test_one_at_work_in_a_terminal_is_left_alone(open_app, own_run):
    begun = {"width_mults": (1.0, 0.5), "depth_mults": (1.0,), "tokens": 8}
    folder = open_extraction(own_run, "begun", ask_ose(**begun), SUPERNET)
    with folder.at_work():
        at = open_app(own_run.folder.parent, "search")
        assert any("in a terminal, where Ctrl+C stops it" in info.value for info in at.info)
        keys = [button.key for button in at.button]
        assert not {"ose-resume", "ose-discard-begun"} & {*keys}


def test_work_that_fails_says_why(open_app, own_run):
    at = open_app(own_run.folder.parent, "search")
    at.text_input(key="ose-name").set_value("ose").run()
    extracted(own_run, "ose", seed=3)  # meanwhile, in a terminal
    at.button(key="ose-start").click().run()
    at = finished(at)
    assert any("other settings" in error.value for error in at.error)


def test_visitors_who_may_not_start_work_only_watch(open_app, own_run, monkeypatch):
    monkeypatch.setenv("DYNABERT_TRAINING", "off")
    extracted(own_run)
    at = open_app(own_run.folder.parent, "search")
    assert metric(at, "W")
    assert "ose-start" not in [button.key for button in at.button]


def test_damaged_and_unfinished_extractions_are_told(open_app, own_run):
    extracted(own_run, "broken")
    (own_run.folder / "ose" / "broken" / "report.json").write_text("{")
    open_extraction(
        own_run, "begun", ask_ose(width_mults=(1.0, 0.5), depth_mults=(1.0,), tokens=8), SUPERNET
    )
    at = open_app(own_run.folder.parent, "search")
    assert "Remove that file" in at.warning[0].value
    shown = at.segmented_control(key="extraction")
    assert shown.options == ["begun (not done)"]
    assert "stopped after 0 trials" in at.warning[1].value
    assert not at.exception


def test_the_table_marks_what_an_epsilon_took(own_run):
    report = extracted(own_run)
    table = member_table(report, 2)
    assert table["is_tried"].tolist() == [True, False, True, False, True, False]
    assert table.loc[table["is_winner"], "key"].tolist() == [report.outcomes[1].winner]
    assert not table.loc[~table["is_tried"], "on_front"].any()
    tried = table[table["is_tried"]]
    for row in tried.to_dict("records"):
        better = (tried["inference"] <= row["inference"]) & (tried["error"] <= row["error"])
        strictly = (tried["inference"] < row["inference"]) | (tried["error"] < row["error"])
        others = better & strictly & (tried["key"] != row["key"])
        assert row["on_front"] == (not others.any())
    mean = tried["error"].mean()
    # W with the mean error in place of each one's own.
    assert tried["frozen_w"].to_numpy() * mean == pytest.approx(
        (tried["w"] * tried["error"]).to_numpy()
    )
    with pytest.raises(ValueError, match="no epsilon 7"):
        member_table(report, 7)
    assert {Subnet.parse(key).key for key in table["key"]} == {*table["key"]}
