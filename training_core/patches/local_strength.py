"""How strong the noise of computed tomography is around each pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates, median_filter

from training_core.stack import Image, Values

AIR_HU = -300.0  # below it are air, lungs and padding, whose noise has another spectrum
WINDOW_PX, STRIDE_PX = 32, 8  # found: .82 to 1.10 of the local std, one std for all .77 to 1.48
NORMAL_MAD = 0.6745  # median of |x| for unit Gaussian noise
LEAST = 0.2  # of the usual strength: padding has no noise at all


def local_sigma(frame: Image) -> Values:
    """Measure how strong the finest detail is around each pixel of a frame (height, width).

    The median of the absolute mixed differences in windows of 32 px, which no edge moves much; of
    that the median of 5 x 5 windows, smoothed over 16 px. Whole numbers are spread over their step
    first, since a median of few values jumps. It is (height, width) float64 in units of the frame:
    for white noise its std, for other noise in a fixed proportion to it, and 0 where a frame is too
    small to have detail.
    """
    exact = frame.astype(np.float64)
    if min(exact.shape) < 2:
        return np.zeros(exact.shape)
    if np.ptp(exact) and np.array_equal(exact, np.rint(exact)):
        exact += np.random.default_rng(0).uniform(-0.5, 0.5, exact.shape)
    fine = np.abs(np.diff(np.diff(exact, axis=0), axis=1)) / 2
    half = WINDOW_PX // 2
    padded = np.pad(fine, ((half, half + 1), (half, half + 1)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (WINDOW_PX, WINDOW_PX))
    rows = (row.reshape(len(row), -1) for row in windows[::STRIDE_PX, ::STRIDE_PX])
    spread = np.stack([np.median(row, axis=1) for row in rows]) / NORMAL_MAD
    smooth = gaussian_filter(median_filter(spread, 5, mode="nearest"), 2, mode="nearest")
    places = np.meshgrid(*(np.arange(n) / STRIDE_PX for n in frame.shape), indexing="ij")
    return map_coordinates(smooth, places, order=1, mode="nearest")


def evened_frame(frame: Image) -> Image:
    """Give a frame with noise of the same strength everywhere, in units of that."""
    return (frame / bounded_sigma(frame)).astype(np.float32)


def bounded_sigma(frame: Image) -> Values:
    """Give the local strength, no less than a fifth of the usual one of the frame."""
    sigma = local_sigma(frame)
    least = LEAST * usual_sigma(sigma, frame)
    return np.maximum(sigma, least) if least else np.ones_like(sigma)


def usual_sigma(sigma: Values, frame: Image) -> float:
    """Give the median strength in tissue; that of the whole frame where there is none."""
    inside = tissue(frame)
    return float(np.median(sigma[inside] if inside.any() else sigma))


def tissue(frame: Image) -> NDArray[np.bool_]:
    """Tell soft tissue and bone from air, lungs and padding, (height, width), by blurred values."""
    return gaussian_filter(frame.astype(np.float64), 3) > AIR_HU
