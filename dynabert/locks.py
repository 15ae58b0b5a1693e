"""Whether another process holds a file's lock."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import TextIO

# Someone else who looks holds it for a moment himself.
_TRIES, _PAUSE = 5, 0.01


def is_held(path: Path, *, by_many: bool = False) -> bool:
    """Whether a process holds the lock of a file. No file: nobody does.

    by_many: whether several may hold it at once, as the workers of a search do.
    """
    lock = fcntl.LOCK_EX if by_many else fcntl.LOCK_SH
    for tries_left in reversed(range(_TRIES)):
        try:
            with _opened(path) as file:
                fcntl.flock(file, lock | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE if tries_left else 0)
        except OSError:
            return False
        else:
            return False
    return True


def _opened(path: Path) -> TextIO:
    try:
        return path.open("r+")  # some file systems give no lock of one's own for less
    except PermissionError:
        return path.open("r")
