"""A run that answers questions, from the command to the sub-network taken away."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file
from small_squad import write_squad
from squad_run import RECIPE, squad_plan
from transformers import AutoModelForQuestionAnswering, AutoTokenizer
from typer.testing import CliRunner

from dynabert import DynaBertForQuestionAnswering, Subnet
from dynabert.analysis.span_answers import answer_question, marked_pieces
from dynabert.cli.main import app
from dynabert.errors import UserError
from dynabert.evaluation import count_macs, evaluate, num_params
from dynabert.evaluation.answer_scores import answer_score, normalized
from dynabert.examples import load_examples
from dynabert.run_info import TaskInfo
from dynabert.runs import Run, list_runs
from dynabert.training import loop as training_loop
from dynabert.training import train
from dynabert.training.events import Evaluated, Event

PASSAGE = "the old red good cat is on the tree ."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> Run:
    folder = tmp_path_factory.mktemp("squad")
    return train(squad_plan(folder / "data", tiny_backbone), folder / "runs")


def test_it_learns_and_its_table_has_a_row_for_each_sub_network(run: Run) -> None:
    results, task = run.results, run.info.task
    assert (task.kind, task.metrics, task.labels) == ("spans", ("f1", "em"), None)
    assert (task.num_train, task.num_dev) == (128, 24)  # questions, not windows
    assert (run.info.max_tokens, run.info.doc_stride) == (26, 9)
    model = run.model()
    assert isinstance(model, DynaBertForQuestionAnswering)
    assert results["subnet"].tolist() == [subnet.key for subnet in RECIPE.reported]
    dev = load_examples(run).dev
    assert len(dev) > dev.num_examples == 24
    for row, subnet in zip(results.to_dict("records"), RECIPE.reported, strict=True):
        found = evaluate(model, dev, subnet, metrics=task.metrics)
        assert (row["f1"], row["em"]) == pytest.approx(tuple(found.metrics.values()))
        assert row["loss"] == pytest.approx(found.loss, rel=1e-5)
        assert row["num_examples"] == 24
        assert row["num_params"] == num_params(model, subnet)
        assert row["macs"] == count_macs(model, subnet, 8)
        assert row["latency_ms"] > 0
    full = results.iloc[0]
    assert full["f1"] > 0.9
    assert not full["collapsed"]
    assert run.importance is not None


def test_interrupted_it_ends_the_same(
    run: Run, tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_loop, "CHECKPOINT_SECONDS", 0.0)

    def die(event: Event) -> None:
        if isinstance(event, Evaluated) and event.stage == "width-depth":
            raise KeyboardInterrupt

    plan = squad_plan(tmp_path / "data", tiny_backbone)
    with pytest.raises(KeyboardInterrupt):
        train(plan, tmp_path / "runs", die)
    assert list_runs(tmp_path / "runs") == []
    again = train(plan, tmp_path / "runs")
    measured = ["latency_ms", "latency_ms_iqr"]
    pd.testing.assert_frame_equal(
        again.results.drop(columns=measured), run.results.drop(columns=measured)
    )
    ours, theirs = (load_file(one.folder / "model.safetensors") for one in (run, again))
    assert all(ours[name].equal(theirs[name]) for name in ours)


def test_the_command_line(run: Run, tmp_path: Path) -> None:
    def succeed(*arguments: str) -> str:
        done = CliRunner().invoke(
            app, [*arguments, "--runs-dir", str(run.folder.parent)], catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        return done.stdout

    said = json.loads(succeed("evaluate", run.name, "--width", "0.5", "--json"))
    row = run.results.set_index("subnet").loc["w0.50-d1.00"]
    assert (said["f1"], said["em"]) == pytest.approx((row["f1"], row["em"]))
    assert "dev, 24 examples: f1 " in succeed("evaluate", run.name)
    out = tmp_path / "sweep.csv"
    succeed("sweep", run.name, "--widths", "1,0.5", "--depths", "1", "--out", str(out))
    swept = pd.read_csv(out)
    assert swept["f1"].tolist() == pytest.approx(run.results["f1"].tolist()[:2])
    assert swept["tokens"].tolist() == [8, 8]  # as in the run's own table
    assert "importance of heads" in succeed("importance", run.name)
    assert "dev examples" in succeed("importance", run.name, "--measure", "--split", "dev")
    assert "dev, 8 examples" in succeed("ablate", run.name, "--num-examples", "8")
    small = tmp_path / "small"
    said = succeed(*("extract", run.name, "--width", "0.5", "--depth", "0.5", "--out", str(small)))
    assert "AutoModelForQuestionAnswering.from_pretrained" in said.replace("\n", "")
    card = (small / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: question-answering" in card
    assert "answer_question(model, tokenizer," in card

    taken = AutoModelForQuestionAnswering.from_pretrained(small).eval()
    tokenizer = AutoTokenizer.from_pretrained(small)
    (alone,) = answer_question(taken, tokenizer, "what is good ?", PASSAGE, max_tokens=26)
    (inside,) = answer_question(
        *(run.model(), run.tokenizer(), "what is good ?", PASSAGE),
        subnets=[Subnet(0.5, 0.5)],
        max_tokens=26,
    )
    assert (alone.text, alone.start) == (inside.text, inside.start)
    assert alone.probability == pytest.approx(inside.probability, rel=1e-4)


def test_trained_from_the_command_line_as_long_as_usual(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    data = write_squad(tmp_path / "data" / "squad", train=40, dev=8)
    arguments = ["train", "squad", "--backbone", str(tiny_backbone), "--name", "q", "--seed", "1"]
    arguments += ["--data-dir", str(data.parent), "--num-train", "24", "--recipe", "fine-tune"]
    arguments += ["--set", "fine-tune.epochs=1", "--set", "doc_stride=7", "--precision", "fp32"]
    done = CliRunner().invoke(app, [*arguments, "--runs-dir", str(tmp_path / "runs")])
    assert done.exit_code == 0, done.output
    info = Run.load(tmp_path / "runs" / "q").info
    assert (info.task.num_train, info.doc_stride) == (24, 7)
    # 384 tokens are usual; this backbone has 40.
    assert info.max_tokens == 40
    assert "the backbone reads at most 40 tokens, fewer than the task's 384" in info.notices


def test_an_answer_is_a_part_of_the_passage_and_marked_in_it(run: Run) -> None:
    subnets = list(RECIPE.reported)
    long = "the old red tree . " * 12 + PASSAGE
    answers = answer_question(
        *(run.model(), run.tokenizer(), "what is good ?", long),
        subnets=subnets,
        max_tokens=26,
        doc_stride=9,
    )
    assert [answer.subnet for answer in answers] == subnets
    assert answers[0].text == "cat"
    assert answers[0].start == long.index("cat")
    assert all(long[answer.start : answer.end] == answer.text for answer in answers)
    assert all(0 < answer.probability <= 1 for answer in answers)
    pieces = marked_pieces(long, answers)
    assert "".join(text for text, _ in pieces) == long
    for number, answer in enumerate(answers):
        assert "".join(text for text, inside in pieces if number in inside) == answer.text
    for question, passage in (("", "x"), ("x", " ")):
        with pytest.raises(UserError, match="give a question and a passage"):
            answer_question(run.model(), run.tokenizer(), question, passage)


def test_older_runs_of_a_regression_are_still_that() -> None:
    values = {
        "name": "x",
        "title": "x",
        "text_columns": ["text"],
        "labels": None,
        "metrics": ["pearson"],
        "source": "x",
        "fingerprint": "x",
        "num_train": 1,
        "num_dev": 1,
    }
    assert TaskInfo.model_validate(values).kind == "regression"
    assert TaskInfo.model_validate(values | {"labels": ["a", "b"]}).kind == "classification"
    assert TaskInfo.model_validate(values | {"kind": "spans"}).answers == ("a part of the passage",)


def test_scores_are_those_of_the_printed_answers(run: Run) -> None:
    examples = load_examples(run)
    found = evaluate(run.model(), examples.dev, metrics=("em", "f1"))
    gold = {row["id"]: row["answers"]["text"] for row in examples.data.dev["dev"]}
    scores = [
        answer_score(text, map(normalized, gold[name])) for name, text in found.answers.items()
    ]
    assert found.metrics["em"] == pytest.approx(sum(one.em for one in scores) / 24)
    with pytest.raises(UserError, match="answers are scored by f1, em, got 'accuracy'"):
        evaluate(run.model(), examples.dev, metrics=("accuracy",))
