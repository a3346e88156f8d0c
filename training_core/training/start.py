"""What the rounds begin with: the bundled network, or one that knows nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import torch

from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.networks.build import build_network
from training_core.networks.pretrained import NAME, PretrainedDenoiser, load_pretrained
from training_core.noise.local_strength import EvenNoise
from training_core.settings import Settings

from .task import Task


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
    load_pretrained(network)
    given = tuple(replace(c, flat_areas=None) for c in channels)
    if settings.denoiser.network != NAME:
        given = tuple(replace(c, spread=c.noise.curve.strongest) for c in given)
    return Denoiser(network.to(device).eval(), given, settings, device, collaboration=0.0)


def untrained(channels: tuple[Channel, ...], even: EvenNoise | None, task: Task) -> Denoiser:
    """Give the denoiser before its first round: with the bundled weights, or with random ones.

    Raises
    ------
    ModelError
        If the bundled weights are asked for, and missing or damaged.
    """
    network = build_network(task.settings.denoiser)
    if isinstance(network, PretrainedDenoiser):
        load_pretrained(network)
    network = network.to(task.device).eval()
    return Denoiser(network, channels, task.settings, task.device, even_noise=even)
