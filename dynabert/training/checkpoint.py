"""The state of an unfinished training on disk, so that a kill at any moment costs minutes at most."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dynabert.errors import BROKEN_FILES, UserError, first_line
from dynabert.files import naming, new_file, write_text_atomically

_FINISHED = "finished.json"
_STATE = "state.json"
_MODEL = "model.safetensors"
_OPTIMIZER = "optimizer.safetensors"


@dataclass(frozen=True, kw_only=True)
class FinishedStage:
    """What is remembered of a stage that is over, beside its weights."""

    seconds: float
    metrics_bytes: int  # length of metrics.jsonl at its end


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a stage stands. Together with the recipe and the saved tensors it determines all that follows."""

    stage: int  # number of the stage, from 0
    step: int  # optimiser steps done
    metrics_bytes: int  # length of metrics.jsonl at this point
    best: tuple[float, float] | None  # (mean metric, -mean loss) of the best evaluation so far
    best_step: int | None
    seconds: float  # spent on this stage before this point
    losses: tuple[float, ...] = ()  # of the steps since the last report


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """While something of an unfinished training is read: damage becomes a UserError."""
    try:
        yield
    except (*BROKEN_FILES, yaml.YAMLError) as error:
        raise UserError(
            f"the unfinished training is damaged, {path}: {first_line(error)}. Drop it with --restart."
        ) from error


class Workspace:
    """The folder of an unfinished run: results of finished stages, and the state within the current
    one.

    Every file or folder in it is written under another name first and then renamed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stages = folder / "stages"
        self._current = folder / "checkpoint"
        self._previous = folder / "checkpoint.previous"
        self._stages.mkdir(parents=True, exist_ok=True)
        self.metrics_file.touch()

    @property
    def metrics_file(self) -> Path:
        return self.folder / "metrics.jsonl"

    def weights_file(self, name: str) -> Path:
        """Where weights kept under that name are."""
        return self._stages / f"{name}.safetensors"

    def save_weights(self, name: str, model: nn.Module) -> None:
        """Keep a model's weights under a name, for example as the result of a stage."""
        path = self.weights_file(name)
        with new_file(path) as partial:
            save_file(_contiguous(model.state_dict()), partial)

    def load_weights(self, name: str, model: nn.Module) -> None:
        """Put weights kept under that name into the model."""
        path = self.weights_file(name)
        with reading(path):
            model.load_state_dict(load_file(path))

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to go on from."""
        return bool(self.finished_stages()) or self._saved() is not None

    def finished_stages(self) -> dict[str, FinishedStage]:
        """The stages whose results are kept, in order."""
        path = self.folder / _FINISHED
        if not path.is_file():
            return {}
        with reading(path):
            values = json.loads(path.read_text(encoding="utf-8"))
            return {name: FinishedStage(**value) for name, value in values.items()}

    def finish_stage(self, name: str, model: nn.Module, finished: FinishedStage) -> None:
        """Keep a stage's result; from here on the stage is not run again."""
        self.save_weights(name, model)
        stages = self.finished_stages() | {name: finished}
        values = {stage: value.__dict__ for stage, value in stages.items()}
        write_text_atomically(self.folder / _FINISHED, json.dumps(values, indent=1))
        self._forget_position()

    def save_position(
        self, position: Position, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        """Keep everything from which the stage goes on exactly as if it had not stopped."""
        partial = self.folder / "checkpoint.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        with naming(self._current):
            save_file(_contiguous(model.state_dict()), partial / _MODEL)
            save_file(_optimizer_tensors(optimizer), partial / _OPTIMIZER)
            (partial / _STATE).write_text(json.dumps(position.__dict__), encoding="utf-8")
        # A folder cannot be replaced in one move: until the second rename the previous one still
        # counts.
        shutil.rmtree(self._previous, ignore_errors=True)
        if self._current.is_dir():
            self._current.rename(self._previous)
        partial.rename(self._current)
        shutil.rmtree(self._previous, ignore_errors=True)

    def position(self) -> Position | None:
        """The last saved position, if there is one."""
        folder = self._saved()
        if folder is None:
            return None
        with reading(folder / _STATE):
            values = json.loads((folder / _STATE).read_text(encoding="utf-8"))
            values["best"] = None if values["best"] is None else tuple(values["best"])
            values["losses"] = tuple(values.get("losses", ()))
            return Position(**values)

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Put the saved state into the model and the optimizer."""
        folder = self._saved()
        assert folder is not None
        with reading(folder):
            model.load_state_dict(load_file(folder / _MODEL))
            _restore_optimizer(optimizer, load_file(folder / _OPTIMIZER))

    def _forget_position(self) -> None:
        for folder in (self._current, self._previous):
            shutil.rmtree(folder, ignore_errors=True)

    def _saved(self) -> Path | None:
        for folder in (self._current, self._previous):
            if (folder / _STATE).is_file():
                return folder
        return None


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {
        f"{parameter}.{name}": value
        for parameter, values in state.items()
        for name, value in values.items()
    }


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        parameter, name = key.split(".")
        state.setdefault(int(parameter), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
