"""Gatan DM3 and DM4 by a parser of our own: a tree of tags, the pixels in one of their arrays."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from training_core.errors import InputError

from .file_image import FileImage, lazy_stack, pixel_size
from .source_file import damage, planes_in_file
from .units import micrometres, seconds

FOLDER, VALUE, END = 20, 21, 0
STRUCTURE, TEXT, ARRAY = 15, 18, 20
NUMBERS = {2: "i2", 3: "i4", 4: "u2", 5: "u4", 6: "f4", 7: "f8"}
NUMBERS |= {8: "u1", 9: "i1", 10: "u1", 11: "i8", 12: "u8"}
PIXELS = {1: "i2", 2: "f4", 3: "c8", 6: "u1", 7: "i4", 9: "i1", 10: "u2", 11: "u4"}
PIXELS |= {12: "f8", 13: "c16", 14: "u1", 39: "i8", 40: "u8"}
COLOURS = 23  # blue, green, red and a byte that says nothing
DEEPEST, MOST_TAGS, LONGEST = 64, 10**6, 2**16  # no file comes near these


def is_gatan(head: bytes) -> bool:
    """Whether a file begins as one of DigitalMicrograph does."""
    place = {b"\0\0\0\3": 8, b"\0\0\0\4": 12}.get(head[:4], len(head))
    order, flags = head[place : place + 4], head[place + 4 : place + 6]
    return order in (b"\0\0\0\0", b"\0\0\0\1") and len(flags) == 2 and max(flags) <= 1


@dataclass(frozen=True)
class _Array:
    """Where the numbers of a tag lie, and of which type they are."""

    dtype: np.dtype[Any]
    offset: int
    count: int


class _Tags:
    """An open file on its way to a tree of tags; structures are passed over."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size, self.left = file, size, MOST_TAGS
        self.length = {3: ">i", 4: ">q"}[struct.unpack(">i", self.read(4))[0]]
        self.number()  # how many bytes follow
        self.order = "<" if self.read(4)[3] else ">"

    def read(self, count: int) -> bytes:
        if count > LONGEST or len(data := self.file.read(count)) < count:
            raise EOFError("it ends inside a tag")
        return data

    def number(self) -> int:
        """Read a count, which is of 4 bytes in DM3 and of 8 in DM4."""
        return int(struct.unpack(self.length, self.read(struct.calcsize(self.length)))[0])

    def folder(self, depth: int = 0) -> dict[str, Any]:
        """Read tags by their names, or by their places where they have none."""
        self.read(2)
        found: dict[str, Any] = {}
        for place in range(self.number()):
            kind, length = struct.unpack(">BH", self.read(3))
            if kind == END:
                break
            name = self.read(length).decode("latin-1") or str(place)
            if self.length == ">q":
                self.number()  # how many bytes follow
            self.left -= 1
            if depth > DEEPEST or self.left < 0 or kind not in (FOLDER, VALUE):
                raise ValueError("its tags are in disorder")
            found[name] = self.folder(depth + 1) if kind == FOLDER else self.value()
        return found

    def value(self) -> Any:
        """Read a number, or where others lie."""
        if self.read(4) != b"%%%%":
            raise ValueError("a tag does not begin as it must")
        about = [self.number() for _ in range(min(self.number(), LONGEST))]
        offset = self.file.tell()
        if about[0] in NUMBERS:
            dtype, count = self.dtype(about[0]), 1
        elif about[0] == ARRAY and about[1] in NUMBERS:
            dtype, count = self.dtype(about[1]), about[2]
        elif about[0] == TEXT:
            dtype, count = np.dtype("u2"), about[1]
        else:
            fields = about[2 if about[0] == ARRAY else 1 :]  # length of the name, how many fields
            each = sum(self.dtype(code).itemsize for code in fields[3 : 3 + 2 * fields[1] : 2])
            dtype, count = np.dtype((np.void, each)), fields[-1] if about[0] == ARRAY else 1
        if not 0 <= offset + count * dtype.itemsize <= self.size:
            raise EOFError("it ends inside a tag")
        if about[0] in NUMBERS:
            return np.frombuffer(self.read(dtype.itemsize), dtype)[0].item()
        self.file.seek(offset + count * dtype.itemsize)
        return _Array(dtype, offset, count)

    def dtype(self, code: int) -> np.dtype[Any]:
        return np.dtype(f"{self.order}{NUMBERS[code]}")

    def text(self, tag: Any) -> str:
        """Read the text of a tag; "" where it has none."""
        if not isinstance(tag, _Array) or tag.dtype.itemsize != 2:
            return ""
        self.file.seek(tag.offset)
        data = self.read(min(2 * tag.count, LONGEST))
        return data.decode("utf-16-le" if self.order == "<" else "utf-16-be", "replace").strip("\0")


