"""Read TIFF, BigTIFF, OME-TIFF and ImageJ files: axes, calibration, planes that are whole."""

from __future__ import annotations

import logging
import re
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from .axes import arrange
from .calibration import calibration_of
from .errors import InputError
from .run import SILENT, Run, Stage
from .stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .stack import Pixels

# What tifffile and the decoders of imagecodecs raise on damaged files.
DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    OSError,
    MemoryError,
    AssertionError,
    struct.error,
)

# Nothing unpacks to more than this many times its size (LZW and zstd of a constant come closest).
MOST_EXPANSION = {5: 4_000, 8: 1_100, 32946: 1_100, 32773: 130}
MOST_EXPANSION_OTHERWISE = 50_000
SMALL_BYTES = 64 * 2**20
PADDING_BYTES = 16
MOST_PLANES = 1_000_000


def read_tiff(path: Path, *, run: Run = SILENT) -> Stack:
    """Read the first image of a TIFF file.

    Uncompressed pixels are mapped, not read.

    Raises
    ------
    InputError
        When no whole image is in the file.
    """
    with _tiff_log() as log, _opened(path) as tif:
        try:
            return _Reader(path, tif, log).read(run)
        except DAMAGE as error:
            raise InputError(
                f"{path.name} is damaged and cannot be read ({_brief(error)})."
            ) from error


@contextmanager
def _tiff_log() -> Iterator[list[str]]:
    """Collect what tifffile logs instead of printing it."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tifffile")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        tif = tifffile.TiffFile(path)
    except DAMAGE as error:
        raise InputError(
            f"{path.name} is damaged: its list of images cannot be read ({_brief(error)})."
        ) from error
    with tif:
        yield tif


def _brief(error: BaseException) -> str:
    """Give the first line of an error, without tifffile's object names."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text.split("> ")[-1].rstrip(".")[:120]


@dataclass
class _Planes:
    """How the planes of an image lie in the file."""

    pixels: Pixels  # (planes, *plane shape)
    declared: int
    whole: list[int]


