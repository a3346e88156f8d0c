"""Read DICOM, a file or a folder: images by position and by time or measurement, CT in HU."""

from __future__ import annotations

import logging
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from training_core.errors import InputError
from training_core.formats.axes import arrange
from training_core.formats.file_image import FileImage
from training_core.formats.source_file import check_size, damage, unchanged
from training_core.run import SILENT, Run, Stage
from training_core.stack import Pixels, Stack

from .dicom_file import (
    CLOCKS,
    MEASUREMENTS,
    PHASES,
    SAMPLES,
    UM_PER_MM,
    Slice,
    decode,
    group_key,
    in_units,
    is_coloured,
    is_hounsfield,
    list_slices,
    not_rescaled,
    number,
    open_dicom,
    pixel_size,
)
from .dicom_library import DICOM_DAMAGE

# Slice distances that differ by less than this are rounding, not missing slices.
EVEN_WITHIN = 0.01
SAME_PLACE_MM = 1e-4
LEAST_TILT = 0.1  # degrees


def read_dicom(paths: Sequence[Path], source: Path, *, run: Run = SILENT) -> Stack:
    """Read the largest series among DICOM files as one stack; see `dicom_images`."""
    return max(dicom_images(paths, source, run=run), key=lambda image: image.size).open(run)


def dicom_images(paths: Sequence[Path], source: Path, *, run: Run = SILENT) -> list[FileImage]:
    """List the series among DICOM files, each a stack ordered by position and time.

    Stored values become `value * RescaleSlope + RescaleIntercept`, Hounsfield units for CT:
    int16 where both are whole numbers and the result fits, else int32 or float32. Padding is kept
    as the scanner wrote it. Values of MONOCHROME1 are kept too; only their display is inverted.
    Colours, of a palette too, are channels: red, green and blue.

    Raises
    ------
    InputError
        When no file holds a whole image; when one is opened, too.
    """
    with _quiet_pydicom(), damage(f"{source.name} is damaged DICOM", DICOM_DAMAGE):
        found = _found(paths, run)
    # Told by number: what the hospital wrote into the description may name the patient.
    return [
        FileImage(
            "" if each.number is None else f"Series {each.number}",
            "ICYX" if len(each.shape) > len("IYX") else "IYX",
            (each.shape[0], *each.shape[3:], *each.shape[1:3]),
            None,
            partial(_open, each, list(paths), source),
        )
        for each in found
    ]


def _open(found: _Found, paths: list[Path], source: Path, run: Run) -> Stack:
    with (
        _quiet_pydicom(),
        unchanged(*paths),
        damage(f"{source.name} is damaged DICOM", DICOM_DAMAGE),
    ):
        return _Series(found, paths, source).read(run)


@dataclass
class _Found:
    """The images of one series, of one size and direction, with the header of its first file.

    `unread` are the reasons of all files that could not be read, whichever series they are of.
    """

    header: Any
    slices: list[Slice]
    unread: list[str]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many images, their height and width, and the colours of a pixel."""
        plane = int(self.header.Rows), int(self.header.Columns)
        return (len(self.slices), *plane, *(SAMPLES,) * is_coloured(self.header))

    @property
    def number(self) -> Any:
        """The number of the series; None where it has none."""
        return self.header.get("SeriesNumber")


def _found(paths: Sequence[Path], run: Run) -> list[_Found]:
    """Group the files by series, in the order of their numbers."""
    groups: dict[Any, _Found] = {}
    unread: list[str] = []
    for path in paths:
        run.check()
        try:
            with damage(f"{path.name} is a damaged DICOM file", DICOM_DAMAGE):
                header = open_dicom(path, stop_before_pixels=True)
                slices = list_slices(header, path)
                key = group_key(header, path)
                groups.setdefault(key, _Found(header, [], unread)).slices.extend(slices)
        except InputError as error:
            unread.append(str(error))
    if not groups:
        raise InputError(unread[0])
    return sorted(groups.values(), key=lambda each: int(each.number or 0))


@contextmanager
def _quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from printing what it finds odd in a file."""
    logger = logging.getLogger("pydicom")
    level, logger.level = logger.level, logging.CRITICAL
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.level = level


