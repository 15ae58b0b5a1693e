"""Commands in committed results name no folder of the machine that they ran on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def portable(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    from commands import portable

    yield portable
    sys.modules.pop("commands", None)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("x.py runs/demo --out benchmarks/results", "x.py runs/demo --out benchmarks/results"),
        ("x.py /home/me/runs/cola-v0.5", "x.py runs/cola-v0.5"),
        ("x.py --data-dir /home/me/glue --seed 0", "x.py --data-dir path/to/data --seed 0"),
        ("x.py --data-dir=/home/me/glue", "x.py --data-dir=path/to/data"),
        ("x.py --glove /home/me/glove.txt", "x.py --glove path/to/glove.txt"),
        ("x.py --epochs a=2 --flag /r/demo", "x.py --epochs a=2 --flag path/to/demo"),
    ],
)
def test_absolute_paths_become_what_stands_for_them(portable, typed, shown):
    assert portable(typed.split()) == shown
