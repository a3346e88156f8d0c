"""Write a derived DICOM series: geometry and patient of the source, new pixels, new identifiers.

What names the patient is read from the source files when they are written, and goes nowhere else.
"""

from __future__ import annotations

import datetime
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from training_core.errors import OutputError
from training_core.frames import made_frames
from training_core.io.dicom import dicom_images
from training_core.io.dicom_file import is_coloured, number, open_dicom
from training_core.io.dicom_library import (
    Dataset,
    DicomSequence,
    FileMetaDataset,
    pydicom,
    uid,
)
from training_core.resources import program
from training_core.run import SILENT
from training_core.stack import Pixels, Stack

from .checked import Frames
from .facts import colours_of

DERIVED = "DERIVED"
AS_STORED = ("uint8", "int8", "uint16", "int16")
# What belongs to the pixels of the source alone.
OF_OLD_PIXELS = (
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
    "PixelPaddingRangeLimit",
    "IconImageSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "DigitalSignaturesSequence",
    "MACParametersSequence",
)
# What must be the same in the source and in what was made of it.
KEPT = (
    "PatientName",
    "PatientID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SliceLocation",
    "FrameTime",
)
NEXT_SERIES = 1000  # what is added to the number of the source series
OWN_GROUP, OWN_NAME = 0x0099, "g2g desktop"


def why_not_dicom(stack: Stack) -> str:
    """Say why a stack is no DICOM series; "" where it can be one."""
    about = stack.metadata.get("dicom")
    if not about:
        return "only what came from DICOM can go back to it"
    if stack.dtype.name != about["dtype"]:
        return f"DICOM takes the pixels as they came, which is {about['dtype']}"
    return ""


def is_dicom_folder(stack: Stack) -> bool:
    """Whether the series has more files than one, as it had when it came."""
    return len(_sources(stack)) > 1


def as_dicom_holds(stack: Stack) -> Stack:
    """Give the stack with values that its files can hold: in steps of the slope of each frame."""
    if stack.dtype.name in AS_STORED or colours_of(stack):
        return stack
    slices = stack.metadata["dicom"]["slices"]

    def frame(index: int) -> Pixels:
        scale = _scale_of(*slices[index])
        values = scale.stored(stack.raw_frame(index)) * scale.slope + scale.intercept
        return values.astype(stack.dtype)

    return stack.with_pixels(made_frames(frame, stack.shape, stack.dtype))


def write_dicom(frames: Frames, path: Path, note: str, compression: str) -> None:
    """Write a file for each file of the source: one, or a folder of them."""
    series = uid.generate_uid(prefix=None)
    sources = _sources(frames.stack)
    for count, (source, places) in enumerate(sources.items(), 1):
        target = path / f"{count:05}.dcm" if len(sources) > 1 else path
        with warnings.catch_warnings(action="ignore"):  # of what the source has that is odd
            _write_file(frames, source, places, target, series, note)


