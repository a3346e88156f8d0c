"""One DICOM file: what lies where and when in it, its pixels in their units, colours as RGB."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from training_core.errors import InputError, shown
from training_core.formats.inner_size import (
    Held,
    inflated_bytes,
    of_jpeg,
    of_jpeg_2000,
    refuse_larger,
)
from training_core.formats.source_file import check_size, damage
from training_core.stack import Pixels, PixelSize

from .dicom_library import (
    DICOM_DAMAGE,
    InvalidDicomError,
    apply_color_lut,
    convert_color_space,
    generate_frames,
    pixel_array,
    pydicom,
    read_dataset,
    read_preamble,
    uid,
)

UM_PER_MM = 1000.0
LEAST_FRAME_BYTES = 16  # compressed, too

# What tells images at one position apart: other measurements of it, or the same at other times.
MEASUREMENTS = (
    "EchoNumbers",
    "EchoTime",
    "EffectiveEchoTime",
    "DiffusionBValue",
    "KVP",
    "ImageType",
    "FrameType",
)
PHASES = (
    "TemporalPositionIndex",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "NominalPercentageOfCardiacPhase",
    "AcquisitionNumber",
    "FrameAcquisitionNumber",
)
CLOCKS = ("FrameAcquisitionDateTime", "AcquisitionDateTime", "AcquisitionTime", "ContentTime")

PALETTE, SAMPLES = "PALETTE COLOR", 3
STORED_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
LOSSLESS_JPEG = (uid.JPEGLossless, uid.JPEGLosslessSV1)
# pydicom decodes what is not compressed, and RLE; these give one frame of the others.
DECODERS: tuple[tuple[list[uid.UID], Callable[[bytes], Pixels]], ...] = (
    (uid.JPEGTransferSyntaxes, imagecodecs.jpeg_decode),
    (uid.JPEGLSTransferSyntaxes, imagecodecs.jpegls_decode),
    (uid.JPEG2000TransferSyntaxes, imagecodecs.jpeg2k_decode),
)
HELD: Mapping[str, Held] = {
    **dict.fromkeys((*uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes), of_jpeg),
    **dict.fromkeys(uid.JPEG2000TransferSyntaxes, of_jpeg_2000),
}


@dataclass(frozen=True)
class Slice:
    """One frame of one file, where it lies, and what tells it from others there."""

    path: Path
    frame: int | None
    position_mm: float | None
    order: int
    instance: str = ""
    said: Mapping[str, Any] = field(default_factory=dict)


def open_dicom(path: Path, *, stop_before_pixels: bool) -> Any:
    """Read a file, also one without the preamble; refuse what holds no gray or coloured image."""
    _refuse_inflated(path)
    try:
        data = pydicom.dcmread(path, stop_before_pixels=stop_before_pixels)
    except InvalidDicomError:
        data = pydicom.dcmread(path, stop_before_pixels=stop_before_pixels, force=True)
        syntax = "ImplicitVRLittleEndian" if data.original_encoding[0] else "ExplicitVRLittleEndian"
        data.file_meta.TransferSyntaxUID = getattr(uid, syntax)
    if data.file_meta.get("MediaStorageSOPClassUID") == uid.MediaStorageDirectoryStorage:
        raise InputError(f"{path.name} lists what is on a disc; open the folder that it lies in.")
    if not (data.get("Rows") and data.get("Columns")):
        kind = f" ({shown(data.Modality)})" if data.get("Modality") else ""
        raise InputError(f"{path.name} is a DICOM file{kind} without an image, or it is damaged.")
    colours = shown(data.get("PhotometricInterpretation", "MONOCHROME2"))
    if not (colours.startswith("MONOCHROME") or is_coloured(data)):
        raise InputError(
            f"{path.name} is a DICOM image in the colours {colours}, which cannot be read; export "
            "it as RGB from the archive or the viewer."
        )
    return data


def is_coloured(header: Any) -> bool:
    """Whether the pixels become red, green and blue."""
    return str(header.get("PhotometricInterpretation")) in (*STORED_COLOURS, PALETTE)


def _refuse_inflated(path: Path) -> None:
    """Refuse a deflated file that becomes too large: pydicom inflates all of it for its header."""
    for implicit in (False, True):  # as some wrote what comes before
        with suppress(NotImplementedError), path.open("rb") as file:
            read_preamble(file, force=True)
            meta = read_dataset(file, implicit, True, stop_when=lambda tag, *_: tag >> 16 != 2)
            if meta.get("TransferSyntaxUID") == uid.DeflatedExplicitVRLittleEndian:
                check_size(path.name, (inflated_bytes(file),), np.uint8, path.stat().st_size)
            return


def group_key(header: Any, path: Path) -> tuple[Any, ...]:
    """Give what the slices of one series have in common: series, size and orientation."""
    direction = _direction(header)
    # A localiser may share the series but not the orientation; rounding forgives the last digit.
    rounded = None if direction is None else tuple(np.round(direction, 3))
    series = header.get("SeriesInstanceUID") or path.parent
    return str(series), int(header.Rows), int(header.Columns), rounded, is_coloured(header)


def _direction(part: Any) -> tuple[float, ...] | None:
    values = part.get("ImageOrientationPatient")
    return tuple(map(float, values)) if values is not None and len(values) == 6 else None


def list_slices(header: Any, path: Path) -> list[Slice]:
    """List the frames of a file with their positions along the slice normal."""
    number = int(header.get("InstanceNumber") or 0)
    count, size = int(header.get("NumberOfFrames") or 1), path.stat().st_size
    if count > max(size // LEAST_FRAME_BYTES, 1):
        raise InputError(
            f"{path.name} declares {count} images, more than its {size:,} bytes can hold; it is "
            "damaged."
        )
    instance = str(header.get("SOPInstanceUID") or "")
    if count == 1:
        position = _position(header, header)
        if position is None and header.get("SliceLocation") is not None:
            position = _known(float(header.SliceLocation))
        return [Slice(path, None, position, number, instance, _said([header]))]
    slices = []
    for frame in range(count):
        plane = _frame_group(header, frame, "PlanePositionSequence")
        orientation = _frame_group(header, frame, "PlaneOrientationSequence")
        said = _said(_parts(header, frame))
        position = _position(plane, orientation)
        slices.append(Slice(path, frame, position, number, instance, said))
    return slices


def _parts(header: Any, frame: int) -> list[Any]:
    """Give the parts of an enhanced header that speak of a frame, its own before the shared."""
    macros = [item.value for group in _groups(header, frame) for item in group if item.VR == "SQ"]
    return [*(items[0] for items in macros if items), header]


def _groups(header: Any, frame: int) -> list[Any]:
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    return [*per_frame[frame : frame + 1], *(header.get("SharedFunctionalGroupsSequence") or [])]


def _frame_group(header: Any, frame: int, name: str) -> Any:
    """Find a macro of an enhanced file, given once for each frame or once for all; {} for none."""
    return next((g.get(name)[0] for g in _groups(header, frame) if g.get(name)), {})


def _said(parts: list[Any]) -> dict[str, Any]:
    """Collect what may tell the slice from others at its position."""
    said: dict[str, Any] = {}
    for keyword in (*MEASUREMENTS, *PHASES, *CLOCKS):
        values = (part.get(keyword) for part in parts)
        value = next((v for v in values if v not in (None, "")), None)
        if value is not None:
            said[keyword] = value if isinstance(value, (int, float)) else str(value)
    return said


def _position(plane: Any, orientation: Any) -> float | None:
    """Project the corner of a slice on its normal, in mm."""
    corner, direction = plane.get("ImagePositionPatient"), _direction(orientation)
    if corner is None or direction is None or len(corner) != 3:
        return None
    normal = np.cross(direction[:3], direction[3:])
    return _known(float(np.dot(normal, [float(c) for c in corner])))


def _known(position: float) -> float | None:
    return position if math.isfinite(position) else None


def decode(path: Path) -> tuple[Any, Pixels]:
    """Read a file and decode its pixels, (height, width) or (frames, height, width).

    Of a picture in colour the last axis is red, green and blue.
    """
    with damage(f"{path.name} is damaged or cut off", DICOM_DAMAGE):
        data = open_dicom(path, stop_before_pixels=False)
        shape = (int(data.get("NumberOfFrames") or 1), int(data.Rows), int(data.Columns))
        samples = (SAMPLES,) * is_coloured(data)
        packed = len(data.get("PixelData", b"")) or None
        check_size(path.name, (*shape, *samples), np.int32, packed)
        try:
            if samples:
                return data, _coloured(data, shape)
            return data, _in_stored_bits(data, _unpacked(data, shape))
        except NotImplementedError as error:  # what pydicom raises where it knows no decoder
            syntax = shown(data.file_meta.TransferSyntaxUID.name)
            raise InputError(
                f"{path.name} is compressed in a way that cannot be read here ({syntax}); export "
                "it uncompressed from the archive or the viewer."
            ) from error


def _unpacked(data: Any, shape: tuple[int, ...], samples: tuple[int, ...] = ()) -> Pixels:
    """Give the samples as they are stored, with whatever their unused bits hold."""
    syntax = data.file_meta.TransferSyntaxUID
    decoder = next((decode for known, decode in DECODERS if syntax in known), None)
    if decoder is None:
        # `raw` skips what is done to colours; the unused bits are ours to clear.
        return pixel_array(data, raw=True, correct_unused_bits=False)
    packed = list(generate_frames(data.PixelData, number_of_frames=shape[0]))
    for frame in packed:
        refuse_larger(HELD[syntax], frame, math.prod((*shape[1:], *samples)))
    pixels = np.stack([decoder(frame) for frame in packed])
    if pixels.shape != (*shape, *samples):
        raise ValueError(f"its pixels are {pixels.shape}, its header says {shape}")
    return pixels[0] if shape[0] == 1 else pixels


def _coloured(data: Any, shape: tuple[int, ...]) -> Pixels:
    """Give red, green and blue, whichever way they are stored."""
    syntax, kind = data.file_meta.TransferSyntaxUID, str(data.PhotometricInterpretation)
    if kind == PALETTE:
        return np.asarray(apply_color_lut(_unpacked(data, shape), data))[..., :SAMPLES]
    if syntax in HELD:
        for frame in generate_frames(data.PixelData, number_of_frames=shape[0]):
            refuse_larger(HELD[syntax], frame, SAMPLES * math.prod(shape[1:]))
    if syntax in (*uid.JPEGLSTransferSyntaxes, *uid.JPEG2000TransferSyntaxes, *LOSSLESS_JPEG):
        pixels = _unpacked(data, shape, (SAMPLES,))
        whole = kind == "YBR_FULL"
        return convert_color_space(pixels, kind, "RGB", True) if whole else pixels
    pixels = pixel_array(data)  # which gives RGB
    if pixels.shape != (*shape[shape[0] == 1 :], SAMPLES):
        raise ValueError(f"its pixels are {pixels.shape}, its header says {shape}")
    return np.asarray(pixels)


def _in_stored_bits(data: Any, pixels: Pixels) -> Pixels:
    """Take the stored bits out of the allocated ones: others may hold an annotation.

    However they were compressed; the sign, where there is one, is the highest of the stored bits.
    """
    allocated = int(data.get("BitsAllocated", 0))
    stored = int(data.get("BitsStored") or allocated)
    if pixels.dtype.kind not in "ui" or allocated not in (8, 16, 32) or stored > allocated:
        return pixels
    high = min(max(int(data.get("HighBit") or stored - 1), stored - 1), allocated - 1)
    compressed = data.file_meta.TransferSyntaxUID.is_compressed
    if compressed and int(pixels.max()) < 1 << stored:
        high = stored - 1  # encoders move the stored bits down to the lowest
    kind = "i" if int(data.get("PixelRepresentation") or 0) else "u"
    samples = pixels.astype(f"{kind}{allocated // 8}")
    # Shifted left to the top and back, which copies the sign where the type has one.
    return np.asarray(samples << (allocated - 1 - high) >> (allocated - stored))


def in_units(data: Any, stored: Pixels, frame: int | None) -> Pixels:
    """Apply the rescale of a frame; whole numbers stay whole, so that HU have no rounding."""
    raw = stored if frame is None else stored[frame]
    if is_coloured(data):
        return raw.astype(raw.dtype.newbyteorder("="))
    own = {} if frame is None else _frame_group(data, frame, "PixelValueTransformationSequence")
    slope = number(own or data, "RescaleSlope") or 1.0  # empty or 0, it says nothing
    intercept = number(own or data, "RescaleIntercept") or 0.0
    if (slope, intercept) == (1.0, 0.0):
        return raw.astype(raw.dtype.newbyteorder("="))
    values = raw.astype(np.float64) * slope + intercept  # exact for whole numbers up to 2**53
    if raw.dtype.kind != "f" and slope.is_integer() and intercept.is_integer():
        for bits in (16, 32):
            if -(2 ** (bits - 1)) <= values.min() and values.max() < 2 ** (bits - 1):
                return values.astype(f"i{bits // 8}")
    return values.astype(np.float32)


def number(part: Any, keyword: str) -> float | None:
    """Give a number of a header; None where it is absent, empty or no number."""
    value = part.get(keyword)
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


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
    return header.get("Modality") == "CT" and (kind == "HU" or plain) and _is_rescaled(header)


def _is_rescaled(header: Any) -> bool:
    own = _frame_group(header, 0, "PixelValueTransformationSequence") or header
    return number(own, "RescaleIntercept") is not None


def not_rescaled(header: Any) -> str:
    """Say why values are as they are stored, where they mean something else; "" where not."""
    if header.get("ModalityLUTSequence"):
        return "What its values mean is in a table (Modality LUT); they are kept as they are."
    if header.get("Modality") == "CT" and not _is_rescaled(header) and not is_coloured(header):
        return (
            "Its header does not say how to get Hounsfield units (there is no rescale); its values "
            "are kept as they are stored."
        )
    return ""
