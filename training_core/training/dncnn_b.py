"""DnCNN-B, the bundled network for white noise, fitted to the noise at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.region import Region
from training_core.networks.pretrained import fill_with_bundled, write_weights
from training_core.networks.published import DnCNN, fold_batch_norm
from training_core.noise.model import NoiseModel
from training_core.place import tiles
from training_core.run import SILENT, Run
from training_core.selection.sure import error_estimate
from training_core.settings import DenoiserSettings, Settings
from training_core.stack import Image

NAME = "dncnn-b"
WEIGHTS = "dncnn_b.safetensors"
DEPTH = 20
LEAST_SIGMA, MOST_SIGMA = 3 / 255, 50 / 255  # what it is good at; it was trained with 0 to 55
WIDEST = 4.0  # times the range from black to white that values may take
FACTORS = (1.0, 1.5, 2.0, 3.0)  # by how much stronger noise is tried
JUDGED_PX = 128
GOOD = 0.5  # of the noise's variance is left: above, less of the network may be more
WEAKER = (0.5, 0.25, 0.0)
SETTINGS = Settings(
    denoiser=DenoiserSettings(
        network="dncnn",
        collaborate=False,
        keep_brightness=False,
        kept_noise=0.0,
        neighbours="off",
    )
)


@dataclass(frozen=True, eq=False)
class FittedChannel(Channel):
    """A channel with the share of the network's correction that is taken."""

    strength: float = 1.0


class FittedDenoiser(Denoiser):
    """Takes as much of the network's correction as does good."""

    def network_pass(
        self, noisy: Tensor, channel: Channel, strength: Tensor | None = None
    ) -> Tensor:
        """Give the network's estimate, as far as it is taken; see `Denoiser.network_pass`."""
        taken: float = getattr(channel, "strength", 1.0)
        return noisy.lerp(super().network_pass(noisy, channel, strength), taken)


def save_dncnn_b(network: DnCNN, path: Path) -> None:
    """Write a network whose batch norm is folded in, float32."""
    write_weights(network, path)


@cache
def load_dncnn_b(device: torch.device) -> DnCNN:
    """Give the bundled network, for images (batch, 1, height, width) with black 0 and white 1.

    Raises
    ------
    ModelError
        If its weights are missing or damaged.
    """
    network = fold_batch_norm(DnCNN(DEPTH))
    fill_with_bundled(network, WEIGHTS)
    ready: DnCNN = network.requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ready


def fit_scale(
    noise: NoiseModel, images: Sequence[Image], device: torch.device, run: Run = SILENT
) -> FittedChannel:
    """Choose, blind, the scale at which the network leaves the least error.

    Where it would do harm even so, only a part of its correction is taken, or none.

    Parameters
    ----------
    noise
        Of `images`.
    images
        Noisy and stabilised, (height, width) float32; two small parts of them are judged.
    """
    sigma = float(np.mean([noise.curve(image).mean() for image in images]))
    values = np.concatenate([image.ravel() for image in images])
    fits = [FittedChannel(noise, *scale) for scale in network_scales(values, sigma)]
    parts = [torch.from_numpy(part).to(device) for part in _judged(images)]

    def error(channel: FittedChannel) -> float:
        denoiser = FittedDenoiser(load_dncnn_b(device), (channel,), SETTINGS, device)
        return error_estimate(denoiser, [Region(part, channel) for part in parts], 0, run)

    if not sigma:
        return replace(fits[0], strength=0.0)
    errors = {fit: error(fit) for fit in fits}
    best = min(errors, key=errors.__getitem__)
    if errors[best] < GOOD:
        return best
    return min((best, *(replace(best, strength=s) for s in WEAKER)), key=error)


def network_scales(values: NDArray[np.floating], sigma: float) -> list[tuple[float, float]]:
    """Give means and spreads with which (value - mean) / spread suits the network.

    The first maps the values to about 0 to 1 or, where their noise would be too weak or too strong
    for the network then, to a smaller or a wider range; in the others the noise is stronger.

    Parameters
    ----------
    values
        Noisy, stabilised, any shape.
    sigma
        Standard deviation of their noise.
    """
    low, high = (float(v) for v in np.percentile(values, (0.1, 99.9)))
    full = (high - low) or float(np.ptp(values)) or 1.0
    first = max(min(full, sigma / LEAST_SIGMA), full / WIDEST, sigma / MOST_SIGMA)
    least = max(full / WIDEST, sigma / MOST_SIGMA) if sigma else first
    spreads = dict.fromkeys(max(first / factor, least) for factor in FACTORS)
    return [((low + high - spread) / 2, spread) for spread in spreads]


def _judged(images: Sequence[Image]) -> list[Image]:
    """Cut out the part with the most contrast and a middling one."""
    places = tiles(images[0].shape, JUDGED_PX)
    largest = max(place.height * place.width for place in places)
    whole = [place for place in places if place.height * place.width == largest]
    parts = [np.ascontiguousarray(image[place.slices]) for image in images for place in whole]
    parts.sort(key=lambda part: float(part.std()))
    return [parts[-1], parts[len(parts) // 2]] if len(parts) > 1 else parts
