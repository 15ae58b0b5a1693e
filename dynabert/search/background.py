"""Searches in processes of their own; see `dynabert.processes`.

What is known about such a process lies in the search's folder: `process.json`, and `search.log` with
what it said.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from dynabert.errors import UserError
from dynabert.files import write_text_atomically
from dynabert.processes import StartedProcess, exclusively, launch, log_tail, start_time
from dynabert.runs import Run, list_runs, runs_dir_option
from dynabert.search.front import FRONT, current_front
from dynabert.search.search import SEARCHES, Search, list_searches, open_search
from dynabert.search.settings import SearchSettings
from dynabert.training.background import find_trainings

PROCESS = "process.json"
LOG = "search.log"


class _Process(StartedProcess):
    """A search's process, and if it is to measure the best again, when the front before was written."""

    front_before: int | None = None  # nanoseconds since 1970


# "measuring": all is tried, and the best are being measured again. "elsewhere": a process that was
# started in a terminal is at work.
State = Literal["searching", "measuring", "stopping", "elsewhere", "stopped", "died", "done"]
UNDER_WAY: tuple[State, ...] = ("searching", "measuring", "stopping", "elsewhere")


@dataclass(frozen=True, kw_only=True)
class WatchedSearch:
    """A search, and how far it is."""

    search: Search
    state: State
    # Its best were measured, and a process that should have done it again did not.
    failed_to_measure_again: bool = False

    @property
    def is_under_way(self) -> bool:
        return self.state in UNDER_WAY

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that its process wrote; "" if there are none."""
        return log_tail(self.search.folder / LOG, lines)


def watch(search: Search) -> WatchedSearch:
    """How far a search is."""
    process, failed = _read(search.folder), False
    state: State
    if process is not None and process.is_alive:
        state = "stopping" if process.asked_to_stop else "searching"
        if state == "searching" and len(search.trials) >= search.settings.num_trials:
            state = "measuring"
    elif search.is_under_way:
        state = "elsewhere"
    elif current_front(search) is not None:
        state = "done"
        if process is not None and not process.asked_to_stop:
            failed = process.front_before == _front_time(search)
    else:
        state = "died" if process is not None and not process.asked_to_stop else "stopped"
    return WatchedSearch(search=search, state=state, failed_to_measure_again=failed)


def _front_time(search: Search) -> int | None:
    """When the search's front was written, in nanoseconds since 1970."""
    with suppress(FileNotFoundError):
        return (search.folder / FRONT).stat().st_mtime_ns
    return None


def measure_again(run: Run, search: Search, runs_dir: Path) -> None:
    """Measure a search's best anew; no trial is repeated, and what was measured stays until then.

    Raises:
        UserError: as of `start_search`.
    """
    start_search(run, search.name, search.settings, runs_dir, measure_again=True)


def start_search(
    run: Run, name: str, settings: SearchSettings, runs_dir: Path, *, measure_again: bool = False
) -> Search:
    """Begin a search, or let one of that name and these settings go on.

    measure_again: its best are measured in any case.

    Raises:
        UserError: a training or another search is under way in this runs folder, or the settings
        cannot be carried out.
    """
    with _told(f"cannot start a search of {run.name}"), exclusively(runs_dir):
        if busy := busy_with(runs_dir):
            raise UserError(
                f"{busy} is at work at the moment, and two at once would only slow each other down. Wait "
                "until it is done, or stop it: it can be resumed later."
            )
        command = search_command(run, name, settings, runs_dir)
        search = open_search(run, name, settings, command=command)
        arguments = ["search", str(run.folder.resolve()), "--name", name]
        arguments += search.settings.arguments()
        if measure_again:
            arguments.append("--measure-again")
        process = launch(arguments, search.folder / LOG)
        try:
            started = _Process(
                pid=process.pid,
                started=start_time(process),
                front_before=_front_time(search) if measure_again else None,
            )
            write_text_atomically(search.folder / PROCESS, started.model_dump_json())
        except OSError:  # nobody could stop it any more
            process.kill()
            raise
    return search


def search_command(run: Run, name: str, settings: SearchSettings, runs_dir: Path) -> str:
    """The same as a line for a terminal."""
    words = ["python", "-m", "dynabert", "search", run.name, "--name", name, *settings.arguments()]
    begun = (search.settings for search in list_searches(run) if search.name == name)
    if settings.num_measured is None and any(one.num_measured is not None for one in begun):
        words += ["--measured", "0"]  # without it, as many as it was begun with
    return shlex.join([*words, *runs_dir_option(runs_dir)])


def stop_search(search: Search) -> None:
    """Ask a search that was started from here to stop; every trial that is done is kept.

    Raises:
        UserError: it was started in a terminal.
    """
    process = _read(search.folder)
    if process is None or not process.is_alive:
        if search.is_under_way:
            raise UserError(f"{search.name} was started in a terminal; stop it there with Ctrl+C.")
        return
    asked = process.model_copy(update={"asked_to_stop": True})
    with _told(f"cannot stop {search.name}"):
        write_text_atomically(search.folder / PROCESS, asked.model_dump_json())
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)


def discard_search(search: Search) -> None:
    """Remove a search with all its trials.

    Raises:
        UserError: it is under way.
    """
    runs_dir = search.folder.parents[2]
    with _told(f"cannot remove {search.name}"), exclusively(runs_dir):
        if watch(search).is_under_way:
            raise UserError(f"search {search.name} is under way; stop it first.")
        shutil.rmtree(search.folder)


def busy_with(runs_dir: Path) -> str | None:
    """What is at work in a runs folder, in words; None if nothing is."""
    for training in find_trainings(runs_dir):
        if training.is_under_way:
            return f"the training of {training.name}"
    return search_under_way(runs_dir)


def refuse_beside_search(runs_dir: Path) -> None:
    """Refuse to begin a training where a search is at work.

    Raises:
        UserError: one is; names it.
    """
    _refuse(search_under_way(runs_dir))


def refuse_beside_work(runs_dir: Path) -> None:
    """Refuse to begin what measures time where a training or a search is at work.

    Raises:
        UserError: one is; names it.
    """
    _refuse(busy_with(runs_dir))


def _refuse(busy: str | None) -> None:
    if busy is not None:
        raise UserError(f"{busy} is at work at the moment; wait, or stop it first.")


def search_under_way(runs_dir: Path) -> str | None:
    """A search that a process is at work on in a runs folder, in words; None if there is none."""
    for name in list_runs(runs_dir):
        for folder in sorted((runs_dir / name / SEARCHES).glob("*")):
            with suppress(UserError):
                search, process = Search.load(folder), _read(folder)
                if search.is_under_way or (process is not None and process.is_alive):
                    return f"the search {folder.name} of {name}"
    return None


def find_searches(run: Run) -> list[WatchedSearch]:
    """A run's searches, by name."""
    return [watch(search) for search in list_searches(run)]


def _read(folder: Path) -> _Process | None:
    try:
        text = (folder / PROCESS).read_text(encoding="utf-8")
        return _Process.model_validate_json(text)
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what the file system refuses into a sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{what}: {error.strerror or error}.") from error
