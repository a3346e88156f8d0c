"""Builds the benchmark sets from the files at hand, in this project's layout or the authors'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import author_layout
from .errors import InputError
from .evaluation_set import (
    EvaluationSet,
    Scene,
    TestImage,
    find_folder,
    pictures_in,
    read_gray,
    stacks_of,
)
from .fmd_files import read_scenes
from .pictures import LUMINANCE, read_picture
from .protocols import Protocol, protocol_for
from .published_tables import TABLES, Table
from .readers import open_stack
from .stack import Stack
from .synthetic_noise import published_gray, published_noise

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["TABLES", "EvaluationSet", "Table", "TestImage", "load_table"]

TESTS_PER_SCENE = 4  # as in the published test set
TEST_NOISE, TRAINING_NOISE = 0, 1
# White of the published CT images is an attenuation of 0.4 / cm, twice that of water: +1000 HU.
HU_PER_GRAY = 2000 / 255


def load_table(table: Table, data: Path, protocol: str, *, seed: int = 0) -> EvaluationSet:
    """Build the set of a table from the files under `data`, whichever layout they have.

    Parameters
    ----------
    table
        One of `TABLES`.
    data
        The folder that holds bsd68, cbsd68, bsd400, fmd and ct, or the authors' BSD68,
        Real_FM_images and Medical_images.
    protocol
        "published" or "sane". It decides which grey and which units the images have: grey levels
        with white at 255, but HU for CT by the sane protocol.
    seed
        Of the noise that is added to natural images; test and training noise are never the same.

    Raises
    ------
    InputError
        Naming the files that are missing, or why the set cannot be made from those at hand.
    SettingsError
        If there is no such protocol.
    """
    scoring = protocol_for(protocol, table.kind)
    if not data.is_dir():
        raise InputError(f"There is no data folder {data}; give the folder of the benchmark sets.")
    if table.kind == "natural":
        return _natural(table, data, scoring, seed)
    if table.kind == "micrograph":
        return _micrographs(table, data, scoring)
    return _ct(table, data, scoring)


def _natural(table: Table, data: Path, scoring: Protocol, seed: int) -> EvaluationSet:
    published = scoring.name == "published"
    folders = ("cbsd68", "BSD68") if published else ("bsd68", "BSD68", "cbsd68")
    folder = find_folder(data, folders, "The test set BSD68")
    bsd400 = find_folder(data, ("bsd400", "BSD400", "Train400"), "The training set BSD400")
    tests = []
    for index, path in enumerate(pictures_in(folder)):
        clean = _gray(path, published)
        noise = published_noise(table.column, clean.shape, (seed, TEST_NOISE, index))
        noisy = Stack((clean + noise).astype(np.float32), "YX")
        tests.append(TestImage(path.stem, noisy, clean))
    train = []
    for index, path in enumerate(pictures_in(bsd400)):
        gray = read_gray(path)
        noise = published_noise(table.column, gray.shape, (seed, TRAINING_NOISE, index))
        train.append((gray + noise).astype(np.float32))
    weights = (
        "grey = .299 R + .587 G + .144 B, unrounded, portraits turned to landscape"
        if published
        else "the usual 8-bit grey"
    )
    note = (
        f"{len(tests)} test images of {folder} ({weights}); {len(train)} training images of "
        f"{bsd400} (8-bit grey) with noise of their own; seed {seed}, nothing clipped."
    )
    return EvaluationSet(stacks_of(train), tuple(tests), scoring, note)


def _gray(path: Path, published: bool) -> NDArray[np.float64]:
    pixels = read_picture(path).pixels
    if pixels.ndim == 2 and not published:
        return pixels.astype(np.float64)
    if pixels.ndim != 3 or len(pixels) != 3:
        raise InputError(
            f"{path} is not in colour, from which the published protocol makes its grey; put the "
            "colour images into cbsd68, or choose the sane protocol."
        )
    rgb = np.moveaxis(pixels, 0, -1)
    if published:
        return published_gray(rgb)
    gray: NDArray[np.float64] = np.rint(rgb @ np.array(LUMINANCE))
    return gray


def _micrographs(table: Table, data: Path, scoring: Protocol) -> EvaluationSet:
    folder = data / author_layout.MICROGRAPHS
    if table.column.startswith("WF") and folder.is_dir():
        train, scenes = author_layout.wide_field(folder, table.average)
        note = "Tested on field 19, learned from the other fields."
    else:
        folder = find_folder(data, ("fmd",), "The set FMD")
        train, scenes, said = _raw_frames(table, folder)
        note = " ".join(["Learned from the noisy images of the tested fields themselves.", *said])
    tests = tuple(test for scene in scenes for test in scene.tests(TESTS_PER_SCENE))
    return EvaluationSet(train, tests, scoring, f"{_counts(train, tests, folder)} {note}")


def _raw_frames(table: Table, fmd: Path) -> tuple[list[Stack], list[Scene], list[str]]:
    """Give a training stack for each type, for their noise differs, the scenes and the notes."""
    train: list[Stack] = []
    scenes: list[Scene] = []
    notes: list[str] = []
    for image_type in table.types:
        found, said = read_scenes(fmd, image_type, table.average)
        train += stacks_of([frame for scene in found for frame in scene.frames])
        scenes += found
        notes += said
    if not scenes:
        raise InputError(f"The set {table.name} cannot be made. {' '.join(notes)}")
    return train, scenes, notes


def _ct(table: Table, data: Path, scoring: Protocol) -> EvaluationSet:
    """Build a CT set from volumes in HU."""
    published = scoring.name == "published"
    if table.name == "ct-mayo":
        folder = find_folder(data, ("ct/ldct_mayo/L096",), "The Mayo patient L096")
        quarter, full = (open_stack(folder / dose) for dose in ("quarter", "full"))
        train, pairs = [quarter], [("L096", quarter.pixels, full.pixels)]
        note = "Learned from the quarter-dose slices themselves."
    else:
        folder = find_folder(data, (author_layout.MEDICAL,), "The CT set of the authors")
        train, pairs, taken = author_layout.doses(folder, table.column)
        note = f"Read from the files: {', '.join(sorted(taken))}."
    tests = tuple(
        _slice_test(f"{name}_{n}", noisy, clean, published)
        for name, one, two in pairs
        for n, (noisy, clean) in enumerate(zip(one, two, strict=True), 1)
    )
    if published:
        train = [Stack(_to_gray(stack.pixels), stack.axes) for stack in train]
    return EvaluationSet(train, tests, scoring, f"{_counts(train, tests, folder)} {note}")


def _slice_test(name: str, noisy: NDArray[Any], clean: NDArray[Any], published: bool) -> TestImage:
    if not published:
        return TestImage(name, Stack(noisy, "YX", value_unit="HU"), clean.astype(np.float64))
    # The published inputs are clipped to twice white, below and above.
    limited = np.clip(_to_gray(noisy), 0, 2 * 255)
    return TestImage(name, Stack(limited, "YX"), _to_gray(clean).astype(np.float64))


def _to_gray(hu: NDArray[Any]) -> NDArray[np.float32]:
    gray: NDArray[np.float32] = ((hu.astype(np.float64) + 1000) / HU_PER_GRAY).astype(np.float32)
    return gray


def _counts(train: list[Stack], tests: tuple[TestImage, ...], folder: Path) -> str:
    frames = sum(stack.frame_count for stack in train)
    return f"{len(tests)} test images and {frames} training images of {folder}."
