"""What a stack knows beside its pixels, and what of it a format cannot keep or has not kept."""

from __future__ import annotations

import math
import unicodedata
import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from training_core.stack import Pixels, Stack

from .ome_xml import DESCRIPTION, description_of, kept_of

Fact = Callable[[Stack], Any]


def _imagej(*names: str) -> Fact:
    """Give what an ImageJ file says under these names."""
    return lambda stack: _under(stack.metadata.get("imagej", {}), names)


def _under(said: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: said[name] for name in names if name in said}


def _size(stack: Stack) -> tuple[float, ...] | None:
    size = stack.pixel_size
    # The distance of slices says nothing of a stack that has none.
    known = (size.x_um, size.y_um, size.z_um if _counts(stack, "ZI") else None)
    return tuple(value or 0.0 for value in known) if any(known) else None


def _interval(stack: Stack) -> float | None:
    return stack.time_step_s if _counts(stack, "TI") else None


def _counts(stack: Stack, axes: str) -> bool:
    """Whether there is more than one along any of the axes."""
    return any(n > 1 and a in axes for n, a in zip(stack.shape, stack.axes, strict=True))


def channel_names(stack: Stack) -> tuple[str, ...]:
    """Give the names of the channels where each has one, as a file can hold them."""
    count = stack.shape[stack.axes.index("C")] if "C" in stack.axes else 1
    names = tuple(map(_shown, stack.channels))
    return names if len(names) == count and any(names) else ()


def _shown(name: str) -> str:
    """Leave out what XML has no place for, or would make a blank of."""
    return "".join(c for c in name if c.isprintable() or unicodedata.category(c) == "Zs")


def channel_colours(stack: Stack) -> tuple[str, ...]:
    """Give the colour of each channel in hexadecimal, such as "00FF00"; () where one lacks.

    Of ImageJ's lookup tables it is the brightest.
    """
    return _noted_colours(stack) or _of_tables(stack)


def _of_tables(stack: Stack) -> tuple[str, ...]:
    count = stack.shape[stack.axes.index("C")] if "C" in stack.axes else 1
    tables = [np.asarray(table) for table in stack.metadata.get("imagej", {}).get("LUTs", ())]
    if len(tables) != count or any(table.shape != (3, 256) for table in tables):
        return ()
    return tuple(bytes(table[:, -1].astype(np.uint8)).hex().upper() for table in tables)


def _noted_colours(stack: Stack) -> tuple[str, ...]:
    count = stack.shape[stack.axes.index("C")] if "C" in stack.axes else 1
    noted = stack.metadata.get("ome_channels", {}).get("Color", ())
    # As OME has them, signed numbers of red, green, blue and opacity.
    colours = [f"{int(colour) & 0xFFFFFFFF:08X}"[:6] for colour in noted]
    colours = colours or [str(each.get("color", "")).upper() for each in omero_channels(stack)]
    return tuple(colours) if len(colours) == count and all(colours) else ()


def omero_channels(stack: Stack) -> list[Any]:
    """Give what an OME-Zarr said of how its channels are shown; [] where that is another count."""
    count = stack.shape[stack.axes.index("C")] if "C" in stack.axes else 1
    channels = list(stack.metadata.get("omero", {}).get("channels", ()))
    return channels if len(channels) == count else []


def _wavelengths(stack: Stack) -> dict[str, Any]:
    noted = stack.metadata.get("ome_channels", {})
    return {name: value for name, value in noted.items() if name not in ("Name", "Color")}


def colours_of(stack: Stack) -> str:
    """Name what the channels of a picture mean, such as "RGB"; "" where they are measurements."""
    colours = str(stack.metadata.get("colours", ""))
    whole = stack.axes.endswith("CYX") and stack.shape[-3] == len(colours)
    return colours if whole else ""


def opacity_of(stack: Stack) -> Pixels | None:
    """Give how transparent the pixels of a picture are, a plane for each; None where not known."""
    opacity: Pixels | None = stack.metadata.get("opacity")
    pictures = stack.shape[:-3] if colours_of(stack) else stack.shape[:-2]
    fits = opacity is not None and opacity.shape == (*pictures, *stack.frame_shape)
    return opacity if fits else None


def _opacity(stack: Stack) -> list[int]:
    """Give the checksum of each plane of opacity; the type of its numbers may be another."""
    opacity = opacity_of(stack)
    planes = () if opacity is None else opacity.reshape(-1, *stack.frame_shape)
    return [zlib.crc32(np.asarray(planes[n], np.float64).tobytes()) for n in range(len(planes))]


