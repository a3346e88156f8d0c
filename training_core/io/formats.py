"""The formats that can be read, in one list, and those that cannot, with what to do instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training_core.errors import InputError
from training_core.formats.compound import CONTAINER, is_oif, read_oif, read_txrm
from training_core.formats.czi import SIGNATURE as CZI
from training_core.formats.czi import read_czi
from training_core.formats.file_image import FileImage
from training_core.formats.gatan import is_gatan, read_gatan
from training_core.formats.hdf5 import is_hdf5, read_hdf5
from training_core.formats.lif import is_lif, read_lif
from training_core.formats.mrc import is_deltavision, is_mrc, read_deltavision, read_mrc
from training_core.formats.nd2 import is_nd2, read_nd2
from training_core.formats.nifti import is_nifti, read_nifti
from training_core.formats.nrrd import SIGNATURE as NRRD
from training_core.formats.nrrd import read_nrrd
from training_core.formats.ome_zarr import is_zarr, read_zarr
from training_core.formats.source_file import damage, unchanged
from training_core.run import Run
from training_core.stack import Stack

from .pictures import read_array, read_picture
from .tiff_file import COMPANION, SIGNATURES
from .tiff_reader import tiff_images

BEGINNING = 1024  # bytes by which a format is known
MOST_LISTED = 5
DICOM = (".dcm", ".ima", ".dicom")
Known = Callable[[Path, bytes], bool]  # asked with the beginning of a file
Images = Callable[[Path, Run], Sequence[FileImage]]


@dataclass(frozen=True, slots=True)
class Format:
    """Files of one kind: what they are called, how they are known, and the images in one."""

    suffixes: tuple[str, ...]
    is_of: Known
    images: Images


def _one(read: Callable[[Path, Run], Stack]) -> Images:
    """Give the images of files that hold one each."""
    return lambda path, run: [FileImage.of(read(path, run))]


def _several(read: Callable[[Path], Sequence[FileImage]]) -> Images:
    return lambda path, _: read(path)


def is_dicom(path: Path) -> bool:
    """Whether a file has the DICOM signature, or starts with DICOM elements under a usual name."""
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:
        return False
    # Old scanners left the 128 bytes of preamble out; then the first element starts the file.
    usual_name = path.suffix.lower() in DICOM
    return head[128:] == b"DICM" or (
        usual_name and head[1:2] == b"\x00" and head[:1] in b"\x02\x08"
    )


def dicom_images(paths: Sequence[Path], source: Path, run: Run) -> Sequence[FileImage]:
    """List the series among DICOM files, each a stack."""
    from .dicom import dicom_images  # its library loads slowly

    return dicom_images(paths, source, run=run)


def _begins(*words: bytes) -> Known:
    return lambda _, head: head.startswith(words)


# All that can be read; the first that knows a file reads it, whatever the file is called.
FORMATS = (
    Format(
        DICOM,
        lambda path, _: is_dicom(path),
        lambda path, run: dicom_images([path], path, run),
    ),
    Format(
        (".tif", ".tiff", ".lsm", ".stk", ".btf", ".tf8", ".svs", COMPANION),
        lambda path, head: head.startswith(SIGNATURES) or path.name.lower().endswith(COMPANION),
        tiff_images,
    ),
    Format(
        (".png", ".bmp", ".jpg", ".jpeg"),
        _begins(b"\x89PNG\r\n\x1a\n", b"BM", b"\xff\xd8\xff"),
        _one(lambda path, _: read_picture(path)),
    ),
    Format((".npy",), _begins(b"\x93NUMPY"), _one(lambda path, _: read_array(path))),
    Format((".czi",), _begins(CZI), _several(read_czi)),
    Format((".lif", ".lof"), lambda _, head: is_lif(head), _several(read_lif)),
    Format((".oif", ".oib"), is_oif, _several(read_oif)),
    Format((".txrm", ".txm", ".xrm"), _begins(CONTAINER), _several(read_txrm)),
    Format((".nd2",), is_nd2, _several(read_nd2)),
    Format((".h5", ".hdf5", ".ims", ".mat"), lambda _, head: is_hdf5(head), _several(read_hdf5)),
    Format((".nrrd", ".nhdr"), _begins(NRRD), _several(read_nrrd)),
    Format((".nii", ".nii.gz"), is_nifti, _several(read_nifti)),
    Format((".dm3", ".dm4"), lambda _, head: is_gatan(head), _several(read_gatan)),
    # Known by two bytes only, so after the others.
    Format((".dv", ".r3d"), lambda _, head: is_deltavision(head), _several(read_deltavision)),
    Format(
        (".mrc", ".mrcs", ".map", ".ccp4", ".rec", ".st", ".ali"),
        is_mrc,
        _several(read_mrc),
    ),
    Format((".zarr",), lambda path, _: is_zarr(path), _several(read_zarr)),
)
SUFFIXES = tuple(suffix for known in FORMATS for suffix in known.suffixes)

# What other programs write, and from which program a TIFF can be had.
FOREIGN = {
    ".oir": ("Olympus OIR", "FluoView or Fiji"),
    ".vsi": ("Olympus VSI", "cellSens or QuPath"),
    ".ser": ("FEI TIA", "TIA or Fiji"),
    ".fits": ("FITS", "Fiji"),
    ".spe": ("Princeton Instruments SPE", "LightField or Fiji"),
}


def open_file(path: Path, run: Run, series: int | str | None = None) -> Stack:
    """Open one image of a file by what it is, not by what it is called; see `chosen`."""
    with unchanged(path):
        return open_chosen(_images(path, run), path.name, run, series)


def open_chosen(
    images: Sequence[FileImage], name: str, run: Run, series: int | str | None = None
) -> Stack:
    """Open one of the images of a file or folder, and say which there are if none was asked for.

    Raises
    ------
    InputError
        When there is none as is asked for, or it cannot be opened.
    """
    image = chosen(images, name, series)
    with damage(f"{name} is damaged and cannot be read"):
        stack = image.open(run)
    if len(images) == 1:
        return stack
    notes = stack.warnings if series is not None else (_told(images, image), *stack.warnings)
    return replace(stack, warnings=notes, series=name_of(images, image))


def images_of(path: Path, run: Run) -> Sequence[FileImage]:
    """Give the images of a file, or of a folder that is one; none of them is read yet.

    Raises
    ------
    InputError
        When it cannot be opened.
    """
    with unchanged(path):
        return _images(path, run)


def _images(path: Path, run: Run) -> Sequence[FileImage]:
    other = foreign(path)
    if other:
        raise InputError(
            f"{path.name} is in {other[0]} format, which this version does not read; export it "
            f"as OME-TIFF from {other[1]}."
        )
    head = b""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(BEGINNING)
        if not head:
            raise InputError(f"{path.name} is empty (0 bytes).")
    with damage(f"{path.name} is damaged and cannot be read"):  # what a reader did not expect
        for known in FORMATS:
            if known.is_of(path, head):
                return known.images(path, run)
    raise _unknown(path)


def chosen(images: Sequence[FileImage], name: str, series: int | str | None) -> FileImage:
    """Give the image that is asked for: by its number from 1 on or its name; the largest if none.

    Raises
    ------
    InputError
        When there is no such image; the sentence says which there are.
    """
    if series is None:
        return max(images, key=lambda image: image.size)
    asked = str(series)
    for number, image in enumerate(images, 1):
        if image.name and image.name == asked:
            return image
        if asked.isdecimal() and int(asked) == number:
            return image
    raise InputError(f"{name} holds no image {asked}; it has {_listed(images)}.")


def name_of(images: Sequence[FileImage], image: FileImage) -> str:
    """Give the name of an image among those of its file, or its number where it has none."""
    return image.name or str(images.index(image) + 1)


def _told(images: Sequence[FileImage], image: FileImage) -> str:
    number = images.index(image) + 1
    return (
        f"It holds {len(images)} images, and number {number} is read: {image.told}. There are "
        f"{_listed(images)}; the option --series chooses."
    )


def _listed(images: Sequence[FileImage]) -> str:
    named = [f"{number}: {image.told}" for number, image in enumerate(images, 1)]
    more = f" and {len(named) - MOST_LISTED} more" if len(named) > MOST_LISTED else ""
    return ", ".join(named[:MOST_LISTED]) + more


def foreign(path: Path) -> tuple[str, str] | None:
    """Name the format of a file where it cannot be read, and from which program to export it."""
    name = path.name.lower()
    return next((known for suffix, known in FOREIGN.items() if name.endswith(suffix)), None)


def _unknown(path: Path) -> InputError:
    if path.name.lower().endswith(SUFFIXES):
        return InputError(
            f"{path.name} is not the {path.suffix[1:].upper()} file that its name says, or its "
            "beginning is damaged."
        )
    return InputError(
        f"{path.name} is no image that can be opened; TIFF, PNG, BMP, JPEG, DICOM, .npy and the "
        "files of most microscopes can."
    )
