"""Killed at any moment, training ends with the same numbers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pytest
import yaml
from safetensors.torch import load_file
from small_data import write_csv

from dynabert.data.source import CsvSource, DataSource
from dynabert.errors import UserError
from dynabert.evaluation.latency import LatencySetup
from dynabert.evaluation.retiming import TIMES
from dynabert.runs import Run, list_runs, list_unfinished, unfinished_folder
from dynabert.training import (
    Grid,
    Losses,
    Recipe,
    Rewire,
    Teacher,
    Train,
    TrainingPlan,
    discard_unfinished,
    pipeline,
    train,
)
from dynabert.training import loop as training_loop
from dynabert.training.events import (
    Advanced,
    Evaluated,
    Event,
    StageStarted,
    StepDone,
    Working,
)
from dynabert.training.progress import read_progress
from dynabert.training.stopping import StopSignal

SMALL_GRID = Grid(width_mults=(1.0, 0.5), depth_mults=(1.0, 0.5))
RECIPE = Recipe(
    name="small",
    batch_size=16,
    max_tokens=24,
    width_mults=(1.0, 0.5),
    depth_mults=(1.0, 0.5),
    stages=(
        Train(name="fine-tune", losses=Losses(labels=1.0), epochs=2, learning_rate=2e-3),
        Rewire(num_examples=32),
        Train(
            name="width-depth",
            subnets=SMALL_GRID,
            losses=Losses(prediction=1.0, hidden=1.0),
            teacher=Teacher(stage="rewire"),
            epochs=2,
            learning_rate=1e-3,
        ),
        Train(
            name="final",
            subnets=SMALL_GRID,
            losses=Losses(labels=1.0),
            epochs=1,
            learning_rate=1e-3,
            start_competes=True,
        ),
    ),
)


Result = TypeVar("Result")


class Killed(BaseException):
    """Like a kill: nothing in the code catches it."""


@pytest.fixture(autouse=True)
def _checkpoint_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(training_loop, "REPORT_STEPS", 5)  # no divisor of where evaluations are


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSource:
    train_file, dev_file = write_csv(tmp_path_factory.mktemp("data"))
    return DataSource(csv=CsvSource(train_file=train_file, dev_file=dev_file))


def plan(data: DataSource, backbone: Path, **changes: Any) -> TrainingPlan:
    values: dict[str, Any] = {
        "name": "r",
        "data": data,
        "backbone": str(backbone),
        "recipe": RECIPE,
        "precision": "fp32",
        "latency": None,
    }
    return TrainingPlan(**(values | changes))


def kill_at(number: int) -> Any:
    """A watcher that dies at the given event."""
    seen = 0

    def watch(_: Event) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            raise Killed

    return watch


def through_kills(
    go_on: Callable[[Callable[[Event], None]], Result], numbers: Iterable[int]
) -> tuple[Result, int]:
    """What work comes to that is killed again and again, at those events, and how often it was.

    go_on: begins it or goes on with it, under a watcher.
    """
    kills = 0
    for number in numbers:
        try:
            return go_on(kill_at(number)), kills
        except Killed:
            kills += 1
    return go_on(lambda event: None), kills


def assert_same(run: Run, other: Run) -> None:
    pd.testing.assert_frame_equal(run.results, other.results)
    assert run.metrics == other.metrics
    ours, theirs = (load_file(r.folder / "model.safetensors") for r in (run, other))
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in ours)
    assert run.importance is not None
    assert other.importance is not None
    assert run.importance.heads.equal(other.importance.heads)


def test_kill_and_resume(data: DataSource, tiny_backbone: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    whole = train(plan(data, tiny_backbone), tmp_path / "whole", events.append)
    kinds = [type(event) for event in events]
    assert {StageStarted, StepDone, Evaluated, Working} <= set(kinds)

    # Killed again and again, at ever later events, one run gets through every stage.
    broken = tmp_path / "broken"
    kills = 0
    for number in (3, 5, 9, 4, 2, 7, 6, 8, 3, 12):
        try:
            train(plan(data, tiny_backbone), broken, kill_at(number))
        except Killed:
            kills += 1
            assert list_runs(broken) == []
        else:
            break
    if not list_runs(broken):
        train(plan(data, tiny_backbone), broken)
    assert kills >= 4
    assert list_runs(broken) == ["r"]
    assert not unfinished_folder("r", broken).exists()
    assert_same(Run.load(whole.folder), Run.load(broken / "r"))


def test_resume_goes_on_in_the_middle_of_a_stage(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    def kill_in_stage_3(event: Event) -> None:
        if isinstance(event, StepDone) and event.stage == "width-depth" and event.step == 5:
            raise Killed

    with pytest.raises(Killed):
        train(plan(data, tiny_backbone), tmp_path, kill_in_stage_3)
    started: list[StageStarted] = []
    train(
        plan(data, tiny_backbone),
        tmp_path,
        lambda event: started.append(event) if isinstance(event, StageStarted) else None,
    )
    assert started[0].stage == "width-depth"
    assert started[0].resumed_at == 4  # step 5 was not checkpointed yet


def test_unfinished_is_not_mixed_with_another_plan(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train(plan(data, tiny_backbone), tmp_path, kill_at(6))
    with pytest.raises(UserError, match="was started with another seed"):
        train(plan(data, tiny_backbone, seed=1), tmp_path)


def test_unfinished_from_before_a_recipe_had_a_field_goes_on(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train(plan(data, tiny_backbone), tmp_path, kill_at(6))
    (path,) = tmp_path.glob(".*.unfinished/plan.yaml")
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    written["recipe"].pop("judge_examples")
    for stage in written["recipe"]["stages"]:
        stage.pop("largest", None)
    path.write_text(yaml.safe_dump(written), encoding="utf-8")
    run = train(plan(data, tiny_backbone), tmp_path)
    assert run.info.recipe["judge_examples"] is None


def test_unfinished_is_not_mixed_with_other_data(tiny_backbone: Path, tmp_path: Path) -> None:
    train_file, dev_file = write_csv(tmp_path)
    data = DataSource(csv=CsvSource(train_file=train_file, dev_file=dev_file))
    with pytest.raises(Killed):
        train(plan(data, tiny_backbone), tmp_path / "runs", kill_at(6))
    with train_file.open("a", encoding="utf-8") as file:
        file.write("the cat is bad,neg\n")
    with pytest.raises(UserError, match="was started with another fingerprint of the data"):
        train(plan(data, tiny_backbone), tmp_path / "runs")


def test_other_processes_share_the_work_otherwise(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train(plan(data, tiny_backbone), tmp_path, kill_at(6))
    path = unfinished_folder("r", tmp_path) / "plan.yaml"
    text = path.read_text(encoding="utf-8")
    line = "number of processes: 1\n"
    path.write_text(text.replace(line, "number of processes: 2\n"), encoding="utf-8")
    with pytest.raises(UserError, match=r"with another number of processes \(2, now 1\)"):
        train(plan(data, tiny_backbone), tmp_path)
    path.write_text(
        text.replace(line, ""), encoding="utf-8"
    )  # as it was once written: nobody knows
    with pytest.raises(Killed):
        train(plan(data, tiny_backbone), tmp_path, kill_at(8))


def test_training_at_work_is_not_discarded(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    folder = unfinished_folder("r", tmp_path)

    def discard_meanwhile(event: Event) -> None:
        if isinstance(event, StepDone):
            with pytest.raises(UserError, match="is being trained by another process"):
                discard_unfinished("r", tmp_path)
            raise Killed

    with pytest.raises(Killed):
        train(plan(data, tiny_backbone), tmp_path, discard_meanwhile)
    assert folder.is_dir()
    discard_unfinished("r", tmp_path)
    assert not folder.exists()
    discard_unfinished("r", tmp_path)


@pytest.mark.parametrize("name", ["plan.yaml", "finished.json", "stages/fine-tune.safetensors"])
def test_damaged_state_is_not_gone_on_from(
    name: str, data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    def kill_after_first_stage(event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == "rewire":
            raise Killed

    with pytest.raises(Killed):
        train(plan(data, tiny_backbone), tmp_path, kill_after_first_stage)
    (unfinished_folder("r", tmp_path) / name).write_text("[", encoding="utf-8")
    with pytest.raises(UserError, match=r"is damaged.*Drop it with --restart"):
        train(plan(data, tiny_backbone), tmp_path)


def test_wrong_input_shows_before_anything_is_written(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    asked = plan(data, tiny_backbone, latency=LatencySetup(tokens=100_000))
    with pytest.raises(UserError, match="reads at most 40 tokens, got --tokens 100000"):
        train(asked, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_short_backbone_is_timed_at_all_it_reads(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    recipe = RECIPE.model_copy(update={"stages": RECIPE.stages[:1]})
    run = train(plan(data, tiny_backbone, recipe=recipe, latency="usual"), tmp_path)
    assert set(run.results["tokens"]) == {40}
    assert "MACs and latency are for 40 tokens, all it reads" in run.info.notices


def test_loss_that_is_not_finite_stops(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    stage = RECIPE.stages[0].model_copy(update={"learning_rate": 1e29, "rate_factor": 10.0})
    recipe = RECIPE.model_copy(update={"stages": (stage,)})
    with pytest.raises(UserError, match="Choose a smaller learning rate than 1e[+]30"):
        train(plan(data, tiny_backbone, recipe=recipe), tmp_path)
    assert list_runs(tmp_path) == []


def test_finished_run_is_never_overwritten(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    (tmp_path / "r").mkdir()
    with pytest.raises(UserError, match="exists already; choose another name"):
        train(plan(data, tiny_backbone), tmp_path)


def test_what_another_process_ends_meanwhile_is_not_trained_again(
    data: DataSource, tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_examples(*arguments: object) -> object:
        (tmp_path / "r").mkdir()
        return reads(*arguments)

    reads = pipeline._Training
    monkeypatch.setattr(pipeline, "_Training", read_examples)
    steps: list[Event] = []
    with pytest.raises(UserError, match="exists already; choose another name"):
        train(plan(data, tiny_backbone), tmp_path, steps.append)
    assert not [one for one in steps if isinstance(one, StageStarted)]
    assert list_unfinished(tmp_path) == []


def test_it_learns_and_the_best_weights_are_kept(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    longer = tuple(
        stage.model_copy(update={"epochs": 6.0, "learning_rate": 1e-3})
        if isinstance(stage, Train)
        else stage
        for stage in RECIPE.stages
    )
    recipe = RECIPE.model_copy(update={"stages": longer})
    run = train(plan(data, tiny_backbone, recipe=recipe), tmp_path)
    assert run.results["accuracy"].min() >= 0.9  # one word decides
    assert not run.results["collapsed"].any()
    evaluations = [m for m in run.metrics if m["event"] == "evaluation" and m["stage"] == "final"]
    assert evaluations[0]["step"] == 0  # the weights before the stage compete
    best = max(evaluations, key=lambda m: m["mean"])
    assert run.results["accuracy"].mean() == pytest.approx(best["mean"], abs=1e-6)
    assert run.info.recipe["stages"][0]["learning_rate"] == 1e-3
    assert set(run.info.stage_seconds) == {"fine-tune", "rewire", "width-depth", "final"}


def test_half_precision_file_is_what_was_evaluated(
    data: DataSource, tiny_backbone: Path, tmp_path: Path
) -> None:
    run = train(plan(data, tiny_backbone, half_precision_file=True), tmp_path)
    stored = load_file(run.folder / "model.safetensors")
    assert {str(t.dtype) for t in stored.values() if t.is_floating_point()} == {"torch.float16"}
    from dynabert.evaluation import sweep
    from dynabert.examples import load_examples

    again = sweep(
        run.model(),
        load_examples(run).dev,
        RECIPE.reported,
        metrics=run.info.task.metrics,
        latency=None,
    )
    times = dict.fromkeys(TIMES, float)  # of nothing but None where nothing was timed
    pd.testing.assert_frame_equal(again.astype(times), run.results)


def test_stopping_takes_one_step_and_loses_none(
    data: DataSource, tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked to stop between two reports, it saves that step; then all goes on as if it had not."""
    monkeypatch.setattr(training_loop, "CHECKPOINT_SECONDS", 1e9)
    monkeypatch.setattr(training_loop, "SILENT_SECONDS", 0.0)
    stop = StopSignal()
    steps: list[int] = []

    def stop_in_stage_3(event: Event) -> None:
        if isinstance(event, StepDone | Advanced) and event.stage == "width-depth":
            steps.append(event.step)
            if event.step == 7:
                stop.ask()

    with pytest.raises(KeyboardInterrupt):
        train(plan(data, tiny_backbone), tmp_path / "broken", stop_in_stage_3, stop)
    assert steps == [1, 2, 3, 4, 5, 6, 7]
    progress = read_progress(unfinished_folder("r", tmp_path / "broken"))
    assert progress is not None
    assert (progress.stage, progress.number, progress.num_stages) == ("width-depth", 3, 4)
    assert (progress.stopped, progress.total) == (True, 12)

    started: list[StageStarted] = []
    broken = train(
        plan(data, tiny_backbone),
        tmp_path / "broken",
        lambda event: started.append(event) if isinstance(event, StageStarted) else None,
    )
    assert (started[0].stage, started[0].resumed_at) == ("width-depth", 7)
    assert_same(train(plan(data, tiny_backbone), tmp_path / "whole"), broken)


def test_a_second_request_to_stop_is_heeded_at_once() -> None:
    stop = StopSignal()
    with pytest.raises(KeyboardInterrupt):  # nothing holds it back
        stop.ask()
    stop = StopSignal()
    with stop.held_back():
        stop.heed()
        stop.ask()
        with pytest.raises(KeyboardInterrupt):
            stop.heed()
        with pytest.raises(KeyboardInterrupt):
            stop.ask()


def test_signals_ask_to_stop() -> None:
    stop, before = StopSignal(), signal.getsignal(signal.SIGTERM)
    with stop.listening(), stop.held_back():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
    assert signal.getsignal(signal.SIGTERM) == before
