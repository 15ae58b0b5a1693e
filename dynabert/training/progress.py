"""How far a training has come, on disk: whoever watches it may be another process.

`progress.json` in the folder of an unfinished training. Losses and scores are in `metrics.jsonl`.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from dynabert.training.events import Advanced, Evaluated, Event, StageStarted, StepDone, Working

PROGRESS = "progress.json"
_SECONDS = 1.0  # between two writes, while nothing but numbers changes


class Progress(BaseModel):
    """Where a training is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: int  # of the process that writes it
    stage: str = ""
    number: int = 0  # of the stage, from 1; 0 before the first
    num_stages: int = 0
    phase: str = "train"  # or "score", "importance"; after all stages "evaluate", "latency"
    done: int = 0  # steps, examples or sub-networks, as the phase has it
    total: int = 0
    loss: float | None = None  # mean over the sub-networks, at the last report
    examples_per_second: float | None = None
    seconds_left: float | None = None  # of this stage
    stopped: bool = False  # it was asked to, and its state is saved


class ProgressFile:
    """Writes down what it is told, about once a second."""

    def __init__(self, folder: Path, *, batch_size: int) -> None:
        """batch_size: training examples of one step, over all processes."""
        self._path, self._batch_size = folder / PROGRESS, batch_size
        self._progress = Progress(pid=os.getpid())
        self._written = -_SECONDS

    def __call__(self, event: Event) -> None:
        match event:
            case StageStarted():
                self._progress = Progress(
                    pid=os.getpid(),
                    stage=event.stage,
                    number=event.number,
                    num_stages=event.num_stages,
                    done=event.resumed_at,
                    total=event.total_steps,
                )
                self._write()
            case StepDone() | Advanced():
                changes: dict[str, Any] = {
                    "phase": "train",
                    "done": event.step,
                    "total": event.total_steps,
                    "examples_per_second": event.steps_per_second * self._batch_size,
                    "seconds_left": event.seconds_left,
                }
                if isinstance(event, StepDone):
                    changes["loss"] = event.loss
                self._change(changes)
            case Working():
                if event.what != self._progress.phase:
                    self._written = -_SECONDS  # that is worth a write
                changes = {"phase": event.what, "done": event.done, "total": event.total}
                if event.what != "score":  # after which the same steps go on
                    changes |= {"examples_per_second": None, "seconds_left": None}
                self._change(changes)
            case Evaluated():
                self._write()

    def stopped(self) -> None:
        """Say that it stopped because it was asked to."""
        self._progress = self._progress.model_copy(update={"stopped": True})
        self._write()

    def _change(self, changes: dict[str, Any]) -> None:
        self._progress = self._progress.model_copy(update=changes)
        if time.monotonic() - self._written >= _SECONDS:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        partial = self._path.with_name(f"{PROGRESS}.partial")
        with suppress(OSError):  # nothing in the training depends on it
            partial.write_text(self._progress.model_dump_json(), encoding="utf-8")
            partial.replace(self._path)


def read_progress(folder: Path) -> Progress | None:
    """What was written down last; None if nothing was, or it cannot be read."""
    try:
        return Progress.model_validate_json((folder / PROGRESS).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


def read_records(metrics_file: Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl` so far, without one that is being written."""
    try:
        lines = metrics_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    records = []
    for line in lines:
        with suppress(json.JSONDecodeError):
            record = json.loads(line)
            if isinstance(record, dict):
                records.append(record)
    return records
