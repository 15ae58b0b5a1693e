"""What is evaluated after a training has the scores of every dev set of the task, as MNLI has two."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from dynabert import Subnet
from dynabert.cli.main import app
from dynabert.evaluation import evaluate
from dynabert.examples import load_examples
from dynabert.runs import Run
from dynabert.search.candidates import evaluate_missing

pytest_plugins = ["mnli_run"]


def said(run: Run, verb: str, *arguments: str) -> str:
    told = CliRunner().invoke(app, [verb, "r", *arguments, "--runs-dir", str(run.folder.parent)])
    assert told.exit_code == 0, told.output
    return " ".join(told.stdout.split())


def test_every_verb_tells_and_keeps_both_scores(mnli: Run) -> None:
    before = mnli.all_results.set_index("subnet")
    full = before.loc["w1.00-d1.00"]
    told = said(mnli, "evaluate")
    assert f"dev, 18 examples: accuracy {full['accuracy']:.4f} loss" in told
    assert f"dev mismatched, 21 examples: accuracy {full['accuracy_mismatched']:.4f}" in told
    values = json.loads(said(mnli, "evaluate", "--json"))
    assert values["accuracy_mismatched"] == pytest.approx(full["accuracy_mismatched"])
    grid = ("--widths", "1,0.5", "--depths", "1,0.5", "--tokens", "8", "--keep")
    assert "accuracy_mismatched" in said(mnli, "sweep", *grid)
    small = ("--trials", "3", "--lengths", "none", "--widths", "0.33", "--tokens", "8")
    assert "accuracy_mismatched" in said(mnli, "search", *small, "--examples", "0")
    after = Run.load(mnli.folder).all_results.set_index("subnet")
    new = set(after.index) - set(before.index)
    assert {"w1.00-d0.50", "w0.50-d0.50", "w0.33-d1.00"} <= new
    assert after["accuracy_mismatched"].notna().all()
    model, examples = mnli.model(), load_examples(mnli)
    for key in new:
        for split, column in (("matched", "accuracy"), ("mismatched", "accuracy_mismatched")):
            dev = examples.all_dev[split]
            again = evaluate(model, dev, Subnet.parse(key), metrics=("accuracy",))
            assert after[column][key] == again.metrics["accuracy"]


def test_what_a_choice_evaluates_has_both_scores(mnli: Run) -> None:
    model, examples, told = mnli.model(), load_examples(mnli), []
    some = [Subnet(0.5, 0.5)]
    rows = evaluate_missing(mnli, model, examples, some, tokens=8, on_batch=told.append)
    other = examples.other_dev["mismatched"]
    expected = evaluate(model, other, *some, metrics=("accuracy",)).metrics["accuracy"]
    assert rows["accuracy_mismatched"].tolist() == [expected]
    assert told[-1] == examples.num_dev == 18 + 21
