"""Write a stack as ImageJ TIFF, OME-TIFF or plain TIFF, frame by frame."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from training_core.io.tiff_calibration import (
    LARGEST_BELIEVED_UM,
    imagej_calibration,
    ome_calibration,
    plain_calibration,
)
from training_core.resources import program
from training_core.stack import Pixels, PixelSize, Stack

from .checked import Frames
from .facts import channel_colours, channel_names, colours_of, opacity_of, palette_of
from .ome_xml import DESCRIPTION, ome_xml
from .pyramid import halved, level_shapes

IMAGEJ_DTYPES = ("uint8", "uint16", "int16", "float32")
OME_DTYPES = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64")
# Beyond this the 32-bit offsets of classic TIFF, and so ImageJ's own format, run out.
CLASSIC_BYTES = 2**32 - 2**25
COUNTED_BY_SHAPE = ("images", "channels", "slices", "frames", "hyperstack", "order", "axes")
TILE = (512, 512)
PHOTOMETRIC = {"RGB": "rgb", "CMYK": "separated", "CIELAB": "cielab"}
UNASSOCIATED = 2  # the kind of opacity that has not changed the colours
REDUCED = 1  # the bit of NewSubfileType for a smaller copy
BYTE, ASCII = 1, 2  # types of a tag

Options = dict[str, Any]


def why_not_imagej(stack: Stack) -> str:
    """Say why a stack is no ImageJ TIFF; "" where it can be one."""
    if stack.kind != "imagej":
        return "only what came from ImageJ goes back to it"
    if stack.dtype.name not in IMAGEJ_DTYPES:
        return f"ImageJ knows no pixels of {stack.dtype}"
    if colours_of(stack) and stack.dtype != np.uint8:
        return f"ImageJ knows no colour pictures of {stack.dtype}"
    if stack.axes not in ("IYX", "".join(axis for axis in "TZCYX" if axis in stack.axes)):
        return f"ImageJ cannot have the axes {stack.axes}"
    if stack.pixels.nbytes >= CLASSIC_BYTES:
        return "ImageJ TIFF ends at 4 GB"
    size = stack.pixel_size
    plane = (size.x_um, size.y_um)
    if any(plane) != all(plane) or (size.z_um and not any(plane)):
        return "ImageJ has no sizes in one direction alone"
    if (size.x_um or 0.0) >= LARGEST_BELIEVED_UM:
        return "ImageJ takes so large a pixel for none that is known"
    return ""


def why_not_plain(stack: Stack) -> str:
    """Say why a stack is no plain TIFF, which says nothing of axes and channels; "" if it is."""
    lead = stack.axes[: -3 if colours_of(stack) else -2]
    if stack.kind != "tiff" or lead not in ("", "I"):
        return "plain TIFF has no places for axes and channels"
    if channel_names(stack) and not colours_of(stack):
        return "plain TIFF has no place for the names of channels"
    kept = {k: stack.metadata.get(k) for k in ("resolution", "resolutionunit")}
    tagged = PixelSize()
    if kept["resolution"]:
        tagged = plain_calibration(kept["resolution"], kept["resolutionunit"] or 1).pixel_size
    same = _same_size(tagged, stack.pixel_size)
    return "" if same else "plain TIFF has no place for its pixel size"


def why_not_ome(stack: Stack) -> str:
    """Say why a stack is no OME-TIFF; "" where it can be one."""
    if stack.dtype.name not in OME_DTYPES:
        return f"OME-TIFF knows no pixels of {stack.dtype}"
    # OME has three free axes; a fourth fits only into tifffile's own description.
    if set("TZCI") <= set(stack.axes):
        return f"OME-TIFF cannot have the axes {stack.axes}"
    return ""


def write_imagej(frames: Frames, path: Path, note: str, compression: str) -> None:
    """Write what ImageJ stored (lookup tables, ranges, mode, labels) and the calibration."""
    stack = frames.stack
    options = _imagej_options(stack, note) | {"imagej": True}
    # A composite has its tables in the metadata; this is that of a single channel.
    if stack.dtype == np.uint8 and "C" not in stack.axes:
        options["colormap"] = stack.metadata.get("colormap")
    _write(frames, path, compression, options, samples=len(colours_of(stack)) or 1)
    if "I" in stack.axes:
        _forget_frames(path)


def write_plain(frames: Frames, path: Path, note: str, compression: str) -> None:
    """Write pages, with the tags that say of description, artist, date and resolution."""
    stack = frames.stack
    said = stack.metadata.get("tags", {}).get(DESCRIPTION, "")
    options = _resolution(stack) | {"metadata": None, "extratags": _tags(stack)}
    options["description"] = f"{said}\n{note}".lstrip("\n").encode()
    palette = palette_of(stack)
    if palette is not None:
        options |= {"colormap": palette, "photometric": "palette"}
    samples = len(colours_of(stack)) or 1
    _write(frames, path, compression, options, samples=samples, opacity=opacity_of(stack))


def write_shaped(frames: Frames, path: Path, note: str, compression: str) -> None:
    """Write what neither ImageJ nor OME can hold; the axes are in a description of tifffile's."""
    stack = frames.stack
    metadata = {"axes": stack.axes.replace("I", "Q"), "Description": note} | _calibration(stack)
    options = _resolution(stack) | {"metadata": metadata, "extratags": _tags(stack)}
    _write(frames, path, compression, options)


