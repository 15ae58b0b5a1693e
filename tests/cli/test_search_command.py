"""`dynabert search` as a user types it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from dynabert.cli.main import app
from dynabert.runs import Run
from dynabert.search.front import read_front
from dynabert.search.search import Search, list_searches

pytest_plugins = ["searched_run"]
ROOT = Path(__file__).resolve().parents[2]
FAST = ("--tokens", "8", "--examples", "6")


def with_a_front(found: Search, collapsed: tuple[bool, ...]) -> pd.DataFrame:
    """Give a search a front of made-up scores: so many narrow ones, a point below the largest."""
    kept = found.folder / "front.parquet"
    largest = pd.read_parquet(kept).query("is_reference")
    largest = largest.assign(accuracy=0.9, collapsed=False, num_front=len(collapsed))
    rows = [
        largest.assign(
            subnet=f"w0.{20 + number}-d1.00",
            is_reference=False,
            accuracy=0.895,
            macs=1000.0 + number,
            collapsed=gone,
        )
        for number, gone in enumerate(collapsed)
    ]
    table = pd.concat([*rows, largest], ignore_index=True)
    table.to_parquet(kept, index=False)
    return table


def search(run: Run, *arguments: str) -> Result:
    return CliRunner().invoke(
        app, ["search", "tiny", "--runs-dir", str(run.folder.parent), *arguments]
    )


def test_it_searches_measures_and_names_the_cheapest(run):
    told = search(run, *FAST, "--trials", "14", "--widths", "1,0.5", "--within", "30")
    assert told.exit_code == 0, told.output
    (found,) = list_searches(run)
    assert found.name == "tpe"
    assert found.settings.width_mults == (1.0, 0.5)
    assert found.settings.tokens == 8
    assert len(found.trials) == 14
    table = read_front(found)
    for key in table["subnet"]:
        assert key in told.output
    assert "front of 14 trials, all of dev" in told.output
    assert "8 tokens" in told.output
    with_a_front(found, (False, False))
    before = (found.folder / "front.parquet").stat().st_mtime_ns
    assert search(run, *FAST, "--trials", "14", "--widths", "1,0.5").exit_code == 0
    assert (found.folder / "front.parquet").stat().st_mtime_ns == before  # nothing new to measure
    shown = search(run, "--show", "--within", "30")
    assert "The cheapest within 30 points" in shown.output
    assert "(--measured)" not in shown.output


def test_of_a_front_it_is_told_how_much_was_not_measured(run):
    asked = ["--trials", "4", "--measured", "2"]
    assert search(run, *FAST, *asked).exit_code == 0
    (found,) = list_searches(run)
    assert found.settings.num_measured == 2
    with_a_front(found, (False, False)).assign(num_front=5).to_parquet(
        found.folder / "front.parquet"
    )
    before = (found.folder / "front.parquet").stat().st_mtime_ns
    # Left out, it is as it was begun.
    assert "3 more sub-networks of its front not measured, as asked" in search(run, *FAST).output
    assert (found.folder / "front.parquet").stat().st_mtime_ns == before
    assert search(run, *FAST, "--measured", "0").exit_code == 0  # all: measures anew
    assert "as asked (--measured)" not in search(run, "--show").output


@pytest.mark.parametrize("sound", [True, False])
def test_a_collapsed_one_is_marked_and_not_recommended(run, sound):
    assert search(run, *FAST, "--trials", "14", "--widths", "1,0.5").exit_code == 0
    (found,) = list_searches(run)
    gone = 1 if sound else 2
    with_a_front(found, (True, not sound))
    told = " ".join(search(run, "--show").output.split())
    assert told.count("0.8950 collapsed") == gone
    assert f"{gone} collapsed (one answer for every example) and never recommended." in told
    if sound:
        assert "The cheapest within 1 point of the largest sub-network: w0.21-d1.00," in told
    else:
        assert (
            "None within 1 point of the largest sub-network: no other on this front has a" in told
        )
        assert "nearest" not in told


def test_a_student_of_fixed_size_is_searched_by_its_own_layers(student):
    told = search(student, *FAST, "--trials", "3")
    assert told.exit_code == 0, told.output
    (found,) = list_searches(student)
    assert (found.settings.width_mults, found.settings.depth_mults) == ((1.0,), (0.5,))
    assert "may never have been trained" not in told.output
    table = read_front(found)
    assert table.loc[table["is_reference"], "subnet"].tolist() == ["w1.00-d0.50"]
    told = search(student, *FAST, "--trials", "3", "--depths", "1", "--name", "whole")
    assert list_searches(student)[1].settings.depth_mults == (1.0,)  # an option wins
    said = " ".join(told.output.split())
    assert "Note: w1.00-d1.00, the largest of this search" in said
    assert "is none that the recipe dynamic-tinybert reports" in said
    assert "The largest that it reports is w1.00-d0.50." in said


def test_other_recipes_are_searched_by_the_full_network(run):
    told = search(run, *FAST, "--trials", "3")
    (found,) = list_searches(run)
    assert (found.settings.width_mults, found.settings.depth_mults) == ((1.0,), (1.0,))
    assert "Note:" not in told.output


def test_a_killed_search_goes_on(run):
    command = [sys.executable, "-m", "dynabert", "search", "tiny", "--runs-dir"]
    command += [str(run.folder.parent), *FAST, "--trials", "5000", "--method", "random"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        done = [trial for found in list_searches(run) for trial in found.trials]
        if len(done) >= 5:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    (found,) = list_searches(run)
    before = found.trials
    assert 5 <= len(before) < 5000
    shown = search(run, "--show")
    assert f"{len(before)} of 5000 trials done (MACs)" in " ".join(shown.output.split())
    assert "--method random" in " ".join(shown.output.split())
    total = str(len(before) + 3)
    told = search(run, *FAST, "--trials", total, "--method", "random")
    assert told.exit_code == 0, told.output
    assert found.trials[: len(before)] == before
    assert [trial.number for trial in found.trials] == [*range(len(before) + 3)]


def test_a_run_without_searches_says_how_to_begin(run, tmp_path):
    folder = tmp_path / "my runs [old]" / "tiny"
    shutil.copytree(run.folder, folder)
    begin = f"no searches yet. Begin one: python -m dynabert search '{folder}'"
    shown = CliRunner().invoke(app, ["search", str(folder), "--show"])
    assert begin in shown.output.replace("\n", " ")


def test_a_small_space_says_that_it_is_exhausted(run):
    told = search(run, *FAST, "--lengths", "none", "--depths", "1,0.5", "--trials", "9")
    assert "Nothing new was found to try after 2 sub-networks." in told.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fewest", "101"), "from 1 to 100, got 101"),
        (("--lengths", "tokens", "--fewest", "9"), "from 1 to 8, got 9"),
        (("--at-most", "10"), "nothing here costs at most 10 MACs"),
        (("--at-most", "-1"), "at_most: "),
        (("--generation", "0", "4"), "generation.0"),
        (("--generation", "3", "4"), "a generation is of method evolution, not of tpe"),
        (("--lengths", "none", "--fewest", "9"), "fewest=9 is about lengths"),
        (("--name", "../x"), "cannot name a search"),
        (("--name", ""), "'' cannot name a search"),
        (("--tokens", "50"), "reads at most 40 tokens, got 50"),
        (("--widths", "1,2"), "must be a number in (0, 1]"),
    ],
)
def test_bad_input_is_told(run, arguments, said):
    told = search(run, *FAST, *arguments)
    assert told.exit_code != 0
    assert said in str(told.exception)
