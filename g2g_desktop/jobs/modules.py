"""Importing large modules in a thread without holding up the window."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# The first is for all libraries to see, as torch itself opens it; the second needs all others.
_TORCH = {"libtorch_global_deps": ctypes.RTLD_GLOBAL, "libtorch_python": ctypes.RTLD_LOCAL}


@contextmanager
def modules_coming() -> Iterator[None]:
    """Import large modules without looking for garbage, which they are not and never become.

    Each look through all there is would hold up the window, by 180 ms in the end.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def open_torch_libraries() -> list[str]:
    """Open the libraries of torch ahead of its import, and name those that are open.

    The import would open them, too, but Python holds all its threads up until a module is linked,
    200 ms for torch's; called through ctypes, the linker holds up nobody. On Windows torch does
    the same itself. What cannot be opened is left to the import, which says why.
    """
    spec = find_spec("torch")
    if sys.platform == "win32" or spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / "lib"
    ending = ".dylib" if sys.platform == "darwin" else ".so"
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    return [
        name
        for name, seen_by in _TORCH.items()
        if dlopen(bytes(folder / f"{name}{ending}"), os.RTLD_NOW | seen_by)
    ]
