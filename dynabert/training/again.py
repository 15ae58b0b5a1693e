"""A command for a terminal that trains on a run's examples and from its backbone."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

from dynabert.names import first_free, in_run_letters
from dynabert.runs import Run, runs_dir_option


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
    known = in_run_letters(folder.name) or "run"
    return first_free(known, lambda name: os.path.lexists(folder.parent / name), suffix=suffix)
