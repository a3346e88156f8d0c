"""How large an image may be: for what its file holds, and for the memory that is free."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from training_core.compute.memory import free_memory
from training_core.errors import InputError

SMALL_BYTES = 2**29  # with working copies; no danger, whatever a header says
# Images with noise shrink to half or a tenth, a constant to a thousandth and less.
MOST_EXPANSION = 200
SHARE = 0.5  # of the free memory: the results of a job need room as well


def check_size(name: str, shape: Sequence[int], dtype: DTypeLike, stored: int | None) -> None:
    """Refuse an image before memory is taken for it.

    Parameters
    ----------
    name
        What the user calls the file.
    shape, dtype
        As the file declares them.
    stored
        How many bytes of the file are said to hold the pixels; None where they are not packed.

    Raises
    ------
    InputError
        When the pixels and their float32 copy need more than half of the free memory, or are far
        more than the bytes that are to hold them can be.
    """
    count, itemsize = math.prod(int(n) for n in shape), np.dtype(dtype).itemsize
    needed = count * (itemsize + np.dtype(np.float32).itemsize)
    if needed <= SMALL_BYTES:
        return
    size = f"{' x '.join(str(n) for n in reversed(shape) if n > 1)} pixels ({np.dtype(dtype)})"
    if stored is not None and count * itemsize > MOST_EXPANSION * stored:
        raise InputError(
            f"{name} declares an image of {size}, but the file is cut off or damaged: {stored:,} "
            "bytes cannot hold it."
        )
    most = SHARE * free_memory()
    if needed > most:
        part = "open a part of it"
        if stored is not None:
            part = "save it as an uncompressed ImageJ or OME-TIFF, which is read in pieces"
        raise InputError(
            f"{name} declares an image of {size}, which needs {needed / 2**30:.1f} GB of memory, "
            f"more than the {max(most, 0) / 2**30:.1f} GB that may be taken (half of what is "
            f"free); close other programs, or {part}."
        )
