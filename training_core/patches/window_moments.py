"""Mean and variance of every window of a frame at once, without cancellation.

Sums of squares lose the small variance of a dark window beside a bright one. Means and squared
deviations of neighbouring cells are merged instead (Chan, Golub, LeVeque 1983), as disjoint cells
first and then by doubling, so the cost per pixel hardly depends on the size of the windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.floating[Any]]
Map = NDArray[np.float64]

SLAB_PIXELS = 1 << 19  # about what stays in the cache


def window_count(length: int, size: int, stride: int) -> int:
    """Give how many windows of `size` fit into `length` pixels, one that fits exactly included."""
    return max(0, (length - size) // stride + 1)


def cut_windows(image: Frame, size: int, stride: int | Sequence[int]) -> Map:
    """Cut windows every `stride` pixels, (count, size, size) float64; less of a smaller image.

    Two strides are those down and across.
    """
    sides = [min(size, n) for n in image.shape]
    down, across = (stride, stride) if isinstance(stride, int) else stride
    windows = np.lib.stride_tricks.sliding_window_view(image, sides)[::down, ::across]
    return np.array(windows, np.float64, order="C").reshape(-1, *sides)


def slabs(
    frame: Frame, size: int, stride: int, windows: int = 1 << 30, beyond: int = 0
) -> Iterator[tuple[slice, Frame]]:
    """Cut a frame into slabs of whole window rows; give the rows of the map and the pixels.

    A slab holds at most `windows` windows, or one row of them, and `beyond` more rows of pixels
    where there are.
    """
    rows, columns = (window_count(n, size, stride) for n in frame.shape)
    height = max(4 * size, SLAB_PIXELS // max(frame.shape[1], 1))
    step = max(1, min(height // stride, windows // max(columns, 1)))
    for first in range(0, rows if columns else 0, step):
        last = min(first + step, rows)
        yield slice(first, last), frame[first * stride : (last - 1) * stride + size + beyond]


def window_moments(
    values: Frame, size: int, stride: int, *, overwrite: bool = False
) -> tuple[Map, Map]:
    """Give mean and population variance of all windows of `size` x `size` at `stride`.

    Both are (rows, cols) float64, in the units of the values (height, width), at least `size` both
    ways, and in their square. To `overwrite` these spares a copy, whose fresh pages cost more than
    the arithmetic.
    """
    cell = gcd(size, stride)
    mean, spread = _cells(values.astype(np.float64, copy=not overwrite), cell)
    for axis in (0, 1):
        weight = cell * cell if axis == 0 else cell * size
        mean, spread = _slide(mean, spread, weight, size // cell, axis)
    every = stride // cell
    return mean[::every, ::every], spread[::every, ::every] / (size * size)


def _cells(values: Map, cell: int) -> tuple[Map, Map]:
    """Mean and squared deviation of disjoint cells; spoils `values`."""
    if cell == 1:
        return values, np.zeros_like(values)
    height, width = (n // cell * cell for n in values.shape)
    rows = values[:height].reshape(height // cell, cell, -1)[..., :width]
    mean = rows.mean(axis=1)
    rows -= mean[:, None]
    spread = np.einsum("rkw,rkw->rw", rows, rows)
    return _join_columns(mean, spread, cell)


def _join_columns(mean: Map, spread: Map, cell: int) -> tuple[Map, Map]:
    """Merge runs of `cell` columns, each standing for `cell` pixels."""
    runs = mean.reshape(len(mean), -1, cell)
    joined: Map = runs.mean(axis=2)
    apart = runs - joined[..., None]
    within = spread.reshape(runs.shape).sum(axis=2)
    return joined, within + cell * np.einsum("rck,rck->rc", apart, apart)


def _slide(mean: Map, spread: Map, weight: int, count: int, axis: int) -> tuple[Map, Map]:
    """Merge every run of `count` neighbours along `axis`; each stands for `weight` pixels."""
    run, length, done, made = (mean, spread), 1, (mean, spread), 0
    while True:
        if count & length:
            done = _merge(done, run, made, length, weight, axis) if made else run
            made += length
        if made == count:
            return done
        run = _merge(run, run, length, length, weight, axis)
        length *= 2


def _merge(
    first: tuple[Map, Map], second: tuple[Map, Map], n: int, m: int, weight: int, axis: int
) -> tuple[Map, Map]:
    """Join runs of `n` with the runs of `m` that begin where they end."""
    size = second[0].shape[axis] - n
    a_mean, a_spread = (_part(x, 0, size, axis) for x in first)
    b_mean, b_spread = (_part(x, n, size, axis) for x in second)
    apart = b_mean - a_mean
    mean = a_mean + apart * (m / (n + m))
    apart *= apart
    apart *= weight * n * m / (n + m)
    apart += a_spread
    apart += b_spread
    return mean, apart


def _part(values: Map, start: int, size: int, axis: int) -> Map:
    return values[start : start + size] if axis == 0 else values[:, start : start + size]


def block_means(image: Map, size: int) -> Map:
    """Average over square blocks, (down, across); what is left over at the border joins none."""
    high, wide = (min(size, n) for n in image.shape)
    down, across = image.shape[0] // high, image.shape[1] // wide
    blocks = image[: down * high, : across * wide].reshape(down, high, across, wide)
    means: Map = blocks.mean(axis=(1, 3))
    return means
