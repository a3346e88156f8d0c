"""Read DICOM: one file or a folder of slices as a volume, in Hounsfield units for CT."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from training_core.errors import InputError
from training_core.run import SILENT, Run, Stage
from training_core.stack import Pixels, Stack

from .damaged_files import DAMAGE, brief
from .dicom_file import (
    UM_PER_MM,
    Slice,
    decode,
    group_key,
    in_units,
    is_hounsfield,
    list_slices,
    open_dicom,
    pixel_size,
)
from .dicom_order import Order, order_of
from .size_limits import check_size
from .source_file import unchanged


def is_dicom(path: Path) -> bool:
    """Whether a file has the DICOM signature, or starts with DICOM elements under a usual name."""
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:
        return False
    # Old scanners left the 128 bytes of preamble out; then the first element starts the file.
    usual_name = path.suffix.lower() in (".dcm", ".ima", ".dicom")
    return head[128:] == b"DICM" or (
        usual_name and head[1:2] == b"\x00" and head[:1] in b"\x02\x08"
    )


def read_dicom(paths: Sequence[Path], source: Path, *, run: Run = SILENT) -> Stack:
    """Read the largest series among DICOM files as one stack, ordered by position and time.

    Stored values become `value * RescaleSlope + RescaleIntercept`, Hounsfield units for CT:
    int16 where both are whole numbers and the result fits, else int32 or float32. Padding is kept
    as the scanner wrote it. Values of MONOCHROME1 are kept too; only their display is inverted.

    Raises
    ------
    InputError
        When no file holds a whole grayscale image.
    """
    with _quiet_pydicom(), unchanged(*paths):
        try:
            return _Series(list(paths), source).read(run)
        except DAMAGE as error:
            raise InputError(f"{source.name} is damaged DICOM ({brief(error)}).") from error


@contextmanager
def _quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from printing what it finds odd in a file."""
    logger = logging.getLogger("pydicom")
    level, logger.level = logger.level, logging.CRITICAL
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.level = level


class _Series:
    """The files of a folder on their way to one stack."""

    def __init__(self, paths: list[Path], source: Path) -> None:
        self.paths = paths
        self.source = source
        self.warnings: list[str] = []
        self.unread: list[str] = []

    def read(self, run: Run) -> Stack:
        header, slices = self._largest(run)
        # Each frame and, in the end, the stack that they become.
        shape = (len(slices), int(header.Rows), int(header.Columns))
        check_size(self.source.name, shape, np.int32, None)
        frames, kept = self._frames(self._once(slices), run)
        if self.unread:
            if not kept:
                raise InputError(self.unread[0])
            self.warnings.append(
                f"{len(self.unread)} of its {len(self.paths)} files left out: {self.unread[0]}"
            )
        return self._stack(header, frames, order_of(kept, header))

    def _largest(self, run: Run) -> tuple[Any, list[Slice]]:
        """Give the first header and the images of the largest series, of one size and direction."""
        groups: dict[Any, tuple[Any, list[Slice]]] = {}
        for path in self.paths:
            run.check()
            try:
                header = open_dicom(path, stop_before_pixels=True)
                slices = list_slices(header, path)
                groups.setdefault(group_key(header, path), (header, []))[1].extend(slices)
            except InputError as error:
                self.unread.append(str(error))
            except DAMAGE as error:
                self.unread.append(f"{path.name} is a damaged DICOM file ({brief(error)}).")
        if not groups:
            raise InputError(self.unread[0])
        largest = max(groups.values(), key=lambda group: len(group[1]))
        if len(groups) > 1:
            # Told by number: what the hospital wrote into the description may name the patient.
            number = largest[0].get("SeriesNumber")
            named = "" if number is None else f"number {number}, "
            others = ", ".join(str(len(g[1])) for g in groups.values() if g is not largest)
            self.warnings.append(
                f"The folder holds {len(groups)} series; only the largest ({named}"
                f"{len(largest[1])} images) is read. The others hold {others}."
            )
        return largest

    def _once(self, slices: list[Slice]) -> list[Slice]:
        """Leave out copies of a file that is among the others already."""
        once: dict[Any, Slice] = {}
        for piece in slices:
            once.setdefault((piece.instance or piece.path, piece.frame), piece)
        if len(once) < len(slices):
            self.warnings.append(
                f"{len(slices) - len(once)} of its images are there twice and are read once."
            )
        return list(once.values())

    def _frames(self, slices: list[Slice], run: Run) -> tuple[list[Pixels], list[Slice]]:
        frames: list[Pixels] = []
        kept: list[Slice] = []
        opened: tuple[Path, Any, Pixels] | None = None
        for index, piece in enumerate(slices):
            run.check()
            try:
                if opened is None or opened[0] != piece.path:
                    opened = (piece.path, *decode(piece.path))
                frames.append(in_units(opened[1], opened[2], piece.frame))
                kept.append(piece)
            except InputError as error:
                self.unread.append(str(error))
            if run.tick_due():
                run.progress(Stage.READ, index + 1, len(slices))
        return frames, kept

    def _stack(self, header: Any, frames: list[Pixels], order: Order) -> Stack:
        pixels = np.stack([frames[i] for i in order.indices])
        lead = order.axes if len(pixels) > 1 else ""
        extra: dict[str, Any] = {}
        self.warnings += order.notes
        if header.get("PhotometricInterpretation") == "MONOCHROME1":
            extra["photometric"] = "miniswhite"
            self.warnings.append("Its display is inverted (MONOCHROME1); the values are kept.")
        z_um = None if order.z_mm is None else order.z_mm * UM_PER_MM
        return Stack(
            pixels.reshape(*order.shape, *pixels.shape[1:]) if lead else pixels[0],
            f"{lead}YX",
            pixel_size(header, z_um),
            time_step_s=order.step_s,
            value_unit="HU" if is_hounsfield(header) else "",
            kind="dicom",
            source=self.source,
            warnings=tuple(self.warnings),
            metadata=extra,
        )
