"""HDF5 by h5py: Imaris, MATLAB 7.3, and datasets of any program with two to five dimensions."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from training_core.errors import InputError, shown
from training_core.stack import Pixels

from .axes import GUESSED_AXES, guess_told
from .file_image import Channels, FileImage, colour, lazy_stack, pixel_size
from .inner_size import DEFLATED, SMALL_BYTES, refuse_unpacking
from .library_file import LibraryFile, library
from .source_file import DAMAGE, check_size
from .units import UNITS_UM, micrometres, plain

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MATLAB = b"MATLAB 7.3 MAT-file"
LETTERS = {"time": "T", "channel": "C"} | {letter.lower(): letter for letter in "TZCYX"}
SMALLEST = 2  # pixels a side: what is less is a list of numbers
IMARIS = "DataSetInfo"
NUMBER = r"\d+\.?\d*"
PACKINGS = {1: "zlib", 4: "szip"}  # the filters that expand; by their numbers


def is_hdf5(head: bytes) -> bool:
    """Whether a file is HDF5, with a block of MATLAB's before it or without."""
    return head.startswith(SIGNATURE) or head[512:].startswith(SIGNATURE)


def read_hdf5(path: Path) -> Sequence[FileImage]:
    """Give the images of a file: those of Imaris, or every dataset of numbers in planes.

    Raises
    ------
    InputError
        When the file is damaged or holds no such dataset, or the package h5py is not installed.
    """
    h5py = library("h5py", "HDF5, Imaris and MATLAB 7.3")
    file = LibraryFile(path, lambda p: h5py.File(p, "r"))
    with path.open("rb") as raw:
        matlab = raw.read(len(MATLAB)) == MATLAB
    with file.reading() as opened:
        if IMARIS in opened and "DataSet" in opened:
            return [FileImage.of(_imaris(file, opened))]
        found: list[Any] = []
        opened.visititems(lambda _, part: found.append(part) if _is_image(part, h5py) else None)
        images = [
            FileImage.of(_dataset(file, part, matlab), part.name.strip("/")) for part in found
        ]
    if not images:
        raise InputError(f"{path.name} holds no dataset of 2 to 5 dimensions with numbers.")
    return images


def _is_image(part: Any, h5py: Any) -> bool:
    return (
        isinstance(part, h5py.Dataset)
        and part.dtype.kind in "uif"
        and part.ndim in GUESSED_AXES
        and min(part.shape) > 0
        and min(part.shape[_axes(part)[0].index(axis)] for axis in "YX") >= SMALLEST
    )


def _dataset(file: LibraryFile, part: Any, matlab: bool) -> Any:
    """Give a dataset; MATLAB writes columns first, so that height and width are the other way."""
    axes, guessed = _axes(part)
    axes = f"{axes[:-2]}XY" if matlab and guessed else axes
    letters = axes.replace("Y", "").replace("X", "") + "YX"
    shape = tuple(part.shape[axes.index(letter)] for letter in letters)
    name, turned = part.name, axes.index("X") < axes.index("Y")

    _refuse_large_blocks(file.path.name, part)

    def read(opened: Any, number: int) -> Pixels:
        at = dict(zip(letters, np.unravel_index(number, shape[:-2]), strict=False))
        place = [int(at[letter]) if letter in at else None for letter in axes]
        _refuse_bombs(opened[name], place)
        whole = tuple(slice(None) if n is None else n for n in place)
        plane = np.asarray(opened[name][whole])
        return plane.T if turned else plane

    return lazy_stack(
        file.path,
        file.planes(read, shape, part.dtype),
        letters,
        guess=guess_told(part.ndim) if guessed else "",
        kind="hdf5",
        pixel_size=pixel_size(*_element_size(part)),
    )


def _refuse_large_blocks(name: str, part: Any) -> None:
    """Refuse blocks that are larger than memory, or than what is stored can become."""
    if part.chunks is not None:
        check_size(name, part.chunks, part.dtype, part.id.get_storage_size())


def _refuse_bombs(part: Any, place: Sequence[int | None]) -> None:
    """Raise ValueError where a block of a plane becomes far more than it declares.

    `place` has a number for each axis that the plane has no extent along.
    """
    plan = part.id.get_create_plist()
    filters = [plan.get_filter(n)[0] for n in range(plan.get_nfilters())]
    packings = [PACKINGS[number] for number in filters if number in PACKINGS]
    if part.chunks is None or not packings:
        return
    if len(packings) > 1:
        raise ValueError("its blocks are packed more than once")
    declared = math.prod(part.chunks) * part.dtype.itemsize
    spans = zip(place, part.shape, part.chunks, strict=True)
    starts = (range(0, n, c) if at is None else [at - at % c] for at, n, c in spans)
    for corner in product(*starts):
        stored = part.id.get_chunk_info_by_coord(corner).size
        if stored * DEFLATED > SMALL_BYTES:
            refuse_unpacking(packings[0], part.id.read_direct_chunk(corner)[1], declared)


