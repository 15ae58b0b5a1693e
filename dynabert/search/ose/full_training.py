"""What follows an extraction over plain architectures: training its winner in full."""

from __future__ import annotations

import shlex

from dynabert.modeling.architecture import Architecture
from dynabert.runs import Run


def training_command(run: Run, key: str) -> str:
    """What trains an architecture to the end, with the run's task and backbone, as a line for a terminal."""
    one = Architecture.parse(key)
    sizes = {"layers": one.layers, "heads": one.heads, "hidden": one.hidden, "neurons": one.neurons}
    words = ["python", "-m", "dynabert", "train", run.info.task.name]
    words += ["--backbone", run.info.backbone, "--recipe", "plain-student"]
    for name, size in sizes.items():
        words += ["--set", f"reduce.{name}={size}"]
    return shlex.join([*words, "--name", f"{run.name}-{key}"])
