"""How brightness is held: what areas of each brightness get back after denoising."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from .tiled import to_stack_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from training_core.noise.covariance import Values
    from training_core.regions import TrainingRegion

    from .channel import Channel

BLUR_PX = 12  # over this the noise has all but averaged out
BANDS = 16
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


def brightness_curve(
    regions: Sequence[TrainingRegion], estimates: Sequence[Tensor], channel: Channel
) -> BrightnessCurve:
    """Measure by how much areas of each brightness have moved, and give what undoes it.

    The noise has mean zero, so where the noisy and the denoised image differ on average, the
    denoiser is off: smoothing in stabilised units takes from bright detail, for one. Averaging is
    over areas of similar *blurred* brightness, which the noise of a single pixel cannot choose.

    Parameters
    ----------
    regions, estimates
        Noisy regions of one channel in stack units, and their stabilised estimates.
    """
    clean, change = [], []
    for region, estimate in zip(regions, estimates, strict=True):
        noisy = channel.noise.stabiliser.forward(region.values)
        values = to_stack_units(estimate.cpu().numpy(), noisy, region.values, channel)
        clean.append(values)
        change.append(region.values - values)
    return shift_by_brightness(clean, change)


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
