"""Read TIFF, BigTIFF, OME-TIFF and ImageJ files: axes, calibration, planes that are whole."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from training_core.errors import InputError
from training_core.formats.axes import arrange
from training_core.formats.file_image import FileImage
from training_core.formats.library_file import LibraryFile
from training_core.formats.source_file import (
    DAMAGE,
    FilePixels,
    brief,
    check_size,
    damage,
    unchanged,
)
from training_core.frames import made_frames
from training_core.run import SILENT, Run, Stage
from training_core.stack import Pixels, Stack

from .tiff_calibration import SIGNED_OFFSET, calibrated, calibration_of, value_unit_of
from .tiff_file import (
    MOST_PLANES,
    TiffPages,
    images_in,
    is_stored,
    main_series,
    opened_tiff,
    pixels_of,
    tiff_log,
)
from .tiff_tags import colours_of_page, kept_of_page

PADDING_BYTES = 16  # writers align what follows the pixels
# Up to here planes are decoded at once, so that damaged ones are found and told; of more than
# that each is decoded when it is asked for.
DECODED_BYTES, DECODED_PAGES = 2**26, 2000
# The planes of an image that are whole, (planes, *shape of a page) in the dtype of the file and,
# where they stay in it, in its byte order; how many the file says it has; which of them these are.
Planes = tuple[Pixels, int, list[int]]


def tiff_images(path: Path, run: Run = SILENT) -> list[FileImage]:
    """List the images of a TIFF file; one alone is opened.

    Of an OME-TIFF in several files any of them, or the text that joins them, stands for all.

    Raises
    ------
    InputError
        When no whole image is in the file.
    """
    told = f"{path.name} is damaged and cannot be read"
    with tiff_log() as log, opened_tiff(path) as tif, damage(told):
        every = images_in(tif)
        if len(every) < 2:
            return [FileImage.of(_Reader(path, tif, log, 0).read(run))]
        return [
            FileImage(
                str(series.name),
                series.axes,
                series.shape,
                series.dtype,
                partial(_read, path, number),
            )
            for number, series in enumerate(every)
        ]


def read_tiff(path: Path, *, run: Run = SILENT) -> Stack:
    """Read the image that a TIFF file is about; see `main_series`.

    Pixels stay in the file until they are asked for, unless they are packed and few.

    Raises
    ------
    InputError
        When no whole image is in the file.
    """
    return _read(path, None, run)


def _read(path: Path, number: int | None, run: Run) -> Stack:
    told = f"{path.name} is damaged and cannot be read"
    with tiff_log() as log, opened_tiff(path) as tif, damage(told):
        return _Reader(path, tif, log, number).read(run)


class _Reader:
    """One open TIFF file on its way to a stack."""

    def __init__(self, path: Path, tif: Any, log: list[str], number: int | None) -> None:
        self.path = path
        self.tif = tif
        self.log = log
        self.warnings: list[str] = []
        if not tif.series or not all(tif.series[0].shape) or not tif.series[0].shape:
            raise InputError(f"{path.name} holds no image: its list of pages is empty or damaged.")
        self.number = number
        self.series, self.left_out = main_series(tif.series)
        if number is not None:
            images = images_in(tif)
            self.series = images[number]
            self.left_out = [s for s in self.left_out if all(s is not i for i in images)]
        self.page = self.series.keyframe
        self.page_axes, self.page_shape = self.page.axes, tuple(self.page.shape)
        if tuple(self.series.shape[-len(self.page_shape) :]) != self.page_shape:
            self._describe_page()
        plain = tif.is_imagej and self.series.kind in ("imagej", "generic", "uniform")
        self.imagej: Mapping[str, Any] = (tif.imagej_metadata or {}) if plain else {}
        # Bio-Formats counts the samples of a colour page as images.
        alone = self.page.samplesperpixel == 1
        self.imagej_count = int(self.imagej.get("images", 1)) if alone else 1

    def _describe_page(self) -> None:
        """Give a page the last axes of its series: of tiny frames one page may hold several."""
        size, shape = math.prod(self.page_shape), tuple(self.series.shape)
        for first in range(len(shape) - 2, -1, -1):
            if math.prod(shape[first:]) == size:
                self.page_axes, self.page_shape = self.series.axes[first:], shape[first:]
                return

    def read(self, run: Run) -> Stack:
        in_one_piece = self.series.dataoffset is not None
        pixels, axes = self._assemble(*(self._in_file() if in_one_piece else self._decoded(run)))
        self._explain()
        kind, calibration = calibration_of(self.tif, self.series)
        own = self.tif.is_ome or self.tif.is_shaped or bool(self.imagej)
        opacity = sum(int(extra) in (1, 2) for extra in self.page.extrasamples)
        arranged = arrange(pixels, axes, colours_of_page(self.page), opacity)
        # A Z-stack saved by ImageJ often has a frame interval that means nothing.
        axes, timed = arranged.axes, set("TI") & set(arranged.axes)
        count = arranged.pixels.shape[axes.index("C")] if "C" in axes else 1
        named = len(calibration.channels) == count
        signed, unit, told = calibrated(self.imagej, arranged.pixels.dtype.newbyteorder("="))
        notes = (*calibration.warnings, *arranged.warnings, *filter(None, [told]))
        return Stack(
            _with_signs(arranged.pixels) if signed else arranged.pixels,
            axes,
            calibration.pixel_size,
            calibration.channels if named else arranged.channels,
            calibration.time_step_s if timed else None,
            value_unit=value_unit_of(self.tif) or unit,
            kind=kind,
            source=self.path,
            warnings=(*self.warnings, *notes),
            metadata=calibration.extra
            | kept_of_page(self.page, own)
            | self._opaque(arranged.opacity),
        )

    def _opaque(self, opacity: Pixels | None) -> dict[str, Any]:
        """Give how transparent pixels are, and by which number of TIFF."""
        if opacity is None:
            return {}
        return {"opacity": opacity, "extrasample": int(self.page.extrasamples[-1])}

    def _assemble(self, pixels: Pixels, declared: int, whole: list[int]) -> tuple[Pixels, str]:
        """Give the planes their axes again, as far as all are there."""
        lead = self.series.axes[: len(self.series.axes) - len(self.page_axes)]
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
        return pixels.reshape(*shape, *self.page_shape), lead + self.page_axes

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
        self.warnings += _of_ome(self.tif, self.series)
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
        elif self.imagej and _are_in_a_row(self.tif.pages, offset, plane_bytes):
            declared = len(self.tif.pages)  # whatever its text counts
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
        """Read the planes and keep those that are whole; of many those whose bytes are there."""
        pages = list(self.series.pages)
        each = math.prod(self.page.shape) * np.dtype(self.series.dtype).itemsize
        many = len(pages) > DECODED_PAGES or len(pages) * each > DECODED_BYTES
        if many and len(pages) > 1 and self.page_axes in ("YX", "YXS", "SYX"):
            return self._on_request(pages)
        self._refuse_impossible(pages)
        pixels = np.empty((len(pages), *self.page.shape), self.series.dtype)
        whole: list[int] = []
        with unchanged(*{Path(p.parent.filehandle.path) for p in pages if p is not None}):
            for index, page in enumerate(pages):
                run.check()
                if is_stored(page) and self._decodes(page, pixels[index]):
                    whole.append(index)
                if run.tick_due():
                    run.progress(Stage.READ, index + 1, len(pages))
            if not whole:
                raise self._too_short()
        # Most files are whole: no second copy for them.
        return pixels if len(whole) == len(pages) else pixels[whole], len(pages), whole

    def _on_request(self, pages: list[Any]) -> Planes:
        """Give the planes whose bytes are there, each decoded when it is asked for."""
        whole = [index for index, page in enumerate(pages) if is_stored(page)]
        if not whole:
            raise self._too_short()
        first = pages[whole[0]]
        check_size(self.path.name, self.page.chunks, self.series.dtype, sum(first.databytecounts))
        samples = math.prod(self.page_shape) // (self.page.imagelength * self.page.imagewidth)
        frame = (self.page.imagelength, self.page.imagewidth)
        if self.page_axes != "YX":
            self.page_axes, self.page_shape = "SYX", (samples, *frame)
        last = self.page.axes.endswith("S")
        file = LibraryFile(self.path, partial(TiffPages.of, number=self.number))

        def plane(opened: TiffPages, number: int) -> Pixels:
            page, sample = divmod(number, samples)
            pixels = opened.page(whole[page])
            return pixels if samples == 1 else pixels[(..., sample) if last else sample]

        shape = (len(whole) * samples, *frame)
        pixels = file.planes(plane, shape, np.dtype(self.series.dtype))
        if self.page_axes != "YX":
            pixels = pixels.reshape(len(whole), *self.page_shape)
        return pixels, len(pages), whole

    def _decodes(self, page: Any, into: Pixels) -> bool:
        """Decode a page; tell whether it is whole, where there are others."""
        try:
            into[...] = pixels_of(page)
        except DAMAGE as error:
            reason = brief(error)
            if len(self.series.pages) == 1:
                raise InputError(
                    f"The image in {self.path.name} is damaged and cannot be decoded ({reason})."
                ) from error
            return False
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


def _are_in_a_row(pages: Any, offset: int, plane_bytes: int) -> bool:
    """Whether the pages of a file are planes that lie in it one after the other."""
    count = len(pages)
    return bool(pages[count - 1].dataoffsets == (offset + (count - 1) * plane_bytes,))


def _of_ome(tif: Any, series: Any) -> list[str]:
    """Say where OME metadata do not fit the pages of a file, or do not name all of them."""
    if series.kind in ("generic", "uniform") and "<Pixels" in tif.pages[0].description:
        told = "Its OME metadata do not fit what is in the file; its axes may be others than"
        return [f"{told} {series.axes}."]
    if series.kind != "ome":
        return []
    pages = (page for each in tif.series for page in each.pages if page is not None)
    named, there = len({page.index for page in pages if page.parent is tif}), len(tif.pages)
    told = f"Its OME metadata name {named} of its {there} pages; the others are left out."
    return [told] if named < there else []


def _with_signs(pixels: Pixels) -> Pixels:
    """Give uint16 less 32768 as int16, each frame when it is asked for where it lies in a file."""
    lead = pixels.shape[:-2]

    def frame(number: int) -> Pixels:
        stored = np.asarray(pixels[np.unravel_index(number, lead)])
        return (stored.astype(np.int32) + int(SIGNED_OFFSET)).astype(np.int16)

    return made_frames(frame, pixels.shape, np.int16)


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
