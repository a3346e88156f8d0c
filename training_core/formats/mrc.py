"""MRC and CCP4 maps by mrcfile; DeltaVision, whose header grew out of theirs, by our own parser."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training_core.errors import InputError

from .file_image import Channels, FileImage, lazy_stack, pixel_size
from .library_file import LibraryFile, library
from .source_file import planes_in_file

HEADER_BYTES, IMAGE_STACK = 1024, 0
UM_PER_ANGSTROM = 1e-4
IMOD, SIGNED = 1146047817, 1  # IMOD's stamp, and its flag for bytes with a sign
SUFFIXES = (".mrc", ".mrcs", ".map", ".ccp4", ".rec", ".st", ".ali")
STAMP, FLAGS = 152, 156
PACKED = (b"\x1f\x8b", b"BZh")
MARK, MARK_AT = -16224, 96  # of DeltaVision
MODES = {0: "u1", 1: "i2", 2: "f4", 6: "u2", 7: "i4"}
ORDERS = {0: "CTZ", 1: "TZC", 2: "TCZ"}  # slowest first; the file names the fastest first
WAVES = 5


def is_mrc(path: Path, head: bytes) -> bool:
    """Whether a file is MRC: by the word in its header, which old ones lack, or by its name."""
    return head[208:211] == b"MAP" or path.suffix.lower() in SUFFIXES


def read_mrc(path: Path) -> Sequence[FileImage]:
    """Give the image of a file: Z for a volume, an unnamed axis for a stack of images.

    Raises
    ------
    InputError
        When the header is damaged, or the file holds no whole plane.
    """
    with path.open("rb") as packed:
        if packed.read(3).startswith(PACKED):
            raise InputError(f"{path.name} is packed; unpack it (gunzip, bunzip2) and open that.")
    mrcfile = library("mrcfile", "MRC")
    file = LibraryFile(path, lambda p: mrcfile.open(p, header_only=True, permissive=True))
    with file.reading() as opened:
        header = opened.header
        if header is None:
            raise InputError(f"{path.name} is no MRC file, or its header is damaged.")
        dtype = mrcfile.utils.data_dtype_from_header(header)
        shape = mrcfile.utils.data_shape_from_header(header)
        offset = HEADER_BYTES + int(header.nsymbt)
        volume = int(header.ispg) != IMAGE_STACK
        cells = [float(header.cella[axis]) for axis in "xyz"]
        samples = [int(header[name]) for name in ("mx", "my", "mz")]
        order = [int(header[name]) - 1 for name in ("mapc", "mapr", "maps")]
    if dtype == np.int8 and not _has_signed_bytes(path, dtype):
        dtype = np.dtype(np.uint8)
    steps = [
        cell / n * UM_PER_ANGSTROM if n > 0 else None
        for cell, n in zip(cells, samples, strict=True)
    ]
    known = sorted(order) == [0, 1, 2]
    # Columns, rows and sections of the file may be other axes of the crystal.
    sizes = [steps[axis] for axis in order] if known else []
    pixels, notes = planes_in_file(path, dtype, offset, shape)
    axes = ("Z" if volume else "I") + "YX" if len(shape) == 3 else "TZYX"[-len(shape) :]
    stack = lazy_stack(
        path,
        pixels,
        axes,
        warnings=notes,
        kind="mrc",
        pixel_size=pixel_size(*(sizes if volume else sizes[:2])),
    )
    return [FileImage.of(stack)]


def _has_signed_bytes(path: Path, dtype: Any) -> bool:
    """Whether bytes have a sign; IMOD says so in a flag, MRC2014 means that they do."""
    with path.open("rb") as file:
        words = np.frombuffer(file.read(HEADER_BYTES), dtype=np.dtype("<i4"))
    return words[STAMP // 4] != IMOD or bool(words[FLAGS // 4] & SIGNED)


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
    names = [f"{n} nm" if n > 0 else "" for n in nanometres[: counts["C"]]]
    stack = lazy_stack(
        path,
        pixels,
        f"{axes}YX",
        channels=Channels(names, emission_nm=nanometres[: counts["C"]]),
        warnings=[*notes, *lost],
        kind="deltavision",
        pixel_size=pixel_size(size[0], size[1], size[2] if counts["Z"] > 1 else None),
    )
    return [FileImage.of(stack)]
