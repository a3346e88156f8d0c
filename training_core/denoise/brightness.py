"""How brightness is held: what areas of each brightness get back after denoising."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from training_core.stack import Values

if TYPE_CHECKING:
    from training_core.noise.model import RecordedNoise


BLUR_PX = 12  # over this the noise has all but averaged out
BANDS = 16  # fewer where these would hold too few pixels
LEAST_NOISE = 0.25  # of the variance in the dark: with less at the end none was cut off there
FEWEST_PX = 1000  # in a band, for its mean to be trusted


@dataclass(frozen=True, eq=False)
class BrightnessCurve:
    """What to add so that areas of each brightness keep their mean; all in stack units."""

    levels: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    shifts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Correct denoised values, any shape."""
        if not self.shifts.any():
            return values
        corrected: NDArray[np.float64] = values + np.interp(values, self.levels, self.shifts)
        return corrected


def shift_by_brightness(clean: Sequence[Values], change: Sequence[Values]) -> BrightnessCurve:
    """Average changes over areas of similar brightness; both are images (height, width)."""
    blurred = np.concatenate([gaussian_filter(values, BLUR_PX).ravel() for values in clean])
    return _in_bands(blurred, *(np.concatenate([v.ravel() for v in of]) for of in (clean, change)))


def _in_bands(blurred: Values, clean: Values, change: Values) -> BrightnessCurve:
    bands = int(np.clip(blurred.size // FEWEST_PX, 1, BANDS))
    edges = np.unique(np.quantile(blurred, np.linspace(0, 1, bands + 1)))
    band = np.clip(np.searchsorted(edges, blurred, side="right") - 1, 0, max(len(edges) - 2, 0))
    count = np.bincount(band)
    levels = np.bincount(band, clean) / np.maximum(count, 1)
    shifts = np.bincount(band, change) / np.maximum(count, 1)
    order = np.argsort(levels[count > 0])
    return BrightnessCurve(levels[count > 0][order], shifts[count > 0][order])


def uncut(brightness: BrightnessCurve, recorded: RecordedNoise) -> BrightnessCurve:
    """Let the correction of brightness also lower what cutting off raised in the dark.

    Not so in the bright, where few pixels tell how strong the noise was.
    """
    if not _cut_in_the_dark(recorded):
        return brightness
    stabiliser, lowest = recorded.noise.stabiliser, recorded.recording.lowest
    after = stabiliser.inverse(recorded.recorded.astype(np.float32))
    before = stabiliser.inverse((recorded.recorded + recorded.shifts).astype(np.float32))
    levels, order = np.unique([lowest, *after], return_index=True)
    shifts = np.minimum([0.0, *(np.maximum(before, lowest) - after)], 0.0)[order]
    every = np.union1d(levels, brightness.levels)
    both = np.interp(every, levels, shifts)
    both += np.interp(every, brightness.levels, brightness.shifts)
    return replace(brightness, levels=every, shifts=both)


def _cut_in_the_dark(recorded: RecordedNoise) -> bool:
    """Whether noise was cut off at the low end."""
    noise, lowest = recorded.noise, recorded.recording.lowest
    stabiliser = noise.stabiliser
    if noise.of_few_photons:
        return False
    if not np.isfinite(lowest) or not stabiliser.gain:
        return bool(np.isfinite(lowest))
    dark = float(stabiliser.inverse(noise.curve.levels[:1].astype(np.float32))[0])
    at_end, in_the_dark = (
        stabiliser.gain * value + stabiliser.read_variance for value in (lowest, dark)
    )
    return at_end > LEAST_NOISE * in_the_dark
