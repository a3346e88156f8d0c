"""MRC and CCP4 maps by mrcfile: volumes and image stacks, their pixels where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training_core.errors import InputError

from .file_image import FileImage, lazy_stack, pixel_size
from .library_file import LibraryFile, library
from .source_file import planes_in_file

HEADER_BYTES, IMAGE_STACK = 1024, 0
UM_PER_ANGSTROM = 1e-4
IMOD, SIGNED = 1146047817, 1  # IMOD's stamp, and its flag for bytes with a sign
SUFFIXES = (".mrc", ".mrcs", ".map", ".ccp4", ".rec", ".st", ".ali")
STAMP, FLAGS = 152, 156


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
