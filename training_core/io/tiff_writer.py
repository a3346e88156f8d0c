"""Write a stack as the kind of TIFF it came from: whole or not at all, and read back to check."""

from __future__ import annotations

import json
import math
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from training_core.draft import draft
from training_core.errors import InputError, OutputError
from training_core.formats.axes import arrange
from training_core.frames import HELD_BYTES
from training_core.resources import program
from training_core.run import SILENT, Run, Stage
from training_core.stack import Pixels, PixelSize, Stack, float_of

from .tiff_reader import read_tiff

SUFFIXES = (".tif", ".tiff", ".btf")
IMAGEJ_DTYPES = ("uint8", "uint16", "int16", "float32")
OME_DTYPES = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64")
# Beyond this the 32-bit offsets of classic TIFF, and so ImageJ's own format, run out.
CLASSIC_BYTES = 2**32 - 2**25
COUNTED_BY_SHAPE = ("images", "channels", "slices", "frames", "hyperstack", "order", "axes")


def write_stack(
    stack: Stack,
    path: Path,
    *,
    overwrite: bool = False,
    description: Mapping[str, Any] | None = None,
    run: Run = SILENT,
) -> Path:
    """Write a stack as TIFF.

    An ImageJ file is written as ImageJ TIFF, everything else as OME-TIFF, or as plain TIFF where
    OME has no such pixel type or axes; beyond 4 GB as BigTIFF. Dtype, axes, pixel size, frame
    interval, channel names and display settings stay.

    Parameters
    ----------
    stack
        What to write.
    path
        A name ending in .tif or .tiff, in a folder that exists.
    overwrite
        Whether an existing file may be replaced; the file that the stack came from never is.
    description
        How the pixels were made (JSON values); stored inside the file.

    Returns
    -------
    Path
        `path`, once the file is there and was read back equal, pixel by pixel.

    Raises
    ------
    OutputError
        When the file may not or cannot be written; nothing is left behind then.
    Cancelled
        When asked to; nothing is left behind either.
    """
    check_target(stack, path, overwrite=overwrite)
    check_room(path, stack.pixels.nbytes)
    run.start(Stage.WRITE, 2 * stack.frame_count)
    with _whole_or_nothing(path) as temporary:
        _write(stack, temporary, _provenance(stack, description), run)
        _compare(stack, temporary, path.name, run)
    run.finish(Stage.WRITE)
    return path


def check_target(stack: Stack, path: Path, *, overwrite: bool = False) -> None:
    """Raise `OutputError` where `write_stack` would refuse to write, before any work is done."""
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path.name} cannot be written; choose a name that ends in .tif.")
    if not path.parent.is_dir():
        raise OutputError(f"There is no folder {path.parent} to write {path.name} to.")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; choose the name of a file.")
    if not path.exists():
        return
    if stack.source is not None and stack.source.exists() and path.samefile(stack.source):
        raise OutputError(f"{path.name} is the noisy stack itself; choose another name.")
    if not overwrite:
        raise OutputError(f"{path} exists already; choose another name or allow overwriting.")


def check_room(path: Path, needed: int) -> None:
    """Raise `OutputError` where a disk has less room than so many bytes."""
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise OutputError(
            f"{path.name} needs {needed / 1e9:.1f} GB and its disk has {free / 1e9:.1f} GB left; "
            "make room or choose another disk."
        )


def room_for(stack: Stack, *, as_float: bool = False) -> int:
    """Give how many bytes a stack's result takes on the disk until it is written."""
    pixels, working = math.prod(stack.shape), float_of(stack.dtype).itemsize
    lying = pixels * working if pixels * working > HELD_BYTES else 0
    return lying + pixels * (4 if as_float else stack.dtype.itemsize)


@contextmanager
def _whole_or_nothing(path: Path) -> Iterator[Path]:
    """Give a name to write to, which becomes the path at the end, or nothing."""
    try:
        with draft(path) as temporary:
            yield temporary
    except (OSError, InputError) as error:
        # numpy says only how many bytes of a frame were written, not why.
        full = isinstance(error, OSError) and error.errno is None
        reason = "the disk is full, or files may not be as large here" if full else error
        raise OutputError(f"{path} cannot be written: {reason}.") from error


def _provenance(stack: Stack, description: Mapping[str, Any] | None) -> str:
    facts = dict(description or {})
    if stack.value_unit:
        facts["value_unit"] = stack.value_unit  # no TIFF has a place for it; reading finds it here
    return f"{program()} {json.dumps(facts, sort_keys=True, default=str)}"


def _write(stack: Stack, path: Path, provenance: str, run: Run) -> None:
    options = _options(stack, provenance)
    tifffile.imwrite(
        path,
        _frames(stack, run),
        shape=stack.shape,
        dtype=stack.dtype,
        software=program(),
        bigtiff=stack.pixels.nbytes > CLASSIC_BYTES,
        **options,
    )
    if options.get("imagej") and "I" in stack.axes:
        _forget_frames(path)


def _frames(stack: Stack, run: Run) -> Iterator[Pixels]:
    for index in range(stack.frame_count):
        run.check()
        yield stack.file_frame(index)
        if run.tick_due():
            run.progress(Stage.WRITE, index + 1, 2 * stack.frame_count)