def read_gatan(path: Path) -> Sequence[FileImage]:
    """Give the images of a file, without the small picture of them.

    Raises
    ------
    InputError
        When the file is damaged, or none of its images can be read.
    """
    with damage(f"{path.name} is damaged or cut off"), path.open("rb") as file:
        tags = _Tags(file, path.stat().st_size)
        images = list(_images(path, tags, tags.folder()))
        if not images:
            raise InputError(f"{path.name} holds no image.")
        if not any(image.shape for image in images):
            images[0].open(None)  # type: ignore[arg-type]  # which says why it cannot be read
    return images


def _images(path: Path, tags: _Tags, tree: Mapping[str, Any]) -> Iterator[FileImage]:
    small = {each.get("ImageIndex") for each in tree.get("Thumbnails", {}).values()}
    for number, each in enumerate(tree.get("ImageList", {}).values()):
        data = each.get("ImageData", {})
        if number in small or not isinstance(data.get("Data"), _Array):
            continue
        name = tags.text(each.get("Name"))
        try:
            yield FileImage.of(_stack(path, tags, data), name)
        except InputError as error:
            yield FileImage.refused(name, error)


def _stack(path: Path, tags: _Tags, data: Mapping[str, Any]) -> Any:
    kind, stored = data["DataType"], data["Data"]
    shape = tuple(int(n) for n in data["Dimensions"].values())[::-1]
    if (kind not in PIXELS and kind != COLOURS) or len(shape) < 2:
        raise InputError(
            f"{path.name} holds an image of {len(shape)} axes and type {kind}, which is not known."
        )
    coloured = kind == COLOURS
    shape, dtype = (*shape, 4) if coloured else shape, f"{tags.order}{PIXELS.get(kind, 'u1')}"
    if (
        np.prod(shape, dtype=float) * np.dtype(dtype).itemsize
        > stored.count * stored.dtype.itemsize
    ):
        raise InputError(f"{path.name} is damaged: it declares more pixels than it holds.")
    pixels, notes = planes_in_file(path, dtype, stored.offset, shape, inner=3 if coloured else 2)
    steps = list(_steps(tags, data.get("Calibrations", {})))[: len(data["Dimensions"])]
    steps += [(None, "")] * (len(data["Dimensions"]) - len(steps))
    axes = "".join(_letter(*step) for step in steps[2:])[::-1]
    depth = next((step for step in steps[2:] if _letter(*step) == "Z"), (None, ""))
    time = next((step for step in steps[2:] if _letter(*step) == "T"), (None, ""))
    return lazy_stack(
        path,
        pixels[..., 2::-1] if coloured else pixels,
        f"{axes}YX{'S' if coloured else ''}",
        colours="RGB" if coloured else "",
        warnings=notes,
        kind="gatan",
        pixel_size=pixel_size(*(micrometres(*step) for step in (*steps[:2], depth))),
        time_step_s=seconds(*time),
    )


def _steps(tags: _Tags, calibrations: Mapping[str, Any]) -> Iterator[tuple[float | None, str]]:
    """Give the distance between two pixels along each axis and its unit, X first."""
    for each in calibrations.get("Dimension", {}).values():
        unit = tags.text(each.get("Units"))
        with suppress(TypeError, ValueError):
            yield abs(float(each.get("Scale", 0))), unit


def _letter(step: float | None, unit: str) -> str:
    """Name an axis by its unit; energies and angles have no letter."""
    return "Z" if micrometres(step, unit) else "T" if seconds(step, unit) else "I"
