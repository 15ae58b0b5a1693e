"""What is evaluated after a training has the scores of every dev set of the task, as MNLI has two."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dynabert import Subnet
from dynabert.cli.main import app
from dynabert.evaluation import evaluate
from dynabert.examples import load_examples
from dynabert.export.card import CARD, ONNX_FILE
from dynabert.export.onnx_network import OnnxNetwork, evaluate_onnx
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
    grid = ("--widths", "1,0.5", "--depths", "1,0.5", "--keep")
    assert "accuracy_mismatched" in said(mnli, "sweep", *grid)
    small = ("--trials", "3", "--lengths", "none", "--widths", "0.33")
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


@pytest.mark.parametrize("form", ["transformers", "onnx", "onnx-int8"])
def test_a_card_has_both_scores(mnli: Run, tmp_path: Path, form: str) -> None:
    said(mnli, "extract", "--width", "1", "--format", form, "--out", str(tmp_path / "small"))
    card = (tmp_path / "small" / CARD).read_text(encoding="utf-8")
    (row,) = (line for line in card.splitlines() if line.startswith("| Scores |"))
    found = re.fullmatch(
        r"\| Scores \| accuracy [\d.]+ on 18 dev examples; accuracy_mismatched ([\d.]+)([,;] .*)? \|",
        row,
    )
    assert found is not None, row
    network, examples = mnli.model(), load_examples(mnli)
    if form == "onnx-int8":
        file = OnnxNetwork(tmp_path / "small" / ONNX_FILE)
        other = examples.other_dev["mismatched"]
        score = evaluate_onnx(file, network, Subnet(), other, metrics=("accuracy",)).metrics
        assert float(found[1]) == pytest.approx(score["accuracy"], abs=5e-5)
        assert "measured with this file" in row
    else:
        known = mnli.all_results.set_index("subnet").loc["w1.00-d1.00"]
        assert float(found[1]) == pytest.approx(known["accuracy_mismatched"], abs=5e-5)


def test_what_a_choice_evaluates_has_both_scores(mnli: Run) -> None:
    model, examples, told = mnli.model(), load_examples(mnli), []
    some = [Subnet(0.5, 0.5)]
    rows = evaluate_missing(mnli, model, examples, some, tokens=8, on_batch=told.append)
    other = examples.other_dev["mismatched"]
    expected = evaluate(model, other, *some, metrics=("accuracy",)).metrics["accuracy"]
    assert rows["accuracy_mismatched"].tolist() == [expected]
    assert told[-1] == examples.num_dev == 18 + 21
