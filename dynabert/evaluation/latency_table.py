"""What one layer takes on this machine, by its heads, neurons and tokens; and so any sub-network.

A table holds for one model, machine, number of threads and batch size; `latency_parts` measures it.
A sub-network's time is the sum over its layers, corrected by what whole passes took: the parts of a
layer are timed one by one, and a pass also has embeddings, a head, and caches in another state. How
far that is from the clock was measured on sub-networks the table has not seen, and is kept with it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy.interpolate import RegularGridInterpolator

from dynabert.errors import UserError
from dynabert.evaluation.latency import describe_machine
from dynabert.files import write_bytes_atomically
from dynabert.modeling.models import TaskModel
from dynabert.subnet import ResolvedSubnet, Subnet

Values = NDArray[np.float64]

MOST_ERROR = 0.05  # of a table that is relied on, mean of the networks that it was checked on
# Of the tokens that enter a layer, that leave it: where dropping is measured.
SHARES = (0.1, 0.5, 0.9)
_FOLDER = "latency"


@dataclass(frozen=True, kw_only=True, eq=False)
class LatencyTable:
    """Milliseconds of the parts of a layer, at the values of `tokens`, `heads` and `neurons`.

    Between those it is linear. Attention is with all that a layer does but its feed-forward network.
    """

    tokens: Values  # (N,) that enter, from 1
    heads: Values  # (H,) from 1
    neurons: Values  # (F,) from 1
    keeping: Values  # (H, N) attention when all tokens leave
    dropping: Values  # (H, N, 3) attention when one of `SHARES` leaves
    reading: Values  # (H, N) attention of a last layer of which one token is read
    feed_forward: Values  # (F, N)
    # (4,) of a pass: milliseconds of any pass, of each of its layers, of each token that enters it,
    # and the factor of the sum of its layers' parts.
    correction: Values
    batch_size: int
    reads_all_tokens: bool  # whether the head does
    model: str  # what `model_key` says
    machine: str
    repeats: int
    checked: int = 0  # sub-networks that the table was checked on, none of which it was made from
    error: float = float("nan")  # mean of |predicted / measured - 1| of them
    worst: float = float("nan")  # the largest

    def __post_init__(self) -> None:
        axes = {"tokens": self.tokens, "heads": self.heads, "neurons": self.neurons}
        for name, axis in axes.items():
            rises = axis.ndim == 1 and len(axis) and axis[0] == 1 and (np.diff(axis) > 0).all()
            if axis.dtype != np.float64 or not rises or not np.isfinite(axis).all():
                raise ValueError(f"{name} must be numbers that rise from 1")
        rows, columns, f = len(self.heads), len(self.tokens), len(self.neurons)
        wanted = {
            "keeping": (rows, columns),
            "dropping": (rows, columns, len(SHARES)),
            "reading": (rows, columns),
            "feed_forward": (f, columns),
            "correction": (4,),
        }
        for name, shape in wanted.items():
            values = getattr(self, name)
            same = values.dtype == np.float64 and values.shape == shape
            if not same or not np.isfinite(values).all() or (values < 0).any():
                raise ValueError(f"{name} must be numbers of shape {shape}, none below 0")

    @property
    def is_trusted(self) -> bool:
        """Whether it is near enough to the clock to stand for it."""
        return self.error <= MOST_ERROR

    @property
    def max_tokens(self) -> int:
        return int(self.tokens[-1])

    def predict(self, model: TaskModel, subnet: Subnet, tokens: int) -> float:
        """Milliseconds of a pass of the table's batch, each of `tokens` tokens.

        Raises:
            UserError: more tokens, or another model, than the table is about.
        """
        if not 1 <= tokens <= self.max_tokens:
            raise UserError(
                f"the latency table is about 1 to {self.max_tokens} tokens, got {tokens}."
            )
        if model_key(model) != self.model:
            raise UserError("the latency table is of another model.")
        resolved = subnet.resolve(model.config.shape)
        return float(self.terms(resolved, tokens) @ self.correction)

    def terms(self, resolved: ResolvedSubnet, tokens: int) -> Values:
        """(4,) what `correction` weights: 1, layers, tokens, and the sum of the layers' parts."""
        total, entering = 0.0, tokens
        layers = zip(resolved.heads, resolved.neurons, resolved.tokens_left(tokens), strict=True)
        for number, (heads, neurons, leaving) in enumerate(layers, start=1):
            if number == len(resolved.layers) and not self.reads_all_tokens:
                leaving, attention = 1, self._at(self.reading, heads, entering)
            elif leaving < entering:
                attention = self._dropping_at(heads, entering, leaving)
            else:
                attention = self._at(self.keeping, heads, entering)
            axes = (self.neurons, self.tokens)
            total += attention + _linear(axes, self.feed_forward, (neurons, leaving))
            entering = leaving
        return np.array([1.0, len(resolved.layers), tokens, total])

    def to_bytes(self) -> bytes:
        """The contents of a safetensors file; what is no array is in its metadata."""
        arrays, about = {}, {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                arrays[field.name] = value
            else:
                about[field.name] = value if isinstance(value, str) else repr(value)
        return save(arrays, about)

    def save(self, path: Path) -> None:
        """Write `to_bytes` into a file, whole or not at all."""
        write_bytes_atomically(path, self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> LatencyTable:
        """Read what `save` wrote.

        Raises:
            UserError: it cannot be read.
        """
        try:
            with safe_open(path, "np") as file:
                names = list(file.keys())
                if any(file.get_slice(name).get_dtype() != "F64" for name in names):
                    raise ValueError("its numbers are of another format")
                values: dict[str, Any] = {name: file.get_tensor(name) for name in names}
                about = file.metadata() or {}
            for name in ("batch_size", "repeats", "checked"):
                values[name] = int(about[name])
            for name in ("error", "worst"):
                values[name] = float(about[name])
            for name in ("model", "machine"):
                values[name] = about[name]
            return cls(**values, reads_all_tokens=about["reads_all_tokens"] == "True")
        except (SafetensorError, OSError, KeyError, ValueError, TypeError, OverflowError) as error:
            raise UserError(f"the latency table {path} is damaged: {error}; remove it.") from error

    def _at(self, values: Values, heads: int, tokens: int) -> float:
        return _linear((self.heads, self.tokens), values, (heads, tokens))

    def _dropping_at(self, heads: int, entering: int, leaving: int) -> float:
        share = min(max(leaving / entering, SHARES[0]), SHARES[-1])
        axes = (self.heads, self.tokens, np.array(SHARES))
        return _linear(axes, self.dropping, (heads, entering, share))


def _linear(axes: tuple[Values, ...], values: Values, at: tuple[float, ...]) -> float:
    return float(np.squeeze(RegularGridInterpolator(axes, values)(at)))


def model_key(model: TaskModel) -> str:
    """What of a model its times depend on: sizes, activation and number format, not its weights."""
    config, shape = model.config, model.config.shape
    return (
        f"{config.hidden_size} x {shape.head_dim}, heads {shape.heads}, neurons {shape.neurons}, "
        f"{config.hidden_act}, {str(model.dtype).removeprefix('torch.')}, {type(model).__name__}"
    )


def table_path(folder: Path, batch_size: int, device: torch.device) -> Path:
    """Where a run's folder keeps the table of this machine."""
    place = device.type if device.type != "cpu" else f"cpu{torch.get_num_threads()}"
    return folder / _FOLDER / f"{place}-batch{batch_size}.safetensors"


def keep_latency_table(table: LatencyTable, folder: Path, device: torch.device) -> None:
    """Write a table into a run's folder, in place of an earlier one of the kind.

    Raises:
        UserError: something else stands there.
    """
    path = table_path(folder, table.batch_size, device)
    if path.parent.is_symlink() or (path.parent.exists() and not path.parent.is_dir()):
        raise UserError(f"{path.parent} is no folder of its own; remove it.")
    path.parent.mkdir(exist_ok=True)
    table.save(path)


def find_latency_table(
    folder: Path, model: TaskModel, batch_size: int, tokens: int
) -> LatencyTable | None:
    """A run folder's table of this machine for that; None where there is none, or of another machine.

    Raises:
        UserError: it cannot be read.
    """
    path = table_path(folder, batch_size, model.device)
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        return None
    table = LatencyTable.load(path)
    same = table.model == model_key(model) and table.machine == describe_machine(model.device)
    return table if same and table.batch_size == batch_size and tokens <= table.max_tokens else None
