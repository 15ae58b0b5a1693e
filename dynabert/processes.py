"""Long work in processes of their own, which go on when whoever started them is gone."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil
from pydantic import BaseModel, ConfigDict

from dynabert.errors import UserError

_SAME_START_SECONDS = 2.0  # the clock may have been set meanwhile
_STARTING = ".training.lock"  # in the runs folder
_LOOK_SECONDS = 0.2
_END_SECONDS = 10.0  # for a process that was asked to end
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
    """Begin `python -m dynabert` with those arguments; the log has what it says, and what the one before
    it said is beside it (train.before.log).

    Raises:
        OSError: it cannot be started.
    """
    with suppress(FileNotFoundError):
        log_file.replace(log_file.with_suffix(f".before{log_file.suffix}"))
    with log_file.open("wb") as log:
        process = _begin(arguments, stdout=log, stderr=subprocess.STDOUT)
    # So that its end leaves no zombie behind while this process lives.
    threading.Thread(target=process.wait, daemon=True).start()
    return process


def run_apart(arguments: Sequence[str], *, on_line: Callable[[str], None]) -> str:
    """Run `python -m dynabert` with those arguments to its end; what it has printed.

    on_line: called several times a second with the latest line on its standard error. What that raises
    ends the process.

    Raises:
        UserError: it failed; its last line says why.
    """
    with tempfile.TemporaryDirectory() as scratch:
        printed, said = Path(scratch) / "printed", Path(scratch) / "said"
        with printed.open("wb") as out, said.open("wb") as err:
            process = _begin(arguments, stdout=out, stderr=err)
        try:
            while process.poll() is None:
                time.sleep(_LOOK_SECONDS)
                on_line(log_tail(said, 1))
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_END_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if process.returncode:
            lines = said.read_text(encoding="utf-8", errors="replace").splitlines()
            last = lines[-1] if lines else f"it ended with exit code {process.returncode}"
            raise UserError(last.removeprefix("Error: "))
        return printed.read_text(encoding="utf-8")


def _begin(
    arguments: Sequence[str], *, stdout: IO[bytes], stderr: IO[bytes] | int
) -> subprocess.Popen[bytes]:
    # Without an installation the package is found only from its own folder.
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, "-m", "dynabert", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,  # no Ctrl-C meant for the app reaches it
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    with suppress(psutil.Error):
        psutil.Process(process.pid).nice(_NICENESS)
    return process


def start_time(process: subprocess.Popen[bytes]) -> float:
    """When it was started, in seconds since 1970; now, if it has ended already: its log says why."""
    try:
        return psutil.Process(process.pid).create_time()
    except psutil.Error:
        return time.time()


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
