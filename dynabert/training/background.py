"""Trainings in processes of their own, which go on when whoever started them is gone.

A training is the command line's (`python -m dynabert train ...`) in a session of its own. What is known
about it lies in the folder of the unfinished run, beside its state:

- `process.json`: what was asked for, and which process is at work on it;
- `train.log`: what that process said;
- `progress.json`: how far it is, see `dynabert.training.progress`.

So any process can watch, stop and resume it. With a run's completion all three disappear.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import ValidationError

from dynabert.errors import UserError
from dynabert.files import write_text_atomically
from dynabert.names import first_free
from dynabert.processes import StartedProcess, exclusively, launch, log_tail, start_time
from dynabert.runs import (
    MANIFEST,
    list_unfinished,
    unfinished_folder,
)
from dynabert.training.lock import is_at_work
from dynabert.training.pipeline import discard_unfinished
from dynabert.training.plan import PLAN
from dynabert.training.progress import Progress, read_progress
from dynabert.training.request import TrainingRequest

PROCESS = "process.json"
LOG = "train.log"

State = Literal["starting", "running", "stopping", "stopped", "died"]


class _Process(StartedProcess):
    """A process that was started for a training."""

    request: TrainingRequest


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training that is under way or was cut off."""

    name: str
    folder: Path
    state: State
    request: TrainingRequest | None  # None: it was not started by `start_training`
    command: str | None  # what repeats it, where that is known
    progress: Progress | None

    @property
    def is_under_way(self) -> bool:
        return self.state in ("starting", "running", "stopping")

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that its process wrote; "" if there are none."""
        return log_tail(self.folder / LOG, lines)


def find_trainings(runs_dir: Path) -> list[Training]:
    """All that are not complete, in alphabetical order."""
    found = (find_training(name, runs_dir) for name in list_unfinished(runs_dir))
    return [training for training in found if training is not None]


def find_training(name: str, runs_dir: Path) -> Training | None:
    """The training of that name unless it is complete, or was never begun."""
    folder = unfinished_folder(name, runs_dir)
    if not folder.is_dir():
        return None
    process, progress = _read_process(folder), read_progress(folder)
    asked = process is not None and process.asked_to_stop
    state: State
    if process is not None and process.is_alive:
        # What an earlier process of the same training wrote is not what this one does.
        begun = progress is not None and progress.pid == process.pid
        state = "stopping" if asked else "running" if begun else "starting"
    elif is_at_work(folder):
        state = "running"
    elif (runs_dir / name / MANIFEST).is_file():
        return None  # complete; it was cut off while it tidied up
    else:
        state = "stopped" if asked or (progress is not None and progress.stopped) else "died"
    request = None if process is None else process.request
    return Training(
        name=name,
        folder=folder,
        state=state,
        request=request,
        command=request.command(runs_dir) if request else _read_command(folder),
        progress=progress,
    )


def start_training(request: TrainingRequest, runs_dir: Path) -> Training:
    """Begin a training in a process of its own.

    Raises:
        UserError: another one is under way in this runs folder, the name is taken, or the request
        cannot be carried out.
    """
    check_name_is_free(request.name, runs_dir)
    request.check()
    with _starting(runs_dir):
        check_name_is_free(request.name, runs_dir)
        folder = unfinished_folder(request.name, runs_dir)
        folder.mkdir()
        try:
            return _launch(request, runs_dir, folder)
        except OSError:  # nothing runs
            shutil.rmtree(folder, ignore_errors=True)
            raise


def resume_training(name: str, runs_dir: Path) -> Training:
    """Let a training that was cut off go on where it stopped.

    Raises:
        UserError: there is none, another one is under way, or it was not started from here.
    """
    training = _existing(name, runs_dir)
    if training.request is None:
        raise UserError(f"{name} was not started from the app; repeat its command to go on.")
    with _starting(runs_dir):
        return _launch(training.request, runs_dir, training.folder)


def stop_training(name: str, runs_dir: Path) -> None:
    """Ask a training to stop as soon as the step, or evaluation, at work is done and saved.

    Raises:
        UserError: it was not started from here, or there is none of that name.
    """
    _signal(name, runs_dir, signal.SIGTERM, again=False)  # a second one would stop it unsaved


def kill_training(name: str, runs_dir: Path) -> None:
    """End a training's process now. What came after the last saved state, a minute at most, is lost.

    Raises:
        UserError: it was not started from here, or there is none of that name.
    """
    _signal(name, runs_dir, signal.SIGKILL, again=True)


def discard_training(name: str, runs_dir: Path) -> None:
    """Forget a training that was cut off, with all that it had learned.

    Raises:
        UserError: it is under way.
    """
    with exclusively(runs_dir):
        if _existing(name, runs_dir).is_under_way:
            raise UserError(f"{name} is being trained; stop it first.")
        discard_unfinished(name, runs_dir)


def free_name(wanted: str, runs_dir: Path) -> str:
    """That name, or with a number behind it, such that neither a run nor a training is called so."""
    return first_free(
        wanted,
        lambda name: os.path.lexists(runs_dir / name) or unfinished_folder(name, runs_dir).exists(),
    )


def _signal(name: str, runs_dir: Path, number: signal.Signals, *, again: bool) -> None:
    """Send it to the training's process.  again: also where it has been asked to stop before."""
    training = _existing(name, runs_dir)
    process = _read_process(training.folder)
    if process is None or not process.is_alive:
        if training.is_under_way:
            raise UserError(f"{name} was started in a terminal; stop it there with Ctrl+C.")
        return
    if process.asked_to_stop and not again:
        return
    _write_process(training.folder, process.model_copy(update={"asked_to_stop": True}))
    with suppress(ProcessLookupError):
        os.kill(process.pid, number)


