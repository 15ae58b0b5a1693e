"""Long work in processes of their own, which go on when whoever started them is gone."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

_SAME_START_SECONDS = 2.0  # the clock may have been set meanwhile
_STARTING = ".training.lock"  # in the runs folder
_NICENESS = 5  # whoever uses the machine, the app first of all, comes before such work


class StartedProcess(BaseModel):
    """A process that was started. Its number alone may be another's by now."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int
    started: float  # seconds since 1970
    asked_to_stop: bool = False

    @property
    def is_alive(self) -> bool:
        with suppress(psutil.Error, ValueError):
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _SAME_START_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        return False


@contextmanager
def exclusively(runs_dir: Path) -> Iterator[None]:
    """While long work is started or discarded in a runs folder, nobody else does either there."""
    with (runs_dir / _STARTING).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def launch(arguments: Sequence[str], log_file: Path) -> subprocess.Popen[bytes]:
    """Begin `python -m dynabert` with those arguments; what it says is added to the log.

    Raises:
        OSError: it cannot be started.
    """
    # Without an installation the package is found only from its own folder.
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dynabert", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # no Ctrl-C meant for the app reaches it
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
    with suppress(psutil.Error):
        psutil.Process(process.pid).nice(_NICENESS)
    # So that its end leaves no zombie behind while this process lives.
    threading.Thread(target=process.wait, daemon=True).start()
    return process


def start_time(process: subprocess.Popen[bytes]) -> float:
    """When it was started, in seconds since 1970.

    Raises:
        psutil.Error: it has ended already.
    """
    return psutil.Process(process.pid).create_time()


def log_tail(log_file: Path, lines: int) -> str:
    """The last lines of a log; "" if there are none."""
    try:
        with log_file.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 200 * lines))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
