"""A command that cannot write what it was asked for says where, and leaves nothing half-written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import write_tiny_run

# As on a disk that is full after 20,000 bytes of a file.
PROBE = """
import json, resource, signal, sys
from dynabert.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for command in json.loads(sys.argv[1]):
    sys.argv = ["dynabert", *command]
    try:
        main()
    except SystemExit as ended:
        print("ended", ended.code, flush=True)
    print("-----", file=sys.stderr, flush=True)
"""


@pytest.fixture
def runs_dir(tmp_path: Path, tiny_backbone: Path) -> Path:
    write_tiny_run(tmp_path / "runs", tiny_backbone)
    return tmp_path / "runs"


def test_nothing_is_left_half_written(runs_dir: Path, tmp_path: Path) -> None:
    kept = tmp_path / "maps.html"
    kept.write_text("what was there before")
    outs = {"maps.html": kept, "small": tmp_path / "small", "onnx": tmp_path / "onnx"}
    where = ("tiny", "--runs-dir", str(runs_dir))
    commands = [
        ["attention", *where, "--text", "a good dog", "--out", str(outs["maps.html"])],
        ["extract", *where, "--out", str(outs["small"])],
        ["extract", *where, "--format", "onnx", "--out", str(outs["onnx"])],
    ]
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(commands)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "Traceback" not in done.stderr
    assert done.stdout.split("\n")[:3] == ["ended 2"] * 3, done.stderr
    told = [part.strip() for part in done.stderr.split("-----")]
    for (name, path), one in zip(outs.items(), told, strict=False):
        lines = [line for line in one.splitlines() if line.startswith("Error:")]
        assert lines == [
            f"Error: {path}: File too large. Free some space there, or write elsewhere."
        ], name
    assert kept.read_text() == "what was there before"
    assert sorted(tmp_path.rglob("*")) == before
