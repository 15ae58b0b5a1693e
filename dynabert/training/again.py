"""A command for a terminal that trains on a run's examples and from its backbone."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from dynabert.runs import Run, runs_dir_option
from dynabert.training.background import free_name


def train_again_command(run: Run, *, recipe: str, name: str, changes: Iterable[str] = ()) -> str:
    """What trains another run beside this one, whose scores compare with its.

    name: of the new run; where that is taken, with a number behind it.  changes: fields of the recipe,
    as `--set` takes them.
    """
    words = ["python", "-m", "dynabert", "train", *run.info.data.arguments()]
    words += ["--backbone", run.info.backbone, "--recipe", recipe]
    for change in changes:
        words += ["--set", change]
    words += ["--name", free_name(name, run.folder.parent), *runs_dir_option(run.folder.parent)]
    return shlex.join(words)
