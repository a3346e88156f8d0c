"""Read TIFF, BigTIFF, OME-TIFF and ImageJ files: axes, calibration, planes that are whole."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from training_core.errors import InputError
from training_core.formats.axes import arrange
from training_core.formats.source_file import (
    DAMAGE,
    FilePixels,
    brief,
    check_size,
    damage,
    unchanged,
)
from training_core.run import SILENT, Run, Stage
from training_core.stack import Pixels, Stack

from .inner_size import IN_TIFF, refuse_larger
from .tiff_calibration import calibration_of, value_unit_of

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
REDUCED = 1  # a bit of NewSubfileType: a smaller copy of another page
PADDING_BYTES = 16  # writers align what follows the pixels
MOST_PLANES = 1_000_000
# Written again as they are; the first is that of a plain file alone.
KEPT_TAGS = ("ImageDescription", "DocumentName", "Make", "Model", "DateTime", "Artist", "Copyright")
# The planes of an image that are whole, (planes, *shape of a page) in the dtype of the file and,
# where they stay in it, in its byte order; how many the file says it has; which of them these are.
Planes = tuple[Pixels, int, list[int]]


def read_tiff(path: Path, *, run: Run = SILENT) -> Stack:
    """Read the image that a TIFF file is about; see `main_series`.

    Uncompressed pixels stay in the file until they are asked for.

    Raises
    ------
    InputError
        When no whole image is in the file.
    """
    told = f"{path.name} is damaged and cannot be read"
    with _tiff_log() as log, _opened(path) as tif, damage(told):
        return _Reader(path, tif, log).read(run)


@contextmanager
def _tiff_log() -> Iterator[list[str]]:
    """Collect what tifffile logs instead of printing it."""
    lines: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        lines.append(record.getMessage())
        return False  # goes no further

    logger = logging.getLogger("tifffile")  # it logs what it should raise, to stderr by default
    logger.addFilter(keep)
    try:
        yield lines
    finally:
        logger.removeFilter(keep)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with damage(f"{path.name} is damaged: its list of images cannot be read"):
        tif = tifffile.TiffFile(path)
        if _misleads(tif, path.parent):
            tif.close()
            tif = tifffile.TiffFile(path, is_ome=False)
    with tif:
        yield tif


def _misleads(tif: Any, folder: Path) -> bool:
    """Whether OME metadata name what is no TIFF of the same folder, or more planes than can be.

    Nothing is followed then, and no memory taken for planes that are not there.
    """
    try:
        parts = list(ElementTree.fromstring(tif.ome_metadata or "<none/>").iter())
    except ElementTree.ParseError:
        return False  # tifffile does not follow these either
    return not all(_is_beside(name, folder) for name in _file_names(parts)) or any(
        math.prod(_counts(part.attrib)) > MOST_PLANES for part in parts
    )


def _file_names(parts: Iterable[ElementTree.Element]) -> set[str]:
    return {name for part in parts if (name := part.get("FileName"))}


def files_of_set(path: Path) -> list[Path]:
    """Give the files that an OME-TIFF of several names; none of what cannot be read."""
    with suppress(InputError, ElementTree.ParseError, *DAMAGE), _tiff_log(), _opened(path) as tif:
        parts = ElementTree.fromstring(tif.ome_metadata or "<none/>").iter()
        return [path.parent / name for name in _file_names(parts)]
    return []


def _counts(attributes: Mapping[str, str]) -> Iterator[int]:
    for name in ("SizeT", "SizeZ", "SizeC", "PlaneCount", "NumPlanes"):
        with suppress(ValueError):  # no number: tifffile refuses it
            yield int(attributes.get(name, 1))


def _is_beside(name: str, folder: Path) -> bool:
    path = folder / name
    if name != path.name or not path.is_file():
        return name == path.name and not path.exists()  # tifffile says what is missing
    with path.open("rb") as file:
        return file.read(4) in SIGNATURES


class _Reader:
    """One open TIFF file on its way to a stack."""

    def __init__(self, path: Path, tif: Any, log: list[str]) -> None:
        self.path = path
        self.tif = tif
        self.log = log
        self.warnings: list[str] = []
        if not tif.series or not all(tif.series[0].shape) or not tif.series[0].shape:
            raise InputError(f"{path.name} holds no image: its list of pages is empty or damaged.")
        self.series, self.left_out = main_series(tif.series)
        self.page = self.series.keyframe
        plain = tif.is_imagej and self.series.kind in ("imagej", "generic", "uniform")
        self.imagej: Mapping[str, Any] = (tif.imagej_metadata or {}) if plain else {}
        # Bio-Formats counts the samples of a colour page as images.
        alone = self.page.samplesperpixel == 1
        self.imagej_count = int(self.imagej.get("images", 1)) if alone else 1

    def read(self, run: Run) -> Stack:
        in_one_piece = self.series.dataoffset is not None
        pixels, axes = self._assemble(*(self._in_file() if in_one_piece else self._decoded(run)))
        self._explain()
        kind, calibration = calibration_of(self.tif)
        opacity = sum(int(extra) in (1, 2) for extra in self.page.extrasamples)
        arranged = arrange(pixels, axes, self._colours(), opacity)
        # A Z-stack saved by ImageJ often has a frame interval that means nothing.
        axes, timed = arranged.axes, set("TI") & set(arranged.axes)
        count = arranged.pixels.shape[axes.index("C")] if "C" in axes else 1
        named = len(calibration.channels) == count
        return Stack(
            arranged.pixels,
            axes,
            calibration.pixel_size,
            calibration.channels if named else arranged.channels,
            calibration.time_step_s if timed else None,
            value_unit=value_unit_of(self.tif),
            kind=kind,
            source=self.path,
            warnings=(*self.warnings, *calibration.warnings, *arranged.warnings),
            metadata=calibration.extra | self._display(),
        )

    def _colours(self) -> str:
        """Name what the samples of a pixel are; "" where they are no colours."""
        photometric = getattr(self.page.photometric, "name", "")
        if photometric in ("MINISBLACK", "MINISWHITE", "PALETTE"):
            return ""
        # tifffile gives RGB for the YCbCr of JPEG.
        return {"YCBCR": "RGB", "SEPARATED": "CMYK"}.get(photometric, photometric)

    def _display(self) -> dict[str, Any]:
        """Give what is needed to show and print the result as the file was."""
        kept: dict[str, Any] = {
            "resolution": tuple(self.page.resolution),
            "resolutionunit": int(self.page.resolutionunit),
        }
        if int(self.page.photometric) == 0:
            kept["photometric"] = "miniswhite"
        if self.page.colormap is not None:
            kept["colormap"] = self.page.colormap
        if self.page.samplesperpixel > 1 and self._colours():
            kept["colours"] = self._colours()
        tags = self._said()
        return kept | ({"tags": tags} if tags else {})

    def _said(self) -> dict[str, str]:
        """Give what plain tags say of image, camera and photographer."""
        tags, own = self.page.tags, self.tif.is_ome or self.tif.is_shaped or bool(self.imagej)
        names = KEPT_TAGS[1:] if own or "<OME" in self.page.description else KEPT_TAGS
        said = {name: str(tags.valueof(tifffile.TIFF.TAGS[name], "")) for name in names}
        return {name: text for name, text in said.items() if text.strip()}

    def _assemble(self, pixels: Pixels, declared: int, whole: list[int]) -> tuple[Pixels, str]:
        """Give the planes their axes again, as far as all are there."""
        page_axes = self.page.axes
        lead = self.series.axes[: len(self.series.axes) - len(page_axes)]
        shape = tuple(self.series.shape[: len(lead)])
        declared, count = max(declared, self.imagej_count), len(whole)
        if declared > int(np.prod(shape)):
            lead, shape = self._imagej_axis(), (declared,)
        if count < declared:
            self.warnings.append(
                f"It declares {declared} planes but only {count} of them are whole; "
                f"{declared - count} are missing."
            )
            lead, shape = _remaining(lead, shape, whole)
        return pixels.reshape(*shape, *self.page.shape), lead + page_axes

    def _imagej_axis(self) -> str:
        """Name the axis of an ImageJ file from its header when its counts do not fit its planes."""
        counts = {"T": "frames", "Z": "slices", "C": "channels"}
        named = [axis for axis, key in counts.items() if int(self.imagej.get(key, 1)) > 1]
        return named[0] if len(named) == 1 else "I"

    def _explain(self) -> None:
        """Say what was odd: what tifffile logged, a palette, further images."""
        text = "\n".join(self.log)
        if "circular reference" in text:
            self.warnings.append("Its list of pages runs in a circle; each page is read once.")
        elif "invalid page offset" in text and not self.warnings:
            self.warnings.append("The file is cut off; pages after the last whole one are missing.")
        elif "TiffTag" in text or "incorrect" in text or "estimating" in text:
            self.warnings.append("Some of its TIFF tags are damaged and are not used.")
        if self.page.colormap is not None and not self.imagej:
            self.warnings.append("Its colours are a lookup table; the index is read as intensity.")
        if self.left_out:
            sizes = dict.fromkeys(_pages_of(series) for series in self.left_out)
            self.warnings.append(
                f"It holds {len(self.left_out) + 1} images of different sizes or types; only the "
                f"largest, {_pages_of(self.series)}, is read. Left out: {', '.join(sizes)}."
            )

    def _in_file(self) -> Planes:
        """Find the planes of uncompressed data that lies in one piece."""
        shape, offset = self.page.shape, self.series.dataoffset
        dtype = np.dtype(self.series.dtype).newbyteorder(self.tif.byteorder)
        plane_bytes = math.prod(shape) * dtype.itemsize
        there = (self.path.stat().st_size - offset) // plane_bytes
        if there < 1:
            raise self._too_short()
        declared = math.prod(self.series.shape) // math.prod(shape)
        if len(self.tif.pages) == 1:  # behind several pages there is no image data
            declared = max(declared, self.imagej_count, self._count_up_to_lost_page(plane_bytes))
        whole = min(declared, there)
        check_size(self.path.name, shape, dtype, None)  # a frame; it is read in pieces no smaller
        pixels = FilePixels.of(self.path, dtype, offset, (whole, *shape))
        return pixels, declared, list(range(whole))

    def _count_up_to_lost_page(self, plane_bytes: int) -> int:
        """Count the planes before the second page of a cut file, which lies behind all pixels."""
        lost = re.search(r"invalid page offset (\d+)", "\n".join(self.log))
        if lost is None:
            return 1
        planes, rest = divmod(int(lost[1]) - self.series.dataoffset, plane_bytes)
        return planes if rest < PADDING_BYTES and planes < MOST_PLANES else 1

    def _decoded(self, run: Run) -> Planes:
        """Read the planes one by one and keep those that are whole."""
        pages = list(self.series.pages)
        self._refuse_impossible(pages)
        pixels = np.empty((len(pages), *self.page.shape), self.series.dtype)
        whole: list[int] = []
        with unchanged(*{Path(p.parent.filehandle.path) for p in pages if p is not None}):
            for index, page in enumerate(pages):
                run.check()
                if _is_stored(page) and self._decodes(page, pixels[index]):
                    whole.append(index)
                if run.tick_due():
                    run.progress(Stage.READ, index + 1, len(pages))
            if not whole:
                raise self._too_short()
        # Most files are whole: no second copy for them.
        return pixels if len(whole) == len(pages) else pixels[whole], len(pages), whole

    def _decodes(self, page: Any, into: Pixels) -> bool:
        """Decode a page; tell whether it is whole, where there are others."""
        file = page.parent.filehandle
        elsewhere = file.closed  # in another file of a set of OME-TIFFs
        try:
            if elsewhere:
                file.open()
            _refuse_larger_inside(page)
            into[...] = page.asarray()
        except DAMAGE as error:
            reason = brief(error)
            if len(self.series.pages) == 1:
                raise InputError(
                    f"The image in {self.path.name} is damaged and cannot be decoded ({reason})."
                ) from error
            return False
        finally:
            if elsewhere:
                file.close()
        return True

    def _refuse_impossible(self, pages: list[Any]) -> None:
        """Refuse a header that declares more than its file can hold, before memory is taken."""
        there = [page for page in pages if page is not None]
        files = {page.parent.filehandle.path: page.parent.filehandle.size for page in there}
        # Pages may share bytes, so more than all of the file is none.
        stored = min(sum(sum(p.databytecounts) for p in there), sum(files.values()))
        check_size(self.path.name, (len(pages), *self.page.shape), self.series.dtype, stored)
        # A tile is decoded whole, however little of it lies in the image.
        check_size(self.path.name, self.page.chunks, self.series.dtype, stored)

    def _too_short(self) -> InputError:
        shape = " x ".join(str(n) for n in reversed(self.series.shape))
        return InputError(
            f"{self.path.name} declares an image of {shape} pixels ({self.series.dtype}), but the "
            f"file is cut off or damaged: in its {self.path.stat().st_size:,} bytes no plane is "
            "whole."
        )


def main_series(every: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Give the image that a file is about, and the others in it.

    A file may begin with a preview, and pages of one movie may be stored in different ways, which
    makes them images of their own for tifffile. A list of pages of one size and type is one image;
    else it is the one with most pixels, no reduced copy if there is another.
    """
    whole = [s for s in every if s.shape and all(s.shape)]
    full = [s for s in whole if not int(s.keyframe.subfiletype) & REDUCED] or whole
    plain = all(len(s.shape) - len(s.keyframe.shape) <= 1 and not s.is_multifile for s in full)
    if len(full) > 1 and plain and len({(s.keyframe.shape, s.dtype) for s in full}) == 1:
        pages = [page for s in full for page in s.pages]
        page = full[0].keyframe
        joined = tifffile.TiffPageSeries(
            pages, (len(pages), *page.shape), page.dtype, f"I{page.axes}", kind="generic"
        )
        return joined, [s for s in whole if s not in full]
    main = max(full, key=lambda series: series.size)  # the first of several
    return main, [s for s in whole if s is not main]


