"""Read DICOM: one file or a folder of slices as a volume, in Hounsfield units for CT."""

from __future__ import annotations

import logging
import warnings
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from .damage import DAMAGE, brief, shown
from .dicom_slices import (
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
from .errors import InputError
from .run import SILENT, Run, Stage
from .stack import Pixels, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# Slice distances that differ by less than this are rounding, not missing slices.
EVEN_WITHIN = 0.01


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
    """Read the largest series among DICOM files as one stack, ordered by position.

    Stored values become `value * RescaleSlope + RescaleIntercept`, Hounsfield units for CT:
    int16 where both are whole numbers and the result fits, else int32 or float32. Padding is kept
    as the scanner wrote it. Values of MONOCHROME1 are kept too; only their display is inverted.

    Raises
    ------
    InputError
        When no file holds a whole grayscale image.
    """
    with _quiet_pydicom():
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
        header, slices = self._largest(self._headers(run))
        slices = self._ordered(slices)
        pixels, kept = self._pixels(slices, run)
        if self.unread:
            if not kept:
                raise InputError(self.unread[0])
            self.warnings.append(
                f"{len(self.unread)} of its {len(self.paths)} files left out: {self.unread[0]}"
            )
        return self._stack(header, pixels, kept)

    def _headers(self, run: Run) -> dict[Any, list[tuple[Any, list[Slice]]]]:
        """Group the readable headers by series, size and orientation."""
        groups: dict[Any, list[tuple[Any, list[Slice]]]] = defaultdict(list)
        for path in self.paths:
            run.check()
            try:
                header = open_dicom(path, stop_before_pixels=True)
                slices = list_slices(header, path)
                groups[group_key(header, path)].append((header, slices))
            except InputError as error:
                self.unread.append(str(error))
            except DAMAGE as error:
                self.unread.append(f"{path.name} is a damaged DICOM file ({brief(error)}).")
        if not groups:
            raise InputError(self.unread[0])
        return groups

    def _largest(self, groups: dict[Any, list[tuple[Any, list[Slice]]]]) -> tuple[Any, list[Slice]]:
        chosen = max(groups.values(), key=len)
        if len(groups) > 1:
            name = shown(chosen[0][0].get("SeriesDescription") or "unnamed")
            self.warnings.append(
                f"The folder holds {len(groups)} series; only the largest ({name}) is read."
            )
        return chosen[0][0], [piece for _, pieces in chosen for piece in pieces]

    def _ordered(self, slices: list[Slice]) -> list[Slice]:
        """Sort along the slice normal; by instance number where a file gives no position."""
        if all(s.position_mm is not None for s in slices):
            return sorted(slices, key=lambda s: (s.position_mm or 0.0, s.order))
        if len(self.paths) > 1:
            self.warnings.append("Slices without a position are ordered by their number.")
        return sorted(slices, key=lambda s: (s.order, s.frame or 0))

    def _pixels(self, slices: list[Slice], run: Run) -> tuple[Pixels, list[Slice]]:
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
        return (np.stack(frames) if frames else np.empty(0)), kept

    def _stack(self, header: Any, pixels: Pixels, slices: list[Slice]) -> Stack:
        z_um, letter = self._spacing(slices)
        single = len(pixels) == 1
        extra: dict[str, Any] = {}
        if header.get("PhotometricInterpretation") == "MONOCHROME1":
            extra["photometric"] = "miniswhite"
            self.warnings.append("Its display is inverted (MONOCHROME1); the values are kept.")
        return Stack(
            pixels[0] if single else pixels,
            "YX" if single else f"{letter}YX",
            pixel_size(header, z_um),
            value_unit="HU" if is_hounsfield(header) else "",
            kind="dicom",
            source=self.source,
            warnings=tuple(self.warnings),
            metadata=extra,
        )

    def _spacing(self, slices: list[Slice]) -> tuple[float | None, str]:
        """Give the slice distance in micrometres (None where uneven) and the letter of the axis."""
        positions = np.array([s.position_mm for s in slices if s.position_mm is not None])
        if len(positions) != len(slices) or len(slices) < 2:
            return None, "I"
        steps = np.diff(positions)  # after sorting, so never negative
        if steps.min() <= 0:
            self.warnings.append("Several of its images lie at the same position.")
            return None, "I"
        if steps.max() - steps.min() > EVEN_WITHIN * steps.max():
            self.warnings.append(
                f"Its slices are {steps.min():g} to {steps.max():g} mm apart; slices may be "
                "missing, so no slice distance is set."
            )
            return None, "Z"
        return float(steps.mean()) * UM_PER_MM, "Z"