def write_ome(frames: Frames, path: Path, note: str, compression: str) -> None:
    """Write with OME-XML, the input's own where there is one; large planes as a pyramid."""
    stack = frames.stack
    samples = 3 if colours_of(stack) == "RGB" else 1
    about, tags = _calibration(stack), stack.metadata.get("tags", {})
    if DESCRIPTION in tags:
        about["Description"] = tags[DESCRIPTION]
    axes = stack.axes.replace("I", "Q")
    text = ome_xml(
        stack.dtype,
        _stored_shape(stack, samples),
        f"{axes[:-3]}YXS" if samples > 1 else axes,
        about,
        provenance=note,
        creator=program(),
        uuid=str(uuid.uuid4()),  # tifffile's own would tell of this computer
        kept=stack.metadata,
        calibrated=_as_noted(stack),
    )
    options = _resolution(stack) | {"metadata": None, "extratags": _tags(stack)}
    options["description"] = text
    levels = level_shapes(stack.frame_shape)
    _write(frames, path, compression, options, samples=samples, levels=levels)


def written_bytes(stack: Stack) -> int:
    """Give how many bytes the pixels of a stack are, with the smaller copies of large planes."""
    height, width = stack.frame_shape
    smaller = sum(h * w for h, w in level_shapes(stack.frame_shape))
    return stack.pixels.nbytes + stack.pixels.nbytes * smaller // (height * width)


def _write(
    frames: Frames,
    path: Path,
    compression: str,
    options: Options,
    *,
    samples: int = 1,
    levels: Sequence[tuple[int, int]] = (),
    opacity: Pixels | None = None,
) -> None:
    """Write all planes, with their opacity where there is one, and after them smaller copies."""
    stack, imagej = frames.stack, options.pop("imagej", False)
    packed: Options = {"software": program(), "dtype": stack.dtype}
    packed["photometric"] = options.pop("photometric", _photometric(stack, samples))
    if samples > 1:
        packed["planarconfig"] = "contig"
    if compression != "none":
        packed["compression"] = compression
        # What differs from pixel to pixel is smaller; few programs know that of fractions.
        whole = stack.dtype.kind in "ui" and stack.dtype.itemsize <= 4
        packed["predictor"] = whole and not imagej
    if levels:
        packed["tile"] = TILE
    shape, big = _stored_shape(stack, samples), written_bytes(stack) > CLASSIC_BYTES
    with tifffile.TiffWriter(path, bigtiff=big, imagej=imagej, ome=False) as file:
        pixels = _tiles(frames, samples, 0) if levels else frames.planes(samples)
        if opacity is not None:
            pixels, shape = _with_opacity(pixels, opacity), (*opacity.shape, samples + 1)
            packed["planarconfig"] = "contig"
            packed["extrasamples"] = (stack.metadata.get("extrasample", UNASSOCIATED),)
        file.write(pixels, shape=shape, subifds=len(levels), **packed, **options)
        for number, (height, width) in enumerate(levels, 1):
            file.write(
                _tiles(frames, samples, number),
                shape=(*shape[: stack.axes.index("Y") - (samples > 1)], height, width)
                + ((samples,) if samples > 1 else ()),
                subfiletype=REDUCED,
                metadata=None,
                **packed,
            )


def _with_opacity(planes: Iterator[Pixels], opacity: Pixels) -> Iterator[Pixels]:
    """Give each plane with how transparent its pixels are as one sample more."""
    every = opacity.reshape(-1, *opacity.shape[-2:])
    for number, plane in enumerate(planes):
        yield np.dstack([plane, np.asarray(every[number], plane.dtype)])


def _tiles(frames: Frames, samples: int, level: int) -> Iterator[Pixels]:
    """Give all planes tile by tile, halved as often as the level says."""
    for plane in frames.planes(samples):
        smaller = plane
        for _ in range(level):
            smaller = halved(smaller)
        for top in range(0, smaller.shape[0], TILE[0]):
            for left in range(0, smaller.shape[1], TILE[1]):
                yield smaller[top : top + TILE[0], left : left + TILE[1]]


def _stored_shape(stack: Stack, samples: int) -> tuple[int, ...]:
    """Give the shape with the samples of a pixel together, as a picture has them."""
    shape = stack.shape
    return (*shape[:-3], *shape[-2:], samples) if samples > 1 else shape


def _photometric(stack: Stack, samples: int) -> str:
    if samples > 1:
        return PHOTOMETRIC[colours_of(stack)]
    return str(stack.metadata.get("photometric", "minisblack"))


