"""What follows an extraction over plain architectures: training its winner in full."""

from __future__ import annotations

from dynabert.modeling.architecture import Architecture
from dynabert.runs import Run
from dynabert.training.again import train_again_command


def training_command(run: Run, key: str) -> str:
    """What trains an architecture to the end, on the run's examples and from its backbone, as a line for a
    terminal."""
    one = Architecture.parse(key)
    sizes = {"layers": one.layers, "heads": one.heads, "hidden": one.hidden, "neurons": one.neurons}
    return train_again_command(
        run,
        recipe="plain-student",
        suffix=key,
        changes=[f"reduce.{name}={size}" for name, size in sizes.items()],
    )
