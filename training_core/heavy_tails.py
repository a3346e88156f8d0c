"""Noise of which a few pixels hold most of the power: the weights that know it, and its values.

Smooth patches hold texture that is stronger than what most pixels of such noise have, so they tell
the far values well and the others not at all. A network that knows such noise tells both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import uniform_filter

from .denoiser import Denoiser
from .noise_statistics import NoiseCurve
from .pretrained import HEAVY_TAILS, NAME, WEIGHTS, PretrainedDenoiser, load_pretrained
from .recording import RecordedNoise
from .resampled_noise import ResampledNoise
from .tail_score import is_heavy_tailed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from .channel import Channel
    from .noisy_pairs import Estimate
    from .run import Run
    from .settings import Settings

    Image = NDArray[np.float32]

AROUND_PX = 9  # side of what the contrast at a pixel is measured in
CALM = 0.2  # of the pixels of a region: those with the least contrast
LOOKED_AT_PX = 1_000_000  # of a channel
FEWEST = 1000  # calm pixels
HALF = 0.5
VALUES = 65_536  # that are kept of all


def weights_for(channels: Collection[Channel]) -> str:
    """Name the bundled weights that know the noise of all these channels."""
    tails = all(is_heavy_tailed(channel.noise) for channel in channels)
    return HEAVY_TAILS if tails else WEIGHTS


def bundled_start(
    settings: Settings, channels: Collection[Channel], device: torch.device
) -> Denoiser:
    """Give the bundled network as a denoiser: what the rounds begin with, and no last pass.

    Its channels are those given, in their order, as this network needs their values.

    Raises
    ------
    ModelError
        If the weights are missing or damaged.
    """
    network = PretrainedDenoiser()
    load_pretrained(network, weights_for(channels))
    given = tuple(channels)
    if settings.denoiser.network != NAME:
        given = tuple(replace(c, spread=float(c.noise.curve.sigmas.mean())) for c in given)
    return Denoiser(network.to(device).eval(), given, settings, device, collaboration=0.0)


@torch.no_grad()
def learn_tails(
    settings: Settings, noisy: Sequence[Estimate], device: torch.device, run: Run
) -> None:
    """Give the channels of heavy-tailed regions the noise that the bundled network finds in them.

    With z the noisy image, f(z) the network's and s the std of the noise that is known, the values
    of (z - f(z)) / s(f(z)) where the image is calm are those of the noise, and their std says by
    how much it is stronger. A channel with too few such pixels keeps what it has.

    Parameters
    ----------
    noisy
        The noisy regions, stabilised; the `noise` of their channels changes, and `spread` where it
        is the strength of the noise.

    Raises
    ------
    ModelError
        If the bundled weights are missing or damaged.
    Cancelled
        If the run was cancelled.
    """
    channels = dict.fromkeys(region.channel for region in noisy)
    start = bundled_start(settings, channels, device)
    for channel, known in zip(channels, start.channels, strict=True):
        images = [region.image for region in noisy if region.channel is channel]
        found: list[Image] = []
        while images and sum(map(len, found)) < CALM * LOOKED_AT_PX:
            run.check()
            image = images.pop(0).to(device)
            made = start.estimate(image, known, run)
            found.append(_in_calm_places(image.cpu().numpy(), made.cpu().numpy(), channel))
        taken = np.concatenate(found)
        if len(taken) < FEWEST:
            continue
        values = np.quantile(taken, (np.arange(VALUES) + 0.5) / VALUES).astype(np.float32)
        strength = float(values.std())
        unit = torch.from_numpy((values - values.mean()) / strength)
        drawn = ResampledNoise(unit.reshape(-1, 1, 1), torch.zeros(1, dtype=torch.long))
        curve = NoiseCurve(channel.noise.curve.levels, channel.noise.curve.sigmas * strength)
        channel.noise = replace(channel.noise, generator=drawn.to(device).eval(), curve=curve)
        if settings.denoiser.network == NAME:
            channel.spread *= strength


def _in_calm_places(image: Image, made: Image, channel: Channel) -> Image:
    """Give what was taken from an image where it changes least, in units of the noise, (count,).

    Where most pixels were cut off the noise was cut off as well.
    """
    ends = RecordedNoise(channel.noise, channel.recording)
    cut = ((image <= ends.low) | (image >= ends.high)).astype(np.float64)
    wide = made.astype(np.float64)
    mean, square, cut = (uniform_filter(i, AROUND_PX) for i in (wide, wide**2, cut))
    contrast = np.where(cut < HALF, square - mean**2, np.inf)
    calm = np.isfinite(contrast) & (contrast <= np.quantile(contrast, CALM, method="lower"))
    taken: Image = (image - made)[calm] / channel.noise.curve(made[calm])
    return taken
