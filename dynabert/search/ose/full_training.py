"""What follows an extraction over plain architectures: training its winner in full."""

from __future__ import annotations

import shlex

from dynabert.modeling.architecture import Architecture
from dynabert.runs import LONGEST_NAME, Run


def training_command(run: Run, key: str) -> str:
    """What trains an architecture to the end, on the run's examples and from its backbone, as a line for a
    terminal."""
    one = Architecture.parse(key)
    sizes = {"layers": one.layers, "heads": one.heads, "hidden": one.hidden, "neurons": one.neurons}
    words = ["python", "-m", "dynabert", "train", *run.info.data.arguments()]
    words += ["--backbone", run.info.backbone, "--recipe", "plain-student"]
    for name, size in sizes.items():
        words += ["--set", f"reduce.{name}={size}"]
    name = f"{run.name[: LONGEST_NAME - len(key) - 1]}-{key}"
    return shlex.join([*words, "--name", name])
