"""Compound files by olefile: Olympus OIB, as a folder OIF, and Zeiss X-ray microscopes."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from training_core.errors import InputError, shown
from training_core.stack import Pixels

from .file_image import Channels, FileImage, colour, lazy_stack, pixel_size
from .library_file import LibraryFile, library
from .source_file import check_size
from .units import micrometres, seconds

PLANE = re.compile(r"^s_((?:[A-Z]\d+)+)\.tif$", re.IGNORECASE)  # not the previews and maps beside
TABLE = re.compile(r"LUT(\d+)\.lut$", re.IGNORECASE)  # of the colours of a channel
LIGHT = ("EmissionWavelength", "ExcitationWavelength")
AXIS = re.compile(r"([A-Z])(\d+)")
CONTAINER = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
DTYPES = {3: "<u1", 5: "<u2", 10: "<f4"}  # of Zeiss
A_FOLDER = 100  # images in each ImageData1, ImageData2, ...
UNKNOWN = (None, "")
PLAIN = (1, 5, 8, 32946)  # compressions of TIFF that fill what is declared and no more
UNNAMED = {"L": "C", "P": "I", "A": "I", "S": "I"}  # the others are ours


def is_oif(path: Path, head: bytes) -> bool:
    """Whether a file is one of Olympus: a container called so, or a text of settings."""
    name = path.suffix.lower()
    return (name == ".oib" and head.startswith(CONTAINER)) or (
        name == ".oif" and head.startswith((b"\xff\xfe[\0", b"["))
    )


class _Oif:
    """The settings and planes of an Olympus file, in its folder or its container."""

    def __init__(self, path: Path) -> None:
        oiffile = library("oiffile", "Olympus OIF and OIB")
        self.name = path.name
        self.container: Any = None
        if path.suffix.lower() == ".oif":
            folder = path.with_name(f"{path.name}.files")
            self.places: dict[str, Any] = {p.name: p for p in folder.iterdir()}
            self.settings = oiffile.SettingsFile(io.BytesIO(path.read_bytes()), path.name)
            return
        # oiffile's own way through a container may never end where that is damaged.
        self.container = library("olefile", "Olympus OIB").OleFileIO(path)
        streams = {entry[-1]: entry for entry in self.container.listdir()}
        about = oiffile.SettingsFile(
            io.BytesIO(self._stream(streams["OibInfo.txt"])), "OibInfo.txt"
        )
        info = about["OibSaveInfo"]
        named = {str(name): streams.get(key) for key, name in info.items() if key in streams}
        main = named[str(info[info["MainFileName"]])]
        self.settings = oiffile.SettingsFile(io.BytesIO(self._stream(main)), path.name)
        self.places = {re.split(r"[/\\]", name)[-1]: place for name, place in named.items()}

    def _stream(self, place: Any) -> bytes:
        data: bytes = self.container.openstream(place).read()
        return data

    def plane(self, name: str) -> Pixels:
        """Decode the TIFF file of a plane."""
        data = self._content(name)
        with tifffile.TiffFile(io.BytesIO(data)) as tif:
            page = tif.pages.first
            if int(page.compression) not in PLAIN or page.dtype is None:
                raise ValueError(f"a plane is packed by the method {int(page.compression)}")
            for shape in (page.shape, page.chunks):
                check_size(self.name, shape, page.dtype, len(data))
            return np.asarray(page.asarray())

    def colours(self) -> list[str]:
        """Give the last colour of each lookup table, in the order of the channels."""
        tables = {n: name for name in self.places for n in map(int, TABLE.findall(name))}
        ends = [self._content(tables[n])[-4:-1] for n in sorted(tables)]
        return [colour(end[::-1]) for end in ends]  # blue, green, red and a byte that says nothing

    def _content(self, name: str) -> bytes:
        place = self.places[name]
        return place.read_bytes() if self.container is None else self._stream(place)

    def close(self) -> None:
        """Close the container."""
        if self.container is not None:
            self.container.close()


def read_oif(path: Path) -> Sequence[FileImage]:
    """Give the image of a file.

    Raises
    ------
    InputError
        When the file is damaged, or its folder of planes is not beside it.
    """
    file = LibraryFile(path, _Oif)
    if path.suffix.lower() == ".oif" and not path.with_name(f"{path.name}.files").is_dir():
        raise InputError(
            f"The folder {path.name}.files is not beside {path.name}; it holds the pixels, so copy "
            "both."
        )
    with file.reading() as oif:
        planes = _planes(oif)
        if not planes:
            raise InputError(f"{path.name} holds no image.")
        axes = "".join(UNNAMED.get(letter, letter) for letter, _ in next(iter(planes)))
        steps = [sorted({key[i][1] for key in planes}) for i in range(len(axes))]
        letters = [letter for letter, _ in next(iter(planes))]
        names = [
            planes.get(tuple(zip(letters, numbers, strict=True))) for numbers in product(*steps)
        ]
        first = oif.plane(next(name for name in names if name))
        said, tables = oif.settings, oif.colours()
    lost = names.count(None)
    notes = [f"{lost} of its {len(names)} planes are missing and read as 0."] if lost else []

    def read(oif: Any, number: int) -> Pixels:
        name = names[number]
        return np.zeros_like(first) if name is None else oif.plane(name)

    count = len(steps[axes.index("C")]) if "C" in axes else 1
    sizes = [_step(said, axis) for axis in "XYZ"]
    shape = (*map(len, steps), *first.shape)
    stack = lazy_stack(
        path,
        file.planes(read, shape, first.dtype),
        f"{axes}YX",
        channels=replace(_channels(said, count), colours=tables if len(tables) == count else ()),
        warnings=notes,
        kind="oif",
        pixel_size=pixel_size(*(micrometres(*size) for size in sizes)),
        time_step_s=seconds(*_step(said, "T")),
    )
    return [FileImage.of(stack)]


def _planes(oif: Any) -> dict[tuple[tuple[str, int], ...], str]:
    """Give the names of the files of the planes, by the letters and numbers in them."""
    planes = {}
    for name in oif.places:
        found = PLANE.match(name)
        if found:
            key = tuple((a.upper(), int(n)) for a, n in AXIS.findall(found[1].upper()))
            planes[key] = name
    lengths = {len(key) for key in planes}
    return {key: name for key, name in planes.items() if len(key) == max(lengths)}


def _step(said: Mapping[str, Any], axis: str) -> tuple[float | None, str]:
    """Give the distance between two elements of an axis and its unit."""
    for number in range(8):
        part = said.get(f"Axis {number} Parameters Common", {})
        if part.get("AxisCode") != axis:
            continue
        count = int(part.get("MaxSize", 0))
        pixels = axis in "XY"  # an extent over pixels; of the others from first to last
        steps = count if pixels else count - 1
        if steps < 1:
            return UNKNOWN
        first, last = (float(part.get(key, 0)) for key in ("StartPosition", "EndPosition"))
        return abs(last - first) / steps, str(part.get("UnitName", ""))
    return UNKNOWN


def _channels(said: Mapping[str, Any], count: int) -> Channels:
    parts = [said.get(f"Channel {n + 1} Parameters", {}) for n in range(count)]
    names = [shown(part.get("DyeName") or part.get("CH Name") or "") for part in parts]
    return Channels(names, (), *([part.get(way) for part in parts] for way in LIGHT))


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
