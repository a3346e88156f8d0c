"""Read DICOM: one file or a folder of slices as a volume, in Hounsfield units for CT."""

from __future__ import annotations

import logging
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from training_core.errors import InputError
from training_core.run import SILENT, Run, Stage
from training_core.stack import Pixels, PixelSize, Stack

from .damaged_files import DAMAGE, brief, shown

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


UM_PER_MM = 1000.0
MOST_EXPANSION = 1000  # nothing a scanner makes unpacks to more than this many times its size


@dataclass(frozen=True)
class Slice:
    """One frame of one file, and where it lies."""

    path: Path
    frame: int | None
    position_mm: float | None
    order: int


def open_dicom(path: Path, *, stop_before_pixels: bool) -> Any:
    """Read a file, also one without the preamble; refuse what holds no grayscale image."""
    try:
        data = pydicom.dcmread(path, stop_before_pixels=stop_before_pixels)
    except InvalidDicomError:
        data = pydicom.dcmread(path, stop_before_pixels=stop_before_pixels, force=True)
        syntax = "ImplicitVRLittleEndian" if data.original_encoding[0] else "ExplicitVRLittleEndian"
        data.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
    if not (data.get("Rows") and data.get("Columns")):
        kind = f" ({shown(data.Modality)})" if data.get("Modality") else ""
        raise InputError(f"{path.name} is a DICOM file{kind} without an image, or it is damaged.")
    colours = shown(data.get("PhotometricInterpretation", "MONOCHROME2"))
    if not colours.startswith("MONOCHROME"):
        raise InputError(
            f"{path.name} is a colour DICOM image ({colours}); only grayscale ones can be read."
        )
    return data


def group_key(header: Any, path: Path) -> tuple[Any, ...]:
    """Give what the slices of one series have in common: series, size and orientation."""
    direction = _direction(header)
    # A localiser may share the series but not the orientation; rounding forgives the last digit.
    rounded = None if direction is None else tuple(np.round(direction, 3))
    series = header.get("SeriesInstanceUID") or path.parent
    return str(series), int(header.Rows), int(header.Columns), rounded


def _direction(part: Any) -> tuple[float, ...] | None:
    values = part.get("ImageOrientationPatient")
    return tuple(map(float, values)) if values is not None and len(values) == 6 else None


def list_slices(header: Any, path: Path) -> list[Slice]:
    """List the frames of a file with their positions along the slice normal."""
    number = int(header.get("InstanceNumber") or 0)
    count = int(header.get("NumberOfFrames") or 1)
    if count == 1:
        return [Slice(path, None, _position(header, header), number)]
    return [Slice(path, i, _frame_position(header, i), number) for i in range(count)]


def _frame_position(header: Any, frame: int) -> float | None:
    plane = _frame_group(header, frame, "PlanePositionSequence")
    direction = _frame_group(header, frame, "PlaneOrientationSequence")
    return None if plane is None or direction is None else _position(plane, direction)


def _frame_group(header: Any, frame: int, name: str) -> Any:
    """Find a macro of an enhanced file, given once for each frame or once for all."""
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = header.get("SharedFunctionalGroupsSequence") or []
    for group in (*per_frame[frame : frame + 1], *shared):
        if group.get(name):
            return group.get(name)[0]
    return None


def _position(plane: Any, orientation: Any) -> float | None:
    """Project the corner of a slice on its normal, in mm."""
    corner, direction = plane.get("ImagePositionPatient"), _direction(orientation)
    if corner is None or direction is None or len(corner) != 3:
        return None
    normal = np.cross(direction[:3], direction[3:])
    return float(np.dot(normal, [float(c) for c in corner]))


def decode(path: Path) -> tuple[Any, Pixels]:
    """Read a file and decode its pixels, (height, width) or (frames, height, width)."""
    try:
        data = open_dicom(path, stop_before_pixels=False)
        _refuse_impossible(data, path)
        return data, data.pixel_array
    except DAMAGE as error:
        raise InputError(
            f"{path.name} is damaged, cut off or compressed in an unknown way ({brief(error)})."
        ) from error


def _refuse_impossible(data: Any, path: Path) -> None:
    """Refuse a header that declares more than its pixel data can unpack to."""
    frames = int(data.get("NumberOfFrames") or 1)
    declared = int(data.Rows) * int(data.Columns) * frames * int(data.get("BitsAllocated", 8)) // 8
    if declared > MOST_EXPANSION * max(len(data.get("PixelData", b"")), 1):
        raise InputError(
            f"{path.name} declares {frames} images of {data.Columns} x {data.Rows} pixels but "
            "holds almost no data; it is damaged."
        )


def in_units(data: Any, stored: Pixels, frame: int | None) -> Pixels:
    """Apply the rescale of a frame, in the smallest type that holds the result exactly."""
    raw = stored if frame is None else stored[frame]
    group = None if frame is None else _frame_group(data, frame, "PixelValueTransformationSequence")
    slope = float((group or data).get("RescaleSlope", 1))
    intercept = float((group or data).get("RescaleIntercept", 0))
    if (slope, intercept) == (1.0, 0.0):
        return raw.astype(raw.dtype.newbyteorder("="))
    if not (slope.is_integer() and intercept.is_integer()):
        return (raw * slope + intercept).astype(np.float32)
    # Whole numbers stay whole, so that Hounsfield units have no rounding.
    values = raw.astype(np.int32) * int(slope) + int(intercept)
    fits = values.min() >= -(2**15) and values.max() < 2**15
    return values.astype(np.int16) if fits else values


def pixel_size(header: Any, z_um: float | None) -> PixelSize:
    """Give the pixel size in micrometres; None where the file has none."""
    measures = _frame_group(header, 0, "PixelMeasuresSequence") or header
    spacing = measures.get("PixelSpacing") or header.get("ImagerPixelSpacing")
    values = [float(v) * UM_PER_MM for v in spacing] if spacing and len(spacing) == 2 else []
    if len(values) != 2 or min(values) <= 0:
        return PixelSize(z_um=z_um)
    # PixelSpacing is (between rows, between columns), that is y first.
    return PixelSize(x_um=values[1], y_um=values[0], z_um=z_um)


def is_hounsfield(header: Any) -> bool:
    """Whether rescaled values are Hounsfield units; 8-bit CT is a picture of a CT."""
    kind = header.get("RescaleType")
    plain = kind is None and int(header.get("BitsStored", 8)) > 8
    return header.get("Modality") == "CT" and (kind == "HU" or plain)
