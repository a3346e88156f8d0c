"""Leica LIF and LOF by liffile: every image of the file, its pixels where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training_core.errors import InputError

from .file_image import Channels, FileImage, colour, lazy_stack, pixel_size
from .library_file import LibraryFile, library
from .source_file import planes_in_file
from .units import micrometres, seconds

# Leica's other axes (rotation, lambda, mosaic, loop) have no letter here.
UNNAMED = dict.fromkeys("λΛANQML?", "I")
COLOURS = "RGB"
UNKNOWN = (None, "")


def is_lif(head: bytes) -> bool:
    """Whether a file begins as those of Leica do."""
    return head[:4] == b"\x70\0\0\0" and head[8:9] == b"\x2a"


def read_lif(path: Path) -> Sequence[FileImage]:
    """Give the images of a file.

    Raises
    ------
    InputError
        When the file is damaged, or none of its images can be read.
    """
    liffile = library("liffile", "Leica LIF")
    file = LibraryFile(path, lambda p: liffile.LifFile(p, squeeze=False))
    images: list[FileImage] = []
    refused: list[InputError] = []
    with file.reading() as lif:
        for image in lif.images:
            try:
                images.append(_image(path, image))
            except InputError as error:
                refused.append(error)
                images.append(FileImage.refused(str(image.path), error))
    if len(refused) < len(images):
        return images
    raise refused[0] if refused else InputError(f"{path.name} holds no image.")


def _image(path: Path, image: Any) -> FileImage:
    name, block = str(image.name), image.memory_block
    if image.is_flim or block.frames or block.offset < 0:
        raise InputError(f"The image {name} of {path.name} holds no plain pixels; export it.")
    if getattr(image, "_shape_stored", None) not in (None, image.shape):
        raise InputError(f"The image {name} of {path.name} has padded rows; export it as TIFF.")
    pixels, notes = planes_in_file(path, image.dtype, block.offset, image.shape)
    axes, samples = _letters(image.dims), image.sizes.get("S", 1)
    steps = {axes[image.dims.index(d.label)]: _step(d) for d in image._dimensions}
    if "".join(image.dims[-2:]) not in ("YX", "XS"):
        notes.append(f"Its frames are the planes {''.join(image.dims[-2:])[::-1]} of the scan.")
    stack = lazy_stack(
        path,
        pixels[..., ::-1] if image._is_bgr else pixels,
        axes,
        colours=COLOURS if samples == len(COLOURS) else "",
        channels=Channels(_names(image), [colour(each.lut_name) for each in image._channels]),
        warnings=notes,
        kind="lif",
        pixel_size=pixel_size(*(micrometres(*steps.get(axis, UNKNOWN)) for axis in "XYZ")),
        time_step_s=seconds(*steps.get("T", UNKNOWN)),
    )
    return FileImage.of(stack, image.path)


def _letters(dims: Sequence[str]) -> str:
    """Give our letters: the two innermost are Y and X, as a scan in depth has its frames in XZ."""
    letters = [UNNAMED.get(dim[0], dim[0]) for dim in dims]
    inner = [place for place, letter in enumerate(letters) if letter not in "CS"][-2:]
    for place, letter in zip(inner, "YX", strict=True):
        if letter in letters:
            letters[letters.index(letter)] = letters[place]
        letters[place] = letter
    return "".join(letters)


def _names(image: Any) -> list[str]:
    """Name each channel by its dye, where as many detectors were active; else by its colours."""
    element = image.xml_element
    dyes = {band.get("Channel"): band.get("DyeName") for band in element.iter("MultiBand")}
    active = [d.get("Channel") for d in element.iter("Detector") if d.get("IsActive") == "1"]
    tables = [channel.lut_name for channel in image._channels]
    if len(active) != len(tables):
        return tables
    return [dyes.get(number) or table for number, table in zip(active, tables, strict=True)]


def _step(dimension: Any) -> tuple[float | None, str]:
    """Give the distance between two elements and its unit."""
    count = dimension.number_elements
    return (abs(dimension.length) / (count - 1) if count > 1 else None), dimension.unit
