"""Read TIFF, BigTIFF, OME-TIFF and ImageJ files: axes, calibration, planes that are whole."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from .axes import arrange
from .calibration import calibration_of, value_unit_of
from .damage import DAMAGE, brief
from .errors import InputError
from .run import SILENT, Run
from .stack import Stack
from .tiff_planes import PlaneReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .stack import Pixels
    from .tiff_planes import Planes


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
                f"{path.name} is damaged and cannot be read ({brief(error)})."
            ) from error


@contextmanager
def _tiff_log() -> Iterator[list[str]]:
    """Collect what tifffile logs instead of printing it."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tifffile")  # it logs what it should raise, to stderr by default
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
            f"{path.name} is damaged: its list of images cannot be read ({brief(error)})."
        ) from error
    with tif:
        yield tif


class _Reader:
    """One open TIFF file on its way to a stack."""

    def __init__(self, path: Path, tif: Any, log: list[str]) -> None:
        self.path = path
        self.tif = tif
        self.log = log
        self.warnings: list[str] = []
        if not tif.series or not all(tif.series[0].shape) or not tif.series[0].shape:
            raise InputError(f"{path.name} holds no image: its list of pages is empty or damaged.")
        self.series = tif.series[0]
        self.page = self.series.keyframe
        plain = tif.is_imagej and self.series.kind in ("imagej", "generic", "uniform")
        self.imagej: Mapping[str, Any] = (tif.imagej_metadata or {}) if plain else {}

    def read(self, run: Run) -> Stack:
        planes = PlaneReader(self.path, self.tif, self.imagej, self.log).read(run)
        pixels, axes = self._assemble(planes)
        self._explain()
        kind, calibration = calibration_of(self.tif)
        arranged = arrange(pixels, axes, self._colours(), self._opacity())
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

    def _opacity(self) -> int:
        """Count the samples that say how transparent a pixel is."""
        return sum(1 for extra in self.page.extrasamples if int(extra) in (1, 2))

    def _display(self) -> dict[str, Any]:
        """Give what is needed to show and print the result as the file was."""
        kept: dict[str, Any] = {
            "resolution": tuple(self.page.resolution),
            "resolutionunit": int(self.page.resolutionunit),
        }
        if int(self.page.photometric) == 0:
            kept["photometric"] = "miniswhite"
        if self.page.colormap is not None and self.imagej:
            kept["colormap"] = self.page.colormap
        return kept

    def _assemble(self, planes: Planes) -> tuple[Pixels, str]:
        """Give the planes their axes again, as far as all are there."""
        page_axes = self.page.axes
        lead = self.series.axes[: len(self.series.axes) - len(page_axes)]
        shape = tuple(self.series.shape[: len(lead)])
        declared, count = planes.declared, len(planes.whole)
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
        others = len(self.tif.series) - 1
        if others:
            self.warnings.append(
                f"It holds {others + 1} images of different kinds; only the first is read."
            )


def _remaining(axes: str, shape: tuple[int, ...], whole: list[int]) -> tuple[str, tuple[int, ...]]:
    """Give axes and lengths for the planes that are left: shorter first axis, or one unnamed."""
    inner = int(np.prod(shape[1:]))
    count = len(whole)
    if axes and whole == list(range(count)) and count % inner == 0:
        return axes, (count // inner, *shape[1:])
    return "I", (count,)
