"""The files as the authors of GAN2GAN hand them out, in Real_FM_images and Medical_images."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training_core.errors import InputError
from training_core.stack import Stack

from .dataset import Scene, find_folder, pictures_in, read_gray, stacks_of

Volumes = tuple[str, NDArray[np.float32], NDArray[np.float32]]

MICROGRAPHS = "Real_FM_images"
MEDICAL = "Medical_images"
TEST_FIELD = "19"
WATER_ATTENUATION = np.float32(0.2)  # per cm at the energies of CT, about
PATIENTS = (
    *(f"female_{n}" for n in (1, *range(3, 13))),
    *(f"male_{n}" for n in range(1, 12)),
)
TEST_PATIENTS = ("female_13", "female_14", "female_15", "male_12", "male_13")


def wide_field(root: Path, average: int) -> list[Scene]:
    """Read the wide-field test images that are means of `average` frames.

    They are in test/WF/avgN and their references in test/WF/gt, paired by name or, where the names
    differ, in sorted order.
    """
    noisy = pictures_in(root / "test" / "WF" / f"avg{average}")
    clean = _references(noisy, pictures_in(root / "test" / "WF" / "gt"))
    _training_folder(root, average)
    pairs = zip(noisy, clean, strict=True)
    return [Scene({path.stem: read_gray(path)}, read_gray(reference)) for path, reference in pairs]


def wide_field_training(root: Path, average: int) -> list[Stack]:
    """Read train/WF/avgN/CHANNEL/FIELD but for field 19: a stack for each channel."""
    folder = _training_folder(root, average)
    stacks: list[Stack] = []
    for channel in sorted(p for p in folder.iterdir() if p.is_dir()):
        fields = (p for p in channel.iterdir() if p.is_dir() and p.name != TEST_FIELD)
        files = (path for field in sorted(fields) for path in pictures_in(field))
        stacks += stacks_of([read_gray(path) for path in files])
    if not stacks:
        raise InputError(f"{folder} holds no CHANNEL/FIELD folders with training images.")
    return stacks


def _training_folder(root: Path, average: int) -> Path:
    return find_folder(root / "train" / "WF", [f"avg{average}"], "The training set")


def _references(noisy: list[Path], clean: list[Path]) -> list[Path]:
    names = {path.stem: path for path in clean}
    if all(path.stem in names for path in noisy):
        return [names[path.stem] for path in noisy]
    if len(noisy) == len(clean):
        return clean
    raise InputError(
        f"{noisy[0].parent} holds {len(noisy)} images but {clean[0].parent} {len(clean)}, under "
        "other names; put a reference for each noisy image there."
    )


def doses(root: Path, dose: str) -> tuple[list[Volumes], list[str]]:
    """Read the CT test patients at a dose such as "Dose25", in HU.

    Returns
    -------
    tuple
        Name, noisy and clean volume (slices, height, width) float32 of each of 5 patients; and the
        names of the HDF5 data sets that were read ("img" and "img_clean" in the published files).
    """
    noisy = find_folder(root, [dose], f"The {dose} set")
    clean = find_folder(root, ["Clean"], "The clean set")
    for name in PATIENTS:
        _patient_file(noisy, name)
    volumes: list[Volumes] = []
    taken: set[str] = set()
    for name in TEST_PATIENTS:
        (key, one), (clean_key, two) = (
            _slices(noisy, name, "img"),
            _slices(clean, name, "img_clean"),
        )
        if one.shape != two.shape:
            raise InputError(
                f"{name}.mat is {one.shape} in {noisy} but {two.shape} in {clean}; "
                "take both from the same set."
            )
        volumes.append((name, one, two))
        taken |= {key, clean_key}
    return volumes, sorted(taken)


def dose_training(root: Path, dose: str) -> list[Stack]:
    """Read the 22 other patients at a dose, in HU: a stack for each."""
    folder = root / dose
    return [Stack(_slices(folder, name, "img")[1], "ZYX", value_unit="HU") for name in PATIENTS]


def _patient_file(folder: Path, patient: str) -> Path:
    path = folder / f"{patient}.mat"
    if not path.is_file():
        raise InputError(f"{path} is missing; {folder.name} needs that patient of the set.")
    return path


def _slices(folder: Path, patient: str, key: str) -> tuple[str, NDArray[np.float32]]:
    """Read (slices, height, width) in HU from a MATLAB file, and say which data set it was."""
    h5py = _h5py()
    path = _patient_file(folder, patient)
    try:
        with h5py.File(path, "r") as file:
            name = key if key in file else _first_images(file, path)
            attenuation = np.asarray(file[name], dtype=np.float32)
    except OSError as error:
        raise InputError(
            f"{path} is damaged or no HDF5 file ({error}); MATLAB writes HDF5 with -v7.3."
        ) from error
    hu: NDArray[np.float32] = 1000 * (attenuation / WATER_ATTENUATION - 1)
    return name, hu.reshape(-1, *hu.shape[-2:])


def _first_images(file: Any, path: Path) -> str:
    names: list[str] = [name for name in file if len(getattr(file[name], "shape", ())) >= 2]
    if not names:
        raise InputError(f"{path} holds no images; the data set img or img_clean is needed.")
    return names[0]


def _h5py() -> Any:
    try:
        return import_module("h5py")
    except ImportError as error:
        raise InputError(
            "The CT files of the authors are HDF5; install the package h5py to read them."
        ) from error


class Found(NamedTuple):
    """What is there of an image type: scenes, and names and counts of what was left out."""

    scenes: list[Scene]
    repeated: list[str]
    too_few: list[str]


def read_scenes(fmd: Path, image_type: str, average: int) -> Found:
    """Read every field of an image type as means of `average` raw frames.

    Parameters
    ----------
    fmd
        Folder with TYPE/raw/FIELD and TYPE/gt/FIELD/avg50.png, or with test_mix/raw/TYPE_N.png and
        test_mix/gt/TYPE.png.
    image_type
        Such as "WideField_BPAE_B".
    average
        Frames that follow one another are averaged, none twice, and rounded to their dtype; a mean
        bears the number of its first frame.

    Returns
    -------
    Found
        The scenes; the frames left out because they repeat an earlier one; and the fields left out
        because they have fewer than `average` frames, as "FIELD (frames)".
    """
    found = Found([], [], [])
    for name, raw, reference in _fields(fmd, image_type):
        frames, repeated = _different(name, raw)
        found.repeated.extend(repeated)
        if len(frames) < average:
            found.too_few.append(f"{name} ({len(frames)})")
        else:
            found.scenes.append(Scene(_means(frames, average), read_gray(reference)))
    return found


def _fields(fmd: Path, image_type: str) -> Iterator[tuple[str, list[Path], Path]]:
    """Give name, raw frames and reference of each field."""
    raw, gt = (fmd / image_type / part for part in ("raw", "gt"))
    if raw.is_dir():
        for field in sorted(raw.iterdir(), key=lambda p: (len(p.name), p.name)):
            yield f"{image_type}_{field.name}", pictures_in(field), gt / field.name / "avg50.png"
        return
    mix = fmd / "test_mix"
    if any((mix / "raw").glob(f"{image_type}_*")):
        frames = pictures_in(mix / "raw", lambda name: name.startswith(f"{image_type}_"))
        yield image_type, frames, mix / "gt" / f"{image_type}.png"


def _different(field: str, paths: list[Path]) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Give the frames that differ from all before them, numbered, and the names of the others."""
    seen: set[bytes] = set()
    frames, repeated = {}, []
    for number, path in enumerate(paths, 1):
        frame = read_gray(path)
        if frame.tobytes() in seen:
            repeated.append(f"{field}_{number}")
        else:
            seen.add(frame.tobytes())
            frames[f"{field}_{number}"] = frame
    return frames, repeated


def _means(frames: dict[str, NDArray[Any]], average: int) -> dict[str, NDArray[Any]]:
    names, pixels = list(frames), list(frames.values())
    return {
        names[i]: np.rint(np.mean(pixels[i : i + average], axis=0)).astype(pixels[i].dtype)
        for i in range(0, len(names) - average + 1, average)
    }
