"""Training in as little memory as it needs."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from functools import cache

# Matrix kernels that oneDNN keeps for shapes it has met. Batches of every length times sub-networks of
# every width are thousands of shapes, each with its buffers: 0.7 GB at the library's own limit of 1,024,
# and no faster (measured on CoLA).
KERNELS_KEPT = 64
_LIMITS = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


def limit_kernel_caches() -> None:
    """Keep few matrix kernels. Heeded from a process's first product of matrices on; what the user
    has set stays."""
    for limit in _LIMITS:
        os.environ.setdefault(limit, str(KERNELS_KEPT))


def release_unused() -> None:
    """Return freed memory to the system, where its C library can (glibc).

    Batches of many lengths leave the heap of a long training full of holes: without this, twice the
    memory that is in use.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> ctypes._NamedFuncPointer | None:
    try:
        return ctypes.CDLL(ctypes.util.find_library("c")).malloc_trim
    except (OSError, AttributeError):
        return None
