"""Doubt: whether what was learned as correlated noise may be texture, and what is safe then.

Noise is as strong in every calm place as its spectrum says; texture is stronger here than there.
Texture that is alike everywhere cannot be told from noise by any one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.ndimage import convolve1d, gaussian_filter

from training_core.stack import Image, Values

from .covariance import LAGS, coloured

CORRELATED = 0.15  # of neighbouring pixels: with less there is nothing to be mistaken
UNEVEN = 1.28  # micrographs have 1.0 to 1.2, electron micrographs and photographs 1.4 to 5
WAVES_PX = (1.0, 2.0)  # between these Gaussians
SIDE_PX, STRIDE_PX = 16, 8
CALMEST, CALM = 0.03, 1 / 3  # of the windows
MADE_PX = 512
FINEST = np.array([1.0, -2.0, 1.0]) / 6**0.5  # leaves white noise its std
SAFE = 0.05  # of the windows: those that hold least of the finest waves


def may_be_texture(stabilised: Sequence[Image], covariance: Values) -> bool:
    """Tell whether calm windows differ more in strength than noise with this spectrum does.

    Parameters
    ----------
    stabilised
        Frames of one channel, (height, width) float32, with noise of one std everywhere.
    covariance
        Autocovariance of their noise as it was learned, (31, 31).
    """
    unit = covariance / covariance[LAGS, LAGS]
    if max(abs(unit[LAGS, LAGS + 1]), abs(unit[LAGS + 1, LAGS])) < CORRELATED:
        return False
    white = np.random.default_rng(0).standard_normal((MADE_PX, MADE_PX))
    return _unevenness(stabilised) > UNEVEN * _unevenness([coloured(white, unit)])


def _unevenness(images: Sequence[Image | Values]) -> float:
    """Give how much stronger slow waves are in a calm window than in the calmest ones."""
    bands = (gaussian_filter(i, WAVES_PX[0]) - gaussian_filter(i, WAVES_PX[1]) for i in images)
    power = np.concatenate([_windows(band).var(axis=(1, 2)) for band in bands])
    calmest, calm = np.quantile(power[power > 0], (CALMEST, CALM))
    return float(calm / calmest)


def safe_sigma(frames: Sequence[Image]) -> float:
    """Give the std of noise of independent pixels, from the finest waves where they are weakest.

    Little of what optics show is as fine. What chance makes of the weakest windows is taken out.
    """
    power = np.concatenate([_finest(frame) for frame in frames])
    return float(np.sqrt(_weakest(power[power > 0]) / _weakest_of_noise()))


def _finest(image: Image | Values) -> Values:
    """Give the power of the finest waves of each window, (windows,)."""
    exact = image.astype(np.float64)
    waves = convolve1d(convolve1d(exact, FINEST, axis=0), FINEST, axis=1)
    power: Values = np.square(_windows(waves, SIDE_PX)).mean(axis=(1, 2))
    return power


def _weakest(power: Values) -> float:
    if not power.size:
        return 0.0
    return float(power[power <= np.quantile(power, SAFE)].mean())


@cache
def _weakest_of_noise() -> float:
    white = np.random.default_rng(0).standard_normal((MADE_PX, MADE_PX))
    return _weakest(_finest(white))


def _windows(image: Image | Values, stride: int = STRIDE_PX) -> Values:
    """Cut the windows out of an image, (windows, 16, 16)."""
    sides = [min(SIDE_PX, n) for n in image.shape]
    windows = np.lib.stride_tricks.sliding_window_view(image, sides)[::stride, ::stride]
    return windows.reshape(-1, *sides).astype(np.float64)
