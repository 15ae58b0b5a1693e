"""Giving memory back that the C library would rather keep."""

from __future__ import annotations

import ctypes
import ctypes.util
import gc
from functools import cache


def release_unused() -> None:
    """Return freed memory to the system, where its C library can (glibc).

    Batches of many lengths leave the heap of a long training full of holes: without this, twice the
    memory that is in use.
    """
    gc.collect()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> ctypes._NamedFuncPointer | None:
    try:
        return ctypes.CDLL(ctypes.util.find_library("c")).malloc_trim
    except (OSError, AttributeError):
        return None
