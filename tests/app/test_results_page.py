"""Do the paper's results hold here? On made-up results in a folder of the test's own."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from made_results import fill, made_result
from reading import charts, numbers, texts
from streamlit.testing.v1 import AppTest

from dynabert.reproduction.results import as_json, read_results, result_path, write_result
from dynabert.reproduction.tables import FIGURES, TABLES
from dynabert.subnet import Subnet

pytest_plugins = ["app_fixtures"]
WIDTHS = [Subnet(width) for width in (1.0, 0.75, 0.5, 0.25)]


@pytest.fixture
def show(open_app, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Open the page on the results of a folder; there are no runs."""

    def open_page(results: Path, **parameters: str) -> AppTest:
        monkeypatch.setenv("DYNABERT_RESULTS_DIR", str(results))
        at = open_app(tmp_path / "no-runs", "results", **parameters)
        assert not at.error
        return at

    return open_page


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("made"), ["mrpc"], [0, 1])


def cells(at: AppTest) -> pd.DataFrame:
    return at.dataframe[0].value


def cell(at: AppTest, row: str, line: str, column: str) -> str:
    table = cells(at)
    (found,) = table[(table["Row"] == row) & (table[""] == line)][column]
    return found


def test_a_cell_shows_the_paper_ours_and_the_difference(show, tmp_path):
    scores = dict(zip(WIDTHS, (0.80, 0.70, 0.60, 0.50), strict=True))
    for seed, more in ((0, 0.0), (1, 0.02)):
        changed = {subnet: score + more for subnet, score in scores.items()}
        write_result(tmp_path, made_result("mrpc", "vanilla-w", seed, changed))
    at = show(tmp_path)
    row = "Vanilla DynaBERT_w"
    assert cell(at, row, "paper", "MRPC") == "80.5"
    assert cell(at, row, "ours", "MRPC") == "66.0 ± 1.4 (2)"  # sqrt(2)
    assert cell(at, row, "difference", "MRPC") == "-14.5"
    assert cell(at, row, "ours", "RTE") == "not run"
    assert cell(at, row, "ours", "QQP") == "no data"
    assert cell(at, row, "ours", "avg.") == "–"
    assert "minilm is not BERT" in at.warning[0].value
    assert "all 3,668 training examples" in texts(at)[1]
    assert "a machine, 2 threads, bf16" in texts(at)[1]


def test_questions_are_answered_from_the_results(show, tmp_path):
    for recipe, score in (("vanilla-w", 0.60), ("rewired-w", 0.63)):
        write_result(tmp_path, made_result("rte", recipe, 0, dict.fromkeys(WIDTHS, score)))
    said = next(text for text in texts(show(tmp_path)) if "Does rewiring help?" in text)
    assert "\\+2\\.4 points on average over 9 scores" in said
    assert "Here\\: \\+3\\.0 \\(seed 0\\) on RTE" in said
    assert "undecided on RTE" in said
    assert "Here\\: not yet measured\\." in said


def test_without_results_the_paper_is_shown_and_how_to_measure(show, tmp_path):
    at = show(tmp_path / "nothing")
    assert "Nothing of it has been measured" in at.info[0].value
    assert cell(at, "+ Network rewiring", "paper", "CoLA") == "51.4"
    codes = [code.value for code in at.code]
    command = "python -m dynabert reproduce table3 --task cola --data-dir path/to/data"
    assert f"{command} --augmentations path/to/augmentations" in codes
    assert not at.warning


@pytest.mark.parametrize("name", [*TABLES, *FIGURES])
def test_every_table_and_figure_opens_by_its_link(show, made, name):
    at = show(made, table=name)
    assert at.selectbox(key="table").value == name
    assert len(charts(at)) == (name != "figure4")  # of which nothing was measured
    assert not [info for info in at.info if "The link asks for" in info.value]


def test_another_table_takes_no_score_of_the_one_before_along(show, made):
    at = show(made, table="table3", score="rte")
    assert at.selectbox(key="score").value == "rte"
    at.selectbox(key="table").set_value("table2").run()
    assert at.selectbox(key="score").value == "squad-em"
    assert not [info for info in at.info if "The link asks for" in info.value]


def test_a_bad_link_falls_back_with_a_notice(show, made):
    at = show(made, table="<b>table99")
    assert at.selectbox(key="table").value == "table3"
    assert "which is not to be had here" in at.info[0].value
    assert "<b>" not in at.info[0].value.replace("\\<b", "")


def test_collapsed_sub_networks_are_marked_in_cell_caption_and_chart(show, tmp_path):
    scores = dict.fromkeys(WIDTHS, 0.6)
    write_result(tmp_path, made_result("mrpc", "vanilla-w", 0, scores, collapsed=WIDTHS[2:]))
    at = show(tmp_path)
    assert cell(at, "Vanilla DynaBERT_w", "ours", "MRPC") == "60.0 ✕ (1)"
    assert any("MRPC\\: 2 of 4 sub\\-networks collapsed" in c.value for c in at.caption)
    (chart,) = charts(at)
    ours = next(trace for trace in chart["data"] if trace["name"] == "ours")
    rows = list(dict.fromkeys(cells(at)["Row"]))
    assert ours["marker"]["symbol"][rows.index("Vanilla DynaBERT_w")] == "x"


