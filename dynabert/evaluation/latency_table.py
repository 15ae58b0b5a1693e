"""What one layer takes on this machine, by its heads, neurons and tokens; and so any sub-network.

A table holds for one model, machine, number of threads and batch size; `latency_parts` measures it.
A sub-network's time is the sum over its layers, corrected by what whole passes took: the parts of a
layer are timed one by one, and a pass also has embeddings, a head, and caches in another state. How
far that is from the clock was measured on sub-networks the table has not seen, and is kept with it.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
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


class TokenFlow(NamedTuple):
    """Tokens of a layer in a pass; of several lengths at once, (N,) each."""

    entering: Values
    leaving: Values  # that its feed-forward network reads
    reads_one: bool  # whether it is the last, of which one token is read


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
        return float(self.predict_lengths(model, subnet, [tokens])[0])

    def predict_lengths(self, model: TaskModel, subnet: Subnet, tokens: Sequence[int]) -> Values:
        """(N,) what `predict` says of each of these lengths, in little more time than for one."""
        self.check_about(model, min(tokens))
        self.check_about(model, max(tokens))
        resolved = subnet.resolve(model.config.shape)
        return np.asarray(self.terms(resolved, tokens) @ self.correction)

    def check_about(self, model: TaskModel, tokens: int) -> None:
        """Raise a UserError for more tokens, or another model, than the table is about."""
        if not 1 <= tokens <= self.max_tokens:
            raise UserError(
                f"the latency table is about 1 to {self.max_tokens} tokens, got {tokens}."
            )
        if model_key(model) != self.model:
            raise UserError("the latency table is of another model.")

    def terms(self, resolved: ResolvedSubnet, tokens: int | Sequence[int]) -> Values:
        """(4,) what `correction` weights: 1, layers, tokens, and the sum of the layers' parts.

        tokens: of several lengths at once, (N, 4).
        """
        total: Values = np.zeros(np.shape(tokens))
        layers = zip(resolved.heads, resolved.neurons, self.flows(resolved, tokens), strict=True)
        for heads, neurons, flow in layers:
            total = total + self.attention_ms(heads, flow) + self.feed_forward_ms(neurons, flow)
        parts = np.broadcast_arrays(1.0, float(len(resolved.layers)), tokens, total)
        return np.stack(parts, axis=-1)

    def flows(self, resolved: ResolvedSubnet, tokens: int | Sequence[int]) -> list[TokenFlow]:
        """What enters and leaves each executed layer; does not depend on heads and neurons."""
        entering, found = np.asarray(tokens, dtype=float), []
        lengths = [resolved.tokens_left(count) for count in np.ravel(tokens).tolist()]
        for number, left in enumerate(zip(*lengths, strict=True), start=1):
            leaving = np.reshape(np.array(left, dtype=float), np.shape(tokens))
            reads_one = number == len(resolved.layers) and not self.reads_all_tokens
            found.append(
                TokenFlow(entering, np.ones_like(leaving) if reads_one else leaving, reads_one)
            )
            entering = leaving
        return found

    def attention_ms(self, heads: ArrayLike, flow: TokenFlow) -> Values:
        """Milliseconds of a layer's attention, not corrected; of several `heads` at once, as many."""
        if flow.reads_one:
            return _linear((self.heads, self.tokens), self.reading, heads, flow.entering)
        kept = _linear((self.heads, self.tokens), self.keeping, heads, flow.entering)
        drops = flow.leaving < flow.entering
        if not drops.any():
            return kept
        share = np.clip(flow.leaving / flow.entering, SHARES[0], SHARES[-1])
        axes = (self.heads, self.tokens, np.array(SHARES))
        return np.where(drops, _linear(axes, self.dropping, heads, flow.entering, share), kept)

    def feed_forward_ms(self, neurons: ArrayLike, flow: TokenFlow) -> Values:
        """The same of its feed-forward network."""
        return _linear((self.neurons, self.tokens), self.feed_forward, neurons, flow.leaving)

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


def _linear(axes: tuple[Values, ...], values: Values, *at: ArrayLike) -> Values:
    """`values` at one point, or at as many as the coordinates broadcast to."""
    points = np.stack(np.broadcast_arrays(*at), axis=-1).astype(float)
    shape = points.shape[:-1]
    return np.reshape(RegularGridInterpolator(axes, values)(points), shape)


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


def existing_latency_table(
    folder: Path, model: TaskModel, batch_size: int, tokens: int
) -> LatencyTable:
    """The same where it must be there.

    Raises:
        UserError: it is not, or cannot be read.
    """
    found = find_latency_table(folder, model, batch_size, tokens)
    if found is None:
        raise UserError(
            f"{folder.name} has no latency table of this machine for {tokens} tokens and {batch_size} "
            f"text{'' if batch_size == 1 else 's'} per pass; measure one: "
            f"{measuring_command(folder, batch_size, tokens)}"
        )
    return found


def measuring_command(folder: Path, batch_size: int, tokens: int) -> str:
    """What to type for a table of a run."""
    named = folder.name if folder.parent.resolve() == Path("runs").resolve() else folder
    words = ["python", "-m", "dynabert", "latency", str(named)]
    return shlex.join([*words, "--tokens", str(max(2, tokens)), "--batch", str(batch_size)])
