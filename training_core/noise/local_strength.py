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

from training_core.run import SILENT
from training_core.stack import cast

from .covariance import detrended, spectrum
from .noise_level import sampled_frames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training_core.run import Run
    from training_core.stack import Pixels, Stack

    Image = NDArray[np.float32]
    Values = NDArray[np.float64]


AIR_HU = -300.0  # below it are air, lungs and padding, whose noise has another spectrum
WINDOW_PX, STRIDE_PX = 32, 8
NORMAL_MAD = 0.6745  # median of |x| for unit Gaussian noise
LEAST = 0.2  # of the usual strength: padding has no noise at all


def local_sigma(frame: Image) -> Values:
    """Measure how strong the finest detail is around each pixel.

    The median of the absolute mixed differences in windows of 32 px, which no edge moves much; of
    that the median of 5 x 5 windows, smoothed over 16 px. Whole numbers are spread over their step
    first, since a median of few values jumps.

    Parameters
    ----------
    frame
        (height, width), any float dtype.

    Returns
    -------
    numpy.ndarray
        (height, width) float64 in units of the frame; for white noise its std, for other noise in
        a fixed proportion to it. 0 where a frame is too small to have detail.
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
    sigma: Values = map_coordinates(smooth, places, order=1, mode="nearest")
    return sigma


@dataclass(frozen=True, slots=True)
class EvenNoise:
    """Scales every place so that its finest detail has the std `sigma`, in HU.

    0 HU stays what it is. What is learned at this strength serves any dose.
    """

    sigma: float

    @classmethod
    def of(cls, stacks: Sequence[Stack], run: Run = SILENT) -> Self | None:
        """Measure the usual strength in tissue; None where there is no noise at all."""
        usual = []
        for stack in stacks:
            for index in sampled_frames(stack):
                run.check()
                frame = stack.frame(index)
                usual.append(_usual(local_sigma(frame), frame))
        sigma = float(np.median(usual))
        return cls(sigma) if sigma > 0 else None

    def gain(self, frame: Image) -> Values:
        """Give what each pixel is multiplied by, (height, width)."""
        return self.sigma / _bounded(frame)

    def places(self, stack: Stack, usual: float) -> tuple[float, float]:
        """Give the std in calm and in loud tissue (5 and 95 %), from that in a usual place."""
        frames = [stack.frame(index) for index in range(stack.frame_count)]
        seen = [(local_sigma(frame), tissue(frame)) for frame in frames]
        found = [sigma[inside] if inside.any() else sigma.ravel() for sigma, inside in seen]
        calm, loud = np.quantile(np.concatenate(found), (0.05, 0.95)) * usual / self.sigma
        return float(calm), float(loud)

    def evened(self, stack: Stack, like: Stack | None = None, run: Run = SILENT) -> Stack:
        """Give the stack in float32 with noise of the same strength everywhere.

        `like` is a stack of the same shape whose noise decides; None: the stack itself.

        Raises
        ------
        Cancelled
            If the run was cancelled; asked before every frame, as in `restored`.
        """
        pixels = np.empty(stack.shape, np.float32)
        flat = pixels.reshape(stack.frame_count, *stack.frame_shape)
        for index, frame in enumerate(flat):
            run.check()
            frame[:] = stack.frame(index) * self.gain((like or stack).frame(index))
        return replace(stack, pixels=pixels)

    def restored(self, evened: Pixels, stack: Stack, run: Run = SILENT) -> tuple[Pixels, int]:
        """Bring pixels of the evened stack back; also give how many were clipped.

        A pixel that nobody changed keeps its value to the last bit.
        """
        pixels, clipped = np.empty(stack.shape, stack.dtype), 0
        shape = (stack.frame_count, *stack.frame_shape)
        pairs = zip(pixels.reshape(shape), evened.reshape(shape), strict=True)
        for index, (into, frame) in enumerate(pairs):
            run.check()
            original = stack.frame(index)
            gain = self.gain(original)
            same = frame == (original * gain).astype(np.float32)
            into[:], lost = cast(np.where(same, original, frame / gain), stack.dtype)
            clipped += lost
        return pixels, clipped


def evened_frame(frame: Image) -> Image:
    """Give a frame with noise of the same strength everywhere, in units of that."""
    evened: Image = (frame / _bounded(frame)).astype(np.float32)
    return evened


def _bounded(frame: Image) -> Values:
    """Give the local strength, no less than a fifth of the usual one of the frame."""
    sigma = local_sigma(frame)
    least = LEAST * _usual(sigma, frame)
    bounded: Values = np.maximum(sigma, least) if least else np.ones_like(sigma)
    return bounded


def _usual(sigma: Values, frame: Image) -> float:
    inside = tissue(frame)
    return float(np.median(sigma[inside] if inside.any() else sigma))


def tissue(frame: Image) -> NDArray[np.bool_]:
    """Tell soft tissue and bone from air, lungs and padding, (height, width), by blurred values."""
    inside: NDArray[np.bool_] = gaussian_filter(frame.astype(np.float64), 3) > AIR_HU
    return inside


def is_ct(stacks: Sequence[Stack]) -> bool:
    """Tell whether values are in Hounsfield units."""
    return any(stack.value_unit == "HU" for stack in stacks)


TURNS = 2.0  # times the spread that patches of one noise have; micrographs have 1.3, CT 4 to 5
MADE_PX, PART_PX = 512, 32
WHY = (
    "The noise has another direction in each place, which no noise that is made alike everywhere "
    "can show, so the network learns from the noisy images themselves and their first estimates"
)


def turns(noise: Image, covariance: Values) -> bool:
    """Tell whether patches of noise lean more differently than one noise explains.

    How far a patch leans is its correlation along x less that along y, between direct neighbours.
    The spread over the patches is compared with that of Gaussian noise with their covariance.

    Parameters
    ----------
    noise
        Unit noise of smooth patches without their trend, (count, size, size) float32.
    covariance
        Its mean autocovariance, (31, 31) float64.
    """
    size = min(noise.shape[1], PART_PX)
    white = np.random.default_rng(0).standard_normal((MADE_PX, MADE_PX))
    waves = np.fft.rfft2(white) * np.sqrt(spectrum(covariance, white.shape))
    made = np.fft.irfft2(waves, white.shape).astype(np.float32)
    alike, found = (_leaning(detrended(_parts(of, size))) for of in (made[None], noise))
    return bool(found.std() > TURNS * alike.std())


def _parts(images: Image, size: int) -> Image:
    """Cut (count, n, n) into squares, (more, size, size)."""
    across = images.shape[1] // size
    inner = images[:, : across * size, : across * size]
    parts = inner.reshape(-1, across, size, across, size).swapaxes(2, 3)
    return parts.reshape(-1, size, size)


def _leaning(patches: Image) -> Values:
    exact = patches.astype(np.float64)
    along_x = (exact[:, :, 1:] * exact[:, :, :-1]).mean(axis=(1, 2))
    along_y = (exact[:, 1:] * exact[:, :-1]).mean(axis=(1, 2))
    leaning: Values = (along_x - along_y) / np.square(exact).mean(axis=(1, 2))
    return leaning
