"""`dynabert ose-plain` as a user types it."""

from __future__ import annotations

import shlex

import pytest
from typer.testing import CliRunner, Result

from dynabert.cli import train_command
from dynabert.cli.main import app
from dynabert.cli.ose_plain_command import usual_sizes
from dynabert.cli.train_command import changed
from dynabert.data.source import CsvSource, DataSource
from dynabert.examples import load_examples
from dynabert.modeling.architecture import Architecture, PlainSpace
from dynabert.runs import Run
from dynabert.search.ose.folder import PLAIN, list_extractions, open_extraction
from dynabert.search.ose.full_training import training_command
from dynabert.search.ose.plain import carry_out_plain
from dynabert.search.ose.plain_settings import ask_plain
from dynabert.subnet import NetworkShape
from dynabert.training import Reduce
from dynabert.training.presets import RECIPES

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


def test_the_command_that_trains_a_winner_in_full_is_one_that_can_be_typed(run):
    words = shlex.split(training_command(run, "2-4-12-20"))
    assert words[:4] == ["python", "-m", "dynabert", "train"]
    changes = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    recipe = changed(RECIPES["plain-student"], changes)
    (reduce,) = [one for one in recipe.stages if isinstance(one, Reduce)]
    assert reduce == Reduce(layers=2, heads=4, hidden=12, neurons=20)


@pytest.mark.parametrize(
    "source",
    [
        DataSource(csv=CsvSource(train_file="/data/a b.csv")),
        DataSource(
            csv=CsvSource(
                train_file="/data/reg.csv",
                dev_file="/data/dev.csv",
                text_columns=("one", "two"),
                label_column="score",
                regression=True,
            ),
            num_train=50,
            seed=3,
        ),
        DataSource(task="cola", data_dir="/data/glue", num_train=100, seed=7),
        DataSource(task="teaching", seed=1),
    ],
)
def test_a_winner_is_trained_in_full_on_the_same_examples(run, monkeypatch, source):
    class Asked(Exception):
        pass

    def carry_out(plan, *others):
        raise Asked(plan)

    monkeypatch.setattr(train_command, "carry_out", carry_out)
    info = run.info.model_copy(update={"data": source})
    named = Run(run.folder.parent / ("x" * 60), info)
    words = shlex.split(training_command(named, "2-4-12-20"))
    asked = CliRunner().invoke(app, words[3:]).exception
    assert isinstance(asked, Asked), asked
    (plan,) = asked.args
    assert plan.data == source
    assert plan.seed == source.seed
    assert plan.backbone == info.backbone
    assert plan.name == "x" * 54 + "-2-4-12-20"


def test_what_was_found_is_printed_round_by_round(run):
    settings = ask_plain(
        layers=(1, 2),
        heads=(2,),
        hiddens=(12, 48),
        neurons=(20,),
        steps=(1, 2),
        batch_size=4,
        num_examples=6,
        tokens=8,
    )
    folder = open_extraction(run, "p", settings, PLAIN)
    report = carry_out_plain(folder, run, run.model(), load_examples(run))
    told = " ".join(plain(run, "--show").output.split())
    for one in report.rounds:
        assert f"{one.w:.3f}" in told
        for key in (one.winner, one.frozen_winner):  # written alike
            assert f"<{key.replace('-', ', ')}>" in told
            assert f" {key} " not in told
    last = report.rounds[-1]
    low, high = last.error_range
    assert (f"lie between {low:.4f} and {high:.4f}, so close" in told) == last.errors_are_alike
    assert training_command(run, report.winner) in told
    rounds = tuple(
        one.model_copy(update={"dev_score": 0.6838, "collapsed": steps == 0})
        for steps, one in enumerate(report.rounds)
    )
    folder.keep_report(report.model_copy(update={"rounds": rounds}))
    told = " ".join(plain(run, "--show").output.split())
    assert (told.count("0.6838"), told.count("0.6838 collapsed")) == (2, 1)


def test_no_extractions_yet(run):
    assert "has no such extractions yet" in plain(run, "--show").output


def test_the_usual_space_fits_below_the_network():
    shape = NetworkShape(heads=(12,) * 6, neurons=(1536,) * 6, head_dim=32)
    space = PlainSpace(**usual_sizes(shape, 384))
    assert len(space) == 81
    assert Architecture(6, 12, 384, 1536) in {*space}
    assert min(one.layers for one in space) == 2
