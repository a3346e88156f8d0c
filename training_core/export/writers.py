"""The formats that can be written, in one list, and `write_stack`: whole or not at all."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from training_core.draft import draft, folder_draft
from training_core.errors import InputError, OutputError
from training_core.frames import HELD_BYTES
from training_core.io.pictures import read_picture
from training_core.io.tiff_reader import read_tiff
from training_core.resources import program
from training_core.run import SILENT, Run, Stage
from training_core.stack import Stack, float_of
from training_core.wording import bytes_text

from .checked import Frames
from .dicom_writer import (
    as_dicom_holds,
    is_dicom_folder,
    read_again,
    why_not_dicom,
    write_dicom,
)
from .facts import told_lost
from .ome_xml import without_image_names
from .png_writer import why_not_png, write_png
from .tiff_writer import (
    why_not_imagej,
    why_not_ome,
    why_not_plain,
    write_imagej,
    write_ome,
    write_plain,
    write_shaped,
    written_bytes,
)
from .zarr_writer import read_zarr_again, why_not_zarr, write_zarr

TIFF, OME_TIFF = (".tif", ".tiff", ".btf"), (".ome.tif", ".ome.tiff", ".ome.btf")
COMPRESSIONS = ("none", "zlib", "zstd")
_IMAGEJ_ONLY = {
    "lookup tables",
    "way its channels are shown",
    "display ranges",
    "slice labels",
    "regions and overlays",
    "calibration of its values",
    "properties and notes",
}
_TAGS = {"description", "artist, camera and date", "unit of the values", "pixel size"}
_TAGS |= {"notes of its microscope"}
_COLOURS = {"colours of its picture"}
_OPACITY = {"opacity of its pixels"}
_OME = {
    "frame interval",
    "channel names",
    "channel colours",
    "wavelengths of its channels",
    "planes, dates and instrument of its OME metadata",
}


@dataclass(frozen=True, slots=True)
class Writer:
    """Files of one kind.

    Attributes
    ----------
    name, about
        What it is called, and a sentence on what it is good for.
    suffixes
        What its files are called; the first is offered.
    why_not
        Says why a stack cannot be written so; "" where it can.
    keeps
        Names of the facts that it can hold; see `facts`.
    write
        Takes the frames, the file, how they were made, and how to compress them.
    read
        Reads the file again.
    compressions
        What it can be asked for.
    is_folder
        Whether a stack becomes a folder of files.
    meant
        Gives a stack with the values that the format can hold.
    """

    name: str
    about: str
    suffixes: tuple[str, ...]
    why_not: Callable[[Stack], str]
    keeps: frozenset[str]
    write: Callable[[Frames, Path, str, str], None]
    read: Callable[[Path], Stack]
    compressions: tuple[str, ...] = COMPRESSIONS
    is_folder: Callable[[Stack], bool] = lambda stack: False
    meant: Callable[[Stack], Stack] = lambda stack: stack


# The first that a name and a stack fit writes it.
WRITERS = (
    Writer(
        "ImageJ TIFF",
        "Opens in Fiji as the input did, with its lookup tables, labels and overlays.",
        TIFF,
        why_not_imagej,
        frozenset({"pixel size", "frame interval", "unit of the values", "artist, camera and date"})
        | _COLOURS
        | _IMAGEJ_ONLY,
        write_imagej,
        read_tiff,
    ),
    Writer(
        "TIFF",
        "A plain picture or pages, as the input, with its description and date.",
        TIFF,
        why_not_plain,
        frozenset({"printing colours of its picture", "palette"} | _COLOURS | _OPACITY | _TAGS),
        write_plain,
        read_tiff,
    ),
    Writer(
        "OME-TIFF",
        "Opens in Fiji, napari, QuPath and OMERO with axes, sizes and channels.",
        (*OME_TIFF, *TIFF),
        why_not_ome,
        frozenset(_COLOURS | _TAGS | _OME),
        write_ome,
        read_tiff,
    ),
    Writer(
        "PNG",
        "A picture for documents and web pages; one plane of 8 or 16 bit.",
        (".png",),
        why_not_png,
        frozenset(_COLOURS | _OPACITY),
        write_png,
        read_picture,
        compressions=(),
    ),
    Writer(
        "OME-Zarr",
        "A folder of tiles for very large images, for napari and viewers on the net.",
        (".ome.zarr", ".zarr"),
        why_not_zarr,
        frozenset({"pixel size", "frame interval", "channel names", "channel colours"})
        | {"display windows", "place of its first pixel"},
        write_zarr,
        read_zarr_again,
        is_folder=lambda stack: True,
    ),
    Writer(
        "DICOM",
        "A derived series for the archive, with the geometry and the patient of the input.",
        (".dcm",),
        why_not_dicom,
        frozenset({"patient, geometry and frame of reference", "unit of the values"})
        | {"pixel size", "frame interval"}
        | _COLOURS,
        write_dicom,
        read_again,
        compressions=(),
        is_folder=is_dicom_folder,
        meant=as_dicom_holds,
    ),
    Writer(
        "TIFF with axes",
        "For pixels that OME-TIFF does not know; Python's tifffile gives them back.",
        TIFF,
        lambda stack: "",
        frozenset({"frame interval", "channel names"} | _TAGS),
        write_shaped,
        read_tiff,
    ),
)
MANY_FILES = (".dcm", ".ome.zarr", ".zarr")  # may be a folder, where a stack is many files
SUFFIXES = tuple(dict.fromkeys(suffix for known in WRITERS for suffix in known.suffixes))


def suffix_of(path: Path) -> str:
    """Give the ending by which the format is known, such as ".ome.tif"; "" for no known one."""
    name = path.name.lower()
    return max((s for s in SUFFIXES if name.endswith(s)), key=len, default="")


def writer_for(stack: Stack, path: Path) -> Writer:
    """Choose the format by the name of the file, and by what it can hold of the stack.

    Raises
    ------
    OutputError
        When no format has such a name, or none of that name can hold the stack.
    """
    suffix = suffix_of(path)
    known = [writer for writer in WRITERS if suffix in writer.suffixes]
    if not known:
        raise OutputError(
            f"{path.name} cannot be written; choose a name that ends in {_listed(SUFFIXES)}."
        )
    why = [writer.why_not(stack) for writer in known]
    if "" not in why:
        raise OutputError(
            f"{path.name} cannot be written: {why[-1]}; choose a name that ends in .tif."
        )
    return known[why.index("")]


def writers_of(stack: Stack) -> list[Writer]:
    """List the formats that a stack can be written in, the one for its own kind first.

    Each is the one that its first suffix leads to.
    """
    able = [writer for writer in WRITERS if not writer.why_not(stack)]
    return [w for w in able if w is next(o for o in able if w.suffixes[0] in o.suffixes)]


def cannot_keep(stack: Stack, path: Path) -> str:
    """Say in one sentence what the format of a file cannot keep of a stack; "" for nothing."""
    writer = writer_for(stack, path)
    return told_lost(stack, writer.name, writer.keeps)


def write_stack(
    stack: Stack,
    path: str | PathLike[str],
    *,
    overwrite: bool = False,
    description: Mapping[str, Any] | None = None,
    compression: str = "none",
    names: bool = True,
    run: Run = SILENT,
) -> Path:
    """Write a stack in the format that the name of the file says.

    Dtype, axes, pixel size, frame interval, channel names and what else the format can hold stay;
    `cannot_keep` tells the rest.

    Parameters
    ----------
    stack
        What to write; its frames are taken one by one.
    path
        A name with a known ending (`SUFFIXES`), in a folder that exists.
    overwrite
        Whether an existing file may be replaced; the file that the stack came from never is.
    description
        How the pixels were made (JSON values); stored inside the file.
    compression
        "none", "zlib" or "zstd".
    names
        Whether what the input has of names of files may be written; `description` is as it is.

    Returns
    -------
    Path
        `path`, once the file is there and was read back equal, pixel by pixel.

    Raises
    ------
    OutputError
        When the file may not or cannot be written; nothing is left behind then, but a file that
        was read back different, under a name of its own.
    Cancelled
        When asked to; nothing is left behind either.
    """
    path = Path(path)
    check_target(stack, path, overwrite=overwrite, compression=compression)
    stack = stack if names else without_names(stack)
    writer = writer_for(stack, path)
    check_room(path, written_bytes(stack))
    frames = Frames(writer.meant(stack), run)
    run.start(Stage.WRITE, 2 * stack.frame_count)
    with _whole_or_nothing(path, folder=writer.is_folder(stack)) as temporary:
        writer.write(frames, temporary, _provenance(stack, description), compression)
        wrong = frames.differences(writer.read(temporary), writer.keeps)
        if wrong:
            raise OutputError(
                f"{path.name} was not written: read back, its {' and '.join(wrong)} differed from "
                f"the stack. What was written is kept as {_aside(temporary, path).name}; please "
                "report it."
            )
    run.finish(Stage.WRITE)
    return path


def check_target(
    stack: Stack, path: Path, *, overwrite: bool = False, compression: str = "none"
) -> None:
    """Raise `OutputError` where `write_stack` would refuse to write, before any work is done."""
    writer = writer_for(stack, path)
    if compression not in ("none", *writer.compressions):
        raise OutputError(
            f"{writer.name} cannot be compressed with {compression}; leave the compression out."
        )
    if not path.parent.is_dir():
        raise OutputError(f"There is no folder {path.parent} to write {path.name} to.")
    if path.is_dir() and not writer.is_folder(stack):
        raise OutputError(f"{path} is a folder; choose the name of a file.")
    if not path.exists():
        return
    if writer.is_folder(stack):  # it may hold more than was written into it
        raise OutputError(
            f"{path} exists already, and folders are never replaced; choose another name or "
            "remove it."
        )
    if stack.source is not None and stack.source.exists() and path.samefile(stack.source):
        raise OutputError(f"{path.name} is the noisy stack itself; choose another name.")
    if not overwrite:
        raise OutputError(f"{path} exists already; choose another name or allow overwriting.")


def check_room(path: Path, needed: int) -> None:
    """Raise `OutputError` where a disk has less room than so many bytes."""
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise OutputError(
            f"{path.name} needs {bytes_text(needed)} and its disk has {bytes_text(free)} left; "
            "make room or choose another disk."
        )


def room_for(stack: Stack, *, as_float: bool = False) -> int:
    """Give how many bytes a stack's result takes on the disk until it is written."""
    pixels, working = math.prod(stack.shape), float_of(stack.dtype).itemsize
    lying = pixels * working if pixels * working > HELD_BYTES else 0
    return lying + (written_bytes(stack) // stack.dtype.itemsize) * (
        4 if as_float else stack.dtype.itemsize
    )


