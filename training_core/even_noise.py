"""Noise of computed tomography brought to the same strength everywhere, and the way back.

How many photons arrive through a place of the body does not show in its own value, so the noise of
CT follows the place: 20 HU beside a patient, 90 HU between the shoulders. Its finest detail, which
hardly any structure reaches, tells how strong it is where.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, median_filter

from .noise_level import sampled_frames
from .stack import cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .stack import Pixels, Stack

    Image = NDArray[np.float32]
    Values = NDArray[np.float64]

HOUNSFIELD = "HU"
AIR_HU = -300.0  # below it are air, lungs and padding, whose noise has another spectrum
WINDOW_PX, STRIDE_PX = 32, 8
NORMAL_MAD = 0.6745  # median of |x| for unit Gaussian noise
LEAST = 0.2  # of the usual strength: padding has no noise at all


def local_sigma(frame: Image) -> Values:
    """Measure how strong the finest detail is around each pixel.

    The median of the absolute mixed differences in windows of 32 px, which no edge moves much;
    the median of 5 x 5 such windows, smoothed over 16 px.

    Parameters
    ----------
    frame
        (height, width), any float dtype.

    Returns
    -------
    numpy.ndarray
        (height, width) float64 in units of the frame; for white noise its std, for other noise in
        a fixed proportion to it.
    """
    fine = np.abs(np.diff(np.diff(frame.astype(np.float64), axis=0), axis=1)) / 2
    half = WINDOW_PX // 2
    padded = np.pad(fine, ((half, half + 1), (half, half + 1)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (WINDOW_PX, WINDOW_PX))
    rows = (row.reshape(len(row), -1) for row in windows[::STRIDE_PX, ::STRIDE_PX])
    spread = np.stack([np.median(row, axis=1) for row in rows]) / NORMAL_MAD
    smooth = gaussian_filter(median_filter(spread, 5, mode="nearest"), 2, mode="nearest")
    places = np.meshgrid(*(np.arange(n) / STRIDE_PX for n in frame.shape), indexing="ij")
    sigma: Values = map_coordinates(smooth, places, order=1, mode="nearest")
    return sigma


@dataclass(frozen=True, slots=True)
class EvenNoise:
    """Scales every place so that its finest detail has the std `sigma`, in HU.

    0 HU stays what it is. What is learned at this strength serves any dose.
    """

    sigma: float

    @classmethod
    def of(cls, stacks: Sequence[Stack]) -> Self | None:
        """Measure the usual strength in tissue; None where there is no noise at all."""
        usual = [
            float(np.median(values[inside] if inside.any() else values))
            for stack in stacks
            for frame in (stack.frame(index) for index in sampled_frames(stack))
            for values, inside in ((local_sigma(frame), tissue(frame)),)
        ]
        sigma = float(np.median(usual))
        return cls(sigma) if sigma > 0 else None

    def gain(self, frame: Image) -> Values:
        """Give what each pixel is multiplied by, (height, width)."""
        gain: Values = self.sigma / np.maximum(local_sigma(frame), LEAST * self.sigma)
        return gain

    def evened(self, stack: Stack, like: Stack | None = None) -> Stack:
        """Give the stack in float32 with noise of the same strength everywhere.

        `like` is a stack of the same shape whose noise decides; None: the stack itself.
        """
        pixels = np.empty(stack.shape, np.float32)
        flat = pixels.reshape(stack.frame_count, *stack.frame_shape)
        for index, frame in enumerate(flat):
            frame[:] = stack.frame(index) * self.gain((like or stack).frame(index))
        return replace(stack, pixels=pixels)

    def restored(self, evened: Pixels, stack: Stack) -> tuple[Pixels, int]:
        """Bring pixels of the evened stack back; also give how many were clipped."""
        pixels, clipped = np.empty(stack.shape, stack.dtype), 0
        shape = (stack.frame_count, *stack.frame_shape)
        pairs = zip(pixels.reshape(shape), evened.reshape(shape), strict=True)
        for index, (into, frame) in enumerate(pairs):
            values = frame / self.gain(stack.frame(index))
            into[:], lost = cast(values, stack.dtype)
            clipped += lost
        return pixels, clipped


def evened_frame(frame: Image) -> Image:
    """Give a frame with noise of the same strength everywhere, in units of that."""
    sigma = local_sigma(frame)
    usual = float(np.median(sigma))
    return frame if usual == 0 else (frame / np.maximum(sigma, LEAST * usual)).astype(np.float32)


def tissue(frame: Image) -> NDArray[np.bool_]:
    """Tell soft tissue and bone from air, lungs and padding, (height, width), by blurred values."""
    inside: NDArray[np.bool_] = gaussian_filter(frame.astype(np.float64), 3) > AIR_HU
    return inside


def is_ct(stacks: Sequence[Stack]) -> bool:
    """Tell whether values are in Hounsfield units."""
    return any(stack.value_unit == HOUNSFIELD for stack in stacks)
