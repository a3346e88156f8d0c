"""The noise level function: how strong the noise is at each brightness, measured blind.

What varies in the calmest windows of each brightness is noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from training_core.patches.window_moments import cut_windows
from training_core.stack import Image, Values

from .covariance import LAGS, residuals, trend_basis

CLASSES = 16  # of equally many windows
CALMEST, FEWEST = 0.1, 20  # of a class: this share, and no fewer


def calmest(brightness: Values, restless: Values, classes: int = CLASSES) -> list[NDArray[np.intp]]:
    """Give the windows of each brightness that are least restless, both (count,), by number."""
    edges = np.unique(np.quantile(brightness, np.linspace(0, 1, classes + 1)))
    if len(edges) < 2:
        return [np.arange(brightness.size)]
    chosen = []
    for low, high in pairwise(edges):
        here = np.flatnonzero((brightness >= low) & (brightness <= high))
        count = max(int(CALMEST * here.size), min(FEWEST, here.size))
        chosen.append(here[np.argsort(restless[here], kind="stable")[:count]])
    return chosen


ENDS = 0.1  # of the windows: the darkest, the brightest
WINDOW_PX, BLOCK_PX = 16, 4
MOST_WINDOWS, AT_ONCE = 20_000, 512
TINY = float(np.finfo(np.float64).tiny)
ROUNDING = 1e-30  # of the squared mean: what float64 leaves of a constant
PURE = 1.6  # times the low-pass energy of pure noise: above it a class is taken for structure


@dataclass(frozen=True, eq=False)
class Windows:
    """Small windows with their slow trend removed: each a (count,) float64 statistic."""

    mean: Values
    fine: Values  # energy of the finest detail, where structure hardly shows
    slow: Values  # energy of block means, where structure shows most
    whole: Values
    third: Values  # cumulant

    @classmethod
    def of(cls, frames: Sequence[Image]) -> Windows:
        """Look at windows of (height, width) frames."""
        per_frame = [_window_statistics(frame, MOST_WINDOWS // len(frames)) for frame in frames]
        columns = zip(*per_frame, strict=True)
        mean, fine, slow, whole, third = (np.concatenate(parts) for parts in columns)
        # Masked and saturated areas say nothing of the noise, nor does what rounding leaves there.
        alive = fine > ROUNDING * mean**2
        alive |= not alive.any()
        fine = np.maximum(fine, TINY)
        return cls(*(values[alive] for values in (mean, fine, slow, whole, third)))

    def smoothest(self, expected: Values) -> list[NDArray[np.intp]]:
        """Give, per brightness class, the windows with the least slow energy for their variance."""
        return calmest(self.mean, self.slow / expected)

    def growth(self) -> float:
        """Give how much stronger the finest detail is in the brightest windows than in the darkest.

        As variance, of the calmest there: with few windows structure in the bright counts less so.
        """
        dark, bright = np.quantile(self.mean, (ENDS, 1 - ENDS))
        ends = (self.fine[self.mean <= dark], self.fine[self.mean >= bright])
        least, most = (float(np.quantile(end, CALMEST)) for end in ends)
        return most / least

    def excess(self, groups: list[NDArray[np.intp]]) -> Values:
        """Give each class's slow energy over that of pure noise, (classes,), 1 or more."""
        ratio = np.array([np.median(self.slow[g] / self.fine[g].mean()) for g in groups])
        return np.maximum(ratio / max(float(np.quantile(ratio, 0.25)), 1e-30), 1.0)


def _window_statistics(frame: Image, most: int) -> tuple[Values, ...]:
    size = min(WINDOW_PX, *(n // BLOCK_PX * BLOCK_PX for n in frame.shape))
    windows = cut_windows(frame, size, max(BLOCK_PX, int(np.sqrt(frame.size / max(most, 1)))))
    few = range(0, len(windows), AT_ONCE)  # at a time, which stay in the cache
    parts = (_statistics(windows[n : n + AT_ONCE], size) for n in few)
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


def _statistics(windows: Values, size: int) -> tuple[Values, ...]:
    left = residuals(windows)
    mixed, square = np.diff(np.diff(left, axis=1), axis=2), np.square(left)
    blocks = left.reshape(-1, size // BLOCK_PX, BLOCK_PX, size // BLOCK_PX, BLOCK_PX)
    return (
        windows.reshape(len(windows), -1).mean(axis=1),
        np.square(mixed).mean(axis=(1, 2)) / 4,
        np.square(blocks.mean(axis=(2, 4))).mean(axis=(1, 2)),
        square.sum(axis=(1, 2)) / (size * size - 6),
        (left * square).sum(axis=(1, 2)) / _third_left(size),  # a power of 3 is slow
    )


@cache
def _third_left(size: int) -> float:
    """Give how many pixels' worth of the third cumulant a window keeps without its trend."""
    basis = trend_basis(size)
    kept: Values = np.eye(size * size) - basis @ basis.T
    return float((kept**3).sum())


# A scene of edges gave 36 for a true 20.
EDGES = 1.2  # times the strongest pure class: where there are only edges, more is structure


@dataclass(frozen=True, eq=False)
class NoiseCurve:
    """Standard deviation of the noise against the local mean, both in stabilised units.

    `levels` and `sigmas` are (n,) float64, levels ascending; between them it is linear, outside
    constant.
    """

    levels: Values
    sigmas: Values

    def __call__(self, mean: NDArray[np.floating]) -> Image:
        """Give the standard deviation at each local mean, any shape, float32."""
        sigmas: Image = np.interp(mean, self.levels, self.sigmas).astype(np.float32)
        return sigmas

    @property
    def strongest(self) -> float:
        """The highest std, which a network takes for 1.

        Not the mean over the pixels: where hardly any photon comes there is hardly any noise, and
        a frame may be dark in most places.
        """
        return float(self.sigmas.max())


def fit_curve(frames: Sequence[Image], covariance: Values) -> NoiseCurve:
    """Measure what stabilisation left: the noise's std per brightness class.

    A class that holds nothing but structure shows it even in the finest detail, so its std is
    limited by what the pure classes have, or by the 1 that stabilisation aims at. Frames are
    stabilised, (height, width) float32; of the autocovariance, (31, 31), only the shape matters.
    """
    windows = Windows.of(frames)
    groups = calmest(windows.mean, windows.slow)
    levels = np.array([windows.mean[g].mean() for g in groups])
    fine = np.array([windows.fine[g].mean() for g in groups])
    sigmas = np.sqrt(np.maximum(fine / fine_energy(covariance), 1e-12))
    pure = windows.excess(groups) < PURE
    highest = EDGES * max(float(sigmas[pure].max(initial=0.0)), 1.0)
    sigmas = np.where(pure, sigmas, np.minimum(sigmas, highest))
    order = np.argsort(levels)
    return NoiseCurve(levels[order], sigmas[order])


def fine_energy(covariance: Values) -> float:
    """Give the energy of the finest detail for noise of variance 1 with this correlation."""
    c = covariance / covariance[LAGS, LAGS]
    beside = c[LAGS, LAGS + 1] + c[LAGS + 1, LAGS]
    across = c[LAGS + 1, LAGS + 1] + c[LAGS + 1, LAGS - 1]
    return float(max(4 - 4 * beside + 2 * across, 1e-3)) / 4
