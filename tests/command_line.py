"""The command line as a user types it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from dynabert.cli.main import app

ROOT = Path(__file__).resolve().parents[1]


def in_a_process(*arguments: str | Path) -> str:
    """What it says when it is started as a user starts it, which takes seconds to import torch."""
    done = subprocess.run(
        [sys.executable, "-m", "dynabert", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def succeed(*arguments: str | Path) -> str:
    """What it says where nothing is wrong, in this process."""
    done = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def damaged(runs_dir: Path, folder: Path) -> str:
    """The name of a copy of the run, in that folder, with one byte changed."""
    shutil.copytree(runs_dir / "tiny", folder / "hurt")
    weights = folder / "hurt" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    return "hurt"
