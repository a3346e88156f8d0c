"""OME-Zarr 0.4 and 0.5 by zarr: images, the layout of bioformats2raw, plates, and bare arrays."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from training_core.errors import InputError, shown
from training_core.run import SILENT
from training_core.stack import Pixels, Stack

from .axes import GUESSED_AXES, guess_told
from .file_image import Channels, FileImage, lazy_stack, pixel_size
from .inner_size import UNPACKED, refuse_unpacking
from .library_file import LibraryFile, library
from .source_file import DAMAGE, check_size
from .units import micrometres, seconds

MARKS = (".zgroup", ".zarray", "zarr.json")
MOST_CHUNKS = 20_000  # looked for, to tell which are not there
PYRAMID, PLATE, WELL = "multiscales", "plate", "well"
SHARDS, CHECKSUM, NOWHERE = "sharding_indexed", 4, 2**64 - 1
# Codecs that give no more than they get; numbers and their order only.
PLAIN = ("bytes", "endian", "transpose", "crc32c", "crc32", "adler32", "delta", "shuffle", "astype")


class _Store:
    """What zarr opened: nothing stays open between two chunks."""

    def __init__(self, group: Any) -> None:
        self.group = group

    def close(self) -> None:
        """Nothing is to be closed."""


def is_zarr(path: Path) -> bool:
    """Whether a folder is a group or an array of Zarr."""
    return path.is_dir() and any((path / mark).is_file() for mark in MARKS)


def read_zarr(path: Path) -> Sequence[FileImage]:
    """Give the images of a folder, each in its full resolution.

    Raises
    ------
    InputError
        When nothing in it is an image, or the package zarr is not installed.
    """
    zarr = library("zarr", "OME-Zarr")
    file = LibraryFile(path, lambda p: _Store(zarr.open(str(p), mode="r")))
    with file.reading() as store:
        images = list(_images(file, store.group, zarr))
    if not images:
        raise InputError(f"The folder {path.name} holds no image of OME-Zarr.")
    return images


def _said(group: Any) -> Mapping[str, Any]:
    """Give the metadata of OME, which version 0.5 keeps below a key of its own."""
    attributes = dict(group.attrs)
    own = attributes.get("ome")
    return own if isinstance(own, dict) else attributes


def _images(file: LibraryFile, group: Any, zarr: Any) -> Iterator[FileImage]:
    if isinstance(group, zarr.Array):
        if group.ndim in GUESSED_AXES:
            yield FileImage.of(_bare(file, group))
        return
    said = _said(group)
    if PYRAMID in said:
        yield FileImage.of(_pyramid(file, group, said), str(said[PYRAMID][0].get("name", "")))
        return
    for name in _parts(group, said):
        with suppress(KeyError):  # a well that nothing was taken in
            for image in _images(file, group[name], zarr):
                yield FileImage.of(image.open(SILENT), "/".join(filter(None, (name, image.name))))


def _parts(group: Any, said: Mapping[str, Any]) -> list[str]:
    """Name the parts of a group that are or hold images."""
    if PLATE in said:
        return [well["path"] for well in said[PLATE].get("wells", ())]
    if WELL in said:
        return [image["path"] for image in said[WELL].get("images", ())]
    named = said.get("series")
    if named is None and "OME" in group:
        with suppress(*DAMAGE):
            named = _said(group["OME"]).get("series")
    return [str(name) for name in named or sorted(group, key=_number) if name not in ("OME",)]


def _number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (10**9, name)


def _pyramid(file: LibraryFile, group: Any, said: Mapping[str, Any]) -> Stack:
    scales = said[PYRAMID][0]
    largest = scales["datasets"][0]
    array = group[largest["path"]]
    axes = [a if isinstance(a, dict) else {"name": a} for a in scales.get("axes") or ()]
    letters = "".join(str(a.get("name", "")).upper() for a in axes) or "TCZYX"
    letters = "".join(letter if letter in "TZCYX" else "I" for letter in letters)
    if len(letters) != array.ndim:
        raise InputError(f"{file.path.name} names {len(letters)} axes for {array.ndim}.")
    steps = np.ones(array.ndim)
    for part in (scales, largest):
        for change in part.get("coordinateTransformations") or ():
            if change.get("type") == "scale" and len(change["scale"]) == array.ndim:
                steps *= np.asarray(change["scale"], float)
    units = dict(zip(letters, (a.get("unit", "") for a in axes), strict=False))
    known = dict(zip(letters, steps.tolist(), strict=True))
    lengths = [micrometres(known.get(axis), units.get(axis)) for axis in "XYZ"]
    kept: dict[str, Any] = {}
    if "omero" in said:
        kept["omero"] = json.loads(json.dumps(said["omero"]))
    shift = _shift((scales, largest), letters, units)
    if shift:
        kept["translation"] = shift
    names = [str(c.get("label", "")) for c in (said.get("omero") or {}).get("channels", ())]
    return lazy_stack(
        file.path,
        _planes(file, array),
        letters,
        channels=Channels(names),
        warnings=_empty(array),
        kind="zarr",
        pixel_size=pixel_size(*lengths),
        time_step_s=seconds(known.get("T"), units.get("T")),
        metadata=kept,
    )


def _shift(
    parts: Sequence[Mapping[str, Any]], letters: str, units: Mapping[str, str]
) -> dict[str, float]:
    """Give where the first pixel lies, in micrometres and seconds, by the axes that say so."""
    moved = np.zeros(len(letters))
    for part in parts:
        for change in part.get("coordinateTransformations") or ():
            if change.get("type") == "translation" and len(change["translation"]) == len(letters):
                moved += np.asarray(change["translation"], float)
    found = {}
    for axis, distance in zip(letters, moved.tolist(), strict=True):
        unit = (seconds if axis == "T" else micrometres)(1.0, units.get(axis, ""))
        if distance and unit and axis in "TZYX":
            found[axis] = distance * unit
    return found


def _bare(file: LibraryFile, array: Any) -> Stack:
    axes = GUESSED_AXES[array.ndim]
    return lazy_stack(
        file.path,
        _planes(file, array),
        axes,
        warnings=_empty(array),
        guess=guess_told(array.ndim),
        kind="zarr",
    )


def _empty(array: Any) -> list[str]:
    """Say how many blocks have no file: writers leave out empty ones, but a copy may lack them."""
    if array.nchunks > MOST_CHUNKS:
        return []
    lost = array.nchunks - array.nchunks_initialized
    fill = array.fill_value
    return (
        [f"{lost} of its {array.nchunks} blocks have no file and read as {fill}."] if lost else []
    )


def _planes(file: LibraryFile, array: Any) -> Pixels:
    name, lead = array.path, array.shape[:-2]
    packing, listed = _packing(array)
    for block in (array.chunks, array.shards or ()):
        check_size(file.path.name, block, array.dtype, None)
    folder = file.path / name

    def read(store: _Store, number: int) -> Pixels:
        found = store.group[name] if name else store.group
        place = tuple(map(int, np.unravel_index(number, lead))) if lead else ()
        if packing:
            _refuse_bombs(folder, found, place, packing, listed)
        return np.asarray(found[place])

    pixels: Pixels = file.planes(read, array.shape, array.dtype)
    return pixels


def _packing(array: Any) -> tuple[str, str]:
    """Give by what the blocks are packed, "" for nothing, and where shards list them, "" for none.

    Raises
    ------
    InputError
        When they are packed in no known way, or more than once.
    """
    about = array.metadata
    if about.zarr_format == 2:
        codecs = [{"name": c.codec_id} for c in (*(about.filters or ()), about.compressor) if c]
    else:
        codecs = [codec.to_dict() for codec in about.codecs]
    shards: Mapping[str, Any] = next(
        (codec["configuration"] for codec in codecs if codec["name"] == SHARDS), {}
    )
    codecs = list(shards.get("codecs", codecs))
    names = [str(codec["name"]).removeprefix("numcodecs.") for codec in codecs]
    packings = [name for name in names if name not in PLAIN]
    if len(packings) > 1 or not set(packings) <= set(UNPACKED):
        told = " and ".join(map(shown, packings))
        raise InputError(f"Its blocks are packed by {told}; write it with zstd, blosc or gzip.")
    return (packings[0] if packings else ""), str(shards.get("index_location", ""))


def _refuse_bombs(
    folder: Path, array: Any, place: tuple[int, ...], packing: str, listed: str
) -> None:
    """Raise ValueError where a block of a plane becomes far more than it declares."""
    declared = math.prod(array.chunks) * array.dtype.itemsize
    files = array.shards or array.chunks
    first = [at // n for at, n in zip(place, files, strict=False)]
    rest = zip(array.shape[-2:], files[-2:], strict=True)
    for corner in product(*([n] for n in first), *(range(-(-length // n)) for length, n in rest)):
        block = folder / array.metadata.encode_chunk_key(corner)
        if not block.is_file():
            continue  # which is empty
        data = block.read_bytes()
        for part in _in_shard(data, math.prod(files) // math.prod(array.chunks), listed):
            refuse_unpacking(packing, part, declared)


def _in_shard(data: bytes, count: int, listed: str) -> Iterator[bytes]:
    """Give the blocks of a shard, whose places and lengths stand at its end or its start."""
    if not listed:
        yield data
        return
    size = 16 * count
    index = data[:size] if listed == "start" else data[-size - CHECKSUM : -CHECKSUM]
    for start, length in np.frombuffer(index, "<u8").reshape(count, 2).tolist():
        if start != NOWHERE:
            yield data[start : start + length]
