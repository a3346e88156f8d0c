"""Builds the benchmark sets from the files at hand, in this project's layout or the authors'."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training_core.errors import InputError
from training_core.io.pictures import LUMINANCE, read_picture
from training_core.io.readers import open_stack
from training_core.noise.synthetic import published_gray, published_noise
from training_core.stack import Pixels, Stack, Values

from .protocols import Protocol, protocol_for
from .published_tables import Table
from .set_files import (
    RawFrames,
    TestImage,
    dose_training,
    doses,
    find_folder,
    pictures_in,
    read_gray,
    read_raw_frames,
    stacks_of,
    wide_field,
    wide_field_training,
)

Learn = Callable[[], list[Stack]]

TESTS_PER_FIELD = 4  # as in the published test set
TEST_NOISE, TRAINING_NOISE = 0, 1  # no image is tested with noise that was learned from
PUBLISHED_GRAY = "grey = .299 R + .587 G + .144 B, unrounded, portraits turned to landscape"
USUAL_GRAY = "the usual 8-bit grey"
WHITE = 255.0  # of the photographs, whose noise makes them float32
PUBLISHED_INPUT_HU = (-1000, 3000)  # attenuation 0 to 0.8 / cm, clipped at twice white


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """A benchmark as it is run.

    Attributes
    ----------
    learn
        Gives what to learn from: noisy images only; the frames of a stack share their size and the
        kind of their noise. Read when they are asked for: they can be ten times larger than the
        tests.
    tests
        The images to denoise and to score.
    protocol
        How to score them.
    note
        Which files, how many images, and what differs from the published set, in sentences.
    """

    learn: Learn
    tests: tuple[TestImage, ...]
    protocol: Protocol
    note: str


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
    if table.kind == "ct":
        return _ct(table, data, scoring)
    if table.column.startswith("w2s"):
        return _w2s(table, data, scoring)
    return _micrographs(table, data, scoring)


def _natural(table: Table, data: Path, scoring: Protocol, seed: int) -> EvaluationSet:
    published = scoring.name == "published"
    folders = ("cbsd68", "BSD68") if published else ("bsd68", "BSD68", "cbsd68")
    folder = find_folder(data, folders, "The test set BSD68")
    bsd400 = find_folder(data, ("bsd400", "BSD400", "Train400"), "The training set BSD400")
    training = pictures_in(bsd400)
    tests = []
    for index, path in enumerate(pictures_in(folder)):
        clean = _gray(path, published)
        noisy = _noisy(clean, table.column, (seed, TEST_NOISE, index))
        tests.append(TestImage(path.stem, Stack(noisy, "YX", white=WHITE), clean))
    note = (
        f"{len(tests)} test images of {folder} ({PUBLISHED_GRAY if published else USUAL_GRAY}); "
        f"{len(training)} images of {bsd400} ({USUAL_GRAY}) to learn from, with noise of their "
        f"own; seed {seed}, nothing clipped."
    )
    learn = partial(_noisy_training, training, table.column, seed)
    return EvaluationSet(learn, tuple(tests), scoring, note)


def _noisy_training(paths: list[Path], column: str, seed: int) -> list[Stack]:
    frames = [
        _noisy(read_gray(path), column, (seed, TRAINING_NOISE, index))
        for index, path in enumerate(paths)
    ]
    return stacks_of(frames, WHITE)


def _noisy(gray: Pixels, column: str, seed: tuple[int, ...]) -> NDArray[np.float32]:
    noisy: NDArray[np.float32] = (gray + published_noise(column, gray.shape, seed)).astype(
        np.float32
    )
    return noisy


def _gray(path: Path, published: bool) -> Values:
    pixels = read_picture(path).pixels
    if pixels.ndim == 2 and not published:
        return pixels.astype(np.float64)
    if pixels.ndim != 3 or len(pixels) != 3:
        raise InputError(
            f"{path} is not in colour, from which the published protocol makes its grey; put the "
            "colour images into cbsd68, or choose the sane protocol."
        )
    rgb = np.moveaxis(pixels, 0, -1)
    return published_gray(rgb) if published else np.rint(rgb @ np.array(LUMINANCE))


def _micrographs(table: Table, data: Path, scoring: Protocol) -> EvaluationSet:
    learn: Learn
    folder = data / "Real_FM_images"
    if table.column.startswith("WF") and folder.is_dir():
        tests = wide_field(folder, table.average)
        learn = partial(wide_field_training, folder, table.average)
        note = "Tested on field 19, learned from the other fields."
    else:
        folder = find_folder(data, ("fmd",), "The set FMD")
        found = read_raw_frames(folder, table.types, table.average)
        if not found.fields:
            raise InputError(_none_of(table, folder, found.too_few))
        tests = [test for field in found.fields for test in field[:TESTS_PER_FIELD]]
        # Images of their own, never a series in time.
        noisy = [test.noisy for field in found.fields for test in field]
        learn = partial(list, noisy)
        note = _left_out(table, found, len(noisy))
    return EvaluationSet(learn, tuple(tests), scoring, f"{_count(tests, folder)} {note}")


def _none_of(table: Table, fmd: Path, too_few: list[str]) -> str:
    has = (
        f"in {fmd} there are only: {', '.join(too_few)}" if too_few else f"there are none in {fmd}"
    )
    return (
        f"{table.name} needs {table.average} or more different raw frames of a field of "
        f"{' or '.join(table.types)}, but {has}; put more into TYPE/raw/FIELD there."
    )


def _left_out(table: Table, found: RawFrames, frames: int) -> str:
    notes = [f"Learned from all {frames} noisy images of these fields, the tested among them."]
    if table.published:
        notes.append("Published: four of each of three channels, learned from other fields.")
    reasons = {
        "Left out, as it repeats an earlier frame": found.repeated,
        "Left out, with too few different frames": found.too_few,
        "Missing": found.missing,
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
    learn: Learn = partial(list, [noisy])
    return EvaluationSet(learn, (test,), scoring, f"{_count([test], folder)} {note}")


def _ct(table: Table, data: Path, scoring: Protocol) -> EvaluationSet:
    """Build a CT set; by both protocols it is in HU."""
    learn: Learn
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
        folder = find_folder(data, ("Medical_images",), "The CT set of the authors")
        volumes, taken = doses(folder, table.column)
        learn = partial(dose_training, folder, table.column)
        note = f"Learned from the other 22 patients. Read from the files: {', '.join(taken)}."
    if scoring.name == "published":
        volumes = [(name, np.clip(one, *PUBLISHED_INPUT_HU), two) for name, one, two in volumes]
        learn = partial(_clipped, learn)
        note = f"{note} All noisy images clipped to [-1000, 3000] HU."
    tests = [
        TestImage.of(f"{name}_{n}", one, two, "HU")
        for name, noisy, clean in volumes
        for n, (one, two) in enumerate(zip(noisy, clean, strict=True), 1)
    ]
    return EvaluationSet(learn, tuple(tests), scoring, f"{_count(tests, folder)} {note}")


def _clipped(learn: Learn) -> list[Stack]:
    stacks = learn()
    for index, stack in enumerate(stacks):  # one by one: all of them twice would be gigabytes
        stacks[index] = stack.with_pixels(np.clip(stack.pixels, *PUBLISHED_INPUT_HU))
    return stacks


def _count(tests: list[TestImage], folder: Path) -> str:
    return f"{len(tests)} noisy test image{'s' * (len(tests) > 1)} of {folder}."