def _options(stack: Stack, provenance: str) -> dict[str, Any]:
    photometric = stack.metadata.get("photometric", "minisblack")
    if _fits_imagej(stack):
        options = _imagej_options(stack, provenance)
        # A composite has its tables in the metadata; this is that of a single channel.
        if stack.dtype == np.uint8 and "C" not in stack.axes:
            options["colormap"] = stack.metadata.get("colormap")
        return options | {"photometric": photometric, "imagej": True}
    # Q is "other" in OME; tifffile gives it back, and Bio-Formats shows it as time.
    metadata: dict[str, Any] = {"axes": stack.axes.replace("I", "Q"), "Description": provenance}
    metadata |= _ome_calibration(stack)
    metadata["UUID"] = f"urn:uuid:{uuid.uuid4()}"  # tifffile's own would tell of this computer
    # OME has three free axes; a fourth fits only into tifffile's own description.
    ome = stack.dtype.name in OME_DTYPES and not set("TZCI") <= set(stack.axes)
    return _resolution(stack) | {"photometric": photometric, "ome": ome, "metadata": metadata}


def _fits_imagej(stack: Stack) -> bool:
    ordered = stack.axes in ("IYX", "".join(axis for axis in "TZCYX" if axis in stack.axes))
    small = stack.pixels.nbytes < CLASSIC_BYTES
    return stack.kind == "imagej" and ordered and small and stack.dtype.name in IMAGEJ_DTYPES


def _imagej_options(stack: Stack, provenance: str) -> dict[str, Any]:
    """Keep what ImageJ stored (lookup tables, ranges, mode, labels), with the calibration in um."""
    kept = stack.metadata.get("imagej", {})
    metadata = {k: _ascii(v) for k, v in kept.items() if k not in COUNTED_BY_SHAPE}
    metadata["axes"] = stack.axes.replace("I", "T")  # ImageJ has no unnamed axis; see below
    metadata["Info"] = f"{kept.get('Info', '')}\n{provenance}".lstrip("\n")
    if stack.time_step_s is not None:
        metadata |= {"finterval": stack.time_step_s, "tunit": "sec"}
    size = stack.pixel_size
    if size.x_um is None or size.y_um is None:
        return _resolution(stack) | {"metadata": metadata}
    metadata["unit"] = "um"
    metadata.pop("spacing", None)
    if size.z_um is not None:
        metadata["spacing"] = size.z_um
    return {"resolution": (1 / size.x_um, 1 / size.y_um), "metadata": metadata}


def _ascii(value: Any) -> Any:
    """Escape as ImageJ does what its description cannot hold."""
    return value.encode("ascii", "backslashreplace").decode() if isinstance(value, str) else value


def _ome_calibration(stack: Stack) -> dict[str, Any]:
    size = stack.pixel_size
    metadata: dict[str, Any] = dict(stack.metadata.get("ome_unknown", {}))
    for axis, value in (("X", size.x_um), ("Y", size.y_um), ("Z", size.z_um)):
        if value is not None:
            metadata |= {f"PhysicalSize{axis}": value, f"PhysicalSize{axis}Unit": "µm"}
    if stack.time_step_s is not None:
        metadata |= {"TimeIncrement": stack.time_step_s, "TimeIncrementUnit": "s"}
    channels = dict(stack.metadata.get("ome_channels", {}))
    if stack.channels:
        channels["Name"] = list(stack.channels)
    count = stack.shape[stack.axes.index("C")] if "C" in stack.axes else 1
    channels = {name: values for name, values in channels.items() if len(values) == count}
    return metadata | ({"Channel": channels} if channels else {})


def _resolution(stack: Stack) -> dict[str, Any]:
    """Give the resolution tags: from the pixel size, else as they were."""
    size = stack.pixel_size
    if size.x_um is not None and size.y_um is not None:
        return {
            "resolution": (1e4 / size.x_um, 1e4 / size.y_um),
            "resolutionunit": "CENTIMETER",
        }
    kept = {k: stack.metadata.get(k) for k in ("resolution", "resolutionunit")}
    return kept if kept["resolution"] and min(kept["resolution"]) > 0 else {}


def _forget_frames(path: Path) -> None:
    """Take the count of frames out of an ImageJ header, as in a stack of unnamed images."""
    header = str(tifffile.tiffcomment(path))
    lines = [line for line in header.splitlines() if not line.startswith("frames=")]
    tifffile.tiffcomment(path, "\n".join(lines) + "\n")


def _compare(stack: Stack, path: Path, name: str, run: Run) -> None:
    """Read the file back; raise `OutputError` where it is not what was meant."""
    again = read_tiff(path)  # through the page cache: it checks what was said, not the disk
    # Without axes of length one, as reading gives it; of the pixels only the form is looked at.
    meant = arrange(np.broadcast_to(np.zeros((), stack.dtype), stack.shape), stack.axes)
    facts = {
        "shape": again.shape == meant.pixels.shape,
        "axes": again.axes == meant.axes,
        "type": again.dtype == stack.dtype,
        "pixel size": _close(again.pixel_size, stack.pixel_size),
        "channel names": again.channels == stack.channels or again.kind == "imagej",
    }
    wrong = [fact for fact, same in facts.items() if not same]
    if not wrong:
        wrong = ["pixels"] * any(_differs(stack, again, i, run) for i in range(stack.frame_count))
    if wrong:
        raise OutputError(
            f"{name} was not written: read back, its {' and '.join(wrong)} differed from the stack."
        )


def _differs(stack: Stack, again: Stack, index: int, run: Run) -> bool:
    run.check()
    if run.tick_due():
        run.progress(Stage.WRITE, stack.frame_count + index + 1, 2 * stack.frame_count)
    return stack.file_frame(index).tobytes() != again.raw_frame(index).tobytes()


def _close(one: PixelSize, other: PixelSize) -> bool:
    return all(
        a == b or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-5))
        for a, b in zip(astuple(one), astuple(other), strict=True)
    )
