"""Zeiss CZI by czifile: scenes as images, tiles of a mosaic put together, every compression."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import imagecodecs
import numpy as np

from training_core.errors import InputError
from training_core.stack import Pixels, Stack

from .file_image import Channels, FileImage, colour, lazy_stack, pixel_size
from .inner_size import IN_TIFF, of_jpeg, refuse_larger
from .library_file import LibraryFile, library
from .units import positive, seconds

SIGNATURE = b"ZISRAWFILE"
UM_PER_M = 1e6
JPEG_XR = 4
BLUE_FIRST = (2, 1, 0, 3)  # then green, red, and perhaps opacity
LIGHT = ("Emission", "Excitation")
HALVES = 1  # in the header of the last: low bytes first, then all high ones
PLANE = ("Y", "X")
# Mosaic tiles are no axis, scenes are images of their own; blocks and samples are of length one.
NO_AXES = ("M", "S", "0")


@dataclass
class _Pieces:
    """The pieces of one scene, by the plane that they belong to."""

    samples: int
    entries: dict[int, Any] = field(default_factory=dict)  # by their number in the file

    def places(self) -> dict[tuple[int, ...], list[int]]:
        """Give the pieces of each plane, in the order in which they cover each other."""
        names = self.axes
        found: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for number, entry in sorted(self.entries.items(), key=lambda e: e[1].mosaic_index or 0):
            starts = _starts(entry)
            found[tuple(starts.get(name, 0) for name in names)].append(number)
        return found

    @property
    def axes(self) -> str:
        """Letters of the axes over the planes, in the order of the file."""
        names = {d.dimension: None for e in self.entries.values() for d in e.dimension_entries}
        return "".join(name for name in names if name not in (*PLANE, *NO_AXES))

    def box(self) -> tuple[int, int, int, int]:
        """Give top, left, height and width of what all pieces cover."""
        spans = np.array([_span(entry) for entry in self.entries.values()])
        top, left = spans[:, :2].min(0)
        bottom, right = (spans[:, :2] + spans[:, 2:]).max(0)
        return int(top), int(left), int(bottom - top), int(right - left)


def read_czi(path: Path) -> Sequence[FileImage]:
    """Give the scenes of a file as images; of pyramids the full resolution only.

    Raises
    ------
    InputError
        When the file is damaged, or is a part of one that is spread over several.
    """
    czifile = library("czifile", "Zeiss CZI")
    errors = (czifile.SegmentNotFoundError,)
    file = LibraryFile(path, lambda p: czifile.CziFile(str(p), multifile=False), errors)
    with file.reading() as czi:
        if czi.header.file_part:
            raise InputError(f"{path.name} is a part of a CZI file in several; open its first.")
        scenes = _scenes(czi.subblock_directory)
        told = ElementTree.fromstring(czi.metadata() or "<none/>")
    if not scenes:
        raise InputError(f"{path.name} holds no image.")
    names = {
        int(scene.get("Index", -1)): scene.get("Name", "")
        for scene in told.iterfind(".//Information/Image/Dimensions/S/Scenes/Scene")
    }
    alone = len(scenes) == 1
    return [
        FileImage.of(
            _stack(file, scene, told), "" if alone else names.get(key[0]) or f"Scene {key[0] + 1}"
        )
        for key, scene in sorted(scenes.items())
    ]


def _scenes(entries: Sequence[Any]) -> dict[tuple[int, int], _Pieces]:
    """Group the pieces by scene, and by samples a pixel, which one image has alike."""
    full = [number for number, e in enumerate(entries) if _stored(e) == _span(e)[2:]]
    scenes: dict[tuple[int, int], _Pieces] = {}
    for number in full or range(len(entries)):
        entry = entries[number]
        samples = (np.dtype(entry.dtype).shape or (1,))[0]
        key = (_starts(entry).get("S", 0), samples)
        scenes.setdefault(key, _Pieces(samples)).entries[number] = entry
    return scenes


def _starts(entry: Any) -> dict[str, int]:
    return {d.dimension: d.start for d in entry.dimension_entries}


def _span(entry: Any) -> tuple[int, ...]:
    """Give top, left, height and width of a piece."""
    found = {d.dimension: d for d in entry.dimension_entries}
    return (*(found[a].start for a in PLANE), *(found[a].size for a in PLANE))


def _stored(entry: Any) -> tuple[int, ...]:
    found = {d.dimension: d for d in entry.dimension_entries}
    return tuple(found[axis].stored_size for axis in PLANE)


def _stack(file: LibraryFile, scene: _Pieces, told: ElementTree.Element) -> Stack:
    places, (top, left, height, width) = scene.places(), scene.box()
    steps = [sorted(set(column)) for column in zip(*places, strict=True)]
    planes = [places.get(key, []) for key in product(*steps)]
    lost = sum(not pieces for pieces in planes)
    dtype = np.result_type(*{np.dtype(e.dtype).base for e in scene.entries.values()})
    many = scene.samples > 1

    def read(czi: Any, number: int) -> Pixels:
        plane, sample = divmod(number, scene.samples)
        canvas = np.zeros((height, width), dtype)
        for piece in planes[plane]:
            entry = czi.subblock_directory[piece]
            y, x, tall, wide = _span(entry)
            if _stored(entry) != (tall, wide):
                raise ValueError(f"a piece is {_stored(entry)} pixels and not {(tall, wide)}")
            tile = _decoded(entry).reshape(tall, wide, -1)[..., sample]
            canvas[y - top : y - top + tall, x - left : x - left + wide] = tile
        return canvas

    lead = tuple(map(len, steps)) + ((scene.samples,) if many else ())
    told_lost = f"{lost} of its {len(planes)} planes are not in the file and read as 0."
    step = told.find(".//Information/Image/Dimensions/T/Positions/Interval/Increment")
    return lazy_stack(
        file.path,
        file.planes(read, (*lead, height, width), dtype),
        f"{scene.axes}{'S' if many else ''}YX",
        colours="RGB" if many else "",
        channels=_channels(told),
        warnings=[told_lost] if lost else [],
        kind="czi",
        pixel_size=pixel_size(*(_distance_um(told, axis) for axis in "XYZ")),
        time_step_s=None if step is None else seconds(step.text, "s"),
    )


def _channels(told: ElementTree.Element) -> Channels:
    """Give the channels: their names as they were taken, their colours as they are shown."""
    taken = told.findall(".//Information/Image/Dimensions/Channels/Channel")
    displayed = told.findall(".//DisplaySetting//Channel")
    names = [[each.get("Name", "") for each in every] for every in (taken, displayed)]
    colours = [
        [colour(each.findtext("Color") or "") for each in every] for every in (displayed, taken)
    ]
    light = [[each.findtext(f"{way}Wavelength") for each in taken] for way in LIGHT]
    return Channels(
        next(filter(any, names), []),
        next((each for each in colours if all(each) and each), []),
        *light,
    )


def _distance_um(told: ElementTree.Element, axis: str) -> float | None:
    value = told.findtext(f".//Scaling/Items/Distance[@Id='{axis}']/Value")
    return positive(value, UM_PER_M)


def _decoded(entry: Any) -> Pixels:
    """Decode a piece: its samples one after the other, colours as RGB."""
    segment, dtype = entry.data_segment(), np.dtype(entry.dtype)
    samples, count = (dtype.shape or (1,))[0], math.prod(_stored(entry))
    if entry.compression not in DECODERS:
        raise ValueError(f"its compression {entry.compression} is not known")
    packed = segment.data(raw=True)
    if entry.compression in HELD:
        refuse_larger(HELD[entry.compression], packed, count * samples)
    data = DECODERS[entry.compression](packed, dtype.base.itemsize, count * dtype.itemsize)
    if entry.compression == JPEG_XR:
        return np.asarray(data)
    pixels = data if isinstance(data, np.ndarray) else np.frombuffer(data, dtype.base)
    if samples == 1:
        return pixels
    return np.asarray(pixels.reshape(-1, samples)[:, BLUE_FIRST[:samples]])


def _with_header(data: bytes, itemsize: int, most: int) -> bytes:
    """Unpack ZSTD behind Zeiss's header, which tells whether bytes were sorted."""
    size = data[0]
    sorted_bytes = size >= 3 and data[1] == HALVES and data[2] & 1
    unpacked = bytes(imagecodecs.zstd_decode(data[size:], out=most))
    if not sorted_bytes:
        return unpacked
    halves = np.frombuffer(unpacked, np.uint8).reshape(itemsize, -1)
    return halves.T.tobytes()


# What Zeiss's numbers of compressions mean; each is given the bytes of a sample and of all, too.
DECODERS: dict[int, Callable[[bytes, int, int], Any]] = {
    0: lambda data, *_: data,
    1: lambda data, *_: imagecodecs.jpeg8_decode(data),
    2: lambda data, _, most: imagecodecs.lzw_decode(data, out=most),
    JPEG_XR: lambda data, *_: imagecodecs.jpegxr_decode(data),
    5: lambda data, _, most: imagecodecs.zstd_decode(data, out=most),
    6: _with_header,
}
HELD = {1: of_jpeg, JPEG_XR: IN_TIFF[34934]}  # which hold pictures with headers of their own
