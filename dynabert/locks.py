"""Whether another process holds a file's lock."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

_TRIES = 5  # someone else who looks holds it for a moment himself


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of a file, for itself or with others. No file: nobody does."""
    for tries_left in reversed(range(_TRIES)):
        try:
            with path.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01 * bool(tries_left))
        except OSError:
            return False
        else:
            return False
    return True
