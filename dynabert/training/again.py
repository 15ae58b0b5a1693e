"""A command for a terminal that trains on a run's examples and from its backbone."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable

from dynabert.runs import LONGEST_NAME, Run, runs_dir_option


def train_again_command(run: Run, *, recipe: str, suffix: str, changes: Iterable[str] = ()) -> str:
    """What trains another run beside this one, whose scores compare with its.

    suffix: of the new run's name, which begins as this one's; where that is taken, with a number
    behind it.  changes: fields of the recipe, as `--set` takes them.
    """
    words = ["python", "-m", "dynabert", "train", *run.info.data.arguments()]
    words += ["--backbone", run.info.backbone, "--recipe", recipe]
    for change in changes:
        words += ["--set", change]
    words += ["--name", _new_name(run, suffix), *runs_dir_option(run.folder.parent)]
    return shlex.join(words)


def _new_name(run: Run, suffix: str) -> str:
    """No run is called so; an unfinished training may be, for the command goes on with it."""
    folder = run.folder.resolve()  # which may be called what no run could be
    known = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name).lstrip("._-") or "run"
    name, number = f"{known[: LONGEST_NAME - len(suffix) - 1]}-{suffix}", 1
    while os.path.lexists(folder.parent / name):
        number += 1
        end = f"{suffix}-{number}"
        name = f"{known[: LONGEST_NAME - len(end) - 1]}-{end}"
    return name
