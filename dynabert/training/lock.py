"""Who is at work on an unfinished training: whoever holds the lock file in its folder."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dynabert.errors import UserError
from dynabert.locks import is_held

_LOCK = "lock"
_TRIES = 5  # someone who looks whether it is held (`is_at_work`) holds it for a moment himself


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, so that two processes never train the same run.

    Raises:
        UserError: another process holds it.
    """
    with (folder / _LOCK).open("w") as file:
        for tries_left in reversed(range(_TRIES)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if not tries_left:
                    raise UserError(f"{folder} is being trained by another process.") from error
                time.sleep(0.05)
        yield


def is_at_work(folder: Path) -> bool:
    """Whether a process holds the lock of a folder."""
    return is_held(folder / _LOCK)
