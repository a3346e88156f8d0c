"""Smaller copies of large planes, so that a viewer shows a whole slide without reading it."""

from __future__ import annotations

import numpy as np

from training_core.stack import Pixels

LARGEST_PLANE_PX = 4096  # a side; smaller planes are shown as they are
SMALLEST_LEVEL_PX = 1024


def level_shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Give height and width of the smaller copies of a plane, the largest first."""
    levels: list[tuple[int, int]] = []
    height, width = shape
    while max(shape) > LARGEST_PLANE_PX and max(height, width) > SMALLEST_LEVEL_PX:
        height, width = (height + 1) // 2, (width + 1) // 2
        levels.append((height, width))
    return levels


def halved(plane: Pixels) -> Pixels:
    """Give the means of 2 x 2 pixels, (height, width) or (height, width, samples), same dtype."""
    height, width, *samples = plane.shape
    edges = [(0, height % 2), (0, width % 2), *[(0, 0)] * len(samples)]
    even = np.pad(plane, edges, mode="edge") if height % 2 or width % 2 else plane
    blocks = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, *samples)
    means = blocks.mean(axis=(1, 3), dtype=np.float64)
    smaller: Pixels = np.rint(means) if plane.dtype.kind in "ui" else means
    return smaller.astype(plane.dtype)
