"""The command of a measurement as others can repeat it."""

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
    """Words of a command; absolute paths become what stands for them.

    After an option that has a folder in `FOLDERS`, that; after another, `path/to/NAME`; others are runs,
    `runs/NAME`. An option and its value may also be one word, `--option=value`.
    """
    shown: list[str] = []
    before = ""
    for word in words:
        option, equals, value = word.partition("=")
        if word.startswith("--") and equals:
            shown.append(f"{option}={_shown(option, value)}")
        else:
            shown.append(_shown(before, word))
        before = word
    return shlex.join(shown)


def _shown(option: str, word: str) -> str:
    path = Path(word)
    if not path.is_absolute():
        return word
    if option.startswith("--"):
        return FOLDERS.get(option, f"path/to/{path.name}")
    return f"runs/{path.name}"
