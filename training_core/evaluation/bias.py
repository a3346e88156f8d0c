"""What a denoiser does to brightness, and what it makes of noise alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from training_core.denoise.denoiser import Denoiser
from training_core.stack import Values

Image = NDArray[np.floating[Any]]

BINS = 16
SLOPES = ("reference_slope", "slope", "calibration", "calibration_by_place")  # of a Bias
FLAT_PX = 256
PLACE_PX = 32  # std of the windows in which brightness is compared by place
HELD = 1e-3  # of the variance of the image: where there is less, the line of the whole counts


@dataclass(frozen=True, slots=True)
class Bias:
    """How the brightness of a denoised image differs from that of what it was made from.

    Attributes
    ----------
    shift_percent
        Change of the mean against the noisy image, in percent of the reference's mean, or of its
        range where it has negative values.
    reference_slope
        Slope of the denoised image on the reference; holds what bleached between the exposures.
    slope
        The same on the reference brought to the brightness of the noisy image by a line, which is
        what the denoiser itself does. Even the best estimate, the posterior mean, is below 1 here,
        by its error over the variance of the image.
    calibration
        Slope of that reference on the denoised image: 1 for the posterior mean. Over 1: contrast
        was lost; under 1: noise was kept or contrast added.
    calibration_by_place
        The same with a line of its own at each place: not all of a scene bleaches alike, and a
        reference from later exposures then differs from what was there to be seen. Kept noise
        that is wider than a few pixels shows less in it: blurred by 32 px, .95 for .87.
    worst_bin_percent
        As `shift_percent`, in the sixteenth of the pixels, by brightness of the reference, where
        the mean moved most. The mean of the noise there is in it.
    """

    shift_percent: float
    reference_slope: float
    slope: float
    calibration: float
    calibration_by_place: float
    worst_bin_percent: float

    @classmethod
    def of(cls, images: Sequence[Bias]) -> Bias:
        """Sum up images, at least one: their mean slopes, and the largest of their shifts."""
        slopes = {name: float(np.mean([getattr(one, name) for one in images])) for name in SLOPES}
        shift = max((one.shift_percent for one in images), key=abs)
        worst = max((one.worst_bin_percent for one in images), key=abs)
        return cls(shift_percent=shift, worst_bin_percent=worst, **slopes)


def measure_bias(noisy: Image, denoised: Image, clean: Image) -> Bias:
    """Measure the bias of a denoised image; all three are (height, width), in the same units."""
    images = [np.asarray(image, np.float64) for image in (noisy, denoised, clean)]
    seen = _by_place(images[0], images[2]).ravel()
    z, made, x = (image.ravel() for image in images)
    change = made - z
    one_percent = _brightness(x) / 100
    parts = np.array_split(change[np.argsort(x, kind="stable")], BINS)
    worst = max((float(part.mean()) for part in parts if len(part)), key=abs)
    exposed = _slope(z, x)
    return Bias(
        float(change.mean()) / one_percent,
        _slope(made, x),
        _slope(made, x) / exposed if exposed else 1.0,
        _slope(x, made) * exposed,
        _slope(seen, made),
        worst / one_percent,
    )


def _by_place(noisy: Values, clean: Values) -> Values:
    """Bring a reference (height, width) to the brightness of the noisy image around each pixel."""

    def mean(values: Values) -> Values:
        averaged: Values = gaussian_filter(values, PLACE_PX)
        return averaged

    z, x = noisy - noisy.mean(), clean - clean.mean()
    power = HELD * float(np.square(x).mean())
    if not power:
        return mean(noisy)
    level, exposed = mean(x), mean(z)
    together = mean(x * z) - level * exposed + power * _slope(z.ravel(), x.ravel())
    slope = together / (mean(x * x) - level**2 + power)
    brought: Values = noisy.mean() + exposed + slope * (x - level)
    return brought


def _brightness(clean: Values) -> float:
    least, greatest = (float(v) for v in np.percentile(clean, (0.1, 99.9)))
    whole = float(clean.mean()) if least >= 0 else greatest - least
    return whole if whole > 0 else 1.0


def _slope(values: Values, on: Values) -> float:
    """Give the slope of the least-squares line; 1 where there is nothing to see it by."""
    around = on - on.mean()
    power = float(around @ around)
    return float(around @ values) / power if power > 0 else 1.0


@torch.no_grad()
def flat_residual(denoiser: Denoiser, seed: int = 0) -> float:
    """Denoise learned noise on a constant; give what is left, std over std of the noise.

    0 is best. In stabilised units at the mean brightness; of several channels the worst counts.
    """
    draw = torch.Generator().manual_seed(seed)
    left = []
    for channel in denoiser.channels:
        flat = torch.full((1, 1, FLAT_PX, FLAT_PX), channel.mean, device=denoiser.device)
        noisy = channel.noise.add_noise(flat, draw)[0, 0].float()
        left.append(float(denoiser.estimate(noisy, channel).std() / noisy.std()))
    return max(left)
