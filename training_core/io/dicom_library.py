"""pydicom, which takes as long to load as all other readers together, without looking for a net."""

from __future__ import annotations

import sys

# Where somebody has installed `requests`, pydicom imports it to download examples, and that opens a
# socket to see what networks there are. Without it pydicom does all that is asked of it here.
if not {"pydicom", "requests"} & sys.modules.keys():
    sys.modules["requests"] = None  # type: ignore[assignment]  # an import of it fails
    try:
        import pydicom
    finally:
        del sys.modules["requests"]
else:
    import pydicom
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset, read_preamble
from pydicom.pixels.processing import apply_color_lut, convert_color_space
from pydicom.pixels.utils import pixel_array
from pydicom.sequence import Sequence as DicomSequence

# What it raises on damaged files, beside what all readers do.
DICOM_DAMAGE = (BytesLengthException, InvalidDicomError)

__all__ = [
    "DICOM_DAMAGE",
    "Dataset",
    "DicomSequence",
    "FileMetaDataset",
    "InvalidDicomError",
    "apply_color_lut",
    "convert_color_space",
    "generate_frames",
    "pixel_array",
    "pydicom",
    "read_dataset",
    "read_preamble",
    "uid",
]
