"""The page that starts trainings and shows them; no training runs here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from reading import charts, metric, texts
from small_data import write_glue
from tiny_run import records

from dynabert.runs import unfinished_folder
from dynabert.search.search import open_search
from dynabert.search.settings import SearchSettings
from dynabert.training import RECIPES, background, find_recipe
from dynabert.training.background import PROCESS
from dynabert.training.progress import PROGRESS, Progress
from dynabert.training.request import TrainingRequest

pytest_plugins = ["app_fixtures"]


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[TrainingRequest]:
    """What the page starts; nothing is carried out."""
    requests: list[TrainingRequest] = []
    monkeypatch.setattr(
        background, "start_training", lambda request, runs_dir: requests.append(request)
    )
    return requests


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for one that trains."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()


def write_training(
    runs_dir: Path, pid: int, started: float, progress: Progress | None, name: str = "half-way"
) -> Path:
    """An unfinished training, as its process leaves it."""
    folder = unfinished_folder(name, runs_dir)
    folder.mkdir(parents=True)
    request = TrainingRequest(name=name, num_train=64, seed=5).model_dump(mode="json")
    values = {"request": request, "pid": pid, "started": started}
    (folder / PROCESS).write_text(json.dumps(values))
    (folder / "train.log").write_text("Stage 1 of 5\n<b>Error:</b> the disk is full.\n")
    if progress is not None:
        (folder / PROGRESS).write_text(progress.model_dump_json())
    return folder


def halfway(pid: int, **changes: object) -> Progress:
    values = {
        "pid": pid,
        "stage": "width",
        "number": 3,
        "num_stages": 5,
        "done": 20,
        "total": 40,
        "loss": 0.123456,
        "examples_per_second": 51.24,
        "seconds_left": 75.0,
    }
    return Progress.model_validate(values | changes)


def test_without_a_run_the_page_offers_a_training(open_app, runs_dir):
    at = open_app(runs_dir, "train")
    assert at.title[0].value == "How is it trained?"
    assert at.code[0].value == (
        "python -m dynabert train teaching --backbone minilm --name teaching-minilm "
        f"--recipe dynabert --seed 0 --runs-dir {runs_dir}"
    )
    stages = next(text for text in texts(at) if text.startswith("1. "))
    assert len(stages.splitlines()) == len(RECIPES["dynabert"].stages)
    assert not at.error
    assert not runs_dir.exists()  # looking writes nothing


def test_the_form_becomes_a_request(open_app, runs_dir, started, tiny_backbone, tmp_path):
    data = write_glue(tmp_path / "glue")
    at = open_app(runs_dir, "train")
    at.selectbox(key="train-task").set_value("sst2").run()
    at.text_input(key="train-data").set_value(str(data)).run()
    at.text_input(key="train-backbone").set_value(str(tiny_backbone)).run()
    at.selectbox(key="train-recipe").set_value("fine-tune").run()
    at.number_input(key="train-size").set_value(32).run()
    at.number_input(key="train-seed").set_value(7).run()
    at.text_input(key="train-name").set_value("mine").run()
    at.toggle(key="train-half").set_value(True).run()
    assert any("a folder on this machine" in caption.value for caption in at.caption)
    # The form survives a visit to another page.
    at.switch_page("pages/overview.py").run()
    at.switch_page("pages/train.py").run()
    next(button for button in at.button if button.label == "Start").click().run()
    assert not at.exception
    assert started == [
        TrainingRequest(
            name="mine",
            task="sst2",
            data_dir=data,
            backbone=str(tiny_backbone),
            recipe="fine-tune",
            num_train=32,
            seed=7,
            half=True,
        )
    ]
    assert at.text_input(key="train-name").value == ""  # or it would be taken at the next one


def test_a_recipe_on_augmented_data_asks_for_its_folder(
    open_app, runs_dir, started, monkeypatch, tmp_path
):
    stages = [
        stage.model_copy(update={"data": "augmented"}) if stage.name == "width" else stage
        for stage in RECIPES["dynabert"].stages
    ]
    recipe = RECIPES["dynabert"].model_copy(update={"name": "more", "stages": tuple(stages)})
    monkeypatch.setitem(RECIPES, "more", recipe)
    at = open_app(runs_dir, "train")
    assert "train-augmentation" not in [field.key for field in at.text_input]
    at.selectbox(key="train-recipe").set_value("more").run()
    assert "trains on augmented data; give the folder of an augmentation" in at.error[0].value
    words = next(text for text in texts(at) if text.startswith("1. ")).splitlines()
    assert ["original and augmented examples" in line for line in words] == [
        stage.name == "width" for stage in stages
    ]
    at.text_input(key="train-augmentation").set_value(str(tmp_path / "none")).run()
    assert "There is no folder" in at.warning[0].value
    at.text_input(key="train-augmentation").set_value(str(tmp_path)).run()
    assert not at.warning
    assert not at.error
    assert f"--augmentation {tmp_path}" in at.code[0].value
    next(button for button in at.button if button.label == "Start").click().run()
    (request,) = started
    assert request.augmentation == tmp_path
    # Another recipe needs none, and takes none along.
    at.selectbox(key="train-recipe").set_value("dynabert").run()
    assert "--augmentation" not in at.code[0].value


def test_answers_in_a_passage_cannot_be_augmented(open_app, runs_dir):
    at = open_app(runs_dir, "train")
    at.selectbox(key="train-task").set_value("squad").run()
    at.selectbox(key="train-recipe").set_value("dynabert-augmented").run()
    assert at.error[0].value.startswith("Task squad cannot be augmented")
    assert "train-augmentation" not in [field.key for field in at.text_input]
    assert next(button for button in at.button if button.label == "Start").disabled


@pytest.mark.parametrize(
    ("key", "typed", "sentence"),
    [
        ("train-name", "../evil", "'\\.\\./evil' cannot name a run"),
        ("train-backbone", "--restart", "A backbone is minilm, a folder or a hub id"),
        ("train-backbone", "", "A backbone is minilm, a folder or a hub id"),
    ],
)
def test_what_cannot_be_is_refused_while_it_is_typed(
    open_app, runs_dir, key: str, typed: str, sentence: str
):
    at = open_app(runs_dir, "train")
    at.text_input(key=key).set_value(typed).run()
    assert sentence in at.error[0].value
    assert next(button for button in at.button if button.label == "Start").disabled


def test_a_name_that_is_taken_is_told_while_it_is_typed(open_app, tiny):
    at = open_app(tiny.folder.parent, "train")
    at.text_input(key="train-name").set_value("tiny").run()
    assert "There is already a run 'tiny'" in at.error[0].value
    assert next(button for button in at.button if button.label == "Start").disabled
    at.text_input(key="train-name").set_value("tiny-2").run()
    assert not at.error


def test_missing_data_gets_a_sentence_before_anything_starts(open_app, runs_dir, tmp_path):
    at = open_app(runs_dir, "train")
    at.selectbox(key="train-task").set_value("cola").run()
    at.text_input(key="train-data").set_value(str(write_glue(tmp_path / "glue"))).run()
    assert at.warning[0].value == "This task is not in that folder; SST-2 is."
    next(button for button in at.button if button.label == "Start").click().run()
    assert "has neither CoLA/" in at.error[0].value
    at.text_input(key="train-data").set_value(str(tmp_path / "none")).run()
    assert at.warning[0].value.startswith("There is no folder")
    next(button for button in at.button if button.label == "Start").click().run()
    assert "does not exist" in at.error[0].value
    assert not runs_dir.exists()


def test_a_training_under_way_is_shown_as_it_learns(open_app, runs_dir, worker):
    began = psutil.Process(worker.pid).create_time()
    folder = write_training(runs_dir, worker.pid, began, halfway(worker.pid))
    judged = [
        record | ({"metric": "accuracy"} if record["event"] == "evaluation" else {})
        for record in records(find_recipe("dynabert"))
    ]
    judged[-1] |= {
        "scores": {"w1.00-d1.00": 0.9, "w0.50-d1.00": 0.8, "w1.00-d0.50": 0.7, "w0.50-d0.50": 0.5},
        "collapsed": ["w0.50-d0.50"],
    }
    lines = [json.dumps(record) for record in judged]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + '\n{"event": "st')  # being written
    at = open_app(runs_dir, "train")
    assert at.subheader[0].value == "half\\-way is being trained"
    assert "64 training examples" in at.caption[0].value
    assert metric(at, "Training loss") == "0.1235"
    assert metric(at, "Examples per second") == "51.2"
    assert metric(at, "Left in this stage") == "1 min 15 s"
    (bar,) = at.get("progress")
    assert (bar.proto.value, bar.proto.text) == (50, "Stage 3 of 5, width: step 20 of 40")
    (chart,) = charts(at)
    assert [trace["name"] for trace in chart["data"][::2]] == [
        "fine-tune",
        "width",
        "width-depth",
        "final",
    ]
    (table,) = at.table
    assert table.value.loc["depth 0.5", "width 1"] == "0.700"
    assert table.value.loc["depth 0.5", "width 0.5"] == "0.500 ✕"
    assert "<b>Error:</b>" in at.code[0].value
    assert [button.label for button in at.button] == ["Stop"]  # a second one is not offered
    assert at.query_params["training"] in ("half-way", ["half-way"])

    at.button(key="train-stop").click().run()
    assert not at.exception
    assert worker.wait(60) != 0  # it was told to


def test_a_second_start_is_refused_kindly(open_app, runs_dir, worker):
    at = open_app(runs_dir, "train")
    began = psutil.Process(worker.pid).create_time()
    write_training(runs_dir, worker.pid, began, None)  # by another visitor, meanwhile
    at.text_input(key="train-name").set_value("other")
    next(button for button in at.button if button.label == "Start").click().run()
    assert not unfinished_folder("other", runs_dir).exists()
    assert at.subheader[0].value == "half\\-way is being trained"


def test_a_training_that_died_shows_its_last_words(open_app, runs_dir, monkeypatch):
    folder = write_training(runs_dir, 2**22 + 1, 0.0, halfway(2**22 + 1))
    at = open_app(runs_dir, "train", training="half-way")
    assert "**half\\-way** ended before it was complete." in texts(at)
    assert any("It came to stage 3 of 5, width: step 20" in caption.value for caption in at.caption)
    assert "<b>Error:</b> the disk is full." in at.code[0].value
    resumed: list[str] = []
    monkeypatch.setattr(
        "pages.shared.training_view.resume_training", lambda name, _: resumed.append(name)
    )
    at.button(key="train-resume-half-way").click().run()
    assert resumed == ["half-way"]
    at.button(key="train-discard-half-way").click().run()
    assert not folder.exists()
    assert [button.label for button in at.button] == ["Start"]


def test_a_training_is_not_resumed_beside_a_search(open_app, own_run):
    runs_dir = own_run.folder.parent
    write_training(runs_dir, 2**22 + 1, 0.0, halfway(2**22 + 1))
    search = open_search(own_run, "s", SearchSettings(num_trials=4, tokens=8))
    with search.at_work():
        at = open_app(runs_dir, "train", training="half-way")
        resume = at.button(key="train-resume-half-way")
        assert resume.disabled
        assert resume.help == "Not while the search s of tiny is at work."
    at.run()
    assert not at.button(key="train-resume-half-way").disabled


def test_a_training_that_was_stopped_does_not_look_like_an_accident(open_app, runs_dir):
    write_training(runs_dir, 2**22 + 1, 0.0, halfway(2**22 + 1, stopped=True))
    at = open_app(runs_dir, "train")
    assert "**half\\-way** was stopped." in texts(at)
    assert len(at.code) == 1  # no log: only the line for a terminal


def test_a_complete_training_leads_to_its_run(open_app, tiny):
    at = open_app(tiny.folder.parent, "train", training="tiny")
    assert at.success[0].value == "tiny is trained."
    at.button(key="train-open").click().run()
    assert at.title[0].value == "What is this model?"
    assert at.query_params.get("run") in ("tiny", ["tiny"])
    assert "training" not in at.query_params


def test_a_link_to_no_training_changes_nothing(open_app, tiny):
    at = open_app(tiny.folder.parent, "train", training="../../etc")
    assert not at.success
    assert not at.exception


def test_visitors_can_be_kept_from_training(open_app, runs_dir, worker, monkeypatch):
    monkeypatch.setenv("DYNABERT_TRAINING", "off")
    at = open_app(runs_dir, "train")
    assert "kept visitors from starting any" in at.info[0].value
    assert not at.button
    write_training(runs_dir, worker.pid, psutil.Process(worker.pid).create_time(), None)
    write_training(runs_dir, 2**22 + 1, 0.0, None, "dead")
    at.run()
    assert at.subheader[0].value == "half\\-way is being trained"
    assert not at.button
    assert os.environ["DYNABERT_TRAINING"] == "off"
