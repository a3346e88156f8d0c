"""How good a denoiser is, judged without a clean image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from .denoiser import BrightnessCurve, to_stack_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from .denoiser import Channel, Denoiser
    from .noise_statistics import Values
    from .noisy_pairs import Estimate
    from .run import Run
    from .training_regions import TrainingRegion

PROBE = 0.1  # strength of the probe, in std of the noise
JUDGED_PX, JUDGED_REGIONS = 192, 3
BLUR_PX = 12  # over this the noise has all but averaged out
BANDS = 16
FEWEST_PX = 1000  # in a band, for its mean to be trusted


def error_estimate(denoiser: Denoiser, noisy: Sequence[Estimate], seed: int, run: Run) -> float:
    """Estimate the error that is left, as a fraction of the noise's variance.

    Stein's unbiased risk estimate, mean (z - f(z))^2 - s^2 + (2 / e) mean b (f(z + e b) - f(z)),
    with a sample b of the learned noise as the probe, so that it holds for correlated noise too
    (Stein 1981; Ramani, Blu and Unser, IEEE TIP 17, 2008).

    Parameters
    ----------
    denoiser
        What is judged.
    noisy
        Stabilised noisy regions; the middle of a few of each channel is used.
    seed
        The same seed gives the same probes, so that scores can be compared.
    """
    draw = torch.Generator().manual_seed(seed)
    error = variance = 0.0
    for region in _judged(noisy):
        run.check()
        image = _middle(region.image).to(denoiser.device)
        channel = region.channel
        sigma = torch.from_numpy(channel.noise.curve(image.cpu().numpy())).to(image.device)
        height, width = image.shape
        probe = channel.noise.sample(1, height, width, draw)[0, 0] * sigma
        clean = denoiser.estimate(image, channel, run)
        moved = denoiser.estimate(image + PROBE * probe, channel, run)
        freedom = (probe * (moved - clean)).mean() / PROBE
        power = sigma.square().mean()
        error += float((image - clean).square().mean() - power + 2 * freedom)
        variance += float(power)
    return error / variance


def _judged(noisy: Sequence[Estimate]) -> list[Estimate]:
    """Choose about three regions, at least one of each channel."""
    per_channel: dict[Channel, list[Estimate]] = {}
    for region in noisy:
        per_channel.setdefault(region.channel, []).append(region)
    each = -(-JUDGED_REGIONS // len(per_channel))
    return [region for mine in per_channel.values() for region in mine[:each]]


def _middle(image: Tensor) -> Tensor:
    height, width = (min(n, JUDGED_PX) for n in image.shape)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


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
    blurred, clean, change = [], [], []
    for region, estimate in zip(regions, estimates, strict=True):
        noisy = channel.noise.stabiliser.forward(region.values)
        values = to_stack_units(estimate.cpu().numpy(), noisy, region.values, channel)
        blurred.append(gaussian_filter(values, BLUR_PX).ravel())
        clean.append(values.ravel())
        change.append((region.values - values).ravel())
    return _in_bands(*(np.concatenate(parts) for parts in (blurred, clean, change)))


def _in_bands(blurred: Values, clean: Values, change: Values) -> BrightnessCurve:
    bands = int(np.clip(blurred.size // FEWEST_PX, 1, BANDS))
    edges = np.unique(np.quantile(blurred, np.linspace(0, 1, bands + 1)))
    band = np.clip(np.searchsorted(edges, blurred, side="right") - 1, 0, max(len(edges) - 2, 0))
    count = np.bincount(band)
    levels = np.bincount(band, clean) / np.maximum(count, 1)
    shifts = np.bincount(band, change) / np.maximum(count, 1)
    order = np.argsort(levels[count > 0])
    return BrightnessCurve(levels[count > 0][order], shifts[count > 0][order])