class _Series:
    """The files of a folder on their way to one stack."""

    def __init__(self, found: _Found, paths: list[Path], source: Path) -> None:
        self.found = found
        self.paths = paths
        self.source = source
        self.warnings: list[str] = []
        self.unread = list(found.unread)

    def read(self, run: Run) -> Stack:
        header, slices = self.found.header, self.found.slices
        # Each frame and, in the end, the stack that they become.
        check_size(self.source.name, self.found.shape, np.int32, None)
        frames = self._frames(self._once(slices), run)
        if self.unread:
            if not frames:
                raise InputError(self.unread[0])
            self.warnings.append(
                f"{len(self.unread)} of its {len(self.paths)} files left out: {self.unread[0]}"
            )
        order = _order_of([piece for piece, _ in frames], header)
        stack = self._stack(header, np.stack([frames[i][1] for i in order.indices]), order)
        # What an export needs lies in the files; names of patients stay there.
        sources = tuple((frames[i][0].path, frames[i][0].frame) for i in order.indices)
        stack.metadata["dicom"] = {"slices": sources, "dtype": stack.dtype.name}
        return stack

    def _once(self, slices: list[Slice]) -> list[Slice]:
        """Leave out copies of a file that is among the others already."""
        once: dict[Any, Slice] = {}
        for piece in slices:
            once.setdefault((piece.instance or piece.path, piece.frame), piece)
        if len(once) < len(slices):
            self.warnings.append(
                f"{len(slices) - len(once)} of its images are there twice and are read once."
            )
        return list(once.values())

    def _frames(self, slices: list[Slice], run: Run) -> list[tuple[Slice, Pixels]]:
        """Decode the images; give those that are whole in the order of their numbers."""
        frames: list[tuple[Slice, Pixels]] = []
        decoded = lru_cache(maxsize=1)(decode)  # the images of a file follow one another
        for index, piece in enumerate(slices):
            run.check()
            try:
                frames.append((piece, in_units(*decoded(piece.path), piece.frame)))
            except InputError as error:
                self.unread.append(str(error))
            if run.tick_due():
                run.progress(Stage.READ, index + 1, len(slices))
        return sorted(frames, key=lambda each: (each[0].order, each[0].frame or 0))

    def _stack(self, header: Any, pixels: Pixels, order: Order) -> Stack:
        lead = order.axes if len(pixels) > 1 else ""
        extra: dict[str, Any] = {}
        self.warnings += [*order.notes, *filter(None, [not_rescaled(header)])]
        if header.get("PhotometricInterpretation") == "MONOCHROME1":
            extra["photometric"] = "miniswhite"
            self.warnings.append("Its display is inverted (MONOCHROME1); the values are kept.")
        tilt = number(header, "GantryDetectorTilt") or 0.0
        if abs(tilt) > LEAST_TILT and len(pixels) > 1:
            self.warnings.append(
                f"The gantry was tilted by {tilt:g} degrees: each of its slices is shifted against "
                "the one before, and the volume is not straightened."
            )
        z_um = None if order.z_mm is None else order.z_mm * UM_PER_MM
        coloured = pixels.ndim > 3
        arranged = arrange(
            pixels.reshape(*order.shape, *pixels.shape[1:]) if lead else pixels[0],
            f"{lead}YX{'S' if coloured else ''}",
            "RGB" if coloured else "",
        )
        self.warnings += arranged.warnings
        if arranged.channels:
            extra["colours"] = "RGB"
        return Stack(
            arranged.pixels,
            arranged.axes,
            pixel_size(header, z_um),
            arranged.channels,
            time_step_s=order.step_s,
            value_unit="HU" if is_hounsfield(header) else "",
            kind="dicom",
            source=self.source,
            warnings=tuple(self.warnings),
            metadata=extra,
        )


@dataclass(frozen=True)
class Order:
    """Where each image belongs.

    Attributes
    ----------
    indices
        The images that are kept, in their order.
    shape, axes
        Lengths and letters of the axes that the images fill, the last one fastest.
    z_mm, step_s
        Distance in z, and in time; None where unknown or uneven.
    notes
        What the user should know of it.
    """

    indices: list[int]
    shape: tuple[int, ...]
    axes: str
    z_mm: float | None = None
    step_s: float | None = None
    notes: tuple[str, ...] = ()


def _order_of(slices: Sequence[Slice], header: Any) -> Order:
    """Order the images of one series from that of their numbers; `header` is of its first file."""
    if any(s.position_mm is None for s in slices):
        return _without_positions(slices, header)
    places = _places(slices)
    if len(places) < len(slices):
        return _several_a_place(places, slices)
    z_mm, notes = _distance(places, slices)
    axis = "Z" if len(slices) > 1 else "I"
    return Order([place[0] for place in places], (len(slices),), axis, z_mm, notes=notes)


def _without_positions(slices: Sequence[Slice], header: Any) -> Order:
    """Keep the order of numbers; the frames of one file may be a film."""
    numbered, shape = list(range(len(slices))), (len(slices),)
    if len({s.path for s in slices}) > 1:
        note = "Slices without a position are ordered by their number."
        return Order(numbered, shape, "I", notes=(note,))
    times_ms, step_ms = header.get("FrameTimeVector"), header.get("FrameTime")
    if times_ms:
        step_ms = _even(np.atleast_1d(np.asarray(times_ms, float))[1:])
    if step_ms is None:
        rate = number(header, "CineRate") or number(header, "RecommendedDisplayFrameRate")
        step_ms = 1000 / rate if rate and rate > 0 else None
    step_s = float(step_ms) / 1000 if step_ms else None
    return Order(numbered, shape, "T" if times_ms or step_ms is not None else "I", step_s=step_s)


def _places(slices: Sequence[Slice]) -> list[list[int]]:
    """Group the images by position, in its order; images at one place by their numbers."""
    where = np.array([s.position_mm for s in slices], dtype=float)
    places: list[list[int]] = []
    for index in np.argsort(where, kind="stable").tolist():
        if not places or where[index] - where[places[-1][0]] > SAME_PLACE_MM:
            places.append([])
        places[-1].append(index)
    return [sorted(place) for place in places]


