"""NIfTI by nibabel: volumes and series, scaled as their header says."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training_core.errors import InputError
from training_core.frames import frames_on_request
from training_core.stack import Pixels, float_of

from .file_image import FileImage, lazy_stack, pixel_size
from .library_file import library, quiet
from .source_file import check_size, damage, planes_in_file
from .units import micrometres, seconds

AXES = "XYZTIIII"  # of the header, the first one fastest; further ones have no letter
RGB, SAMPLES = "RGB", 3
HEADERS = (348, 540)  # bytes, which are also its first number
MOST_HEADER = 2**26


def is_nifti(path: Path, head: bytes) -> bool:
    """Whether a file is NIfTI, packed or not."""
    packed = path.name.lower().endswith(".nii.gz") and head.startswith(b"\x1f\x8b")
    return packed or head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0"


def read_nifti(path: Path) -> Sequence[FileImage]:
    """Give the image of a .nii or .nii.gz file.

    Raises
    ------
    InputError
        When the file is damaged or has fewer than two axes, or nibabel is not installed.
    """
    nibabel = library("nibabel", "NIfTI")
    errors = (
        nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError,
        nibabel.wrapstruct.WrapStructError,
    )
    with quiet(), damage(f"{path.name} is damaged or cut off", errors):
        if path.suffix.lower() == ".gz":
            _refuse_long_header(path)
        image = nibabel.load(path)
        header, data = image.header, image.dataobj
        shape = tuple(int(n) for n in header.get_data_shape())
        if len(shape) < 2 or not all(shape):
            raise InputError(f"{path.name} holds no image: its header declares {shape} pixels.")
        pixels, notes = _pixels(path, data, shape[::-1])
        scaled = _scaled(pixels, float(data.slope), float(data.inter))
        zooms, (length, time) = header.get_zooms(), header.get_xyzt_units()
    sizes = [micrometres(zoom, length) for zoom in zooms[:3]]
    coloured = data.dtype.names is not None
    stack = lazy_stack(
        path,
        scaled,
        AXES[: len(shape)][::-1] + ("S" if coloured else ""),
        colours=RGB if coloured else "",
        warnings=notes,
        kind="nifti",
        pixel_size=pixel_size(*sizes),
        time_step_s=seconds(zooms[3], time) if len(zooms) > 3 else None,
    )
    return [FileImage.of(stack)]


def _refuse_long_header(path: Path) -> None:
    """Refuse a packed file whose pixels begin far behind its header: all between is unpacked."""
    with gzip.open(path) as file:
        head = file.read(max(HEADERS))
    order = "<" if head[:4] in (struct.pack("<i", size) for size in HEADERS) else ">"
    place, form = (108, "f") if head[344:348] == b"n+1\0" else (168, "q")
    if not 0 <= struct.unpack_from(order + form, head, place)[0] <= MOST_HEADER:
        raise ValueError("its pixels begin too far behind its header")


def _pixels(path: Path, data: Any, shape: tuple[int, ...]) -> tuple[Pixels, list[str]]:
    """Give the stored values, height before width; those of a packed file are unpacked."""
    dtype, inner = np.dtype(data.dtype), 2
    if dtype.names is not None:
        shape, inner = (*shape, len(dtype.names)), 3
        dtype = np.dtype(np.uint8)
    if path.suffix.lower() != ".gz":
        return planes_in_file(path, dtype, data.offset, shape, inner=inner)
    check_size(path.name, shape, dtype, path.stat().st_size)
    return np.asarray(data.get_unscaled()).T.view(dtype).reshape(shape), []


def _scaled(pixels: Pixels, slope: float, inter: float) -> Pixels:
    if (slope, inter) == (1.0, 0.0):
        return pixels
    places, dtype = pixels.shape[:-2], float_of(pixels.dtype)

    def plane(number: int) -> Pixels:
        stored = np.asarray(pixels[np.unravel_index(number, places) if places else ()])
        return np.asarray(stored * slope + inter, dtype)

    return frames_on_request(plane, pixels.shape, dtype)
