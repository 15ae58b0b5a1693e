"""Searches in processes of their own: started, watched, stopped, resumed, refused."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator

import pandas as pd
import pytest
from typer.testing import CliRunner

from dynabert.cli.main import app
from dynabert.errors import UserError
from dynabert.examples import load_examples
from dynabert.processes import StartedProcess
from dynabert.runs import Run
from dynabert.search import background
from dynabert.search.background import (
    busy_with,
    discard_search,
    find_searches,
    measure_again,
    search_command,
    start_search,
    stop_search,
    watch,
)
from dynabert.search.front import FRONT, measure_front, read_front
from dynabert.search.loop import run_search
from dynabert.search.search import Search, list_searches, open_search
from dynabert.search.settings import SearchSettings

pytest_plugins = ["searched_run"]
SETTINGS = SearchSettings(method="random", num_trials=4, tokens=8, num_examples=6)
SECONDS = 120.0  # a busy machine is slow, not wrong


@pytest.fixture(autouse=True)
def _nothing_is_left_at_work(run: Run) -> Iterator[None]:
    yield
    for search in list_searches(run):
        process = background._read(search.folder)
        if process is not None and process.is_alive:
            os.kill(process.pid, signal.SIGKILL)


def wait_for(reached: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


def test_started_stopped_and_resumed_it_ends_with_a_measured_front(run):
    runs_dir = run.folder.parent
    # Multipliers that six digits do not say.
    long = SETTINGS.model_copy(update={"num_trials": 100_000, "width_mults": (1.0, 1 / 3)})
    search = start_search(run, "s", long, runs_dir)
    assert watch(search).state == "searching"
    assert busy_with(runs_dir) == "the search s of tiny"
    with pytest.raises(UserError, match="the search s of tiny is at work"):
        start_search(run, "other", SETTINGS, runs_dir)
    with pytest.raises(UserError, match="s is under way; stop it first"):
        discard_search(search)
    wait_for(lambda: len(search.trials) >= 3)
    stop_search(search)
    wait_for(lambda: watch(search).state == "stopped")
    stop_search(search)  # there is nothing to stop: nothing happens
    done = search.trials
    assert read_front(search) is None

    enough = long.model_copy(update={"num_trials": len(done) + 2})
    start_search(run, "s", enough, runs_dir)
    wait_for(lambda: watch(search).state == "done" or not watch(search).is_under_way)
    (watched,) = find_searches(run)
    assert watched.state == "done", watched.log_tail()
    assert watched.search.trials[: len(done)] == done
    assert read_front(search)["num_trials"].eq(len(done) + 2).all()

    search = watched.search
    before, tried = (search.folder / FRONT).stat().st_mtime_ns, search.trials
    with search.at_work(), pytest.raises(UserError, match="is at work"):
        measure_again(run, search, runs_dir)
    assert (search.folder / FRONT).stat().st_mtime_ns == before
    measure_again(run, search, runs_dir)
    assert watch(search).state == "measuring"
    assert (search.folder / FRONT).stat().st_mtime_ns == before  # it stays until there is another
    wait_for(lambda: not watch(search).is_under_way)
    assert watch(search).state == "done", watch(search).log_tail()
    assert not watch(search).failed_to_measure_again
    assert (search.folder / FRONT).stat().st_mtime_ns > before
    assert search.trials == tried
    assert "front of" in watched.log_tail()
    discard_search(watched.search)
    assert find_searches(run) == []


def test_measuring_again_that_comes_to_nothing_leaves_what_was_measured(run):
    search = open_search(run, "s", SETTINGS)
    model, examples = run.model(), load_examples(run)
    run_search(search, model, examples)
    measure_front(search, model, examples)
    before = read_front(search)
    assert not watch(search).failed_to_measure_again
    file = run.info.data.csv.train_file
    aside = file.rename(file.with_suffix(".aside"))  # its process will refuse
    try:
        measure_again(run, search, run.folder.parent)
        wait_for(lambda: not watch(search).is_under_way)
    finally:
        aside.rename(file)
    watched = watch(search)
    assert (watched.state, watched.failed_to_measure_again) == ("done", True)
    assert "there is no file" in " ".join(watched.log_tail().split())
    pd.testing.assert_frame_equal(read_front(search), before)


def test_a_killed_process_is_told_from_a_stopped_one(run):
    search = start_search(
        run, "s", SETTINGS.model_copy(update={"num_trials": 9999}), run.folder.parent
    )
    wait_for(lambda: search.trials)
    os.kill(background._read(search.folder).pid, signal.SIGKILL)
    wait_for(lambda: not watch(search).is_under_way)
    assert watch(search).state == "died"
    assert busy_with(run.folder.parent) is None


def test_one_that_was_started_elsewhere_is_not_stopped_from_here(run):
    search = open_search(run, "s", SETTINGS)
    assert watch(search).state == "stopped"
    with search.at_work():
        assert busy_with(run.folder.parent) == "the search s of tiny"
        assert watch(search).state == "elsewhere"
        with pytest.raises(UserError, match="started in a terminal; stop it there"):
            stop_search(search)


def test_another_process_of_the_same_number_is_not_taken_for_it(run):
    search = open_search(run, "s", SETTINGS)
    other = StartedProcess(pid=os.getpid(), started=1.0)
    (search.folder / "process.json").write_text(other.model_dump_json())
    assert watch(search).state == "died"
    stop_search(search)  # and this process still lives


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "evolution", "generation": (5, 6)},
        {"depth_mults": (0.5,)},
        {"width_mults": (1.0, 2 / 3, 1 / 6), "depth_mults": (1.0, 0.5), "lengths": None},
        {"lengths": "tokens", "fewest": 3, "cost": "latency", "batch_size": 2},
        {"num_examples": None, "at_most": 300_000.5, "seed": 7},
    ],
)
@pytest.mark.parametrize("kind", ["run", "student"])
def test_the_command_line_asks_for_the_same(request, kind, changes):
    run = request.getfixturevalue(kind)
    settings = SETTINGS.model_copy(update={"num_trials": 1} | changes)
    arguments = ["search", "tiny", "--name", "s", *settings.arguments()]
    told = CliRunner().invoke(app, [*arguments, "--runs-dir", str(run.folder.parent)])
    assert told.exit_code == 0, told.output
    asked = Search.load(run.folder / "searches" / "s").settings
    assert asked == settings


def test_the_command_takes_back_how_many_are_measured(run):
    open_search(run, "s", SETTINGS.model_copy(update={"num_trials": 1, "num_measured": 2}))
    wanted = SETTINGS.model_copy(update={"num_trials": 1})
    runs_dir = run.folder.parent
    words = shlex.split(search_command(run, "s", wanted, runs_dir))
    assert words[1:4] == ["-m", "dynabert", "search"]
    told = CliRunner().invoke(app, words[3:])
    assert told.exit_code == 0, told.output
    assert Search.load(run.folder / "searches" / "s").settings == wanted
    assert "--measured" not in search_command(run, "s", wanted, runs_dir)
