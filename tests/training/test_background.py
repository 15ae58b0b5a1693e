"""Trainings in processes of their own: started, watched, stopped, resumed, refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import psutil
import pytest
from safetensors.torch import load_file
from small_data import write_glue

from dynabert.errors import UserError
from dynabert.evaluation.latency import LatencySetup
from dynabert.runs import Run, list_runs, unfinished_folder
from dynabert.training import TrainingPlan, background, find_recipe, train
from dynabert.training.background import (
    PROCESS,
    Training,
    discard_training,
    find_training,
    find_trainings,
    kill_training,
    resume_training,
    start_training,
    stop_training,
)
from dynabert.training.lock import locked
from dynabert.training.request import TrainingRequest, default_name, request_training

SECONDS = 120.0  # a busy machine is slow, not wrong


@pytest.fixture
def request_(tiny_backbone: Path, tmp_path: Path) -> TrainingRequest:
    """96 examples in GLUE's original files; some seconds of training."""
    return request_training(
        name="r",
        task="sst2",
        data_dir=write_glue(tmp_path / "glue"),
        backbone=str(tiny_backbone),
        seed=3,
    )


@pytest.fixture
def runs_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "runs"
    yield folder
    for training in find_trainings(folder):  # a test that failed leaves none behind
        if training.request is not None and training.is_under_way:
            kill_training(training.name, folder)


