"""The files of the benchmark sets, as this project and as the authors of GAN2GAN lay them out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training_core.errors import InputError
from training_core.io.pictures import read_picture
from training_core.stack import Pixels, Stack, Values

Volumes = tuple[str, NDArray[np.float32], NDArray[np.float32]]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
TEST_FIELD = "19"  # which FMD keeps for tests
WATER_ATTENUATION = np.float32(0.2)  # per cm at the energies of CT, about
PATIENTS = (
    *(f"female_{n}" for n in (1, *range(3, 13))),
    *(f"male_{n}" for n in range(1, 12)),
)
TEST_PATIENTS = ("female_13", "female_14", "female_15", "male_12", "male_13")


@dataclass(frozen=True, eq=False)
class TestImage:
    """A noisy image whose reference is known."""

    __test__ = False  # not a test case, whatever pytest reads into the name

    name: str  # the picture, field and frame, or patient and slice
    noisy: Stack  # one frame, in the dtype of the camera, or float32 where the noise was made up
    clean: Values  # (height, width) float64 in the units of `noisy`

    @classmethod
    def of(cls, name: str, noisy: Pixels, clean: Pixels, unit: str = "") -> TestImage:
        """Put a noisy image (height, width) and its reference together."""
        return cls(name, Stack(noisy, "YX", value_unit=unit), np.asarray(clean, np.float64))


def find_folder(data: Path, names: Sequence[str], what: str) -> Path:
    """Give the first of the folders `names` that is there.

    Raises `InputError` if none is, naming what is missing and where it was looked for.
    """
    for name in names:
        if (data / name).is_dir():
            return data / name
    places = " or ".join(str(data / name) for name in names)
    raise InputError(f"{what} is missing: put it into {places}, or choose another data folder.")


def pictures_in(folder: Path) -> list[Path]:
    """List the pictures of a folder; frame 10 comes after frame 9.

    Raises `InputError` if there is none.
    """
    inside = folder.iterdir() if folder.is_dir() else []
    paths = [p for p in inside if p.suffix.lower() in PICTURES]
    if not paths:
        raise InputError(f"There are no pictures in {folder}; put the files of the set there.")
    return sorted(paths, key=lambda p: (len(p.stem), p.stem))


def read_gray(path: Path) -> Pixels:
    """Read a grey picture, (height, width) in its own dtype.

    Raises `InputError` if it is missing or in colour, or cannot be read.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; put the file of the set there.")
    pixels = read_picture(path).pixels
    if pixels.ndim != 2:
        raise InputError(f"{path} is in colour; the grey image of the set is needed.")
    return np.asarray(pixels)


def stacks_of(frames: Sequence[Pixels], white: float | None = None) -> list[Stack]:
    """Join frames of equal shape into stacks, in the order in which the shapes first appear."""
    shapes = dict.fromkeys(frame.shape for frame in frames)
    joined = [np.stack([frame for frame in frames if frame.shape == shape]) for shape in shapes]
    return [Stack(pixels, "IYX", white=white) for pixels in joined]


@dataclass(frozen=True, eq=False)
class RawFrames:
    """What there is of some image types of FMD, and what is left out."""

    fields: list[list[TestImage]]  # for each field the means of its raw frames, with its reference
    repeated: list[str]  # frames that repeat an earlier one
    too_few: list[str]  # fields with fewer frames than a mean takes, as "FIELD (frames)"
    missing: list[str]  # types of which there is nothing


def read_raw_frames(fmd: Path, types: Sequence[str], average: int) -> RawFrames:
    """Read every field of some image types, such as "WideField_BPAE_B".

    The folder `fmd` has TYPE/raw/FIELD and TYPE/gt/FIELD/avg50.png, or test_mix/raw/TYPE_N.png and
    test_mix/gt/TYPE.png. So many frames as `average` says that follow one another are averaged,
    none twice, and rounded to their dtype; a mean bears the number of its first frame.
    """
    found = RawFrames([], [], [], [])
    for image_type in types:
        there = list(_fields(fmd, image_type))
        if not there:
            found.missing.append(image_type)
        for name, raw, reference in there:
            frames, repeated = _different(name, raw)
            found.repeated.extend(repeated)
            if len(frames) < average:
                found.too_few.append(f"{name} ({len(frames)})")
                continue
            clean = read_gray(reference)
            means = _means(frames, average)
            found.fields.append([TestImage.of(*mean, clean) for mean in means])
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
        frames = [p for p in pictures_in(mix / "raw") if p.name.startswith(f"{image_type}_")]
        yield image_type, frames, mix / "gt" / f"{image_type}.png"


def _different(field: str, paths: list[Path]) -> tuple[dict[str, Pixels], list[str]]:
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


def _means(frames: dict[str, Pixels], average: int) -> Iterator[tuple[str, Pixels]]:
    names, pixels = list(frames), list(frames.values())
    for i in range(0, len(names) - average + 1, average):
        mean = np.mean(pixels[i : i + average], axis=0)
        yield names[i], np.rint(mean).astype(pixels[i].dtype)


def wide_field(root: Path, average: int) -> list[TestImage]:
    """Read the authors' wide-field test images that are means of `average` frames.

    They are in test/WF/avgN and their references in test/WF/gt, paired by name or, where the names
    differ, in sorted order.
    """
    noisy = pictures_in(root / "test" / "WF" / f"avg{average}")
    clean = _references(noisy, pictures_in(root / "test" / "WF" / "gt"))
    _training_folder(root, average)
    pairs = zip(noisy, clean, strict=True)
    return [TestImage.of(one.stem, read_gray(one), read_gray(two)) for one, two in pairs]


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
    """Read the authors' CT test patients at a dose such as "Dose25", in HU.

    Give name, noisy and clean volume (slices, height, width) float32 of each of 5 patients, and the
    names of the HDF5 data sets that were read ("img" and "img_clean" in the published files).
    """
    noisy = find_folder(root, [dose], f"The {dose} set")
    clean = find_folder(root, ["Clean"], "The clean set")
    for name in PATIENTS:
        _patient_file(noisy, name)
    volumes: list[Volumes] = []
    taken: set[str] = set()
    for name in TEST_PATIENTS:
        key, one = _slices(noisy, name, "img")
        clean_key, two = _slices(clean, name, "img_clean")
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
    try:
        h5py: Any = import_module("h5py")
    except ImportError as error:
        raise InputError(
            "The CT files of the authors are HDF5; install the package h5py to read them."
        ) from error
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
    for name in file:
        if len(getattr(file[name], "shape", ())) >= 2:
            return str(name)
    raise InputError(f"{path} holds no images; the data set img or img_clean is needed.")