def without_names(stack: Stack) -> Stack:
    """Give a stack without what usually is the name of a file: of images, slices, documents."""
    kept = dict(stack.metadata)
    if "imagej" in kept:
        kept["imagej"] = {k: v for k, v in kept["imagej"].items() if k != "Labels"}
    kept.pop("microscope", None)  # which may name files and users anywhere
    if "tags" in kept:
        kept["tags"] = {k: v for k, v in kept["tags"].items() if k != "DocumentName"}
    if "ome_xml" in kept:
        kept["ome_xml"] = without_image_names(kept["ome_xml"])
    return replace(stack, metadata=kept)


def planned(stack: Stack, *, as_float: bool = False) -> Stack:
    """Give what will be written of a stack, before there is a result: all but the pixels."""
    value = np.zeros((), np.float32 if as_float else stack.dtype)
    return stack.with_pixels(np.broadcast_to(value, stack.shape))


@contextmanager
def _whole_or_nothing(path: Path, *, folder: bool) -> Iterator[Path]:
    """Give a name to write to, which becomes the path at the end, or nothing."""
    try:
        with (folder_draft if folder else draft)(path) as temporary:
            yield temporary
    except (OSError, InputError) as error:
        # numpy says only how many bytes of a frame were written, not why.
        full = isinstance(error, OSError) and error.errno is None
        reason = "the disk is full, or files may not be as large here" if full else error
        raise OutputError(f"{path} cannot be written: {reason}.") from error


def _aside(written: Path, path: Path) -> Path:
    """Keep what was written but is not what was meant, under a name that nothing has."""
    names = (f"{'differs' if n == 1 else f'differs-{n}'}_{path.name}" for n in count(1))
    aside = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    try:
        os.replace(written, aside)
    except PermissionError:  # where an open file cannot be renamed
        (shutil.copytree if written.is_dir() else shutil.copyfile)(written, aside)
    return aside


def _provenance(stack: Stack, description: Mapping[str, Any] | None) -> str:
    facts = dict(description or {})
    if stack.value_unit:
        facts["value_unit"] = stack.value_unit  # no TIFF has a place for it; reading finds it here
    return f"{program()} {json.dumps(facts, sort_keys=True, default=str)}"


def _listed(names: tuple[str, ...]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"
