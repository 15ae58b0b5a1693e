"""Training from the command line, end to end on a tiny model, as a user types it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_line import succeed
from small_data import write_csv

from dynabert.cli.options import as_typed
from dynabert.runs import Run

pytest_plugins = ["trained_run"]


def test_train_leaves_a_complete_run(runs_dir: Path) -> None:
    run = Run.load(runs_dir / "tiny")
    assert run.info.seed == 3
    assert run.info.command.startswith("python -m dynabert train ")
    assert list(run.results["subnet"]) == [
        f"w{w}-d{d}" for d in ("1.00", "0.75", "0.50") for w in ("1.00", "0.50")
    ]
    assert (run.results["num_examples"] == 24).all()
    assert (run.results["latency_ms"] > 0).all()
    assert [path.name for path in runs_dir.iterdir()] == ["tiny"]  # nothing half-done stays


def test_too_long_sentences_are_cut_with_a_notice(tiny_backbone: Path, tmp_path: Path) -> None:
    train_file, dev_file = write_csv(tmp_path, train=32, dev=16)
    with dev_file.open("a", encoding="utf-8") as file:
        file.write(f"{'the cat is good ' * 30},pos\n")
    out = succeed(
        *("train", train_file, "--dev-file", dev_file, "--backbone", tiny_backbone),
        *("--name", "long", "--recipe", "fine-tune", "--set", "fine-tune.epochs=1"),
        *("--precision", "fp32", "--tokens", "8", "--runs-dir", tmp_path / "runs"),
    )
    assert "dev: 1 of 17 examples are longer than 40 tokens and were cut" in out
    assert "the backbone reads at most 40 tokens, fewer than the task's 128" in out
    assert len(Run.load(tmp_path / "runs" / "long").info.notices) == 2


@pytest.mark.parametrize(
    ("processes", "start"),
    [
        (None, "python -m"),
        ("1", "python -m"),
        ("2", "python -m torch.distributed.run --nproc_per_node 2 -m"),
    ],
)
def test_the_command_that_is_kept_starts_as_many_processes(
    monkeypatch: pytest.MonkeyPatch, processes: str | None, start: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["dynabert", "train", "my film.csv"])
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if processes is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert as_typed() == f"{start} dynabert train 'my film.csv'"
