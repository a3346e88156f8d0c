"""CT slices as scanners, archives and discs hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

SERIES = generate_uid()


def ct_slice(
    pixels: np.ndarray,
    z_mm: float = 0.0,
    *,
    syntax: str = ExplicitVRLittleEndian,
    encode: Callable[[np.ndarray], bytes] | None = None,
    **changes: Any,
) -> Dataset:
    """Make an axial CT slice of 12 stored bits in 16, of (frames,) height, width stored values."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.Modality, data.SeriesInstanceUID, data.InstanceNumber = "CT", SERIES, 1
    data.Rows, data.Columns = pixels.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelSpacing, data.ImageOrientationPatient = [0.7, 0.7], [1, 0, 0, 0, 1, 0]
    data.ImagePositionPatient = [0, 0, z_mm]
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    frames = pixels.reshape(-1, *pixels.shape[-2:])
    if len(frames) > 1:
        data.NumberOfFrames = len(frames)
    if encode is None:
        data.PixelData = pixels.tobytes()
    else:
        data.PixelData = encapsulate([bytes(encode(frame)) for frame in frames])
        data["PixelData"].is_undefined_length = True
    for name, changed in changes.items():
        if changed is None:
            delattr(data, name)
        else:
            setattr(data, name, changed)
    return data


def save_slices(folder: Path, slices: list[Dataset], suffix: str = ".dcm") -> Path:
    """Save slices under the names that scanners give, IM0001 and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(slices, 1):
        data.save_as(folder / f"IM{number:04d}{suffix}", enforce_file_format=True)
    return folder
