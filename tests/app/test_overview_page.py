"""What is this model? And what the app says when there is nothing to show."""

from __future__ import annotations

import json
from pathlib import Path

from reading import metric, texts
from streamlit.testing.v1 import AppTest
from tiny_run import write_tiny_run

from dynabert.runs import RECIPE, write_manifest

pytest_plugins = ["app_fixtures"]

ROOT = Path(__file__).resolve().parents[2]


def test_overview_shows_the_run(open_app, tiny):
    at = open_app(tiny.folder.parent)
    assert at.title[0].value == "What is this model?"
    assert metric(at, "Dev accuracy, full network") == "0.900"
    assert metric(at, "Sub-networks") == "4"
    assert metric(at, "Training time") == "50 s"
    assert "1 of 4 sub-networks collapsed" in at.warning[0].value
    assert at.info[0].value == "Only 16 training examples."
    assert "python -m dynabert train words.csv" in at.code[-1].value


def test_overview_tells_the_recipe_in_words(open_app, tiny):
    recipe = next(text for text in texts(open_app(tiny.folder.parent)) if text.startswith("1. "))
    lines = recipe.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("1. **fine\\-tune**: Train the full network on the labels; 4 epochs")
    assert "sort every layer" in lines[1]
    assert "4 sub\\-networks together \\(widths 1, 0\\.75, 0\\.5, 0\\.25\\)" in lines[2]
    assert "to imitate the answers and hidden states" in lines[2]
    assert lines[4].endswith("*(10 s)*")


def test_overview_draws_the_grid_of_scores(open_app, tiny):
    chart, _ = open_app(tiny.folder.parent).get("plotly_chart")
    words = json.loads(chart.proto.spec)["data"][1]["text"]
    assert sorted(words) == ["0.500 ✕", "<b>0.700</b>", "<b>0.800</b>", "<b>0.900</b>"]


def test_html_in_a_task_title_is_shown_letter_by_letter(open_app, tiny):
    at = open_app(tiny.folder.parent)
    assert "Good or bad \\<b\\>words\\</b\\>" in texts(at)[0]


def test_without_runs_the_app_says_how_to_train_one(open_app, tmp_path: Path):
    at = open_app(tmp_path / "nowhere")
    assert "There are no runs" in at.info[0].value
    assert "python -m dynabert train teaching" in at.info[0].value


def test_the_words_are_explained_without_a_run(open_app, tmp_path: Path):
    at = open_app(tmp_path / "nowhere", "learn")
    assert "There are no runs" in at.info[0].value
    assert [heading.value for heading in at.subheader] == ["Glossary"]
    assert "**Pareto front**" in at.table[0].value["Word"].tolist()


def test_a_link_to_a_missing_run_says_so_and_names_those_that_there_are(open_app, tiny):
    at = open_app(tiny.folder.parent, run="<script>alert(1)</script>")
    assert "There is no run" in at.error[0].value
    assert "tiny" in at.error[0].value
    assert "<script>" not in at.error[0].value
    at.sidebar.selectbox(key="run").set_value("tiny").run()
    assert not at.exception
    assert at.title[0].value == "What is this model?"


def test_a_damaged_run_gets_a_sentence(open_app, own_run):
    with (own_run.folder / "model.safetensors").open("r+b") as file:
        file.truncate(100)
    at = open_app(own_run.folder.parent)
    assert "model\\.safetensors is not the file that was written" in at.error[0].value


def test_a_run_that_is_damaged_while_the_app_is_open_gets_a_sentence(open_app, own_run):
    at = open_app(own_run.folder.parent)
    (own_run.folder / "measured.parquet").write_bytes(b"no table")
    at.run()
    assert not at.exception
    assert "is damaged" in at.error[0].value


def test_a_run_whose_recipe_trained_nothing_carries_a_warning(open_app, own_run):
    text = (own_run.folder / RECIPE).read_text()
    (own_run.folder / RECIPE).write_text(text.replace("kind: train", "kind: watch"))
    write_manifest(own_run.folder)
    for page in ("overview", "attention"):
        at = open_app(own_run.folder.parent, page)
        assert "Nothing in this run was trained" in at.warning[0].value


def test_the_sidebar_switches_runs(open_app, own_run, tiny_backbone: Path):
    write_tiny_run(own_run.folder.parent, tiny_backbone, "alone", rewired=False)
    at = open_app(own_run.folder.parent, run="tiny")
    assert metric(at, "Sub-networks") == "4"
    at.sidebar.selectbox(key="run").set_value("alone").run()
    assert metric(at, "Sub-networks") == "1"
    assert at.query_params["run"] in ("alone", ["alone"])


def test_a_link_to_a_page_works_as_the_first_thing_after_the_servers_start(tiny, monkeypatch):
    """Then Streamlit runs the page's file alone; AppTest is in that state at every run."""
    monkeypatch.setenv("DYNABERT_RUNS_DIR", str(tiny.folder.parent))
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.query_params["w"] = "0.5"
    at.switch_page("pages/attention.py").run()
    assert not at.exception
    assert at.title[0].value == "What do heads look at?"
    assert at.sidebar.selectbox(key="run").value == "tiny"
    assert [shown.label for shown in at.metric] == ["Full network", "Width 0.5, depth 1"]
