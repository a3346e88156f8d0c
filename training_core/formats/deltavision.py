"""DeltaVision files by a parser of our own: a header of 1024 bytes, then the planes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training_core.errors import InputError

from .file_image import FileImage, lazy_stack, pixel_size
from .source_file import planes_in_file

HEADER_BYTES = 1024
MARK, MARK_AT = -16224, 96
MODES = {0: "u1", 1: "i2", 2: "f4", 6: "u2", 7: "i4"}
ORDERS = {0: "CTZ", 1: "TZC", 2: "TCZ"}  # slowest first; the file names the fastest first
WAVES = 5


def is_deltavision(head: bytes) -> bool:
    """Whether a file begins as one of DeltaVision does."""
    return len(head) >= MARK_AT + 2 and _order(head) is not None


def _order(head: bytes) -> str | None:
    """Give the byte order, "<" or ">"; None for other files."""
    for order in "<>":
        if struct.unpack_from(f"{order}h", head, MARK_AT)[0] == MARK:
            return order
    return None


def read_deltavision(path: Path) -> Sequence[FileImage]:
    """Give the image of a .dv or .r3d file.

    Raises
    ------
    InputError
        When the header is damaged, or the file holds no whole plane.
    """
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    order = _order(head) if len(head) == HEADER_BYTES else None
    if order is None:
        raise InputError(f"{path.name} is no DeltaVision file, or it ends in its header.")
    width, height, sections, mode = struct.unpack_from(f"{order}4i", head, 0)
    size = struct.unpack_from(f"{order}3f", head, 40)
    extended = struct.unpack_from(f"{order}i", head, 92)[0]
    times, sequence = struct.unpack_from(f"{order}2h", head, 180)
    waves, *nanometres = struct.unpack_from(f"{order}{1 + WAVES}h", head, 196)
    counts = {"T": max(times, 1), "C": max(waves, 1)}
    counts["Z"] = sections // (counts["T"] * counts["C"])
    if mode not in MODES or sequence not in ORDERS or counts["T"] * counts["C"] > sections:
        raise InputError(f"{path.name} is damaged: its header declares pixels of no known kind.")
    axes, notes = ORDERS[sequence], []
    shape = tuple(counts[axis] for axis in axes)
    if np.prod(shape) != sections:
        notes.append(
            f"Its {sections} planes do not fill {counts['T']} times and {counts['C']} channels; "
            "their axis is unnamed."
        )
        axes, shape = "I", (sections,)
    dtype = np.dtype(f"{order}{MODES[mode]}")
    offset = HEADER_BYTES + max(extended, 0)
    pixels, lost = planes_in_file(path, dtype, offset, (*shape, height, width))
    stack = lazy_stack(
        path,
        pixels,
        f"{axes}YX",
        channels=[f"{n} nm" if n > 0 else "" for n in nanometres[: counts["C"]]],
        warnings=[*notes, *lost],
        kind="deltavision",
        pixel_size=pixel_size(size[0], size[1], size[2] if counts["Z"] > 1 else None),
    )
    return [FileImage.of(stack)]