def palette_of(stack: Stack) -> Pixels | None:
    """Give the colours of a plain picture's values, (3, values) uint16; None without."""
    table = stack.metadata.get("colormap")
    bits = {"uint8": 8, "uint16": 16}.get(stack.dtype.name, 0)
    if table is None or not bits or "C" in stack.axes or "imagej" in stack.metadata:
        return None
    lacking = 2**bits - len(table[0])  # of pictures with fewer bits
    return np.pad(np.asarray(table, np.uint16), ((0, 0), (0, max(lacking, 0))))


def _palette(stack: Stack) -> list[Any] | None:
    table = palette_of(stack)
    return None if table is None else table.tolist()


def _dicom(stack: Stack) -> bool:
    return bool(stack.metadata.get("dicom"))


def _shown_as(stack: Stack) -> str:
    mode = str(stack.metadata.get("imagej", {}).get("mode", ""))
    return "" if mode == "grayscale" else mode  # which says nothing


def _credits(stack: Stack) -> dict[str, str]:
    said = stack.metadata.get("tags", {})
    return {name: text for name, text in said.items() if name != DESCRIPTION}


def _named(stack: Stack) -> tuple[str, ...]:
    return () if colours_of(stack) else channel_names(stack)


# In the words of the sentence that tells what is lost. A fact is there where it is not empty.
FACTS: dict[str, Fact] = {
    "pixel size": _size,
    "frame interval": _interval,
    "channel names": _named,
    "unit of the values": lambda stack: stack.value_unit,
    "colours of its picture": lambda stack: colours_of(stack) == "RGB",
    "printing colours of its picture": lambda s: colours_of(s) not in ("", "RGB"),
    "palette": _palette,
    "opacity of its pixels": _opacity,
    "channel colours": _noted_colours,
    "wavelengths of its channels": _wavelengths,
    "display windows": lambda stack: [c.get("window") for c in omero_channels(stack)],
    "place of its first pixel": lambda stack: stack.metadata.get("translation"),
    "planes, dates and instrument of its OME metadata": lambda s: kept_of(s.metadata),
    "lookup tables": _imagej("LUTs"),
    "way its channels are shown": _shown_as,
    "display ranges": _imagej("Ranges", "min", "max"),
    "slice labels": _imagej("Labels"),
    "regions and overlays": _imagej("ROI", "Overlays"),
    "calibration of its values": _imagej("cf", "c0", "c1", "c2", "c3", "c4", "vunit"),
    "properties and notes": _imagej("Properties", "Info", "xorigin", "yorigin", "zorigin"),
    "description": lambda stack: description_of(stack.metadata),
    "artist, camera and date": _credits,
    "notes of its microscope": lambda stack: stack.metadata.get("microscope"),
    "patient, geometry and frame of reference": _dicom,
}


def carried(stack: Stack) -> dict[str, Any]:
    """Give the facts that a stack has, by their names."""
    found = {name: fact(stack) for name, fact in FACTS.items()}
    return {name: value for name, value in found.items() if value}


def told_lost(stack: Stack, format_name: str, keeps: Collection[str]) -> str:
    """Say in a sentence what a format cannot keep of a stack; "" where it keeps everything."""
    lost = [name for name in carried(stack) if name not in keeps]
    if not lost:
        return ""
    *most, last = (f"the {name}" for name in lost)
    return f"{format_name} cannot keep {', '.join(most)}{' and ' if most else ''}{last}."


def differing(meant: Stack, again: Stack, keeps: Collection[str]) -> list[str]:
    """Name the facts of a stack that are not in what was read again."""
    found = carried(again)
    return [
        name
        for name, value in carried(meant).items()
        if name in keeps and not _same(value, found.get(name))
    ]


def _same(meant: Any, found: Any) -> bool:
    """Whether a fact is there again: numbers may be rounded as a file does, texts may have grown.

    To notes and descriptions a writer adds how the pixels were made.
    """
    if isinstance(meant, float) and isinstance(found, float):
        return math.isclose(meant, found, rel_tol=1e-5)
    if isinstance(meant, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and _same(value, found[key]) for key, value in meant.items()
        )
    if isinstance(meant, (tuple, list)):
        return (
            isinstance(found, (tuple, list))
            and len(meant) == len(found)
            and all(map(_same, meant, found))
        )
    if isinstance(meant, np.ndarray):
        return bool(np.array_equal(meant, found))
    if isinstance(meant, str) and isinstance(found, str):
        return found.startswith(meant)
    return bool(meant == found)