def _pages_of(series: Any) -> str:
    """Write how large a series is, such as "12 x 96 x 96 pixels of uint16"."""
    return f"{' x '.join(map(str, series.shape))} pixels of {series.dtype}"


def _remaining(axes: str, shape: tuple[int, ...], whole: list[int]) -> tuple[str, tuple[int, ...]]:
    """Give axes and lengths for the planes that are left: shorter first axis, or one unnamed."""
    inner = int(np.prod(shape[1:]))
    count = len(whole)
    if axes and whole == list(range(count)) and count % inner == 0:
        return axes, (count // inner, *shape[1:])
    return "I", (count,)


def _refuse_larger_inside(page: Any) -> None:
    """Raise ValueError where a strip or tile holds a picture far larger than it is itself."""
    held = IN_TIFF.get(int(page.compression))
    if held is None:
        return
    file = page.parent.filehandle
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        file.seek(offset)
        if count:
            refuse_larger(held, file.read(count), math.prod(page.chunks))


def _is_stored(page: Any) -> bool:
    """Whether the bytes of a page lie inside its file."""
    if page is None or not page.dataoffsets:
        return False
    # tifffile would fill a missing piece with zeros, which look like a black image.
    pieces = zip(page.dataoffsets, page.databytecounts, strict=False)
    return all(offset + count <= page.parent.filehandle.size for offset, count in pieces)