def _existing(name: str, runs_dir: Path) -> Training:
    training = find_training(name, runs_dir)
    if training is None:
        raise UserError(f"there is no unfinished training {name!r} in {runs_dir}.")
    return training


def check_name_is_free(name: str, runs_dir: Path) -> None:
    """Raise a UserError where a run or an unfinished training has that name."""
    if os.path.lexists(runs_dir / name):
        raise UserError(f"there is already a run {name!r}; choose another name.")
    if unfinished_folder(name, runs_dir).exists():
        raise UserError(
            f"there is already an unfinished training {name!r}; resume it, discard it, or choose "
            "another name."
        )


@contextmanager
def _starting(runs_dir: Path) -> Iterator[None]:
    """While a training is started: nobody else starts one here, and none is under way.

    Raises:
        UserError: one is; names it.
    """
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        with exclusively(runs_dir):
            busy = [training.name for training in find_trainings(runs_dir) if training.is_under_way]
            if busy:
                raise UserError(
                    f"{busy[0]} is being trained at the moment, and two trainings at once would only slow "
                    "each other down. Wait until it is done, or stop it: it can be resumed later."
                )
            yield
    except OSError as error:
        raise UserError(f"cannot start a training in {runs_dir}: {error.strerror}.") from error


def _launch(request: TrainingRequest, runs_dir: Path, folder: Path) -> Training:
    process = launch(request.arguments(runs_dir.resolve()), folder / LOG)
    try:
        started = start_time(process)
        _write_process(folder, _Process(request=request, pid=process.pid, started=started))
    except OSError:  # nobody could stop it any more
        process.kill()
        raise
    return _existing(request.name, runs_dir)


def _read_process(folder: Path) -> _Process | None:
    try:
        return _Process.model_validate_json((folder / PROCESS).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError, UserError):
        return None


def _write_process(folder: Path, process: _Process) -> None:
    write_text_atomically(folder / PROCESS, process.model_dump_json(indent=1))


def _read_command(folder: Path) -> str | None:
    """What a training that was started in a terminal says will repeat it."""
    try:
        command = yaml.safe_load((folder / PLAN).read_text(encoding="utf-8"))["command"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return None
    return command if isinstance(command, str) and command else None
