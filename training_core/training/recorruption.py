"""Pairs made of the noisy image itself: an anchor against what an estimate has lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from .pairs import Pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training_core.denoise.channel import Channel
    from training_core.denoise.denoiser import Denoiser
    from training_core.run import Run

    from .pairs import Estimate

STRENGTH = 1.0  # of the noise that is added to a noisy image, over that which it has


def recorrupted_pairs(
    denoiser: Denoiser,
    noisy: Sequence[Estimate],
    estimates: Sequence[Estimate],
    copies: int,
    *,
    draw: torch.Generator,
    run: Run,
    strength: float = STRENGTH,
) -> list[Pair]:
    """Make pairs z + a n and z - n / a of the noisy regions themselves, n as strong as their noise.

    On average the second is the clean image, however the first was used: their noises are
    independent (Pang et al., CVPR 2021, Eqn (7)). Each counts as much as its target is sure.

    Parameters
    ----------
    estimates
        Their estimates, from which the strength of the noise follows.
    copies
        Pairs for each region.
    strength
        a.
    """
    sure = 1 / (1 + 1 / strength**2)
    pairs = []
    for region, estimate in zip(noisy, estimates, strict=True):
        channel, clean = region.channel, estimate.image[None, None].to(denoiser.device)
        image = region.image[None, None].to(denoiser.device)
        for _ in range(copies):
            run.check()
            noise = channel.noise.apart_from(clean, draw)
            source = denoiser.inputs(image + strength * noise, louder(channel, strength))
            weight = torch.full(region.image.shape, sure)
            pairs.append(Pair.of(source, image - noise / strength, channel, weight))
    return pairs


def louder(channel: Channel, strength: float = STRENGTH) -> Channel:
    """Give the channel as it is once noise `strength` times as strong was added to it."""
    curve, factor = channel.noise.curve, (1 + strength**2) ** 0.5
    noise = replace(channel.noise, curve=replace(curve, sigmas=factor * curve.sigmas))
    return replace(channel, noise=noise)