def _axes(part: Any) -> tuple[str, bool]:
    """Give letters by what the dataset says of its axes, else by their number; and if guessed."""
    said = part.attrs.get("axes", "")
    named = str(said.decode() if isinstance(said, bytes) else said).split(":")
    for names in (named, _tagged(part), [dim.label for dim in part.dims]):
        letters = "".join(LETTERS.get(name.lower(), "I") for name in names)
        if len(letters) == len(set(letters)) == part.ndim and {"Y", "X"} <= set(letters):
            return letters, False
    return GUESSED_AXES[part.ndim], True


def _tagged(part: Any) -> list[str]:
    """Give the names of the axes as ilastik and vigra note them."""
    with suppress(*DAMAGE):
        return [str(axis["key"]) for axis in json.loads(part.attrs["axistags"])["axes"]]
    return []


def _element_size(part: Any) -> list[float | None]:
    """Give x, y and z in micrometres as the plugins of ImageJ and ilastik note them, z first."""
    said = np.ravel(part.attrs.get("element_size_um", ())).astype(float).tolist()
    return [*said[::-1]] if len(said) == 3 else []


def _imaris(file: LibraryFile, opened: Any) -> Any:
    level = opened["DataSet/ResolutionLevel 0"]
    times = sorted(level, key=_number)
    channels = sorted(level[times[0]], key=_number)
    parts = [f"{level.name}/{t}/{c}" for t, c in product(times, channels)]
    there = [part for part in parts if part in opened and "Data" in opened[part]]
    if not there:
        raise InputError(f"{file.path.name} holds no image.")
    first = opened[there[0]]
    depth, height, width = (
        int(_text(first, f"ImageSize{axis}") or length)  # the rest fills up blocks
        for axis, length in zip("ZYX", first["Data"].shape, strict=True)
    )

    def read(opened: Any, number: int) -> Pixels:
        part, z = divmod(number, depth)
        if parts[part] not in there:
            return np.zeros((height, width), first_dtype)
        data = opened[parts[part]]["Data"]
        _refuse_large_blocks(file.path.name, data)
        _refuse_bombs(data, (z, None, None))
        return np.asarray(data[z, :height, :width])

    first_dtype = first["Data"].dtype
    about = opened[IMARIS]
    lost = (len(parts) - len(there)) * depth
    return lazy_stack(
        file.path,
        file.planes(read, (len(times), len(channels), depth, height, width), first_dtype),
        "TCZYX",
        channels=_channels([about.get(c) for c in channels]),
        warnings=[f"{lost} of its planes are not in the file and read as 0."] if lost else [],
        kind="hdf5",
        pixel_size=pixel_size(*_extents(about, (width, height, depth))),
    )


def _channels(said: Sequence[Any]) -> Channels:
    """Give what Imaris notes of the channels; None where it notes nothing of one."""

    def noted(name: str) -> list[str]:
        return ["" if each is None else _text(each, name) for each in said]

    colours = [colour([float(n) for n in re.findall(NUMBER, text)]) for text in noted("Color")]
    light = (noted("LSMEmissionWavelength"), noted("LSMExcitationWavelength"))
    return Channels(noted("Name"), colours, *light)


def _number(name: str) -> int:
    return int("".join(filter(str.isdigit, name)) or 0)


def _text(group: Any, name: str) -> str:
    """Read an attribute that Imaris writes as single characters."""
    said = group.attrs.get(name, b"")
    joined = b"".join(np.ravel(said).astype("S1")) if isinstance(said, np.ndarray) else said
    return shown(joined.decode("latin-1") if isinstance(joined, bytes) else joined).strip()


def _extents(about: Any, lengths: tuple[int, ...]) -> list[float | None]:
    if "Image" not in about:
        return []
    image = about["Image"]
    unit = plain(_text(image, "Unit"))
    sizes: list[float | None] = []
    for axis, length in enumerate(lengths):
        low, high = (_text(image, f"Ext{end}{axis}") for end in ("Min", "Max"))
        said = (float(high) - float(low)) / length if low and high else None
        sizes.append(micrometres(said, unit if unit in UNITS_UM else "um"))
    return sizes
