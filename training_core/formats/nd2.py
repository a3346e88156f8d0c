"""Nikon ND2 by nd2: each position an image, frames in the order of the experiment."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from training_core.errors import InputError
from training_core.stack import Pixels

from .file_image import Channels, FileImage, colour, lazy_stack, pixel_size
from .inner_size import of_jpeg_2000, refuse_larger, refuse_unpacking
from .library_file import LibraryFile, library

MODERN, LEGACY = b"\xda\xce\xbe\x0a", b"\0\0\0\x0cjP  "
IN_FRAME = "CYXS"
NAMED = 8  # bytes of a frame before its pixels
MOST_METADATA = 2**27


def is_nd2(path: Path, head: bytes) -> bool:
    """Whether a file is one of Nikon; old ones begin as JPEG 2000."""
    return head.startswith(MODERN) or (path.suffix.lower() == ".nd2" and head.startswith(LEGACY))


def read_nd2(path: Path) -> Sequence[FileImage]:
    """Give the positions of a file as images.

    Raises
    ------
    InputError
        When the file is damaged, or the package nd2 is not installed.
    """
    nd2 = library("nd2", "Nikon ND2")
    _keep_metadata_small()
    # A plane without a dye makes the library use a name that it has not set.
    file = LibraryFile(path, nd2.ND2File, (NameError,))
    with file.reading() as opened:
        sizes = dict(opened.sizes)
        lead = {axis: n for axis, n in sizes.items() if axis not in IN_FRAME}
        numbers = np.arange(int(np.prod(list(lead.values()), dtype=np.int64)))
        frames = numbers.reshape(tuple(lead.values()))
        if not {"Y", "X"} <= set(sizes) or not frames.size:
            raise InputError(f"{path.name} holds no image.")
        meaning = _meaning(opened) | {"warnings": _lost(opened, frames.size)}
        dtype, names = opened.dtype, _positions(opened)
    if "P" not in lead:
        return [FileImage.of(_stack(file, frames, "".join(lead), sizes, dtype, meaning))]
    place, axes = list(lead).index("P"), "".join(axis for axis in lead if axis != "P")
    return [
        FileImage.of(
            _stack(file, np.take(frames, position, place), axes, sizes, dtype, meaning),
            names.get(position) or f"Position {position + 1}",
        )
        for position in range(lead["P"])
    ]


def _stack(
    file: LibraryFile,
    frames: np.ndarray,
    axes: str,
    sizes: dict[str, int],
    dtype: Any,
    meaning: dict[str, Any],
) -> Any:
    samples, channels = sizes.get("S", 1), sizes.get("C", 1)
    parts, order = channels * samples, frames.ravel()
    declared = parts * sizes["Y"] * sizes["X"]

    def read(opened: Any, number: int) -> Pixels:
        frame, part = divmod(number, parts)
        _refuse_bomb(opened, int(order[frame]), declared * np.dtype(dtype).itemsize)
        pixels = np.asarray(opened.read_frame(int(order[frame])))
        pixels = pixels.reshape(channels, sizes["Y"], sizes["X"], samples)
        return pixels[part // samples, ..., part % samples]

    inner = [(axis, n) for axis, n in (("C", channels), ("S", samples)) if axis in sizes]
    shape = (*frames.shape, *(n for _, n in inner), sizes["Y"], sizes["X"])
    return lazy_stack(
        file.path,
        file.planes(read, shape, dtype),
        f"{axes}{''.join(axis for axis, _ in inner)}YX",
        colours="RGB" if samples == 3 else "",
        kind="nd2",
        **meaning,
    )


def _refuse_bomb(opened: Any, frame: int, declared: int) -> None:
    """Refuse a frame that becomes far more than it declares; where it lies no public way tells."""
    chunk = getattr(getattr(opened, "_rdr", None), "_load_chunk", None)
    if chunk is None:
        return
    if opened.is_legacy:
        count = opened.attributes.channelCount or 1
        for part in range(count):
            refuse_larger(of_jpeg_2000, chunk(b"LUNK", frame * count + part), declared)
    elif opened.attributes.compressionType == "lossless":
        packed = chunk(f"ImageDataSeq|{frame}!".encode())[NAMED:]
        refuse_unpacking("zlib", packed, declared)


def _keep_metadata_small() -> None:
    """Let the library unpack metadata up to a limit; it has no place for one."""

    def decompress(data: bytes) -> bytes:
        unpack = zlib.decompressobj()
        text = unpack.decompress(data, MOST_METADATA)
        if not unpack.eof:
            raise ValueError("its metadata are damaged, or far too long")
        return text

    with suppress(ImportError):
        inside = importlib.import_module("nd2._parse._clx_lite")
        inside.zlib = SimpleNamespace(decompress=decompress)  # type: ignore[attr-defined]


def _meaning(opened: Any) -> dict[str, Any]:
    voxel = opened.voxel_size()
    step = next((loop for loop in opened.experiment if loop.type == "TimeLoop"), None)
    told = [each.channel for each in getattr(opened.metadata, "channels", None) or []]
    period_ms = 0.0
    if step is not None:
        measured = step.parameters.periodDiff.avg if step.parameters.periodDiff else 0.0
        period_ms = step.parameters.periodMs or measured or 0.0
    deep = "Z" in opened.sizes
    return {
        "channels": Channels(
            [each.name for each in told],
            [colour(each.color) for each in told],
            [each.emissionLambdaNm for each in told],
            [each.excitationLambdaNm for each in told],
        ),
        "pixel_size": pixel_size(voxel.x, voxel.y, voxel.z if deep else None),
        "time_step_s": period_ms / 1000 if period_ms > 0 else None,
    }


def _lost(opened: Any, count: int) -> list[str]:
    """Count the frames that the library gives as 0 because they are not in the file."""
    # Only where the frames lie tells, and there is no public way to that.
    places = getattr(opened._rdr, "_frame_offsets", None)
    if places is None:
        return []
    size, frame = Path(opened.path).stat().st_size, 0
    if not opened.attributes.compressionType:
        frame = opened.attributes.heightPx * (opened.attributes.widthBytes or 0)
    there = sum(places.get(n, size) + frame <= size for n in range(count))
    lost = count - there
    return [f"{lost} of its {count} frames are not in the file and read as 0."] if lost else []


def _positions(opened: Any) -> dict[int, str]:
    loop = next((loop for loop in opened.experiment if loop.type == "XYPosLoop"), None)
    points = loop.parameters.points if loop is not None else []
    return {number: point.name or "" for number, point in enumerate(points)}
