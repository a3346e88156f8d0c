"""The order of DICOM images: by position, and where several lie at each, by time or measurement."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .dicom_file import CLOCKS, MEASUREMENTS, PHASES, Slice

# Slice distances that differ by less than this are rounding, not missing slices.
EVEN_WITHIN = 0.01
SAME_PLACE_MM = 1e-4


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


def order_of(slices: Sequence[Slice], header: Any) -> Order:
    """Order the images of one series; `header` is that of its first file."""
    numbered = sorted(range(len(slices)), key=lambda i: (slices[i].order, slices[i].frame or 0))
    if any(s.position_mm is None for s in slices):
        return _without_positions(numbered, slices, header)
    places = _places(slices)
    if len(places) == len(slices):
        z_mm, notes = _distance(places, slices)
        axis = "Z" if len(slices) > 1 else "I"
        return Order(
            [i for place in places for i in place], (len(slices),), axis, z_mm, None, notes
        )
    return _several_a_place(places, slices, numbered)


def _without_positions(numbered: list[int], slices: Sequence[Slice], header: Any) -> Order:
    """Order by number; the frames of one file may be a film."""
    shape = (len(slices),)
    if len({s.path for s in slices}) > 1:
        note = "Slices without a position are ordered by their number."
        return Order(numbered, shape, "I", notes=(note,))
    times_ms = header.get("FrameTimeVector")
    step_ms = (
        _even(np.atleast_1d(np.asarray(times_ms, float))[1:])
        if times_ms
        else header.get("FrameTime")
    )
    film = bool(times_ms) or step_ms is not None
    step_s = float(step_ms) / 1000 if step_ms else None
    return Order(numbered, shape, "T" if film else "I", step_s=step_s)


def _places(slices: Sequence[Slice]) -> list[list[int]]:
    """Group the images by position, in its order; images at one place by their numbers."""
    where = np.array([s.position_mm for s in slices], dtype=float)
    by_place = sorted(range(len(slices)), key=lambda i: where[i])
    places: list[list[int]] = []
    for index in by_place:
        if not places or where[index] - where[places[-1][0]] > SAME_PLACE_MM:
            places.append([])
        places[-1].append(index)
    return [sorted(p, key=lambda i: (slices[i].order, slices[i].frame or 0)) for p in places]


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


def _several_a_place(
    places: list[list[int]], slices: Sequence[Slice], numbered: list[int]
) -> Order:
    """Order images by what tells those at one place apart; where nothing does, by number."""
    grid, letter = _grid(places, slices)
    notes: tuple[str, ...] = ()
    counts = [len(place) for place in places]
    if not grid and 2 * counts.count(1) > len(places):
        grid, letter = [[place[0] for place in places]], "T"  # a volume, and a few images more
    elif not grid and (len(places) == 1 or len(set(counts)) > 1):
        note = "Several of its images lie at the same position, and nothing orders them."
        return Order(numbered, (len(slices),), "I", notes=(note,))
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
    best: list[list[int]] = []
    letter = ""
    for keyword in (*MEASUREMENTS, *PHASES, *CLOCKS):
        rows: dict[Any, list[int]] = defaultdict(list)
        for place in places:
            for index in place:
                rows[slices[index].said.get(keyword)].append(index)
        whole = [row for value, row in sorted(rows.items(), key=_by_value) if _fills(row, places)]
        enough = 2 * len(whole) * len(places) >= len(slices) and len(rows) > 1
        if enough and len(whole) > len(best):
            best, letter = whole, "C" if keyword in MEASUREMENTS else "T"
    return best, letter


def _by_clock(places: list[list[int]], slices: Sequence[Slice]) -> list[list[int]]:
    """Order the images at each place by the first thing that tells the time of all; else []."""
    for keyword in (*PHASES, *CLOCKS):
        said = {i: slices[i].said.get(keyword) for place in places for i in place}
        if all(
            None not in (values := {said[i] for i in p}) and len(values) == len(p) for p in places
        ):
            return [sorted(p, key=lambda i: _by_value((said[i], []))) for p in places]
    return []


def _by_value(item: tuple[Any, list[int]]) -> tuple[bool, Any]:
    value = item[0]
    return (True, float(value)) if isinstance(value, (int, float)) else (False, str(value))


def _fills(row: list[int], places: list[list[int]]) -> bool:
    """Whether a row has one image at each place; it is in their order."""
    return len(row) == len(places) and all(i in place for i, place in zip(row, places, strict=True))


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