def read_again(path: Path) -> Stack:
    """Read what was written: a file, or a folder of them."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    (series,) = dicom_images(files, path)
    return series.open(SILENT)


class _Scale:
    """How values become the whole numbers of a file: less the intercept, over the slope."""

    def __init__(self, slope: float, intercept: float, dtype: np.dtype[Any]) -> None:
        self.slope, self.intercept, self.dtype = slope, intercept, dtype

    def stored(self, values: Pixels) -> Pixels:
        limits = np.iinfo(self.dtype)
        whole = np.rint((values.astype(np.float64) - self.intercept) / self.slope)
        return np.clip(whole, limits.min, limits.max).astype(self.dtype)


@lru_cache(maxsize=2)  # the frames of a file follow one another
def _header(path: Path) -> Any:
    return open_dicom(path, stop_before_pixels=True)


def _scale_of(path: Path, frame: int | None) -> _Scale:
    """Give the slope and intercept that a frame had, and the numbers that its file can hold."""
    header = _header(path)
    parts = [header]
    if frame is not None:
        groups = (header.get("PerFrameFunctionalGroupsSequence") or [])[frame : frame + 1]
        shared = header.get("SharedFunctionalGroupsSequence") or []
        own = [g.get("PixelValueTransformationSequence") for g in (*groups, *shared)]
        parts = [each[0] for each in own if each] + parts
    kind = "i" if int(header.get("PixelRepresentation") or 0) else "u"
    dtype = np.dtype(f"{kind}{int(header.BitsAllocated) // 8}")
    slope = number(parts[0], "RescaleSlope") or 1.0  # empty or 0, it says nothing
    return _Scale(slope, number(parts[0], "RescaleIntercept") or 0.0, dtype)


def _sources(stack: Stack) -> dict[Path, list[tuple[int | None, int]]]:
    """Give for each source file its frames, in its order, and where they are in the stack."""
    found: dict[Path, list[tuple[int | None, int]]] = {}
    for index, (path, frame) in enumerate(stack.metadata["dicom"]["slices"]):
        found.setdefault(path, []).append((frame, index))
    return {path: sorted(places, key=lambda p: p[0] or 0) for path, places in found.items()}


def _write_file(
    frames: Frames,
    source: Path,
    places: Sequence[tuple[int | None, int]],
    target: Path,
    series: str,
    note: str,
) -> None:
    """Write what was made of the frames of one file."""
    data = open_dicom(source, stop_before_pixels=True)
    for element in data.iterall():  # decodes each, so that it can be written in another byte order
        assert element is not None
    original = {name: data.get(name) for name in KEPT}
    with tempfile.TemporaryFile(dir=target.parent) as pixels:
        dtype = _write_pixels(frames, places, pixels)
        _describe(data, note, series)
        _tell_frames(data, [frame for frame, _ in places if frame is not None])
        _tell_pixels(data, dtype, frames.stack.dtype.name in AS_STORED)
        _tell_colours(data, len(colours_of(frames.stack)) or 1)
        data.add_new("PixelData", "OW" if dtype.itemsize > 1 else "OB", pixels)
        pixels.seek(0)
        pydicom.dcmwrite(target, data, enforce_file_format=True)
    written = pydicom.dcmread(target, stop_before_pixels=True)
    changed = [name for name, value in original.items() if written.get(name) != value]
    if changed:
        raise OutputError(
            f"{target.name} was not written: read back, its {' and '.join(changed)} differed from "
            "the source series; please report it."
        )


def _write_pixels(
    frames: Frames, places: Sequence[tuple[int | None, int]], file: BinaryIO
) -> np.dtype[Any]:
    """Write the numbers that stand for the values, frame after frame; give their type."""
    stack, written, dtype = frames.stack, 0, frames.stack.dtype
    samples = len(colours_of(stack)) or 1
    for _, index in places:
        values = frames[index] if samples == 1 else frames.picture(index, samples)
        if stack.dtype.name not in AS_STORED and samples == 1:
            values = _scale_of(*stack.metadata["dicom"]["slices"][index]).stored(values)
        dtype = values.dtype
        written += file.write(values.astype(dtype.newbyteorder("<")).tobytes())
    file.write(b"\0" * (written % 2))  # a value has an even length
    return dtype


def _describe(data: Any, note: str, series: str) -> None:
    """Say that this is an image of its own, and what it was made of."""
    old_class, old_instance = data.SOPClassUID, data.get("SOPInstanceUID")
    for name in OF_OLD_PIXELS:
        if name in data:
            delattr(data, name)
    data.SOPInstanceUID = uid.generate_uid(prefix=None)  # random: it tells of no computer
    data.SeriesInstanceUID = series
    if data.get("SeriesNumber") is not None:
        data.SeriesNumber = int(data.SeriesNumber) + NEXT_SERIES
    data.SeriesDescription = f"{str(data.get('SeriesDescription') or '')[:48]} denoised".lstrip()
    now = datetime.datetime.now()
    data.InstanceCreationDate, data.InstanceCreationTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    data.DerivationDescription = f"Denoised by {program()}: GAN2GAN, learned from the noisy image"
    # In an enhanced image the second value may be no other.
    enhanced = "SharedFunctionalGroupsSequence" in data
    _, second, *rest = [*list(data.get("ImageType") or ()), "", ""][: max(2, _values(data))]
    data.ImageType = [DERIVED, second if enhanced and second else "SECONDARY", *rest]
    if old_instance:
        data.SourceImageSequence = DicomSequence([_reference(old_class, old_instance)])
    if enhanced:
        _tell_derived(data)
    data.private_block(OWN_GROUP, OWN_NAME, create=True).add_new(0x01, "UT", note)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID


def _values(data: Any) -> int:
    return len(list(data.get("ImageType") or ()))


def _reference(sop_class: str, instance: str) -> Dataset:
    from pydicom.sr.codedict import codes  # loads slowly

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
    purpose = codes.DCM.SourceImageForImageProcessingOperation
    item.PurposeOfReferenceCodeSequence = DicomSequence([_coded(purpose)])
    return item


def _coded(code: Any) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodeMeaning = code.value, code.meaning
    item.CodingSchemeDesignator = code.scheme_designator
    return item


def _tell_derived(data: Any) -> None:
    """Say of an enhanced image what is said of its frames: derived, and from what."""
    from pydicom.sr.codedict import codes  # loads slowly

    derivation = Dataset()
    derivation.DerivationDescription = data.DerivationDescription
    derivation.DerivationCodeSequence = DicomSequence([_coded(codes.DCM.Smoothing)])
    derivation.SourceImageSequence = data.get("SourceImageSequence", DicomSequence([]))
    data.SharedFunctionalGroupsSequence[0].DerivationImageSequence = DicomSequence([derivation])
    for group in _groups(data):
        for element in group:
            if element.keyword.endswith("FrameTypeSequence") and element.value:
                kind = list(element.value[0].get("FrameType") or ())
                element.value[0].FrameType = [DERIVED, *kind[1:]]


def _groups(data: Any) -> Iterator[Any]:
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        yield from data.get(name) or []


def _tell_frames(data: Any, frames: list[int]) -> None:
    """Leave out what is said of frames that are not in the stack."""
    if not frames or len(frames) == int(data.NumberOfFrames):
        return
    if "PerFrameFunctionalGroupsSequence" not in data:
        raise OutputError(
            f"{int(data.NumberOfFrames) - len(frames)} frames of the DICOM file are not in the "
            "stack, so no DICOM file can be made of it; choose a name that ends in .tif."
        )
    told = data.PerFrameFunctionalGroupsSequence
    data.PerFrameFunctionalGroupsSequence = DicomSequence([told[frame] for frame in frames])
    data.NumberOfFrames = len(frames)


def _tell_colours(data: Any, samples: int) -> None:
    """Say that the numbers are red, green and blue, or the gray of a picture in equal colours."""
    data.SamplesPerPixel = samples
    if not is_coloured(data):
        return
    data.PhotometricInterpretation = "RGB" if samples > 1 else "MONOCHROME2"
    for element in list(data):
        if "PaletteColorLookupTable" in element.keyword or element.keyword == "PlanarConfiguration":
            del data[element.tag]
    if samples > 1:
        data.PlanarConfiguration = 0


def _tell_pixels(data: Any, dtype: np.dtype[Any], as_values: bool) -> None:
    """Say how the numbers are stored; as values they need neither slope nor intercept."""
    bits, signed = 8 * dtype.itemsize, int(dtype.kind == "i")
    padding = data.get("PixelPaddingValue")
    if padding is not None and as_values:
        value = float(padding) * (number(data, "RescaleSlope") or 1.0)
        value += number(data, "RescaleIntercept") or 0.0
        limits = np.iinfo(dtype)
        if value.is_integer() and limits.min <= value <= limits.max:
            del data.PixelPaddingValue
            data.add_new("PixelPaddingValue", "SS" if signed else "US", int(value))
        else:
            del data.PixelPaddingValue
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit, data.PixelRepresentation = bits - 1, signed
    if not as_values:
        return
    told = [g.get("PixelValueTransformationSequence") for g in _groups(data)]
    for part in [data, *(each[0] for each in told if each)]:
        if "RescaleSlope" in part:
            part.RescaleSlope, part.RescaleIntercept = "1", "0"
