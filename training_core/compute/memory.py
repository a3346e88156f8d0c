"""Memory for large arrays: how much is free, kept while computing, given back afterwards."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

TRIM_THRESHOLD, MMAP_THRESHOLD, MOST_ARENAS = -1, -3, -8  # of mallopt, in malloc.h
LARGEST = 2**31 - 1  # mallopt takes an int
# The names of errors, and what PyTorch's allocators, cuBLAS and cuDNN say when they get no memory.
NO_MEMORY = (
    "MemoryError",
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "bad_alloc",
    "ALLOC_FAILED",
)
USUAL_MEMORY = 8 * 2**30  # where the system does not say
GROUPS, MINE = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")  # containers and batch jobs


def free_memory() -> int:
    """Give how many bytes the machine, the container and the user's limit leave to be taken."""
    return max(min(_free(), default=USUAL_MEMORY), 0)


def used_memory() -> int | None:
    """Give how many bytes of memory this process holds; None where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def _free() -> Iterator[int]:
    # Any of these may be absent, and a limit may be "max" and none.
    try:
        yield _numbers(Path("/proc/meminfo"))["MemAvailable:"] * 1024
    except (OSError, KeyError):
        if hasattr(os, "sysconf"):
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    for group in _groups():
        with suppress(OSError, KeyError, ValueError):
            used = int((group / "memory.current").read_text())
            cached = _numbers(group / "memory.stat")["inactive_file"]
            yield int((group / "memory.max").read_text()) - used + cached
    with suppress(ImportError, OSError, ValueError):
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_AS)
        if most != resource.RLIM_INFINITY:
            taken = int(Path("/proc/self/statm").read_text().split()[0])
            yield most - taken * resource.getpagesize()


def _groups() -> Iterator[Path]:
    """Give the control group of the process and those around it, each with a limit of its own."""
    with suppress(OSError):
        for line in MINE.read_text().splitlines():
            if line.startswith("0::/"):  # of version 2
                own = GROUPS / line.removeprefix("0::/")
                yield from (group for group in (own, *own.parents) if group.is_relative_to(GROUPS))


def _numbers(path: Path) -> dict[str, int]:
    """Read lines of a name and a number."""
    lines = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) > 1}


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


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory is used up, on whichever device."""
    said = f"{type(error).__name__}: {error}"
    known = isinstance(error, MemoryError | RuntimeError)
    return known and any(words in said for words in NO_MEMORY)


@cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
