"""Whether a few pixels hold most of the noise, told by the kurtosis of what was learned of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from training_core.networks.published import NoiseGenerator

if TYPE_CHECKING:
    from .model import NoiseModel

HEAVY = 7.0  # kurtosis, 3 for Gaussian noise
MOST_SHARED = 0.1  # correlation of neighbouring pixels
EACH_WAY = 0.25  # of the fourth moment is darker than the mean, and as much brighter
SAMPLE_PX = 512  # side of the noise that is looked at


def is_heavy_tailed(noise: NoiseModel) -> bool:
    """Tell whether a few pixels hold most of the power of learned noise, and each for itself.

    Spots that a microscope shows may be as small as a pixel, and hot pixels look like them in one
    frame. Both are bright, so only noise that goes both ways is taken for such.
    """
    published = isinstance(noise.generator, NoiseGenerator)
    if published or noise.photons is not None or noise.correlation > MOST_SHARED:
        return False
    unit = noise_sample(noise, torch.Generator().manual_seed(0))
    fourth = unit.pow(4)
    darker = float(fourth[unit < 0].sum() / fourth.sum())
    return EACH_WAY < darker < 1 - EACH_WAY and kurtosis(unit) > HEAVY


def noise_sample(noise: NoiseModel, draw: torch.Generator) -> Tensor:
    """Draw unit noise of mean 0, (512^2,) float64."""
    unit = noise.sample(1, SAMPLE_PX, SAMPLE_PX, draw).flatten().cpu().double()
    return unit - unit.mean()


def kurtosis(unit: Tensor) -> float:
    """Give the fourth moment of values of mean 0 over their squared variance."""
    return float(unit.pow(4).mean() / unit.square().mean().square())
