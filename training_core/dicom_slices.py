"""One DICOM slice: where it lies, and its values in the units of the scanner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from .damage import DAMAGE, brief, shown
from .errors import InputError
from .stack import Pixels, PixelSize

if TYPE_CHECKING:
    from pathlib import Path

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
