"""Zeiss X-ray microscopes (.txrm, .txm, .xrm) by olefile: an image a stream of the container."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training_core.errors import InputError
from training_core.stack import Pixels

from .file_image import FileImage, lazy_stack, pixel_size
from .library_file import LibraryFile, library

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # of every compound file
DTYPES = {3: "<u1", 5: "<u2", 10: "<f4"}
A_FOLDER = 100  # images in each ImageData1, ImageData2, ...


def read_txrm(path: Path) -> Sequence[FileImage]:
    """Give the image of a file: Z of a reconstruction (.txm), else projections, an unnamed axis.

    Raises
    ------
    InputError
        When the file is damaged, or is a compound file of another program.
    """
    olefile = library("olefile", "Zeiss TXRM")
    file = LibraryFile(path, olefile.OleFileIO)
    with file.reading() as opened:
        if not opened.exists("ImageInfo/ImageWidth"):
            raise InputError(f"{path.name} is not the file of an X-ray microscope.")
        width, height, kind = (
            int(_value(opened, name, "<i4")) for name in ("ImageWidth", "ImageHeight", "DataType")
        )
        if kind not in DTYPES or min(width, height) < 1:
            raise InputError(
                f"{path.name} declares {width} x {height} pixels of type {kind}, which are not "
                "known."
            )
        taken = "ImagesTaken" if opened.exists("ImageInfo/ImagesTaken") else "NoOfImages"
        declared = max(int(_value(opened, taken, "<i4")), 0)
        dtype = np.dtype(DTYPES[kind])
        needed = width * height * dtype.itemsize
        names = [f"ImageData{n // A_FOLDER + 1}/Image{n + 1}" for n in range(min(declared, 10**6))]
        there = [name for name in names if opened.exists(name) and opened.get_size(name) == needed]
        exact = opened.exists("ImageInfo/PixelSize")
        size_um = float(_value(opened, "PixelSize", "<f4")) if exact else None
    if not there:
        raise InputError(f"{path.name} declares {declared} images, and none of them is whole.")
    lost = declared - len(there)
    notes = [f"{lost} of its {declared} images are missing or not whole."] if lost else []

    def read(opened: Any, number: int) -> Pixels:
        data = opened.openstream(there[number]).read()
        return np.frombuffer(data, dtype).reshape(height, width)

    volume = path.suffix.lower() == ".txm"
    stack = lazy_stack(
        path,
        file.planes(read, (len(there), height, width), dtype.newbyteorder("=")),
        "ZYX" if volume else "IYX",
        warnings=notes,
        kind="txrm",
        pixel_size=pixel_size(size_um, size_um, size_um if volume else None),
    )
    return [FileImage.of(stack)]


def _value(opened: Any, name: str, dtype: str) -> Any:
    """Give the first number of a stream."""
    return np.frombuffer(opened.openstream(f"ImageInfo/{name}").read(), dtype)[0]
