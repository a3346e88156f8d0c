"""The automatic test for smooth patches: nothing but noise is left when a slow trend is gone.

A window's second-order trend is removed. What is left is compared with its finest detail, the mixed
differences, in which structure hardly shows: once as block means (low-pass), where structure shows
most, and once as a whole. Both ratios are constants for pure noise, whatever its strength.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from .window_moments import Frame, Map, slabs, window_count, window_moments

SLAB_WINDOWS = 1 << 13  # each takes about a kilobyte meanwhile
TREND = 3  # polynomials of degree 0, 1, 2 along each side
LOWEST = 0.02  # the fraction of windows taken for surely pure
TYPICAL = 1.6  # times the lowest: the very lowest would miss the slow part of the noise
# Without a limit the std is up to 1.7 times the truth in bright classes.
MOST = 3.0  # times the lowest: above it structure leaks in


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """What pure noise of this stack scores in `flatness_map`, whatever its spectrum."""

    lowest: float

    @classmethod
    def of(cls, flatness: Map) -> Self:
        """Measure it on the scores of all usable windows, at least one."""
        return cls(max(float(np.quantile(flatness, LOWEST)), np.finfo(np.float64).tiny))

    def distance(self, flatness: Map) -> Map:
        """How far from typical pure noise, as |log ratio|; infinite where structure leaks in."""
        with np.errstate(over="ignore"):  # where hardly anything differs in what is flattest
            apart = np.abs(np.log(np.maximum(flatness, 1e-300) / (TYPICAL * self.lowest)))
        return np.where(flatness <= MOST * self.lowest, apart, np.inf)


def flatness_map(frame: Frame, patch_size_px: int, stride_px: int) -> Map:
    """Score every window by the energy that structure would add to pure noise.

    With the variances of block means, of all that is left and of the finest detail, each 1 for
    unit white noise, the score is (blocks / detail) (all / detail)^2: the power balances slow
    structure, which the first shows, against texture; chosen on micrographs with known noise.

    Of a frame, (height, width), any float dtype, it is (rows, cols) float64; about 1 for white
    noise, some constant for other pure noise, larger where there is structure, infinite where a
    window has no high-pass energy at all.
    """
    blocks, whole, fine = window_energies(frame, patch_size_px, stride_px)
    scores = np.full(fine.shape, np.inf)
    np.divide(blocks * whole**2, fine**3, out=scores, where=fine > 0)
    return scores


def window_energies(frame: Frame, patch_size_px: int, stride_px: int) -> Map:
    """Give the variances of block means, of all pixels and of the finest detail of every window.

    Their slow trend is gone. Of a frame, (height, width), any float dtype, they are (3, rows, cols)
    float64, each 1 for unit white noise.
    """
    shape = tuple(window_count(n, patch_size_px, stride_px) for n in frame.shape)
    found = np.empty((3, *shape))
    basis = _basis(patch_size_px)
    for rows, slab in slabs(frame, patch_size_px, stride_px, SLAB_WINDOWS, 1):
        energies = _energies(slab, basis, patch_size_px, stride_px)
        detail = _detail(slab, patch_size_px, stride_px)
        for into, part in zip(found, (*energies, detail), strict=True):
            into[rows] = part[: len(into[rows])]
    return found


def block_freedom(patch_size_px: int) -> int:
    """Give of how many independent block means a window has its slow energy."""
    return int((_basis(patch_size_px).shape[1] - TREND) ** 2 - TREND * (TREND + 1) // 2)


def _basis(size: int) -> Map:
    """Build unit columns (size, 3 + blocks): orthogonal polynomials, then the means of blocks."""
    blocks = min(max(size // 8, 4), 8)
    x = np.linspace(-1, 1, size)
    trend = np.linalg.qr(np.stack([x**k for k in range(TREND)], axis=1))[0]
    edges = np.round(np.linspace(0, size, blocks + 1)).astype(int)
    steps = np.zeros((size, blocks))
    for block, (first, last) in enumerate(pairwise(edges)):
        steps[first:last, block] = 1 / np.sqrt(last - first)
    return np.hstack([trend, steps])


def _energies(frame: Frame, basis: Map, size: int, stride: int) -> tuple[Map, Map]:
    """Give the variance of the block means and of all pixels of each window, its trend gone."""
    products = _window_products(frame - frame.mean(dtype=np.float64), basis, size, stride)
    overlap = basis[:, TREND:].T @ basis[:, :TREND]
    keep = np.add.outer(np.arange(TREND), np.arange(TREND)) < TREND  # total degree 0, 1, 2
    trend = products[..., :TREND, :TREND] * keep
    left = products[..., TREND:, TREND:] - overlap @ trend @ overlap.T
    # The expected sum of squares for unit white noise.
    freedom = len(overlap) ** 2 - float(np.einsum("ia,jb,ab->", overlap**2, overlap**2, keep))
    blocks: Map = np.einsum("rcij,rcij->rc", left, left) / freedom
    trend[..., 0, 0] = 0  # the variance knows no mean
    whole = window_moments(frame, size, stride)[1] * size**2
    whole -= np.einsum("rcij,rcij->rc", trend, trend)
    return blocks, np.maximum(whole, 0) / (size**2 - np.count_nonzero(keep))


def _window_products(frame: Frame, basis: Map, size: int, stride: int) -> Map:
    """Give basis^T window basis for every window, (rows, cols, k, k)."""
    down = _project(frame, basis, size, stride)  # (rows, width, k)
    rows, width, k = down.shape
    across = _project(down.transpose(1, 0, 2).reshape(width, rows * k), basis, size, stride)
    return across.reshape(-1, rows, k, k).transpose(1, 0, 2, 3)


def _project(values: Frame, basis: Map, size: int, stride: int) -> Map:
    """Project every run of `size` rows on the basis, (runs, columns, k), without copying runs."""
    runs = np.lib.stride_tricks.sliding_window_view(values, size, axis=0)[::stride]
    return runs @ basis


def _detail(frame: Frame, size: int, stride: int) -> Map:
    """Mean square of the mixed differences of each window; 1 for unit white noise."""
    mixed = np.diff(np.diff(frame.astype(np.float64), axis=0), axis=1)
    square = np.pad(mixed * mixed, ((0, 1), (0, 1)), mode="edge")
    return window_moments(square, size, stride)[0] / 4
