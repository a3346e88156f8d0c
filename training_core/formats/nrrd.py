"""NRRD by pynrrd, with its pixels in the same file or beside it."""

from __future__ import annotations

import bz2
import gzip
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from training_core.errors import InputError, shown
from training_core.stack import Pixels

from .file_image import FileImage, lazy_stack, pixel_size
from .library_file import library, quiet
from .source_file import check_size, damage, planes_in_file
from .units import micrometres, seconds

SIGNATURE = b"NRRD000"
SPATIAL = ("domain", "space", "none", "???")
KINDS = {"time": "T", "RGB-color": "S", "RGBA-color": "S", "3-color": "S", "4-color": "S"}
LETTERS = "XYZ"
MILLIMETRES = ("left-posterior-superior", "lps", "right-anterior-superior", "ras", "scanner-xyz")
RAW = ("raw",)
PACKED: Mapping[str, Any] = {
    **dict.fromkeys(("gzip", "gz"), gzip.open),
    **dict.fromkeys(("bzip2", "bz2"), bz2.open),
}
MOST_LINE = 2**20
# As the format's definition spells them, without "int" and "_t" at their ends.
TYPES = {
    **dict.fromkeys(("signed char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8"), "u1"),
    **dict.fromkeys(("short", "signed short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "uint16"), "u2"),
    **dict.fromkeys(("int", "signed", "int32"), "i4"),
    **dict.fromkeys(("uint", "unsigned", "uint32"), "u4"),
    **dict.fromkeys(("longlong", "long long", "signed long long", "int64"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "uint64"), "u8"),
    **{"float": "f4", "double": "f8"},
}


def read_nrrd(path: Path) -> Sequence[FileImage]:
    """Give the image of a .nrrd or .nhdr file.

    Raises
    ------
    InputError
        When the file or the one with its pixels is damaged, or pynrrd is not installed.
    """
    nrrd = library("nrrd", "NRRD")
    with (
        quiet(),
        damage(f"{path.name} is damaged or cut off", (nrrd.errors.NRRDError,)),
        path.open("rb") as file,
    ):
        header = nrrd.read_header(file)
        offset = file.tell()
        shape = tuple(int(n) for n in header["sizes"])[::-1]
        dtype = _dtype(header)
        plain = header["encoding"] in RAW and not ("data file" in header or "datafile" in header)
        if plain and not any(int(header.get(f"{what} skip", 0)) for what in ("line", "byte")):
            pixels, notes = planes_in_file(path, dtype, offset, shape)
        else:
            beside = _beside(header, path)
            check_size(path.name, shape, dtype, beside.stat().st_size)
            if header["encoding"] in PACKED:
                with beside.open("rb") as packed:
                    packed.seek(offset if beside == path else 0)
                    pixels = _unpacked(header, packed, dtype, shape)
            else:
                pixels = nrrd.read_data(header, file, str(path), index_order="C")
            notes = []
        axes, places = _axes(header, len(shape))
        sizes, step = _sizes(header, places)
    stack = lazy_stack(
        path,
        pixels,
        axes,
        colours="RGB" if "S" in axes and pixels.shape[axes.index("S")] in (3, 4) else "",
        warnings=notes,
        kind="nrrd",
        pixel_size=pixel_size(*sizes),
        time_step_s=step,
    )
    return [FileImage.of(stack)]


def _dtype(header: Mapping[str, Any]) -> np.dtype[Any]:
    kind = re.sub(r"_t$|\bint\b", "", str(header["type"])).strip() or "int"
    if kind not in TYPES:
        raise InputError(f"Its pixels are of the type {shown(kind)}; numbers are needed.")
    return np.dtype(f"{'>' if header.get('endian') == 'big' else '<'}{TYPES[kind]}")


def _unpacked(
    header: Mapping[str, Any], file: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Pixels:
    """Unpack as many bytes as the pixels are, whatever the rest of the file would become."""
    for _ in range(int(header.get("line skip", 0))):
        file.readline(MOST_LINE)
    skip = int(header.get("byte skip", 0))
    with PACKED[header["encoding"]](file) as stream:
        while skip > 0 and (passed := len(stream.read(min(skip, MOST_LINE)))):
            skip -= passed
        data = stream.read(math.prod(shape) * dtype.itemsize)
    return np.frombuffer(data, dtype).reshape(shape)


def _beside(header: Mapping[str, Any], path: Path) -> Path:
    """Give the file with the pixels; of one in another folder nothing is followed."""
    name = str(header.get("data file", header.get("datafile", path.name)))
    if Path(name).name != name or not (path.parent / name).is_file():
        raise InputError(f"{path.name} names its pixels {name}, which is no file beside it.")
    return path.parent / name


def files_of_nrrd(path: Path) -> list[Path]:
    """Give the file with the pixels that a header names; none of what is no header."""
    with path.open("rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            return []
        header = file.read(MOST_LINE).replace(b"\r", b"").partition(b"\n\n")[0]
    named = re.search(rb"^data ?file: *(.+?) *$", header, re.IGNORECASE | re.MULTILINE)
    return [path.parent / os.fsdecode(named[1])] if named else []


def _axes(header: Mapping[str, Any], count: int) -> tuple[str, dict[str, int]]:
    """Give our letters, slowest first, and which axis of the header each spatial one is."""
    kinds = [str(kind) for kind in header.get("kinds", ["domain"] * count)]
    directions = header.get("space directions")
    letters, places, free = [], {}, list(LETTERS)
    for place, kind in enumerate(kinds):
        spatial = kind in SPATIAL and free
        if directions is not None and np.isnan(np.asarray(directions[place], float)).any():
            spatial = False
        letter = free.pop(0) if spatial else KINDS.get(kind, "I")
        letters.append(letter)
        places[letter] = place
    return "".join(letters[::-1]), places


def _sizes(
    header: Mapping[str, Any], places: Mapping[str, int]
) -> tuple[list[float | None], float | None]:
    """Give x, y and z in micrometres, and the time step in seconds."""
    directions, spacings = header.get("space directions"), header.get("spacings")
    units = header.get("space units") or header.get("units") or []
    medical = str(header.get("space", "")).lower().startswith(MILLIMETRES)

    def step(letter: str) -> tuple[float | None, str]:
        place = places.get(letter)
        if place is None:
            return None, ""
        said = units[place] if place < len(units) else "mm" if medical else ""
        if directions is not None:
            return float(np.linalg.norm(np.asarray(directions[place], float))), str(said)
        return (float(spacings[place]) if spacings is not None else None), str(said)

    sizes = [micrometres(*step(letter)) for letter in LETTERS]
    return sizes, seconds(*step("T"))