def wait_for(reached: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


def state(runs_dir: Path) -> str | None:
    training = find_training("r", runs_dir)
    return None if training is None else training.state


def record(folder: Path, pid: int, started: float, request: TrainingRequest) -> None:
    folder.mkdir(parents=True)
    values = {"request": request.model_dump(mode="json"), "pid": pid, "started": started}
    (folder / PROCESS).write_text(json.dumps(values))


def test_started_stopped_and_resumed_it_ends_with_the_same_numbers(
    request_: TrainingRequest, runs_dir: Path, tmp_path: Path
) -> None:
    others = {child.pid for child in psutil.Process().children()}  # of other tests
    assert start_training(request_, runs_dir).state == "starting"

    # Meanwhile, another one is refused; so is dropping what is being made.
    with pytest.raises(UserError, match="r is being trained at the moment, and two trainings"):
        start_training(request_.model_copy(update={"name": "other"}), runs_dir)
    assert [training.name for training in find_trainings(runs_dir)] == ["r"]
    with pytest.raises(UserError, match="r is being trained; stop it first"):
        discard_training("r", runs_dir)

    def in_stage(number: int) -> bool:
        training = find_training("r", runs_dir)
        progress = training and training.progress
        return bool(progress and progress.number >= number and progress.done)

    wait_for(lambda: in_stage(3))
    assert state(runs_dir) == "running"
    stop_training("r", runs_dir)
    wait_for(lambda: state(runs_dir) == "stopped")
    stopped = find_training("r", runs_dir)
    assert stopped is not None
    assert stopped.progress is not None
    assert stopped.progress.num_stages == 5
    assert "goes on from here" in stopped.log_tail()
    assert list_runs(runs_dir) == []

    again = resume_training("r", runs_dir)
    assert again.state == "starting"
    assert "goes on from here" not in again.log_tail()  # the one before it said that
    assert "goes on from here" in (again.folder / "train.before.log").read_text()
    wait_for(lambda: state(runs_dir) is None)
    assert find_trainings(runs_dir) == []
    # No zombie is left.
    wait_for(lambda: {child.pid for child in psutil.Process().children()} <= others)

    plan = TrainingPlan(
        name="r",
        data=request_.source,
        backbone=request_.backbone,
        recipe=find_recipe(request_.recipe),
        seed=request_.seed,
        latency=LatencySetup(tokens=40, repeats=2),
    )
    whole, resumed = train(plan, tmp_path / "whole"), Run.load(runs_dir / "r")
    assert resumed.metrics == whole.metrics
    timed = ["latency_ms", "latency_ms_iqr"]
    pd.testing.assert_frame_equal(
        resumed.results.drop(columns=timed), whole.results.drop(columns=timed)
    )
    ours, theirs = (load_file(run.folder / "model.safetensors") for run in (resumed, whole))
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_a_killed_training_is_discarded_only_when_asked_to(
    request_: TrainingRequest, runs_dir: Path
) -> None:
    start_training(request_, runs_dir)
    kill_training("r", runs_dir)
    wait_for(lambda: state(runs_dir) == "stopped")
    with pytest.raises(UserError, match="already an unfinished training 'r'"):
        start_training(request_, runs_dir)
    discard_training("r", runs_dir)
    assert find_trainings(runs_dir) == []
    with pytest.raises(UserError, match="there is no unfinished training 'r'"):
        discard_training("r", runs_dir)


def test_a_process_that_ends_at_once_is_found_ended(
    request_: TrainingRequest, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(arguments: Sequence[str], log_file: Path) -> subprocess.Popen[bytes]:
        log_file.write_text("Error: out of memory\n")
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        return process

    monkeypatch.setattr(background, "launch", launch)
    training = start_training(request_, runs_dir)
    assert not training.is_under_way
    assert training.request == request_
    assert "out of memory" in training.log_tail()
    discard_training("r", runs_dir)
    assert find_trainings(runs_dir) == []


def test_a_recycled_process_number_is_not_taken_for_a_training(
    request_: TrainingRequest, runs_dir: Path
) -> None:
    folder = unfinished_folder("r", runs_dir)
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        started = psutil.Process(other.pid).create_time()
        record(folder, other.pid, started - 3600, request_)
        assert state(runs_dir) == "died"
        stop_training("r", runs_dir)
        kill_training("r", runs_dir)
        time.sleep(0.1)
        assert other.poll() is None  # nobody signalled it
        (folder / PROCESS).unlink()
        folder.rmdir()
        record(folder, other.pid, started, request_)
        assert state(runs_dir) == "starting"
        other.kill()
        wait_for(lambda: psutil.Process(other.pid).status() == psutil.STATUS_ZOMBIE)
        assert state(runs_dir) == "died"  # dead, though its number is still taken
    finally:
        other.kill()
        other.wait()


def test_a_training_in_a_terminal_is_noticed_but_not_touched(
    request_: TrainingRequest, runs_dir: Path
) -> None:
    folder = unfinished_folder("r", runs_dir)
    folder.mkdir(parents=True)
    (folder / "plan.yaml").write_text("command: python -m dynabert train words.csv --name r\n")
    with locked(folder):
        assert state(runs_dir) == "running"
        with pytest.raises(UserError, match="r is being trained at the moment"):
            start_training(request_.model_copy(update={"name": "other"}), runs_dir)
        with pytest.raises(UserError, match="stop it there with Ctrl"):
            stop_training("r", runs_dir)
    training = find_training("r", runs_dir)
    assert training is not None
    assert training.state == "died"
    assert training.command == "python -m dynabert train words.csv --name r"
    with pytest.raises(UserError, match="repeat its command"):
        resume_training("r", runs_dir)


def test_what_is_wrong_shows_before_anything_is_written(
    request_: TrainingRequest, runs_dir: Path, tmp_path: Path
) -> None:
    def refused(match: str, **changes: object) -> None:
        with pytest.raises(UserError, match=match):
            start_training(request_training(**(request_.model_dump() | changes)), runs_dir)

    refused(r"^'\.\./up' cannot name a run", name="../up")
    refused(r"^recipe 'magic' is none of dynabert, ", recipe="magic")
    refused(r"^unknown task 'colla'", task="colla")
    refused(r"^the teaching set is generated", task="teaching")
    refused(r"data folder .*none does not exist", data_dir=tmp_path / "none")
    refused(r"has neither CoLA/", task="cola")
    refused(r"between 1 and 96, got 97", num_train=97)
    refused(r"num_train: .*greater than or equal to 1", num_train=0)
    refused(r"seed: ", seed=-1)
    refused(r"cannot be a hub id", backbone="../no/such")
    refused(r"^a backbone is minilm, .* got '--restart'", backbone="--restart")
    refused(r"^a backbone is minilm, .* got ''", backbone="")
    refused(r"holds no config\.json", backbone=str(tmp_path))
    cut = Path(shutil.copytree(request_.backbone, tmp_path / "cut"))
    (cut / "model.safetensors").write_bytes(b"cut")
    refused(r"holds no readable model\.safetensors", backbone=str(cut))
    assert not runs_dir.exists()
    (runs_dir / "r").mkdir(parents=True)
    refused(r"^there is already a run 'r'")


def test_the_line_for_a_terminal_says_all_that_was_asked_for(tmp_path: Path) -> None:
    request = TrainingRequest(
        name="a", task="sst2", data_dir=tmp_path / "my data", num_train=7, seed=2, half=True
    )
    assert request.command(Path("runs")) == (
        "python -m dynabert train sst2 --backbone minilm --name a --recipe dynabert --seed 2 "
        f"--data-dir '{tmp_path}/my data' --num-train 7 --half"
    )
    assert request.command(tmp_path).endswith(f"--half --runs-dir {tmp_path}")
    assert default_name("teaching", "some/bert base") == "teaching-bert-base"


def test_the_log_of_a_training_is_shown_from_its_end(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_bytes(b"\xff" + b"x\n" * 9000 + b"last\n")
    training = Training(
        name="r", folder=tmp_path, state="died", request=None, command=None, progress=None
    )
    assert training.log_tail(2) == "x\nlast"
    os.remove(tmp_path / "train.log")
    assert training.log_tail() == ""
