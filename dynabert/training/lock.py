"""Who is at work on an unfinished training: whoever holds the lock file in its folder."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from dynabert.locks import alone, is_held

_LOCK = "lock"


def locked(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of a folder, so that two processes never train the same run.

    Raises:
        UserError: another process holds it.
    """
    return alone(folder / _LOCK, f"{folder} is being trained by another process.")


def is_at_work(folder: Path) -> bool:
    """Whether a process holds the lock of a folder."""
    return is_held(folder / _LOCK)
