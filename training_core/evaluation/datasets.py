"""Builds the benchmark sets from the files at hand, in this project's layout or the authors'."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training_core.errors import InputError
from training_core.io.pictures import LUMINANCE, read_picture
from training_core.io.readers import open_stack
from training_core.noise.synthetic import published_gray, published_noise
from training_core.stack import Stack

from . import author_files as author_layout
from .author_files import Found, read_scenes
from .dataset import (
    EvaluationSet,
    Scene,
    TestImage,
    find_folder,
    pictures_in,
    read_gray,
    stacks_of,
)
from .protocols import Protocol, protocol_for
from .published_tables import TABLES, Table

__all__ = ["TABLES", "EvaluationSet", "Table", "TestImage", "load_table"]

TESTS_PER_SCENE = 4  # as in the published test set
TEST_NOISE, TRAINING_NOISE = 0, 1
PUBLISHED_GRAY = "grey = .299 R + .587 G + .144 B, unrounded, portraits turned to landscape"
USUAL_GRAY = "the usual 8-bit grey"
WHITE = 255.0  # of the photographs, whose noise makes them float32
PUBLISHED_INPUT_HU = (-1000, 3000)  # attenuation 0 to 0.8 / cm, clipped at twice white


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
        "published" or "sane": how to score, and which grey natural images have. White is 255, but
        CT is in HU.
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
    if table.column.startswith("w2s"):
        return _w2s(table, data, scoring)
    if table.kind == "micrograph":
        return _micrographs(table, data, scoring)
    return _ct(table, data, scoring)


def _natural(table: Table, data: Path, scoring: Protocol, seed: int) -> EvaluationSet:
    published = scoring.name == "published"
    folders = ("cbsd68", "BSD68") if published else ("bsd68", "BSD68", "cbsd68")
    folder = find_folder(data, folders, "The test set BSD68")
    bsd400 = find_folder(data, ("bsd400", "BSD400", "Train400"), "The training set BSD400")
    training = pictures_in(bsd400)
    tests = []
    for index, path in enumerate(pictures_in(folder)):
        clean = _gray(path, published)
        noise = published_noise(table.column, clean.shape, (seed, TEST_NOISE, index))
        noisy = Stack((clean + noise).astype(np.float32), "YX", white=WHITE)
        tests.append(TestImage(path.stem, noisy, clean))
    note = (
        f"{len(tests)} test images of {folder} ({PUBLISHED_GRAY if published else USUAL_GRAY}); "
        f"{len(training)} images of {bsd400} ({USUAL_GRAY}) to learn from, with noise of their "
        f"own; seed {seed}, nothing clipped."
    )
    learn = partial(_noisy_training, training, table.column, seed)
    return EvaluationSet(learn, tuple(tests), scoring, note)


def _noisy_training(paths: list[Path], column: str, seed: int) -> list[Stack]:
    noisy = []
    for index, path in enumerate(paths):
        gray = read_gray(path)
        noise = published_noise(column, gray.shape, (seed, TRAINING_NOISE, index))
        noisy.append((gray + noise).astype(np.float32))
    return stacks_of(noisy, WHITE)


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
        scenes = author_layout.wide_field(folder, table.average)
        learn = partial(author_layout.wide_field_training, folder, table.average)
        note = "Tested on field 19, learned from the other fields."
    else:
        folder = find_folder(data, ("fmd",), "The set FMD")
        found = _raw_frames(table, folder)
        scenes = [scene for one in found.values() for scene in one.scenes]
        learn = partial(_themselves, found)
        note = _left_out(table, found)
    tests = tuple(test for scene in scenes for test in scene.tests(TESTS_PER_SCENE))
    return EvaluationSet(learn, tests, scoring, f"{_count(tests, folder)} {note}")


def _raw_frames(table: Table, fmd: Path) -> dict[str, Found]:
    found = {name: read_scenes(fmd, name, table.average) for name in table.types}
    if any(one.scenes for one in found.values()):
        return found
    too_few = ", ".join(field for one in found.values() for field in one.too_few)
    has = f"in {fmd} there are only: {too_few}" if too_few else f"there are none in {fmd}"
    raise InputError(
        f"{table.name} needs {table.average} or more different raw frames of a field of "
        f"{' or '.join(table.types)}, but {has}; put more into TYPE/raw/FIELD there."
    )


def _themselves(found: dict[str, Found]) -> list[Stack]:
    """Give a stack for each frame: they are images of their own, never a series in time."""
    scenes = [scene for one in found.values() for scene in one.scenes]
    return [Stack(frame, "YX") for scene in scenes for frame in scene.frames.values()]


def _left_out(table: Table, found: dict[str, Found]) -> str:
    frames = sum(len(scene.frames) for one in found.values() for scene in one.scenes)
    notes = [f"Learned from all {frames} noisy images of these fields, the tested among them."]
    if table.published:
        notes.append("Published: four of each of three channels, learned from other fields.")
    reasons = {
        "Left out, as it repeats an earlier frame": [n for f in found.values() for n in f.repeated],
        "Left out, with too few different frames": [n for f in found.values() for n in f.too_few],
        "Missing": [n for n, f in found.items() if not (f.scenes or f.too_few)],
    }
    notes += [f"{reason}: {', '.join(names)}." for reason, names in reasons.items() if names]
    return " ".join(notes)


def _w2s(table: Table, data: Path, scoring: Protocol) -> EvaluationSet:
    """Build a field of W2S: a single frame, and the mean of 400 brought to its brightness."""
    folder = find_folder(data, ("w2s",), "The set W2S")
    _, channel, field = table.name.split("-")
    path = folder / "avg1" / f"{field}_{channel}.tif"
    if not path.exists():
        raise InputError(f"There is no image of {table.title} in {folder / 'avg1'}; add it.")
    noisy = open_stack(path)
    seen, mean = noisy.frame(0).ravel(), open_stack(folder / "avg400" / path.name).frame(0)
    slope, offset = np.polyfit(mean.ravel().astype(np.float64), seen.astype(np.float64), 1)
    test = TestImage(f"w2s_{path.stem}", noisy, slope * mean.astype(np.float64) + offset)
    note = (
        "Learned from this image itself. Noisy images and references were stretched apart, each to "
        "the full range, so no two have the same noise, and a least-squares line brings the "
        "reference to the brightness of its noisy image."
    )
    learn: Callable[[], list[Stack]] = partial(list, [noisy])
    return EvaluationSet(learn, (test,), scoring, f"{_count((test,), folder)} {note}")


def _ct(table: Table, data: Path, scoring: Protocol) -> EvaluationSet:
    """Build a CT set; by both protocols it is in HU."""
    learn: Callable[[], list[Stack]]
    if table.name == "ct-mayo":
        folder = find_folder(data, ("ct/ldct_mayo/L096",), "The Mayo patient L096")
        quarter, full = (open_stack(folder / dose) for dose in ("quarter", "full"))
        if quarter.shape != full.shape:
            raise InputError(
                f"{folder} holds {quarter.shape} quarter-dose but {full.shape} full-dose slices; "
                "put the same slices into both folders."
            )
        volumes = [("L096", quarter.pixels, full.pixels)]
        learn = partial(list, [quarter])
        note = "Learned from the quarter-dose slices themselves."
    else:
        folder = find_folder(data, (author_layout.MEDICAL,), "The CT set of the authors")
        volumes, taken = author_layout.doses(folder, table.column)
        learn = partial(author_layout.dose_training, folder, table.column)
        note = f"Learned from the other 22 patients. Read from the files: {', '.join(taken)}."
    if scoring.name == "published":
        volumes = [(name, np.clip(one, *PUBLISHED_INPUT_HU), two) for name, one, two in volumes]
        learn = partial(_clipped, learn)
        note = f"{note} All noisy images clipped to [-1000, 3000] HU."
    tests = tuple(
        test
        for name, noisy, clean in volumes
        for n, (one, two) in enumerate(zip(noisy, clean, strict=True), 1)
        for test in Scene({f"{name}_{n}": one}, two).tests(1, "HU")
    )
    return EvaluationSet(learn, tests, scoring, f"{_count(tests, folder)} {note}")


def _clipped(learn: Callable[[], list[Stack]]) -> list[Stack]:
    stacks = learn()
    for index, stack in enumerate(stacks):  # one by one: all of them twice would be gigabytes
        stacks[index] = stack.with_pixels(np.clip(stack.pixels, *PUBLISHED_INPUT_HU))
    return stacks


def _count(tests: tuple[TestImage, ...], folder: Path) -> str:
    return f"{len(tests)} noisy test image{'s' * (len(tests) > 1)} of {folder}."
