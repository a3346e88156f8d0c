"""The formats that can be read, in one list, and those that cannot, with what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training_core.errors import InputError
from training_core.run import Run
from training_core.stack import Stack

from .dicom import is_dicom, read_dicom
from .pictures import read_array, read_picture
from .source_file import unchanged
from .tiff_reader import SIGNATURES, read_tiff

BEGINNING = 512  # bytes by which a format is known


@dataclass(frozen=True, slots=True)
class Format:
    """Files of one kind: what they are called, how they are known, and what reads one of them."""

    suffixes: tuple[str, ...]
    is_of: Callable[[Path, bytes], bool]  # asked with the beginning of the file
    read: Callable[[Path, Run], Stack]


# All that can be read; the first that knows a file reads it, whatever the file is called.
FORMATS = (
    Format(
        (".dcm", ".ima", ".dicom"),
        lambda path, _: is_dicom(path),
        lambda path, run: read_dicom([path], path, run=run),
    ),
    Format(
        (".tif", ".tiff", ".lsm", ".stk", ".btf", ".tf8"),
        lambda _, head: head.startswith(SIGNATURES),
        lambda path, run: read_tiff(path, run=run),
    ),
    Format(
        (".png", ".bmp", ".jpg", ".jpeg"),
        lambda _, head: head.startswith((b"\x89PNG\r\n\x1a\n", b"BM", b"\xff\xd8\xff")),
        lambda path, _: read_picture(path),
    ),
    Format(
        (".npy",),
        lambda _, head: head.startswith(b"\x93NUMPY"),
        lambda path, _: read_array(path),
    ),
)
SUFFIXES = tuple(suffix for known in FORMATS for suffix in known.suffixes)

# What other programs write, and from which program a TIFF can be had.
FOREIGN = {
    ".czi": ("Zeiss CZI", "ZEN or Fiji"),
    ".nd2": ("Nikon ND2", "NIS-Elements or Fiji"),
    ".lif": ("Leica LIF", "LAS X or Fiji"),
    ".lof": ("Leica LOF", "LAS X or Fiji"),
    ".oif": ("Olympus OIF", "FluoView or Fiji"),
    ".oib": ("Olympus OIB", "FluoView or Fiji"),
    ".oir": ("Olympus OIR", "FluoView or Fiji"),
    ".vsi": ("Olympus VSI", "cellSens or QuPath"),
    ".ims": ("Imaris", "Imaris or Fiji"),
    ".dv": ("DeltaVision", "softWoRx or Fiji"),
    ".dm3": ("Gatan DM3", "DigitalMicrograph or Fiji"),
    ".dm4": ("Gatan DM4", "DigitalMicrograph or Fiji"),
    ".ser": ("FEI TIA", "TIA or Fiji"),
    ".mrc": ("MRC", "IMOD or Fiji"),
    ".map": ("CCP4 map", "IMOD or Fiji"),
    ".rec": ("MRC", "IMOD or Fiji"),
    ".txrm": ("Zeiss TXRM", "XMReconstructor"),
    ".h5": ("HDF5", "Fiji"),
    ".hdf5": ("HDF5", "Fiji"),
    ".nii": ("NIfTI", "Fiji"),
    ".nii.gz": ("NIfTI", "Fiji"),
    ".nrrd": ("NRRD", "Fiji"),
    ".fits": ("FITS", "Fiji"),
    ".spe": ("Princeton Instruments SPE", "LightField or Fiji"),
    ".zarr": ("OME-Zarr", "Fiji"),
}


def open_file(path: Path, run: Run) -> Stack:
    """Open one file by what it is, not by what it is called."""
    other = foreign(path)
    if other:
        raise InputError(
            f"{path.name} is in {other[0]} format, which this version does not read; export it "
            f"as OME-TIFF from {other[1]}."
        )
    with unchanged(path):
        with path.open("rb") as file:
            head = file.read(BEGINNING)
        if not head:
            raise InputError(f"{path.name} is empty (0 bytes).")
        for known in FORMATS:
            if known.is_of(path, head):
                return known.read(path, run)
        raise _unknown(path)


def foreign(path: Path) -> tuple[str, str] | None:
    """Name the format of a file where it cannot be read, and from which program to export it."""
    name = path.name.lower()
    return next((known for suffix, known in FOREIGN.items() if name.endswith(suffix)), None)


def _unknown(path: Path) -> InputError:
    if path.suffix.lower() in SUFFIXES:
        return InputError(
            f"{path.name} is not the {path.suffix[1:].upper()} file that its name says, or its "
            "beginning is damaged."
        )
    return InputError(
        f"{path.name} is no image that can be opened; TIFF, PNG, BMP, JPEG, DICOM and .npy can."
    )
