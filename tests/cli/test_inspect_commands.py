"""Verbs that look into a run, end to end on a tiny model, as a user types them."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from command_line import damaged, in_a_process, succeed
from small_data import write_csv
from typer.testing import CliRunner

from dynabert import Subnet
from dynabert.cli import sweep_command
from dynabert.cli.main import app
from dynabert.errors import UserError
from dynabert.evaluation import evaluate
from dynabert.examples import load_examples
from dynabert.importance import Importance
from dynabert.runs import Run, write_manifest

pytest_plugins = ["trained_run"]


def test_runs_lists_it(runs_dir: Path) -> None:
    out = in_a_process("runs", "--runs-dir", runs_dir)
    row = next(line for line in out.splitlines() if "tiny" in line)
    assert [cell.strip() for cell in row.split("│")][2:6:3] == ["train", "accuracy"]


def test_the_runs_folder_may_come_from_the_environment(
    runs_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNABERT_RUNS_DIR", str(runs_dir))
    assert "tiny" in succeed("runs")
    assert "tiny" not in succeed("runs", "--runs-dir", tmp_path)


def test_evaluate_agrees_with_the_results_table(runs_dir: Path) -> None:
    row = Run.load(runs_dir / "tiny").results.set_index("subnet").loc["w0.50-d0.75"]
    out = succeed(
        *("evaluate", "tiny", "--width", "0.5", "--depth", "0.75", "--json"),
        *("--runs-dir", runs_dir),
    )
    values = json.loads(out)
    assert values["subnet"] == "w0.50-d0.75"
    assert values["heads"] == [3, 3, 3]
    assert values["layers"] == [0, 1, 3]
    assert values["accuracy"] == pytest.approx(row["accuracy"])
    assert values["loss"] == pytest.approx(row["loss"], abs=1e-6)
    assert values["num_params"] == row["num_params"]


def test_standard_output_is_json_alone_however_long_it_takes(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dynabert.cli.display._LOG_SECONDS", -1.0)  # a line for every batch
    done = CliRunner().invoke(app, ["evaluate", "tiny", "--json", "--runs-dir", str(runs_dir)])
    assert json.loads(done.stdout)["num_examples"] == 24
    assert "evaluating sub-networks: 24 of 24" in done.stderr


def test_sweep_writes_and_keeps_rows(runs_dir: Path, tmp_path: Path) -> None:
    out_file = tmp_path / "sweep.csv"
    succeed(
        *("sweep", "tiny", "--widths", "1,0.33", "--depths", "0.25", "--tokens", "8"),
        *("--out", out_file, "--keep", "--runs-dir", runs_dir),
    )
    rows = pd.read_csv(out_file)
    assert list(rows["subnet"]) == ["w1.00-d0.25", "w0.33-d0.25"]
    assert list(rows["heads"]) == ["[6]", "[1]"]
    assert list(rows["layers"]) == ["[4]", "[4]"]
    kept = Run.load(runs_dir / "tiny").results
    assert set(rows["subnet"]) < set(kept["subnet"])
    assert kept["subnet"].is_unique


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tokens", "100000"), r"this model reads at most \d+ tokens, got 100000"),
        (("--tokens", "0"), "tokens must be at least 1, got 0"),
        (
            ("--widths", "1,x", "--data-dir", "nowhere"),
            "--widths takes numbers separated by commas",
        ),
        (("--keep",), "cannot write to .*tiny, where the result would be kept"),
    ],
)
def test_sweep_refuses_before_it_evaluates(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    evaluated: list[object] = []
    monkeypatch.setattr(sweep_command, "sweep_subnets", lambda *a, **k: evaluated.append(a))
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != "tiny" and access(path, mode)
    )
    done = CliRunner().invoke(app, ["sweep", "tiny", *arguments, "--runs-dir", str(runs_dir)])
    assert isinstance(done.exception, UserError)
    assert re.search(said, str(done.exception))
    assert evaluated == []


@pytest.mark.parametrize("verb", ["sweep", "ablate"])
def test_what_was_measured_on_other_examples_is_not_kept(
    runs_dir: Path, tmp_path: Path, verb: str
) -> None:
    write_csv(tmp_path, train=48, dev=20)
    before = Run.load(runs_dir / "tiny").all_results
    done = CliRunner().invoke(
        app,
        [verb, "tiny", "--keep", "--data-dir", str(tmp_path), "--runs-dir", str(runs_dir)],
    )
    assert isinstance(done.exception, UserError)
    assert "--keep needs the run's own" in str(done.exception)
    pd.testing.assert_frame_equal(Run.load(runs_dir / "tiny").all_results, before)


def test_only_costs_that_compare_are_kept(runs_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(runs_dir / "tiny", tmp_path / "tiny")
    one = ("sweep", "tiny", "--widths", "0.5", "--depths", "1", "--runs-dir", str(tmp_path))

    def times() -> tuple[float, float]:
        row = Run.load(tmp_path / "tiny").all_results.set_index("subnet").loc["w0.50-d1.00"]
        return float(row["latency_ms"]), float(row["latency_batch_size"])

    before = times()
    done = CliRunner().invoke(app, [*one, "--keep", "--tokens", "9"])
    assert isinstance(done.exception, UserError)
    assert "tiny counts costs for 8 tokens, got 9" in str(done.exception)
    said = succeed(*one, "--keep", "--latency-batch", "3")
    assert "measured but not kept: the run's are of 1 text at a time" in " ".join(said.split())
    assert "without latencies: the run's are of 1 text at a time" in " ".join(said.split())
    assert times() == before
    succeed(*one, "--keep")
    assert times() != before
    path = tmp_path / "tiny" / "recipe.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8")) | {"machine": "a far machine"}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    write_manifest(tmp_path / "tiny")
    before = times()
    said = succeed(*one, "--keep")
    assert "the run's are of another machine (a far machine)" in " ".join(said.split())
    assert times() == before


def test_sweep_over_shares_of_tokens_that_are_dropped(runs_dir: Path, tmp_path: Path) -> None:
    out_file = tmp_path / "drops.csv"
    said = succeed(
        *("sweep", "tiny", "--widths", "0.5", "--depths", "1,0.5", "--drops", "0,0.5"),
        *("--tokens", "8", "--out", out_file, "--keep", "--runs-dir", runs_dir),
    )
    rows = pd.read_csv(out_file)
    kept = Run.load(runs_dir / "tiny")
    assert set(rows["subnet"]) < set(kept.all_results["subnet"])
    assert kept.results["length_config"].isna().all()
    assert list(rows["subnet"]) == [
        "w0.50-d1.00",
        "w0.50-d1.00-r0.5_0.25_0.125_0.0625",
        "w0.50-d0.50",
        "w0.50-d0.50-r0.5_0.25",
    ]
    assert "4,2,2,2" in said
    assert "8,8" in said
    assert (rows["macs"][::2].to_numpy() > rows["macs"][1::2].to_numpy()).all()
    run = Run.load(runs_dir / "tiny")
    examples, metrics = load_examples(run), run.info.task.metrics
    for row in rows.to_dict("records"):
        own = evaluate(run.model(), examples.dev, Subnet.parse(row["subnet"]), metrics=metrics)
        assert row[metrics[0]] == own.metrics[metrics[0]]
        assert row["loss"] == pytest.approx(own.loss)


def test_sweep_of_all_has_every_number_of_heads_and_layers(runs_dir: Path, tmp_path: Path) -> None:
    out_file = tmp_path / "all.csv"
    succeed(
        *("sweep", "tiny", "--widths", "all", "--depths", "all", "--tokens", "4"),
        *("--out", out_file, "--runs-dir", runs_dir),
    )
    rows = pd.read_csv(out_file)
    heads = rows["heads"].map(lambda text: json.loads(text)[0])
    layers = rows["layers"].map(lambda text: len(json.loads(text)))
    assert {*zip(heads, layers, strict=True)} >= {(h, y) for h in range(1, 7) for y in range(1, 5)}
    assert rows["subnet"].is_unique


def test_importance_is_in_original_order(runs_dir: Path, tmp_path: Path) -> None:
    out = succeed("importance", "tiny", "--runs-dir", runs_dir)
    assert "by which the network was rewired, 16 train examples" in " ".join(out.split())
    out_file = tmp_path / "scores.safetensors"
    succeed(
        *("importance", "tiny", "--measure", "--split", "dev", "--out", out_file),
        *("--runs-dir", runs_dir),
    )
    scores = Importance.load(out_file)
    assert scores.heads.shape == (4, 6)
    assert scores.neurons.shape == (4, 60)
    assert scores.about["num_examples"] == "24"


def test_ablate_measures_every_head_and_keeps_it(runs_dir: Path, tmp_path: Path) -> None:
    out_file = tmp_path / "heads.csv"
    shown = " ".join(
        succeed("ablate", "tiny", "--keep", "--out", out_file, "--runs-dir", runs_dir).split()
    )
    assert "dev, 24 examples" in shown
    assert "and 12 more, whose removal raises the loss less" in shown
    kept = Run.load(runs_dir / "tiny").ablation
    assert kept is not None
    assert (kept.num_examples, kept.loss_change.shape) == (24, (4, 6))
    table = pd.read_csv(out_file)
    assert len(table) == 24
    assert table["loss_change"].is_monotonic_decreasing
    row = table.iloc[0]
    expected = kept.loss_change[int(row["layer"]) - 1, int(row["head"]) - 1]
    assert row["loss_change"] == pytest.approx(expected, abs=1e-6)


def test_damaged_run_is_listed_as_such(runs_dir: Path, tmp_path: Path) -> None:
    damaged(runs_dir, tmp_path)
    assert "damaged" in succeed("runs", "--runs-dir", tmp_path)
