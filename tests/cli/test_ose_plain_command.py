"""`dynabert ose-plain` as a user types it."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from dynabert.cli.main import app
from dynabert.cli.ose_plain_command import usual_sizes
from dynabert.runs import Run
from dynabert.search.ose.architecture import Architecture, PlainSpace
from dynabert.search.ose.folder import PLAIN, list_extractions
from dynabert.subnet import NetworkShape

pytest_plugins = ["searched_run"]
FAST = ("--layers", "1,2", "--heads", "2", "--hidden", "12,48", "--neurons", "20", "--tokens", "8")


def plain(run: Run, *arguments: str) -> Result:
    asked = ["ose-plain", "tiny", "--runs-dir", str(run.folder.parent), *arguments]
    return CliRunner().invoke(app, asked)


def test_bad_examples_are_one_sentence(run):
    told = plain(run, *FAST, "--examples", "6", "--steps", "1,2")
    assert told.exit_code != 0
    assert "too few for 6 that errors are measured on and a batch of 32" in str(told.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--steps", "0"), "--steps takes whole numbers from 1"),
        (("--steps", "3,2"), "steps must rise"),
        (("--hidden", "x"), "--hidden takes whole numbers"),
        (("--rates", "fast"), "--rates takes learning rates"),
        (("--heads", "5", "--hidden", "12"), "no hidden size among"),
    ],
)
def test_bad_input_is_one_sentence(run, arguments, said):
    told = plain(run, *FAST, *arguments)
    assert told.exit_code != 0
    assert said in str(told.exception or told.output)
    assert list_extractions(run, PLAIN) == []


def test_borts_space_and_its_sizes_are_counted(run):
    told = plain(run, "--published").output
    assert "300 architectures" in told
    for number in ("51,997,696", "23,108,608", "38,998,272", "15,760,384"):
        assert number in told
    assert "5.5" not in told


def test_no_extractions_yet(run):
    assert "has no plain extractions yet" in plain(run, "--show").output


def test_the_usual_space_fits_below_the_network():
    shape = NetworkShape(heads=(12,) * 6, neurons=(1536,) * 6, head_dim=32)
    space = PlainSpace(**usual_sizes(shape, 384))
    assert len(space) == 81
    assert Architecture(6, 12, 384, 1536) in {*space}
    assert min(one.layers for one in space) == 2
