"""What was removed and what is left, in small windows: without a reference or a noise model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from training_core.noise.local_strength import finest_power
from training_core.patches.window_moments import cut_windows
from training_core.stack import Image, Values

SIDE_PX, STRIDE_PX, MOST_ACROSS = 16, 8, 64
BRIGHTNESSES = 6
CALMEST = 0.25  # of the windows of one brightness
NEARLY_ALL = 0.9  # of the noise is left: then what was removed tells nothing of it
SMALLEST_PX = 4
FAR, TO_SIGMA = 6.0, 1.2533  # std of a window; what makes one of the mean size of normal values
MADE_PX = 512


@dataclass(frozen=True, slots=True)
class Residual:
    """What windows of the noisy and of the denoised frames show.

    Attributes
    ----------
    noise_left
        Share of the std of the finest waves that is left in the calmest windows: texture hardly
        reaches there, so that it is not taken for noise. None where there are no such waves.
    noise_sigma
        Std of the noise in these windows, in units of the frames; 0 where none is found.
    uneven
        Share of the power of what was removed that noise cannot explain: it is stronger there than
        in the calmest windows of the same frame and brightness. Structure that is alike everywhere
        does not show. None where nothing was removed.
    """

    noise_left: float | None
    noise_sigma: float
    uneven: float | None

    @classmethod
    def of(cls, noisy: Sequence[Image] | Image, denoised: Sequence[Image] | Image) -> Self:
        """Look at frames of one shape, (height, width)."""
        if min(noisy[0].shape) < SMALLEST_PX:
            return cls(None, 0.0, None)
        each = [_windows(frame) for frame in noisy]
        group = np.concatenate([_by_brightness(w) + n * BRIGHTNESSES for n, w in enumerate(each)])
        before = np.concatenate(each)
        after = np.concatenate([_windows(frame) for frame in denoised])
        removed = _without_far(before - after)
        power = removed.var(axis=(1, 2))
        fine = finest_power(before)
        calm = _calmest(fine, group)
        if not calm.any():
            return cls(None, 0.0, None)
        left = float(np.sqrt(finest_power(after)[calm].mean() / fine[calm].mean()))
        chance = _calmest_of_noise()
        sigma = float(np.sqrt(power[calm].mean() / chance[0])) / max(1 - left, 1 - NEARLY_ALL)
        if left > NEARLY_ALL:
            sigma = float(np.sqrt(fine[calm].mean() / chance[1]))
        return cls(left, sigma, _uneven(power, group, _spread(removed[power <= np.median(power)])))


def _windows(frame: Image) -> Values:
    """Cut the windows out of a frame, (windows, 16, 16) float64; of large frames not all."""
    return cut_windows(frame, SIDE_PX, [max(STRIDE_PX, n // MOST_ACROSS) for n in frame.shape])


def _without_far(removed: Values) -> Values:
    """Cut off single far values, such as cosmic rays: they are no structure, and outweigh all else.

    Lost structure is many pixels of a window, or far less than this in each of a few.
    """
    removed = removed - removed.mean(axis=(1, 2), keepdims=True)
    far = FAR * TO_SIGMA * np.abs(removed).mean(axis=(1, 2), keepdims=True)
    return np.clip(removed, -far, far)


def _by_brightness(windows: Values) -> NDArray[np.intp]:
    means = windows.mean(axis=(1, 2))
    edges = np.quantile(means, np.linspace(0, 1, BRIGHTNESSES + 1)[1:-1])
    group: NDArray[np.intp] = np.searchsorted(edges, means)
    return group


def _calmest(power: Values, group: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Tell which windows of each group hold least, of those that hold anything."""
    calm = np.zeros(power.size, bool)
    for number in np.unique(group):
        mine = (group == number) & (power > 0)
        if mine.any():
            calm |= mine & (power <= np.quantile(power[mine], CALMEST))
    return calm


@cache
def _calmest_of_noise() -> tuple[float, float]:
    """Give the power of the calmest windows of white noise of std 1, of all and of fine waves."""
    windows = _windows(np.random.default_rng(0).standard_normal((MADE_PX, MADE_PX)))
    fine = finest_power(windows)
    calm = _calmest(fine, np.zeros(len(fine), np.intp))
    return float(windows.var(axis=(1, 2))[calm].mean()), float(fine[calm].mean())


def _spread(removed: Values) -> float:
    """Give the std of the power of windows over its mean that Gaussian noise would have.

    From the autocovariance of what was removed in the calmer windows, as far as one shows it.
    """
    high, wide = removed.shape[1:]
    centred = removed - removed.mean(axis=(1, 2), keepdims=True)
    spectra = np.square(np.abs(np.fft.rfft2(centred, (2 * high, 2 * wide)))).mean(axis=0)
    products = np.fft.irfft2(spectra, (2 * high, 2 * wide))  # sums over the pixels they share
    if products[0, 0] <= 0:
        return 0.0
    # The covariance of two squares is twice that of the values, squared (Isserlis 1918).
    return float(np.sqrt(2 * np.square(products / products[0, 0]).sum() / (high * wide)))


def _uneven(power: Values, group: NDArray[np.intp], spread: float) -> float | None:
    if not power.any():
        return None
    lowest = _lowest_of_noise(spread)
    calm = 0.0
    for number in np.unique(group):
        mine = power[(group == number) & (power > 0)]  # padding was left as it is
        if mine.size:
            calm += min(float(np.quantile(mine, CALMEST)) / lowest, float(mine.mean())) * mine.size
    return 1 - calm / float(power.sum())


def _lowest_of_noise(spread: float) -> float:
    """Give the power of the calmest windows of noise over the mean, with chance as large."""
    if spread <= 0:
        return 1.0
    shape = 1 / spread**2
    return float(gammaincinv(shape, CALMEST)) / shape
