"""Locks of files: one process at a time, and whether another is at it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from dynabert.errors import UserError


class Held(UserError):
    """Another process holds the lock."""


# Someone else who looks holds it for a moment himself.
_TRIES, _PAUSE = 5, 0.01


@contextmanager
def alone(path: Path, refusal: str) -> Iterator[None]:
    """Hold the lock of a file, which is made where it is missing, as the only process.

    Raises:
        Held: another process holds it: the refusal.
    """
    with ExitStack() as opened:
        for tries_left in reversed(range(_TRIES)):
            if tries_left < _TRIES - 1 and not path.parent.exists():
                raise Held(refusal)  # who held it has just ended its work, and removed the folder
            file = opened.enter_context(path.open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_there(path, file):
                    break
            except BlockingIOError:
                pass
            if not tries_left:
                raise Held(refusal)
            file.close()
            time.sleep(5 * _PAUSE)  # who looks whether it is held takes turns himself
        yield


def _is_there(path: Path, file: TextIO) -> bool:
    """Whether an open file still has that name: who held its lock may have removed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


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
