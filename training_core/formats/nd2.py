"""Nikon ND2 by nd2: each position an image, frames in the order of the experiment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training_core.errors import InputError
from training_core.stack import Pixels

from .file_image import FileImage, lazy_stack, pixel_size
from .library_file import LibraryFile, library

MODERN, LEGACY = b"\xda\xce\xbe\x0a", b"\0\0\0\x0cjP  "
IN_FRAME = "CYXS"


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
    file = LibraryFile(path, nd2.ND2File)
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

    def read(opened: Any, number: int) -> Pixels:
        frame, part = divmod(number, parts)
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


def _meaning(opened: Any) -> dict[str, Any]:
    voxel = opened.voxel_size()
    step = next((loop for loop in opened.experiment if loop.type == "TimeLoop"), None)
    told = getattr(opened.metadata, "channels", None) or []
    period_ms = 0.0
    if step is not None:
        measured = step.parameters.periodDiff.avg if step.parameters.periodDiff else 0.0
        period_ms = step.parameters.periodMs or measured or 0.0
    deep = "Z" in opened.sizes
    return {
        "channels": [channel.channel.name for channel in told],
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
