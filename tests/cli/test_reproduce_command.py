"""`dynabert reproduce` as a user types it, with a tiny backbone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result as Ran
from made_results import fill
from small_data import write_glue
from typer.testing import CliRunner

from dynabert.cli import reproduce_command, serve_commands
from dynabert.cli.main import app
from dynabert.errors import UserError
from dynabert.reproduction.results import read_results
from dynabert.runs import list_runs


def run(*arguments: object) -> Ran:
    return CliRunner().invoke(app, ["reproduce", *map(str, arguments)])


def refused(*arguments: object) -> str:
    done = run(*arguments)
    assert isinstance(done.exception, UserError), done.output
    return str(done.exception)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("made"), ["mrpc"], [0, 1], ["table3"])


def test_a_recipe_is_trained_kept_and_not_trained_again(tmp_path, tiny_backbone):
    options = (
        *("--task", "SST-2", "--data-dir", write_glue(tmp_path / "data", train=32, dev=16)),
        *("--backbone", tiny_backbone, "--seeds", "3", "--no-limits"),
        *("--num-train", 24, "--epochs-scale", 0.25, "--judge-examples", 9),
        *("--results", tmp_path / "results", "--runs-dir", tmp_path / "runs", "--no-latency"),
    )
    done = run("fine-tune", *options)
    assert done.exit_code == 0, done.output
    assert "Training 1 of 1: sst2, fine-tune, seed 3" in done.output
    assert "1 trained, 0 skipped, 0 failed." in done.output
    (result,) = read_results(tmp_path / "results")
    assert (result.num_train, result.num_train_total, result.seed) == (24, 32, 3)
    assert result.limits == (
        "stage fine-tune: 1 instead of 4 epochs",
        "checkpoints are chosen by at most 9 dev examples",
    )
    assert "--no-limits --num-train 24 --epochs-scale 0.25 --judge-examples 9" in result.command
    text = next((tmp_path / "results").glob("*/sst2/*.json")).read_text()
    assert str(tmp_path) not in text  # it is to be committed
    assert str(tiny_backbone.parent) not in text
    assert result.backbone == tiny_backbone.name
    assert "| SST-2 | fine-tune | 3 |" in (tmp_path / "results" / "README.md").read_text()
    assert not list_runs(tmp_path / "runs")
    again = run("fine-tune", *options)
    assert "sst2, fine-tune, seed 3: done" in again.output
    assert "0 trained, 1 skipped, 0 failed." in again.output
    listed = run("fine-tune", *options, "--list")
    assert "1 of 1 done." in listed.output


def test_a_damaged_result_does_not_stop_the_trainings(tmp_path, tiny_backbone):
    damaged = tmp_path / "r" / "minilm" / "rte" / "dynabert-s0.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    done = run(
        *("fine-tune", "--task", "sst2", "--epochs", "fine-tune=1", "--no-latency"),
        *("--data-dir", write_glue(tmp_path / "d", train=32, dev=16), "--backbone", tiny_backbone),
        *("--results", tmp_path / "r", "--runs-dir", tmp_path / "runs", "--seeds", "0,1"),
    )
    assert "2 trained, 0 skipped, 0 failed." in done.output
    assert f"README not written: result {damaged} is damaged" in done.output
    assert done.exit_code == 0


def test_a_failure_ends_in_a_non_zero_exit(tmp_path, tiny_backbone):
    done = run(
        *("fine-tune", "--task", "rte", "--data-dir", write_glue(tmp_path / "data")),
        *(
            "--backbone",
            tiny_backbone,
            "--results",
            tmp_path / "r",
            "--runs-dir",
            tmp_path / "runs",
        ),
    )
    assert done.exit_code == 1
    assert "Failed: rte, fine-tune, seed 0:" in done.output


def test_a_table_is_shown_beside_the_paper(made):
    out = run("table3", "--show", "--results", made, "--backbone", "minilm").output
    (line,) = (line for line in out.splitlines() if line.startswith("| Vanilla DynaBERT_w | paper"))
    assert "| 80.5 | 64.2 | 79.0 |" in line
    assert "collapsed)" in out
    assert "Does rewiring help? Paper: +2.4 points on average over 9 scores. Here: " in out
    assert "reproduce table3 --task rte --data-dir path/to/data" in out


def test_the_list_says_what_is_missing_and_for_how_long(made):
    out = run("table3", "--task", "mrpc", "--seeds", "0,2", "--list", "--results", made).output
    assert "vanilla-w" in out
    assert "about 3:00" in out  # 180 seconds, as its other seeds took


def test_the_plans_limits_hold_beside_what_is_given(made, tmp_path, monkeypatch):
    wanted = []
    monkeypatch.setattr(reproduce_command, "_list", lambda jobs, results: wanted.extend(jobs))
    plan = tmp_path / "plan.yaml"
    plan.write_text("limits: {rte: {num_train: 40, epochs: {width: 2}}}\n", encoding="utf-8")
    asked = ("vanilla-w", "--task", "rte", "--list", "--plan", plan, "--epochs", "fine-tune=1")
    assert run(*asked).exit_code == run(*asked, "--no-limits").exit_code == 0
    assert [(one.limits.num_train, one.limits.epochs) for one in wanted] == [
        (40, {"width": 2, "fine-tune": 1}),
        (None, {"fine-tune": 1}),
    ]


def test_what_cannot_be_is_refused_in_a_sentence(tmp_path):
    assert "there is no 'table9'" in refused("table9")
    assert "say what to reproduce" in refused("--task", "rte")
    assert "--all is everything in the plan" in refused("--all", "table3")
    assert "--num-train is for tables that you name" in refused("--all", "--num-train", 5)
    assert "--seeds is for tables that you name" in refused("--all", "--seeds", "0,1")
    assert "needs a task" in refused("fine-tune")
    assert "--seeds takes whole numbers" in refused("table3", "--seeds", "one")
    assert "--epochs takes STAGE=EPOCHS" in refused("table3", "--epochs", "width")
    assert "no recipe has a stage 'wdth'" in refused("table3", "--epochs", "wdth=2")
    assert "cannot read the plan" in refused("--all", "--plan", tmp_path / "none.yaml")


def test_the_readme_is_written_from_the_results(made):
    done = run("--readme", "--results", made)
    assert done.exit_code == 0
    text = (made / "README.md").read_text(encoding="utf-8")
    assert "## Table 3: What helps in training DynaBERT_w" in text
    assert "Not measured here: MNLI-m, MNLI-mm, QQP, QNLI, SST-2, CoLA, STS-B, RTE, avg." in text


def test_two_things_at_once_are_refused():
    said = str(run("table3", "--show", "--time").exception)
    assert said == "--show and --time are each a thing of its own; give one of them."


def test_the_app_is_told_where_the_results_are(monkeypatch, tmp_path):
    environments = []

    monkeypatch.setattr(serve_commands.os, "execve", lambda *given: environments.append(given[2]))
    monkeypatch.setattr(serve_commands.os, "chdir", lambda folder: None)
    assert CliRunner().invoke(app, ["app", "--results", str(tmp_path)]).exit_code == 0
    assert environments[0]["DYNABERT_RESULTS_DIR"] == str(tmp_path)


def test_latency_file_is_one_line_for_each_shape(tmp_path, tiny_backbone):
    done = run(
        *(
            "fine-tune",
            "--task",
            "sst2",
            "--data-dir",
            write_glue(tmp_path / "d", train=32, dev=16),
        ),
        *("--backbone", tiny_backbone, "--epochs", "fine-tune=1", "--drop-stages"),
        *("--results", tmp_path / "r", "--runs-dir", tmp_path / "runs"),
    )
    assert done.exit_code == 0, done.output
    (file,) = (tmp_path / "r").glob("*/latency.json")
    lines = file.read_text().splitlines()
    assert len(json.loads(file.read_text())) == len(lines) - 2 == 12 * 2
    (result,) = read_results(tmp_path / "r")
    assert [one.batch_size for one in result.rows[0].latency] == [1, 128]
    assert not list((tmp_path / "runs").glob(".reproduction-stages/*"))
