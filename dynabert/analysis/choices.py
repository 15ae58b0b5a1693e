"""Every width and depth worth offering for one network, as a slider's steps, and their results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dynabert.length_config import LengthConfig
from dynabert.subnet import NetworkShape, ResolvedSubnet, Subnet

_GRID_KEY = r"w[0-9.]+-d[0-9.]+"  # of a sub-network without counts of its own for each layer


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


def on_grid(results: pd.DataFrame) -> pd.DataFrame:
    """The rows of a results table that a width and a depth say everything about."""
    return results[results["subnet"].str.fullmatch(_GRID_KEY)]


def keeping_all_tokens(results: pd.DataFrame) -> pd.DataFrame:
    """The rows of a results table whose sub-networks drop no tokens."""
    return results[~drops_tokens(results)].reset_index(drop=True)


def drops_tokens(results: pd.DataFrame) -> np.ndarray:
    """(N,) True for the rows whose sub-networks drop tokens."""
    if "length_config" not in results:  # a table from before there were lengths
        return np.zeros(len(results), dtype=bool)
    return results["length_config"].notna().to_numpy(bool)


def subnet_by_layer(shape: NetworkShape, depth_mult: float, heads: Sequence[int]) -> Subnet:
    """The sub-network with so many heads in each executed layer; its neurons follow their share.

    heads: one count for each layer that `depth_mult` executes, in order of execution. A layer keeps
    floor(share * total) neurons, at least 1. Where a width_mult of a number of heads says the same,
    the sub-network is that one, under its usual name.

    Raises:
        UserError: not one count for each layer, or one that the layer does not have.
    """
    layers = Subnet(depth_mult=depth_mult).resolve(shape).layers
    counted = Subnet(depth_mult=depth_mult, heads=tuple(heads))
    resolved = counted.resolve(shape)
    neurons = tuple(
        max(1, count * shape.neurons[layer] // shape.heads[layer])
        for layer, count in zip(layers, resolved.heads, strict=True)
    )
    chosen = Subnet(depth_mult=depth_mult, heads=resolved.heads, neurons=neurons)
    for mult in width_choices(shape):
        if Subnet(mult, depth_mult).resolve(shape) == chosen.resolve(shape):
            return Subnet(mult, depth_mult)
    return chosen


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
    return next((row for row in rows if resolved_row(row) == resolved), None)


def resolved_row(row: Mapping[Any, Any]) -> ResolvedSubnet:
    """The sub-network that a row of a results table is of."""
    layers, heads, neurons = (tuple(map(int, row[name])) for name in ("layers", "heads", "neurons"))
    key = row.get("length_config")  # tables from before there were lengths have no such column
    return ResolvedSubnet(
        layers, heads, neurons, LengthConfig.parse(key) if isinstance(key, str) else None
    )