class _Reader:
    """One open TIFF file on its way to a stack."""

    def __init__(self, path: Path, tif: Any, log: list[str]) -> None:
        self.path = path
        self.tif = tif
        self.log = log
        self.size = path.stat().st_size
        self.warnings: list[str] = []
        if not tif.series or not all(tif.series[0].shape) or not tif.series[0].shape:
            raise InputError(f"{path.name} holds no image: its list of pages is empty or damaged.")
        self.series = tif.series[0]
        self.page = self.series.keyframe
        self.imagej: Mapping[str, Any] = (tif.imagej_metadata or {}) if tif.is_imagej else {}

    def read(self, run: Run) -> Stack:
        mapped = self.series.dataoffset is not None
        planes = self._mapped() if mapped else self._decoded(run)
        pixels, axes = self._assemble(planes)
        self._explain_log()
        kind, calibration = calibration_of(self.tif)
        page = self.page
        colours = getattr(page.photometric, "name", "")
        samples = "S" in axes and colours not in ("MINISBLACK", "MINISWHITE", "PALETTE")
        opacity = sum(1 for extra in page.extrasamples if int(extra) in (1, 2))
        arranged = arrange(pixels, axes, _colour_space(colours) if samples else "", opacity)
        extra = calibration.extra | {
            "resolution": tuple(page.resolution),
            "resolutionunit": int(page.resolutionunit),
        }
        if colours == "MINISWHITE":
            extra["photometric"] = "miniswhite"
        timed = set("TI") & set(arranged.axes)
        return Stack(
            arranged.pixels,
            arranged.axes,
            calibration.pixel_size,
            self._channels(arranged.axes, arranged.pixels, calibration.channels)
            or arranged.channels,
            calibration.time_step_s if timed else None,
            kind=kind,
            source=self.path,
            warnings=(*self.warnings, *calibration.warnings, *arranged.warnings),
            metadata=extra,
        )

    def _mapped(self) -> _Planes:
        """Map the planes of uncompressed data that lies in one piece."""
        shape, dtype = self.page.shape, self._file_dtype
        count = int(np.prod(self.series.shape, dtype=object) // np.prod(shape, dtype=object))
        offset = self.series.dataoffset
        plane_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
        there = (self.size - offset) // plane_bytes
        if there < 1:
            raise self._too_short()
        declared = count
        if len(self.tif.pages) == 1:  # behind several pages there is no image data
            declared = max(count, self._imagej_count, self._count_up_to_lost_page(plane_bytes))
        whole = min(declared, there)
        pixels = np.memmap(self.path, dtype, "r", offset, (whole, *shape))
        return _Planes(pixels, declared, list(range(whole)))

    def _count_up_to_lost_page(self, plane_bytes: int) -> int:
        """Count the planes before the second page of a cut file, which lies behind all pixels."""
        lost = re.search(r"invalid page offset (\d+)", "\n".join(self.log))
        if lost is None:
            return 1
        planes, rest = divmod(int(lost[1]) - self.series.dataoffset, plane_bytes)
        return planes if rest < PADDING_BYTES and planes < MOST_PLANES else 1

    @property
    def _file_dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.series.dtype)
        return dtype.newbyteorder(self.tif.byteorder)

    @property
    def _imagej_count(self) -> int:
        """How many planes an ImageJ header declares."""
        return int(self.imagej.get("images", 1)) if self.page.samplesperpixel == 1 else 1

    def _decoded(self, run: Run) -> _Planes:
        """Read the planes one by one and keep those that are whole."""
        pages = list(self.series.pages)
        self._refuse_impossible(pages)
        pixels = np.empty((len(pages), *self.page.shape), self.series.dtype)
        whole: list[int] = []
        for index, page in enumerate(pages):
            run.check()
            if self._stored(page):
                self._decode(page, index, pixels, whole)
            if run.tick_due():
                run.progress(Stage.READ, index + 1, len(pages))
        if not whole:
            raise self._too_short()
        kept = pixels if len(whole) == len(pages) else pixels[whole]
        return _Planes(kept, len(pages), whole)

    def _decode(self, page: Any, index: int, pixels: Pixels, whole: list[int]) -> None:
        try:
            pixels[index] = page.asarray()
        except DAMAGE as error:
            if len(self.series.pages) == 1:
                raise InputError(
                    f"The image in {self.path.name} is damaged and cannot be decoded "
                    f"({_brief(error)})."
                ) from error
        else:
            whole.append(index)

    def _stored(self, page: Any) -> bool:
        """Whether the bytes of a page lie inside the file."""
        if page is None or not page.dataoffsets:
            return False
        pieces = zip(page.dataoffsets, page.databytecounts, strict=False)
        return all(offset + count <= self.size for offset, count in pieces)

    def _refuse_impossible(self, pages: list[Any]) -> None:
        """Refuse a header that declares more than its file can hold, before memory is taken."""
        declared = int(np.prod((len(pages), *self.page.shape), dtype=object))
        declared *= np.dtype(self.series.dtype).itemsize
        stored = min(self.size, sum(sum(p.databytecounts) for p in pages if p is not None))
        compression = int(self.page.compression)
        most = 8 if compression == 1 else MOST_EXPANSION.get(compression, MOST_EXPANSION_OTHERWISE)
        if declared > SMALL_BYTES and declared > most * stored:
            raise self._too_short()

    def _too_short(self) -> InputError:
        shape = " x ".join(str(n) for n in reversed(self.series.shape))
        return InputError(
            f"{self.path.name} declares an image of {shape} pixels ({self.series.dtype}), but the "
            f"file is cut off or damaged: in its {self.size:,} bytes no plane is whole."
        )

    def _assemble(self, planes: _Planes) -> tuple[Pixels, str]:
        """Give the planes their axes again, as far as all are there."""
        page_axes = self.page.axes
        lead = self.series.axes[: len(self.series.axes) - len(page_axes)]
        shape = tuple(self.series.shape[: len(lead)])
        declared = max(planes.declared, self._imagej_count)
        count = len(planes.whole)
        if declared > int(np.prod(shape)):
            lead, shape = self._imagej_axis(), (declared,)
        if count < declared:
            self.warnings.append(
                f"It declares {declared} planes but only {count} of them are whole; "
                f"{declared - count} are missing."
            )
            lead, shape = _remaining(lead, shape, planes.whole)
        return planes.pixels.reshape(*shape, *self.page.shape), lead + page_axes

    def _imagej_axis(self) -> str:
        """Name the axis of an ImageJ file from its header when its counts do not fit its planes."""
        counts = {"T": "frames", "Z": "slices", "C": "channels"}
        named = [axis for axis, key in counts.items() if int(self.imagej.get(key, 1)) > 1]
        return named[0] if len(named) == 1 else "I"

    def _explain_log(self) -> None:
        """Turn what tifffile logged into sentences, once each."""
        text = "\n".join(self.log)
        if "circular reference" in text:
            self.warnings.append("Its list of pages runs in a circle; each page is read once.")
        elif "invalid page offset" in text and not self.warnings:
            self.warnings.append("The file is cut off; pages after the last whole one are missing.")
        elif "TiffTag" in text or "incorrect" in text or "estimating" in text:
            self.warnings.append("Some of its TIFF tags are damaged and are not used.")
        others = len(self.tif.series) - 1
        if others:
            self.warnings.append(
                f"It holds {others + 1} images of different kinds; only the first is read."
            )

    def _channels(self, axes: str, pixels: Pixels, names: tuple[str, ...]) -> tuple[str, ...]:
        """Give the channel names where they fit the channels."""
        count = pixels.shape[axes.index("C")] if "C" in axes else 1
        return names if len(names) == count else ()


def _colour_space(photometric: str) -> str:
    """Name the colours as they arrive: tifffile gives RGB for YCbCr of JPEG."""
    return {"YCBCR": "RGB", "SEPARATED": "CMYK"}.get(photometric, photometric)


def _remaining(axes: str, shape: tuple[int, ...], whole: list[int]) -> tuple[str, tuple[int, ...]]:
    """Give axes and lengths for the planes that are left: shorter first axis, or one unnamed."""
    inner = int(np.prod(shape[1:]))
    count = len(whole)
    if axes and whole == list(range(count)) and count % inner == 0:
        return axes, (count // inner, *shape[1:])
    return "I", (count,)
