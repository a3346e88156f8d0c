"""A series of numbered files: what their names say of order and axes, and which numbers lack."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
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
READ_AS = {"Z": "slices of one volume", "T": "times of one series", "C": "channels", "I": "images"}
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
        Lengths and letters of the axes that the numbers count.
    named
        Whether the names say which axes, so that nothing is guessed.
    others
        Files beside them that are no part of the series.
    gap
        What to say of missing numbers; "" where there are none.
    """

    paths: tuple[Path, ...]
    shape: tuple[int, ...]
    axes: str
    named: bool
    others: tuple[Path, ...]
    gap: str

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

    Raises
    ------
    InputError
        Where two files have one number, or the numbers of several axes do not fill them.
    """
    groups: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for path in paths:
        groups[(*re.split(r"\d+", path.stem.lower()), path.suffix.lower())].append(path)
    words, series = max(groups.items(), key=lambda group: len(group[1]), default=((), []))
    strange = len(paths) - len(series)
    if len(series) < (FEWEST if strange else 2) or strange >= len(series):
        return None
    numbers = np.array([[int(n) for n in re.findall(r"\d+", p.stem)] for p in series], dtype=object)
    columns = [i for i in range(numbers.shape[1]) if len(set(numbers[:, i])) > 1]
    letters = [_letter(words[i]) for i in columns]
    named = all(letters)
    axes = _filled(letters)
    grid = math.prod(len(set(column)) for column in numbers[:, columns].T)
    # Copies, or several numbers that say nothing, such as a date and a clock.
    if not axes or (not named and len(columns) > 1 and grid != len(series)):
        return None
    others = tuple(p for p in paths if p not in set(series))
    return _arranged(series, numbers[:, columns], axes, named, others)


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


def _letter(words: str) -> str:
    """Give the axis that the word before a number names; "" where it names none."""
    found = re.search(r"([a-z]+)[^a-z]*$", words)
    return LETTERS.get(found[1], "") if found else ""


def _filled(letters: list[str]) -> str:
    """Name the numbers that no word names: slices run fastest, then times; "" where that fails."""
    free = [axis for axis in "ZTC" if axis not in letters]
    for place in reversed(range(len(letters))):
        if not letters[place] and free:
            letters[place] = free.pop(0)
    return "".join(letters) if all(letters) and len(set(letters)) == len(letters) else ""


def _arranged(
    series: list[Path], numbers: np.ndarray, axes: str, named: bool, others: tuple[Path, ...]
) -> NumberedFiles:
    """Sort the files by their numbers, axes in the order of "ITZC"."""
    columns = sorted(range(len(axes)), key=lambda i: "ITZC".index(axes[i]))
    keys = [tuple(row[columns]) for row in numbers]
    if len(set(keys)) < len(keys):
        first = next(i for i, key in enumerate(keys) if key in keys[:i])
        raise InputError(
            f"{series[keys.index(keys[first])].name} and {series[first].name} have the same "
            "number; remove one of them."
        )
    steps = [sorted(set(column)) for column in zip(*keys, strict=True)]
    shape = tuple(len(step) for step in steps)
    if math.prod(shape) != len(series):
        raise InputError(
            f"The numbers of its {len(series)} files, such as {series[0].name}, do not fill "
            f"{' x '.join(map(str, shape))} images; some are missing."
        )
    files = dict(zip(keys, series, strict=True))
    gap = " ".join(filter(None, map(_gap, steps)))
    ordered = tuple(files[key] for key in sorted(keys))
    return NumberedFiles(ordered, shape, "".join(axes[i] for i in columns), named, others, gap)


def _gap(numbers: list[int]) -> str:
    """Name the numbers that lack, where others count up evenly."""
    step = math.gcd(*(after - before for before, after in pairwise(numbers)))
    count = (numbers[-1] - numbers[0]) // step + 1 - len(numbers)
    if not count:
        return ""
    known = set(numbers)
    named = _listed((n for n in range(numbers[0], numbers[-1], step) if n not in known), count)
    return f"Number {named} is missing." if count == 1 else f"Numbers {named} are missing."


def _listed(things: Iterable[object], count: int) -> str:
    more = f" and {count - MOST_NAMED} more" if count > MOST_NAMED else ""
    return ", ".join(map(str, islice(things, MOST_NAMED))) + more