def _distance(
    places: list[list[int]], slices: Sequence[Slice]
) -> tuple[float | None, tuple[str, ...]]:
    """Give the distance in z in mm; None with the reason where slices seem to be missing."""
    if len(places) < 2:
        return None, ()
    steps = np.diff([float(slices[place[0]].position_mm or 0.0) for place in places])
    if _even(steps) is not None:
        return float(steps.mean()), ()
    note = (
        f"Its slices are {steps.min():g} to {steps.max():g} mm apart; slices may be missing, so no "
        "slice distance is set."
    )
    return None, (note,)


def _even(steps: np.ndarray) -> float | None:
    """Give the mean of steps that are positive and alike, else None."""
    if not steps.size or steps.min() <= 0 or np.ptp(steps) > EVEN_WITHIN * steps.max():
        return None
    return float(steps.mean())


def _several_a_place(places: list[list[int]], slices: Sequence[Slice]) -> Order:
    """Order images by what tells those at one place apart; where nothing does, by number."""
    grid, letter = _grid(places, slices)
    notes: tuple[str, ...] = ()
    counts = [len(place) for place in places]
    if not grid and 2 * counts.count(1) > len(places):
        grid, letter = [[place[0] for place in places]], "T"  # a volume, and a few images more
    elif not grid and (len(places) == 1 or len(set(counts)) > 1):
        note = "Several of its images lie at the same position, and nothing orders them."
        return Order(list(range(len(slices))), (len(slices),), "I", notes=(note,))
    elif not grid:
        clocked = _by_clock(places, slices)
        grid, letter = [list(row) for row in zip(*clocked or places, strict=True)], "T"
        if not clocked:
            notes = ("What lies at one position is read as times, in the order of its numbers.",)
    lost = len(slices) - len(grid) * len(places)
    if lost:
        notes += (
            f"{lost} of its images are left out: they belong to times or measurements that "
            f"are not there at each of its {len(places)} positions.",
        )
    z_mm, uneven = _distance(places, slices)
    step_s = _time_step([slices[row[0]] for row in grid]) if letter == "T" else None
    lengths = {letter: len(grid), "Z": len(places)}
    axes = "".join(axis for axis in ("ZC" if letter == "C" else "TZ") if lengths[axis] > 1)
    rows = np.array(grid) if letter == "T" else np.array(grid).T
    shape = tuple(lengths[axis] for axis in axes) or (1,)
    return Order(rows.ravel().tolist(), shape, axes or "I", z_mm, step_s, notes + uneven)


def _grid(places: list[list[int]], slices: Sequence[Slice]) -> tuple[list[list[int]], str]:
    """Give the images by measurement or time, and by position, as far as both are complete."""
    where = {index: number for number, place in enumerate(places) for index in place}
    best: list[list[int]] = []
    letter = ""
    for keyword in (*MEASUREMENTS, *PHASES, *CLOCKS):
        rows: dict[Any, list[int]] = defaultdict(list)
        for place in places:
            for index in place:
                rows[slices[index].said.get(keyword)].append(index)
        # A whole row has one image at each place; it is in the order of the places.
        ordered = (rows[value] for value in sorted(rows, key=_rank))
        whole = [row for row in ordered if [where[i] for i in row] == list(range(len(places)))]
        enough = 2 * len(whole) * len(places) >= len(slices) and len(rows) > 1
        if enough and len(whole) > len(best):
            best, letter = whole, "C" if keyword in MEASUREMENTS else "T"
    return best, letter


def _by_clock(places: list[list[int]], slices: Sequence[Slice]) -> list[list[int]]:
    """Order the images at each place by the first thing that tells the time of all; else []."""
    for keyword in (*PHASES, *CLOCKS):
        said = {i: slices[i].said.get(keyword) for place in places for i in place}
        told = [{said[i] for i in place} - {None} for place in places]
        if list(map(len, told)) == list(map(len, places)):
            return [sorted(place, key=lambda i: _rank(said[i])) for place in places]
    return []


def _rank(value: Any) -> tuple[bool, Any]:
    return (True, float(value)) if isinstance(value, (int, float)) else (False, str(value))


def _time_step(first: Sequence[Slice]) -> float | None:
    """Give the seconds between the images at the first position, where they are even."""
    for keyword, unit_s in (("TriggerTime", 1e-3), *((clock, 1.0) for clock in CLOCKS)):
        said = [s.said.get(keyword) for s in first]
        if all(value is not None for value in said):
            seconds = np.array([_seconds(value) for value in said]) * unit_s
            if np.ptp(seconds) > 0:
                return _even(np.diff(seconds))
    return None


def _seconds(value: Any) -> float:
    """Read HHMMSS.F, with or without a date before it, as seconds of the day; NaN for others."""
    if isinstance(value, (int, float)):
        return float(value)
    found = re.match(r"(?:\d{8}(?=\d{6}))?(\d\d)(\d\d)(\d\d(?:\.\d*)?)", str(value))
    if found is None:
        return float("nan")
    hours, minutes, seconds = map(float, found.groups())
    return hours * 3600 + minutes * 60 + seconds