def test_the_chart_draws_the_paper_and_ours_for_one_score(show, made):
    at = show(made, table="table4", score="mrpc")
    (chart,) = charts(at)
    paper, ours = chart["data"]
    rows = list(dict.fromkeys(cells(at)["Row"]))
    drawn = dict(zip(rows, numbers(paper["x"]), strict=True))
    assert drawn["Vanilla DynaBERT"] == 82.1
    assert drawn["+ Fine-tuning"] == 83.2
    results = [r for r in read_results(made) if r.recipe == "vanilla"]
    mean = sum(row.metrics["accuracy"] for r in results for row in r.rows) / sum(
        len(r.rows) for r in results
    )
    assert dict(zip(rows, numbers(ours["x"]), strict=True))["Vanilla DynaBERT"] == pytest.approx(
        100 * mean
    )


@pytest.mark.parametrize(
    ("against", "column", "unit"),
    [("parameters", "num_params", 1e6), ("MACs", "macs", 1e6)],
)
def test_figure_3_draws_the_methods_by_what_they_cost(show, made, against, column, unit):
    at = show(made, table="figure3", against=against)
    assert at.selectbox(key="score").value == "mrpc"  # the only one that has results
    (chart,) = charts(at)
    traces = {trace["name"]: trace for trace in chart["data"]}
    assert list(traces) == list(FIGURES["figure3"].methods.values())
    (half,) = (r for r in read_results(made) if r.recipe == "tinybert-w0.50-d0.50" and r.seed == 0)
    costs = numbers(traces["TinyBERT, half of both"]["x"])
    assert costs == pytest.approx([getattr(half.rows[0], column) / unit])
    markers = [(one["marker"]["color"], one["marker"]["symbol"]) for one in chart["data"]]
    assert len(set(markers)) == len(markers)
    colours = [colour for colour, _ in markers]
    again = [colour in colours[:number] for number, colour in enumerate(colours)]
    assert [symbol.endswith("-open") for _, symbol in markers] == again
    assert len(numbers(traces["DynaBERT"]["x"])) == 12


def test_figure_3_begins_with_the_score_that_most_methods_have(show, tmp_path):
    few = {Subnet(): 0.6}
    for task, recipe in (("qnli", "best"), ("mrpc", "best"), ("mrpc", "dynabert")):
        write_result(tmp_path, made_result(task, recipe, 0, few))
    for seed in (1, 2):
        write_result(tmp_path, made_result("qnli", "best", seed, few))
    at = show(tmp_path, table="figure3")
    assert at.selectbox(key="score").value == "mrpc"
    assert show(tmp_path, table="figure3", score="qnli").selectbox(key="score").value == "qnli"


def test_latency_names_its_machine(show, made):
    at = show(made, table="figure3", against="latency, batch 128")
    (chart,) = charts(at)
    assert chart["layout"]["xaxis"]["title"]["text"] == "latency, batch 128, ms"
    (said,) = [one.value for one in at.caption if "Latency" in one.value]
    assert "Latency\\: a machine, 2 threads" in said
    assert "of its median" in said
    at = show(made, table="figure3", against="parameters")
    assert not any("of its median" in caption.value for caption in at.caption)


def test_a_method_that_was_not_run_is_missed(show, tmp_path):
    write_result(tmp_path, made_result("rte", "dynabert", 0, {Subnet(): 0.6, Subnet(0.5): 0.5}))
    at = show(tmp_path, table="figure3")
    assert any("not run yet\\: best, distilbert" in text for text in texts(at))
    assert any("reproduce figure3 --task rte" in code.value for code in at.code)


def test_backbones_are_shown_apart(show, tmp_path):
    for backbone, score in (("minilm", 0.6), ("bert-mini", 0.7)):
        write_result(tmp_path, made_result(scores=dict.fromkeys(WIDTHS, score), backbone=backbone))
    at = show(tmp_path, backbone="bert-mini")
    assert cell(at, "Vanilla DynaBERT_w", "ours", "MRPC") == "70.0 (1)"
    at.selectbox(key="backbone").set_value("minilm").run()
    assert cell(at, "Vanilla DynaBERT_w", "ours", "MRPC") == "60.0 (1)"


def test_a_damaged_result_is_left_out_and_named(show, tmp_path):
    write_result(tmp_path, made_result("mrpc", "vanilla-w", 0, dict.fromkeys(WIDTHS, 0.6)))
    sound = made_result("mrpc", "rewired-w", 0, dict.fromkeys(WIDTHS, 0.7))
    damaged = {
        0: "{}",
        1: as_json(sound).replace('"w0.50-d1.00"', '"w7-d1"').replace('"seed": 0', '"seed": 1'),
        2: as_json(sound).replace('"heads": [', '"heads": [], "x": [').replace("s0", "s2"),
    }
    for seed, text in damaged.items():
        result_path(tmp_path, "minilm", "mrpc", "rewired-w", seed).write_text(text)
    for name in ("table3", "figure3"):
        at = show(tmp_path, table=name)
        assert at.warning[0].value.startswith("3 results cannot be read and are left out")
        assert at.warning[0].value.count("is damaged or of another version") == 3
    at = show(tmp_path)
    assert cell(at, "Vanilla DynaBERT_w", "ours", "MRPC") == "60.0 (1)"
    assert cell(at, "+ Network rewiring", "ours", "MRPC") == "not run"


def test_a_link_to_a_backbone_without_results_says_so(show, made):
    at = show(made, backbone="bert-base-uncased")
    assert "backbone “bert\\-base\\-uncased”" in at.info[0].value
    assert not show(made, backbone="minilm").info


def test_a_new_result_is_shown_at_the_next_look(show, tmp_path):
    at = show(tmp_path)
    assert cell(at, "Vanilla DynaBERT_w", "ours", "MRPC") == "not run"
    write_result(tmp_path, made_result(scores=dict.fromkeys(WIDTHS, 0.6)))
    at.run()
    assert cell(at, "Vanilla DynaBERT_w", "ours", "MRPC") == "60.0 (1)"
