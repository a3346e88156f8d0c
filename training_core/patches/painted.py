"""What was painted by hand: which pixels are inside an outline, and which windows that means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training_core.areas import FREE, IN, MOST_CORNERS, OUT, Area
from training_core.stack import Mask

from .window_moments import Frame, window_count, window_moments

THINNED_PX = 0.75  # how far an outline drawn by hand may move when its corners become fewer
_VALUES = {IN: 1.0, OUT: -1.0, FREE: 0.0}


def drawn_area(
    kind: str, points: Sequence[tuple[float, float]], shape: tuple[int, int]
) -> Area | None:
    """Give what was drawn in a frame, (height, width), with no more corners than it takes.

    `points` are x, y in pixels: two opposite corners of a rectangle, or an outline. None if no
    pixel is inside.
    """
    ends = np.array(points, np.float64).reshape(-1, 2)[:, ::-1]
    places = np.clip(np.rint(ends), 0, shape).astype(int)
    least = min(len(places), 3)  # an outline without width would be left with two, as a rectangle
    places = np.sort(places, axis=0) if least == 2 else _thinned(places, THINNED_PX)
    if len(places) < max(least, 2) or not filled(places, shape).any():
        return None
    return Area(kind, tuple((int(row), int(column)) for row, column in places))


def filled(corners: NDArray[np.number], shape: tuple[int, ...]) -> Mask:
    """Tell which pixels of a frame, (height, width), have their middle inside an outline.

    `corners` are (count, 2) row, column, 0 at the outer edge of the first pixel: two opposite ones
    of a rectangle, or those of a polygon, in which inside and outside alternate where it crosses
    itself. Of two outlines that touch one alone has a pixel on the border.
    """
    if len(corners) == 2:
        (top, left), (bottom, right) = corners
        corners = np.array([(top, left), (top, right), (bottom, right), (bottom, left)])
    crossed = np.zeros((shape[0], shape[1] + 1), bool)
    for ends in zip(corners.tolist(), np.roll(corners, -1, axis=0).tolist(), strict=True):
        (top, x0), (bottom, x1) = sorted(ends)
        first, last = np.clip(np.ceil((top - 0.5, bottom - 0.5)), 0, shape[0]).astype(int)
        rows = np.arange(first, last)
        if rows.size:
            x = x0 + (rows + 0.5 - top) * (x1 - x0) / (bottom - top)
            crossed[rows, np.clip(np.ceil(x - 0.5), 0, shape[1]).astype(int)] ^= True
    inside: Mask = np.logical_xor.accumulate(crossed, axis=1)[:, :-1]
    return inside


def painted_windows(
    areas: Sequence[Area], shape: tuple[int, ...], size: int, stride: int
) -> tuple[Mask, Mask]:
    """Tell which windows lie in areas that were painted in, and which touch one painted out.

    Both are (rows, cols) bool.
    """
    windows = tuple(window_count(length, size, stride) for length in shape)
    if not areas:
        return np.zeros(windows, bool), np.zeros(windows, bool)
    painted = np.zeros(shape, np.float32)
    for area in areas:
        _paint(painted, area)
    inside, outside = (
        window_moments((painted == value).astype(np.float32), size, stride)[0]
        for value in (_VALUES[IN], _VALUES[OUT])
    )
    return inside > 1 - 0.5 / size**2, outside > 0.5 / size**2


def _paint(painted: Frame, area: Area) -> None:
    """Put the value of its kind where the area is."""
    corners = np.array(area.corners)
    top, left = corners.min(axis=0)
    bottom, right = corners.max(axis=0)
    part = painted[top:bottom, left:right]
    part[filled(corners - (top, left), part.shape)] = _VALUES[area.kind]


def _thinned(places: NDArray[np.int_], tolerance_px: float) -> NDArray[np.int_]:
    """Leave out corners of a closed outline, (count, 2), that is hardly another one without them.

    After Douglas and Peucker (1973), with a larger tolerance while there are too many.
    """
    closed = np.concatenate([places, places[:1]]).astype(np.float64)
    kept = np.zeros(len(closed), bool)
    far = int(np.square(closed - closed[0]).sum(axis=1).argmax())
    kept[[0, far]] = True
    parts = [(0, far), (far, len(closed) - 1)]
    while parts:
        first, last = parts.pop()
        away = _distances(closed[first + 1 : last], closed[first], closed[last])
        if away.max(initial=0.0) > tolerance_px:
            middle = first + 1 + int(away.argmax())
            kept[middle] = True
            parts += [(first, middle), (middle, last)]
    thin = places[kept[:-1]]
    return thin if len(thin) <= MOST_CORNERS else _thinned(places, 2 * tolerance_px)


def _distances(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give how far points, (count, 2), are from a line; from its start where it has no length."""
    way, there = end - start, points - start
    length = np.hypot(*way)
    if not length:
        return np.hypot(there[:, 0], there[:, 1])
    distances: NDArray[np.float64] = np.abs(there[:, 0] * way[1] - there[:, 1] * way[0]) / length
    return distances