def _tags(stack: Stack) -> list[tuple[int, int, int | None, bytes, bool]]:
    """Give what the input said of artist, date and microscope, for the first page."""
    said, noted = stack.metadata.get("tags", {}), stack.metadata.get("microscope", {})
    texts = [
        (tifffile.TIFF.TAGS[name], ASCII, None, str(text).encode(), True)
        for name, text in said.items()
        if name != DESCRIPTION
    ]
    return texts + [(number, BYTE, len(text), text, True) for number, text in noted.items()]


def _imagej_options(stack: Stack, note: str) -> Options:
    """Give all that ImageJ noted; the calibration as it was, or in um where it was corrected."""
    kept = stack.metadata.get("imagej", {})
    metadata = {k: _ascii(v) for k, v in kept.items() if k not in COUNTED_BY_SHAPE}
    metadata["axes"] = stack.axes.replace("I", "T")  # ImageJ has no unnamed axis; see below
    samples = len(colours_of(stack))
    if samples:
        metadata["axes"] = f"{metadata['axes'][:-3]}YXS"
    metadata["Info"] = f"{kept.get('Info', '')}\n{note}".lstrip("\n")
    options = {"metadata": metadata, "extratags": _tags(stack)} | _resolution(stack)
    if _as_noted(stack):
        return options
    if stack.time_step_s is not None:
        metadata |= {"finterval": stack.time_step_s, "tunit": "sec"}
    size = stack.pixel_size
    if size.x_um is None or size.y_um is None:
        return options
    for name in ("spacing", "yunit", "zunit"):
        metadata.pop(name, None)
    metadata["unit"] = "um"
    if size.z_um is not None:
        metadata["spacing"] = size.z_um
    return options | {"resolution": (1 / size.x_um, 1 / size.y_um), "resolutionunit": "NONE"}


def _ascii(value: Any) -> Any:
    """Escape as ImageJ does what its description cannot hold."""
    return value.encode("ascii", "backslashreplace").decode() if isinstance(value, str) else value


def _as_noted(stack: Stack) -> bool:
    """Whether the metadata of the input say of sizes and interval what the stack does."""
    metadata = stack.metadata
    if "imagej" in metadata and "resolution" in metadata:
        noted = imagej_calibration(metadata["imagej"], metadata["resolution"])
    elif "ome_xml" in metadata:
        noted = ome_calibration(metadata["ome_xml"])
    else:
        return False
    timed = stack.time_step_s in (None, noted.time_step_s)
    return timed and _same_size(noted.pixel_size, stack.pixel_size)


def _calibration(stack: Stack) -> Options:
    """Give sizes, interval and channels in the words of OME."""
    size = stack.pixel_size
    metadata: Options = dict(stack.metadata.get("ome_unknown", {}))
    for axis, value in (("X", size.x_um), ("Y", size.y_um), ("Z", size.z_um)):
        if value is not None:
            metadata |= {f"PhysicalSize{axis}": value, f"PhysicalSize{axis}Unit": "µm"}
    if stack.time_step_s is not None:
        metadata |= {"TimeIncrement": stack.time_step_s, "TimeIncrementUnit": "s"}
    if colours_of(stack) == "RGB":
        return metadata
    channels = dict(stack.metadata.get("ome_channels", {}))
    colours = channel_colours(stack)
    if colours and "Color" not in channels:
        channels["Color"] = [_signed(int(f"{colour}FF", 16)) for colour in colours]
    names = channel_names(stack)
    if names:
        channels["Name"] = list(names)
    count = stack.shape[stack.axes.index("C")] if "C" in stack.axes else 1
    channels = {name: values for name, values in channels.items() if len(values) == count}
    return metadata | ({"Channel": channels} if channels else {})


def _signed(colour: int) -> int:
    """Give a number of 32 bits as OME has it, with a sign."""
    return colour - 2**32 if colour >= 2**31 else colour


def _resolution(stack: Stack) -> Options:
    """Give the resolution tags as they were where they still hold, else from the pixel size."""
    kept: Options = {k: stack.metadata.get(k) for k in ("resolution", "resolutionunit")}
    believed = bool(kept["resolution"]) and min(kept["resolution"]) > 0
    if believed and (stack.kind == "imagej" and _as_noted(stack)):
        return kept
    size = stack.pixel_size
    if believed and stack.kind == "tiff":
        tagged = plain_calibration(kept["resolution"], kept["resolutionunit"] or 1)
        if _same_size(tagged.pixel_size, PixelSize(size.x_um, size.y_um)):
            return kept
    if size.x_um is not None and size.y_um is not None:
        return {
            "resolution": (1e4 / size.x_um, 1e4 / size.y_um),
            "resolutionunit": "CENTIMETER",
        }
    return kept if believed else {}


def _same_size(one: PixelSize, other: PixelSize) -> bool:
    return all(
        a == b or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-5))
        for a, b in zip(astuple(one), astuple(other), strict=True)
    )


def _forget_frames(path: Path) -> None:
    """Take the count of frames out of an ImageJ header, as in a stack of unnamed images."""
    header = str(tifffile.tiffcomment(path))
    lines = [line for line in header.splitlines() if not line.startswith("frames=")]
    tifffile.tiffcomment(path, "\n".join(lines) + "\n")
