"""The points of one loss curve, thinned as they come so that drawing never slows down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_POINTS = 2000


class LossCurve:
    """Keeps at most 2 000 points of a curve; when full, neighbours are averaged in pairs."""

    def __init__(self) -> None:
        self._x: list[float] = []
        self._y: list[float] = []
        self._every = 1
        self._pending: list[tuple[float, float]] = []

    def add(self, x: float, y: float) -> None:
        """Append a point; a value that is not finite is left out, as it would hide all others."""
        if not np.isfinite(y):
            return
        self._pending.append((x, y))
        if len(self._pending) < self._every:
            return
        self._x.append(float(np.mean([p[0] for p in self._pending])))
        self._y.append(float(np.mean([p[1] for p in self._pending])))
        self._pending.clear()
        if len(self._x) > MOST_POINTS:
            self._halve()

    def _halve(self) -> None:
        pairs = len(self._x) // 2 * 2
        self._x, self._y = (
            np.asarray(values[:pairs]).reshape(-1, 2).mean(axis=1).tolist()
            for values in (self._x, self._y)
        )
        self._every *= 2

    def points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give x and y, each (count,) float64."""
        return np.asarray(self._x), np.asarray(self._y)
