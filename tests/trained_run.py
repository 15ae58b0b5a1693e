"""A run that was trained from the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import in_a_process
from small_data import write_csv

FAST = [
    *("--set", "batch_size=16", "--set", "max_tokens=24"),
    *("--set", "fine-tune.epochs=1", "--set", "width.epochs=1", "--set", "width-depth.epochs=1"),
    *("--set", "rewire.num_examples=16", "--set", "width_mults=[1.0, 0.5]"),
]


@pytest.fixture(scope="session")
def trained_runs(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> Path:
    """A runs folder with one run, "tiny", trained by the command line; never written to again."""
    folder = tmp_path_factory.mktemp("cli")
    train_file, dev_file = write_csv(folder, train=48, dev=24)
    out = in_a_process(
        *("train", train_file, "--dev-file", dev_file, "--backbone", tiny_backbone),
        *("--name", "tiny", "--precision", "fp32", "--tokens", "8", "--seed", "3"),
        *("--runs-dir", folder / "runs", *FAST),
    )
    for stage in ("fine-tune", "rewire", "width", "width-depth", "final"):
        assert f": {stage}" in out
    assert "Run tiny is in" in out
    return folder / "runs"


@pytest.fixture(scope="module")
def runs_dir(trained_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the runs folder for one file of tests, which may keep things with the run."""
    return shutil.copytree(trained_runs, tmp_path_factory.mktemp("cli") / "runs")
