"""The command of a measurement as others can repeat it: without the folders of the machine it ran on."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDERS = {
    "--data-dir": "path/to/data",
    "--out": "OUT",
    "--runs-dir": "runs",
    "--work": "runs/work",
    "--stages": "runs/stages",
}


def this_command() -> str:
    """What this process was started with."""
    return portable(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def portable(words: Sequence[str]) -> str:
    """Words of a command; absolute paths become what stands for them, those of runs `runs/NAME`."""
    shown = []
    for before, word in zip(["", *words], words, strict=False):
        path = Path(word)
        if not path.is_absolute():
            shown.append(word)
        elif before in FOLDERS:
            shown.append(FOLDERS[before])
        else:
            shown.append(f"runs/{path.name}" if not path.suffix else f"OUT/{path.name}")
    return shlex.join(shown)
