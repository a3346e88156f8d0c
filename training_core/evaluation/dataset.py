"""What an evaluation needs: noisy stacks to learn from, and noisy images with their reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training_core.errors import InputError
from training_core.io.pictures import read_picture
from training_core.stack import Stack, Values

if TYPE_CHECKING:
    from .protocols import Protocol

PICTURES = (".png", ".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True, eq=False)
class TestImage:
    """A noisy image whose reference is known.

    Attributes
    ----------
    name
        The picture, field and frame, or patient and slice.
    noisy
        One frame, in the dtype of the camera, or float32 where the noise was made up.
    clean
        (height, width) float64 in the units of `noisy`.
    """

    __test__ = False  # not a test case, whatever pytest reads into the name

    name: str
    noisy: Stack
    clean: Values


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """A benchmark as it is run.

    Attributes
    ----------
    learn
        Reads or makes `train`.
    tests
        The images to denoise and to score.
    protocol
        How to score them.
    note
        Which files, how many images, and what differs from the published set, in sentences.
    """

    learn: Callable[[], list[Stack]]
    tests: tuple[TestImage, ...]
    protocol: Protocol
    note: str

    @cached_property
    def train(self) -> list[Stack]:
        """Noisy images only; the frames of a stack share their size and the kind of their noise.

        Read when they are first asked for: they can be ten times larger than the tests.
        """
        return self.learn()


@dataclass(frozen=True, eq=False)
class Scene:
    """What was seen of one place: named noisy frames of one shape and the reference for them."""

    frames: Mapping[str, NDArray[Any]]
    clean: NDArray[Any]

    def tests(self, most: int, unit: str = "") -> list[TestImage]:
        """Give the first `most` frames as test images."""
        clean = np.asarray(self.clean, dtype=np.float64)
        return [
            TestImage(name, Stack(frame, "YX", value_unit=unit), clean)
            for name, frame in islice(self.frames.items(), most)
        ]


def find_folder(data: Path, names: Sequence[str], what: str) -> Path:
    """Give the first of the folders `names` that is there.

    Raises
    ------
    InputError
        If none is, naming what is missing and where it was looked for.
    """
    for name in names:
        if (data / name).is_dir():
            return data / name
    places = " or ".join(str(data / name) for name in names)
    raise InputError(f"{what} is missing: put it into {places}, or choose another data folder.")


def pictures_in(folder: Path, keep: Callable[[str], bool] = lambda _: True) -> list[Path]:
    """List the pictures of a folder whose names are to be kept; frame 10 comes after frame 9.

    Raises
    ------
    InputError
        If there is none.
    """
    inside = folder.iterdir() if folder.is_dir() else []
    paths = [p for p in inside if p.suffix.lower() in PICTURES and keep(p.name)]
    if not paths:
        raise InputError(f"There are no pictures in {folder}; put the files of the set there.")
    return sorted(paths, key=lambda p: (len(p.stem), p.stem))


def read_gray(path: Path) -> NDArray[Any]:
    """Read a grey picture, (height, width) in its own dtype.

    Raises
    ------
    InputError
        If it is missing or in colour, or cannot be read.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; put the file of the set there.")
    pixels = read_picture(path).pixels
    if pixels.ndim != 2:
        raise InputError(f"{path} is in colour; the grey image of the set is needed.")
    return np.asarray(pixels)


def stacks_of(frames: Sequence[NDArray[Any]], white: float | None = None) -> list[Stack]:
    """Join frames of equal shape into stacks, in the order in which the shapes first appear."""
    shapes = list(dict.fromkeys(frame.shape for frame in frames))
    joined = [np.stack([frame for frame in frames if frame.shape == shape]) for shape in shapes]
    return [Stack(pixels, "IYX", white=white) for pixels in joined]
