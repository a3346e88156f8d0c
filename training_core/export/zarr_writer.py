"""Write a stack as OME-Zarr 0.5: a folder of tiles, for very large images and for the net."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training_core.frames import made_frames
from training_core.stack import Pixels, PixelSize, Stack

from .checked import Frames
from .facts import channel_colours, channel_names, omero_channels
from .pyramid import halved, level_shapes

if TYPE_CHECKING:
    import zarr

VERSION = "0.5"
TILE_PX = 1024
ORDER = "TCIZYX"  # time, then a channel or another axis, then space, as the specification has them
LEVELS = {"zlib": 5, "zstd": 3}
UNITS = {"T": "second", **dict.fromkeys("ZYX", "micrometer")}
TYPES = {"T": "time", "C": "channel", **dict.fromkeys("ZYX", "space")}
WHITE = "FFFFFF"


def why_not_zarr(stack: Stack) -> str:
    """Say why a stack is no OME-Zarr; "" where it can be one."""
    if find_spec("zarr") is None:
        return "OME-Zarr needs a package more: pip install 'g2g-desktop[formats]'"
    if {"C", "I"} <= set(stack.axes):
        return f"OME-Zarr cannot have the axes {stack.axes}"
    return ""


def write_zarr(frames: Frames, path: Path, note: str, compression: str) -> None:
    """Write frame by frame, each with its smaller copies."""
    import zarr

    stack = frames.stack
    group = zarr.create_group(path, zarr_format=3, overwrite=False)
    shapes = [stack.frame_shape, *level_shapes(stack.frame_shape)]
    levels = [_level(group, stack, n, shape, compression) for n, shape in enumerate(shapes)]
    group.attrs["ome"] = _about(stack, len(levels))
    # The specification has an order of its own; this is that of the input.
    group.attrs["g2g"] = {"made": note, "axes": stack.axes}
    for index, frame in enumerate(frames.planes()):
        smaller = frame
        for number, level in enumerate(levels):
            smaller = halved(smaller) if number else frame
            level[_place(stack, index)] = smaller


def read_zarr_again(path: Path) -> Stack:
    """Read what `write_zarr` wrote, of the whole image alone."""
    import zarr

    group: Any = zarr.open_group(path, mode="r")
    about, array = dict(group.attrs)["ome"], group["0"]
    image = about["multiscales"][0]
    axes = "".join(axis["name"] for axis in image["axes"]).upper()
    scale, *shift = image["datasets"][0]["coordinateTransformations"]
    steps = zip(axes, image["axes"], scale["scale"], strict=True)
    said = {name: step for name, axis, step in steps if "unit" in axis}
    kept = {"omero": about["omero"]} if "omero" in about else {}
    if shift:
        kept["translation"] = dict(zip(axes, shift[0]["translation"], strict=True))
    order = dict(group.attrs)["g2g"]["axes"]
    shape = tuple(array.shape[axes.index(axis)] for axis in order)
    stack = Stack(
        np.broadcast_to(np.zeros((), array.dtype), shape),
        order,
        PixelSize(said.get("X"), said.get("Y"), said.get("Z")),
        tuple(each["label"] for each in kept.get("omero", {}).get("channels", ())),
        said.get("T"),
        kind="zarr",
        metadata=kept,
    )

    def frame(index: int) -> Pixels:
        return np.asarray(array[_place(stack, index)])

    return stack.with_pixels(made_frames(frame, shape, stack.dtype))


def _level(
    group: zarr.Group, stack: Stack, number: int, shape: tuple[int, int], compression: str
) -> Any:
    """Make the array of a level."""
    from zarr.codecs import GzipCodec, ZstdCodec

    axes = _axes(stack)
    lead = tuple(stack.shape[stack.axes.index(axis)] for axis in axes[:-2])
    codecs = {
        "none": None,
        "zlib": GzipCodec(level=LEVELS["zlib"]),
        "zstd": ZstdCodec(level=LEVELS["zstd"]),
    }
    return group.create_array(
        str(number),
        shape=(*lead, *shape),
        chunks=(*(1 for _ in lead), *(min(n, TILE_PX) for n in shape)),
        dtype=stack.dtype,
        compressors=codecs[compression],
        dimension_names=list(axes.lower()),
    )


def _axes(stack: Stack) -> str:
    return "".join(axis for axis in ORDER if axis in stack.axes)


def _place(stack: Stack, index: int) -> tuple[int, ...]:
    """Give where in the arrays a frame is."""
    places = np.unravel_index(index, stack.shape[:-2])
    found = dict(zip(stack.axes, places, strict=False))
    return tuple(int(found[axis]) for axis in _axes(stack)[:-2])


def _about(stack: Stack, levels: int) -> dict[str, Any]:
    """Give what the specification has of an image: axes, units, scales and channels."""
    size, axes = stack.pixel_size, _axes(stack)
    first = stack.metadata.get("translation", {})
    steps = {"T": stack.time_step_s, "Z": size.z_um, "Y": size.y_um, "X": size.x_um}
    named = [_axis(axis, known=steps.get(axis) is not None) for axis in axes]
    datasets = []
    for level in range(levels):
        grown = [2**level if axis in "YX" else 1 for axis in axes]
        scale = [(steps.get(a) or 1.0) * n for a, n in zip(axes, grown, strict=True)]
        # The middle of a pixel that stands for several is not that of the first of them.
        places = zip(axes, scale, grown, strict=True)
        shift = [float(first.get(a, 0.0)) + s / n * (n - 1) / 2 for a, s, n in places]
        moved: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if any(shift):
            moved.append({"type": "translation", "translation": shift})
        datasets.append({"path": str(level), "coordinateTransformations": moved})
    about: dict[str, Any] = {"version": VERSION}
    about["multiscales"] = [{"axes": named, "datasets": datasets}]
    channels = _channels(stack)
    omero = dict(stack.metadata.get("omero", {})) | {"channels": channels}
    return about | ({"omero": omero} if channels else {})


def _axis(axis: str, *, known: bool) -> dict[str, str]:
    about = {"name": axis.lower()}
    if axis in TYPES:
        about["type"] = TYPES[axis]
    return about | ({"unit": UNITS[axis]} if known else {})


def _channels(stack: Stack) -> list[dict[str, Any]]:
    """Give name, colour and range of each channel, where any name or colour is known."""
    kept = omero_channels(stack)
    names, colours = channel_names(stack), channel_colours(stack)
    if kept or not (names or colours):
        return kept
    limits = np.iinfo(stack.dtype) if stack.dtype.kind in "ui" else None
    low, high = (int(limits.min), int(limits.max)) if limits else (0, 1)
    window = {"min": low, "max": high, "start": low, "end": high}
    return [
        {
            "label": names[number] if names else "",
            "color": colours[number] if colours else WHITE,
            "window": window,
            "active": True,
        }
        for number in range(max(len(names), len(colours)))
    ]
