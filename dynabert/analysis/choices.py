"""Every width and depth worth offering for one network, as a slider's steps, and their results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from dynabert.subnet import NetworkShape, ResolvedSubnet, Subnet


def width_choices(shape: NetworkShape, preferred: Iterable[float] = ()) -> list[float]:
    """A width_mult for every number of heads, rising, and the preferred ones.

    Of two that keep the same heads and neurons the preferred one stands for both.
    """
    heads = max(shape.heads)
    steps = [*preferred, *(count / heads for count in range(1, heads + 1))]
    return _distinct((mult, Subnet(width_mult=mult).resolve(shape)) for mult in steps)


def depth_choices(shape: NetworkShape, preferred: Iterable[float] = ()) -> list[float]:
    """A depth_mult for every number of layers, rising, and the preferred ones."""
    layers = shape.num_layers
    steps = [*preferred, *(count / layers for count in range(1, layers + 1))]
    return _distinct((mult, Subnet(depth_mult=mult).resolve(shape)) for mult in steps)


def closest(choices: Sequence[float], wanted: float) -> float:
    """The choice nearest to a multiplier from outside."""
    return min(choices, key=lambda choice: abs(choice - wanted))


def _distinct(steps: Iterable[tuple[float, ResolvedSubnet]]) -> list[float]:
    first: dict[ResolvedSubnet, float] = {}
    for mult, resolved in steps:
        first.setdefault(resolved, float(mult))
    return sorted(first.values())


def find_row(results: pd.DataFrame, resolved: ResolvedSubnet) -> dict[str, Any] | None:
    """The row of a results table for a sub-network, whichever multipliers it was called by.

    Of 6 layers, depth 0.75 and depth 4/6 keep the same four: that is one sub-network.
    """
    rows = [{str(name): value for name, value in row.items()} for row in results.to_dict("records")]
    for row in rows:
        counts = tuple(
            tuple(int(count) for count in row[name]) for name in ("layers", "heads", "neurons")
        )
        if counts == (resolved.layers, resolved.heads, resolved.neurons):
            return row
    return None
