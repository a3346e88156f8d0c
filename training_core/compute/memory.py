"""Memory for large arrays: kept for the next array while computing, given back afterwards."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD, MOST_ARENAS = -1, -3, -8  # of mallopt, in malloc.h
LARGEST = 2**31 - 1


def keep_memory() -> bool:
    """Let the processor's memory allocator keep what is freed; give whether it does.

    glibc returns every block of more than 32 MB to Linux at once, whose fresh pages then cost
    about a third of the time of a convolution. Threads that start later share one pool, since the
    others cannot hold large blocks. Elsewhere nothing is changed.
    """
    libc = _glibc()
    if libc is None:
        return False
    wanted = {TRIM_THRESHOLD: LARGEST, MMAP_THRESHOLD: LARGEST, MOST_ARENAS: 1}
    agreed = [bool(libc.mallopt(name, value)) for name, value in wanted.items()]
    return all(agreed)


def give_memory_back() -> None:
    """Return what was kept to the system, after a job or when memory runs out."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
