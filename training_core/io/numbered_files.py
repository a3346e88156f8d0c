"""A series of numbered files: what their names say of order and axes, and which numbers lack."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, product
from pathlib import Path

import numpy as np

from training_core.errors import InputError
from training_core.stack import Pixels, Values

# What people and microscopes write before a number; other words stand before slices.
LETTERS = {
    **dict.fromkeys(("t", "time", "times", "timepoint", "tp", "frame", "frames"), "T"),
    **dict.fromkeys(("z", "slice", "sl", "plane", "layer"), "Z"),
    **dict.fromkeys(("c", "ch", "channel", "chan"), "C"),
    # Places apart from each other are neither slices nor times.
    **dict.fromkeys(("s", "site", "p", "pos", "position", "xy", "field", "fov", "f", "m"), "I"),
    **dict.fromkeys(("tile", "well", "scene", "series", "sample", "cell", "roi"), "I"),
}
PLACE = ("x", "y")  # of a tile, where both are there
ORDER = "ITZC"  # of the axes, the last one fastest
READ_AS = {"Z": "slices of one volume", "T": "times of one series", "C": "channels", "I": "images"}
COUNTED = {"Z": "slices", "T": "times", "C": "channels", "I": "images"}
NUMBER = re.compile(r"(-?\d+)")
FILLED = 0.5  # of a grid: numbers that fill less say nothing, as those of dates and clocks
FEWEST = 3  # numbered files that make others beside them strange
MOST_NAMED = 5
# The means of this many places a side tell what images show; of noise each place has its share.
COARSE = 16
CLEARLY = 4.0
ALIKE = 0.5


@dataclass(frozen=True)
class NumberedFiles:
    """Files whose names differ in their numbers alone.

    Attributes
    ----------
    paths
        In the order of the axes, the last one fastest.
    shape, axes
        Lengths and letters of the axes that the numbers count. The numbers of a tile along x and y
        count one axis of images.
    named
        Whether the names say which axes, so that nothing is guessed.
    others
        Files beside them that are no part of the series.
    gap
        What to say of missing numbers; "" where there are none.
    refusal
        Why they make no stack, though their names say that they should; "" where they do.
    """

    paths: tuple[Path, ...]
    shape: tuple[int, ...]
    axes: str
    named: bool
    others: tuple[Path, ...]
    gap: str
    refusal: str = ""

    @property
    def read_as(self) -> str:
        """How the files are read."""
        read_as = " and ".join(READ_AS[axis] for axis in self.axes)
        return f"{len(self.paths)} numbered files are read as {read_as}."

    @property
    def note(self) -> str:
        """Which files are not read, and which numbers lack; "" where there is nothing to say."""
        others = _listed((p.name for p in self.others), len(self.others))
        return f"{f'Left out beside them: {others}. ' if others else ''}{self.gap}".rstrip()

    def axes_before(self, inner: str) -> str:
        """Give the letters of the axes where each file has the axes `inner`; "" where none fit."""
        if not set(self.axes) & set(inner):
            return self.axes
        free = [axis for axis in "ZT" if axis not in inner]
        return free[0] if len(self.axes) == 1 and free and "I" not in inner else ""


def numbered_files(paths: Sequence[Path]) -> NumberedFiles | None:
    """Find the series of numbered files that most of `paths` are; None where there is none.

    A minus is a sign where it follows no letter or digit, or where it comes and goes. Several
    numbers that no word names are axes where they fill them; where they nearly do, the files are
    images, and it is told what lacks.

    Raises
    ------
    InputError
        Where two files have one number.
    """
    groups: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for path in paths:
        groups[(*NUMBER.split(path.stem.lower())[::2], path.suffix.lower())].append(path)
    words, series = max(groups.items(), key=lambda group: len(group[1]), default=((), []))
    strange = len(paths) - len(series)
    if len(series) < (FEWEST if strange else 2) or strange >= len(series):
        return None
    names = _split([path.stem for path in series])
    numbers = np.array([[int(number) for number in name[1::2]] for name in names], dtype=object)
    columns = [i for i in range(numbers.shape[1]) if len(set(numbers[:, i])) > 1]
    every = _letters(words)
    letters = [every[i] for i in columns]
    named, axes = all(letters), _filled(letters)
    if not axes:
        return None
    others = tuple(p for p in paths if p not in set(series))
    grid = _Grid.of(series, names, numbers, dict(zip(columns, axes, strict=True)))
    if named or len(columns) == 1 or grid.filled == 1:
        return grid.arranged(named, others)
    return grid.as_images(others) if grid.filled > FILLED else None


def are_neighbours(one: Pixels, other: Pixels) -> bool:
    """Whether two images may be neighbours in a volume or a film: what they show is alike.

    An image of noise alone contradicts nothing.
    """
    if (one.shape, one.dtype) != (other.shape, other.dtype) or min(one.shape) < COARSE:
        return False
    coarse = np.stack([_coarse(pixels) for pixels in (one, other)])
    per_place = one.size / COARSE**2
    shows = [
        c.var() * per_place > CLEARLY * p.var() for c, p in zip(coarse, (one, other), strict=True)
    ]
    return not all(shows) or float(np.corrcoef(*coarse)[0, 1]) > ALIKE


def _coarse(pixels: Pixels) -> Values:
    height, width = (n // COARSE for n in pixels.shape)
    blocks = pixels[: height * COARSE, : width * COARSE].reshape(COARSE, height, COARSE, width)
    means: Values = blocks.mean((1, 3), dtype=np.float64).ravel()
    return means


def _split(stems: Sequence[str]) -> list[list[str]]:
    """Split names into words and numbers in turn, of which they have equally many."""
    names = [NUMBER.split(stem) for stem in stems]
    for place in range(1, len(names[0]), 2):
        if all(map(_is_hyphen, (name[:place] for name in names), (name[place] for name in names))):
            for name in names:
                name[place - 1 : place + 1] = f"{name[place - 1]}-", name[place][1:]
    return names


def _is_hyphen(before: Sequence[str], number: str) -> bool:
    """Tell whether the minus of a number may join it to what stands before it."""
    last = "".join(before)[-1:]
    return number.startswith("-") and (last.isalnum() or last == "-")


def _letters(words: Sequence[str]) -> list[str]:
    """Give the axes that the words before numbers name; "" for those that name none."""
    found = [re.search(r"([a-z]+)[^a-z]*$", each) for each in words]
    heads = [each[1] if each else "" for each in found]
    tiles = dict.fromkeys(PLACE, "I") if set(PLACE) <= set(heads) else {}
    return [(LETTERS | tiles).get(head, "") for head in heads]


def _filled(letters: list[str]) -> str:
    """Name the numbers that no word names: slices run fastest, then times; "" where that fails."""
    free = [axis for axis in "ZTC" if axis not in letters]
    for place in reversed(range(len(letters))):
        if not letters[place] and free:
            letters[place] = free.pop(0)
    once = [letter for letter in letters if letter != "I"]
    return "".join(letters) if all(letters) and len(set(once)) == len(once) else ""


Key = tuple[tuple[int, ...], ...]  # the numbers of a file along each axis


@dataclass(frozen=True)
class _Grid:
    """Files by their numbers along `axes`, each of which some `columns` of the numbers count."""

    files: Sequence[Path]
    names: Sequence[Sequence[str]]  # words and numbers in turn, of each file
    keys: Sequence[Key]
    axes: str
    columns: Sequence[Sequence[int]]

    @classmethod
    def of(
        cls,
        files: Sequence[Path],
        names: Sequence[Sequence[str]],
        numbers: np.ndarray,
        letters: Mapping[int, str],
    ) -> _Grid:
        """Sort numbers, (files, columns), by the letters of their columns."""
        axes = "".join(axis for axis in ORDER if axis in letters.values())
        columns = [[column for column in letters if letters[column] == axis] for axis in axes]
        keys = [tuple(tuple(row[some]) for some in columns) for row in numbers]
        return cls(files, names, keys, axes, columns)

    @property
    def steps(self) -> list[list[tuple[int, ...]]]:
        """The numbers along each axis, ascending."""
        return [sorted(set(column)) for column in zip(*self.keys, strict=True)]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(len, self.steps))

    @property
    def filled(self) -> float:
        """What share of the grid there is; 0 where a number is there twice."""
        alone = len(set(self.keys)) == len(self.keys)
        return alone * len(self.keys) / math.prod(self.shape)

    @property
    def ordered(self) -> tuple[Path, ...]:
        return tuple(path for _, path in sorted(zip(self.keys, self.files, strict=True)))

    def arranged(self, named: bool, others: tuple[Path, ...]) -> NumberedFiles:
        """Lay the files along the axes, which they have to fill."""
        if len(set(self.keys)) < len(self.keys):
            again = next(i for i, key in enumerate(self.keys) if key in self.keys[:i])
            raise InputError(
                f"{self.files[self.keys.index(self.keys[again])].name} and "
                f"{self.files[again].name} have the same number; remove one of them."
            )
        gaps = " ".join(filter(None, map(self._gap, range(len(self.axes)))))
        refusal = self.lacking if self.filled < 1 else ""
        return NumberedFiles(self.ordered, self.shape, self.axes, named, others, gaps, refusal)

    def as_images(self, others: tuple[Path, ...]) -> NumberedFiles:
        """Give the files as they came, without axes, and say what lacks."""
        return NumberedFiles(tuple(self.files), (len(self.keys),), "I", False, others, self.lacking)

    @property
    def lacking(self) -> str:
        """Which files would fill the axes."""
        known, sides = set(self.keys), " x ".join(map(str, self.shape))
        lacking = (self._name(key) for key in product(*self.steps) if key not in known)
        count = math.prod(self.shape) - len(known)
        named = _listed(lacking, count)
        return f"Of the {sides} images that the names of the files count there is no {named}."

    def _name(self, key: Key) -> str:
        """Give the name that a file with these numbers would have."""
        name = list(self.names[0])
        for some, part in zip(self.columns, key, strict=True):
            for column, number in zip(some, part, strict=True):
                place = 2 * column + 1
                digits = min(len(each[place].lstrip("-")) for each in self.names)
                name[place] = f"{'-' if number < 0 else ''}{abs(number):0{digits}}"
        return f"{''.join(name)}{self.files[0].suffix}"

    def _gap(self, axis: int) -> str:
        """Name the numbers that lack along an axis, where others count up evenly."""
        if len(self.columns[axis]) > 1:
            return ""  # places of tiles need not fill a rectangle
        numbers = [number for (number,) in self.steps[axis]]
        step = math.gcd(*(after - before for before, after in pairwise(numbers)))
        count = (numbers[-1] - numbers[0]) // step + 1 - len(numbers)
        if not count:
            return ""
        known = set(numbers)
        named = _listed((n for n in range(numbers[0], numbers[-1], step) if n not in known), count)
        if len(self.axes) == 1:
            return f"Number {named} is missing." if count == 1 else f"Numbers {named} are missing."
        things = COUNTED[self.axes[axis]]
        if count == 1:
            return f"Number {named} of the {things} is missing."
        return f"Numbers {named} of the {things} are missing."


def _listed(things: Iterable[object], count: int) -> str:
    more = f" and {count - MOST_NAMED} more" if count > MOST_NAMED else ""
    return ", ".join(map(str, islice(things, MOST_NAMED))) + more
