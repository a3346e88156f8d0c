"""Scenes, noise and denoisers with known properties, small enough to compute in a moment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.model_file import save_denoiser
from training_core.networks.build import build_network
from training_core.networks.published import NoiseGenerator
from training_core.noise.anscombe import Stabiliser
from training_core.noise.covariance import LAGS
from training_core.noise.generator import ResampledNoise, StationaryGenerator
from training_core.noise.model import GaussianNoise, PublishedNoise
from training_core.noise.strength_curve import NoiseCurve
from training_core.settings import (
    DenoiserSettings,
    NoiseModelSettings,
    PatchSettings,
    Settings,
    preset,
)
from training_core.stack import Stack

CPU = torch.device("cpu")
INSTANT = preset("instant", device="cpu")
# Flat areas are measured on samples that cost as much as all else of a small stack.
INSTANT = replace(INSTANT, denoiser=replace(INSTANT.denoiser, even_flat_areas=False))
QUICKEST = Settings(
    preset="quick",
    device="cpu",
    patches=PatchSettings(patch_size_px=16, stride_px=4),
    noise_model=NoiseModelSettings(steps=4, batch=4),
    denoiser=DenoiserSettings(
        first_estimate="shrinkage",
        network="compact",
        width=8,
        depth=3,
        rounds=1,
        steps=8,
        batch=4,
        crop_px=32,
        even_flat_areas=False,
    ),
)


def scene(height, width, low=100.0, high=400.0):
    """Give a ramp with a bright disc and a bar: flat, slanted and edged places."""
    rows, columns = np.mgrid[:height, :width]
    image = low + 0.2 * (high - low) * columns / width
    image[np.hypot(rows - 0.6 * height, columns - 0.4 * width) < 0.25 * min(height, width)] = high
    image[height // 8 : height // 8 + 4, width // 6 : -width // 6] = (low + high) / 2
    return image


def block(height, width, low, high):
    """Give a bright block in a corner: even enough for many smooth patches in a small frame."""
    image = np.full((height, width), float(low))
    image[height // 3 :, : width // 3] = high
    return image


def blurred_noise(shape, blur, seed):
    """Give Gaussian noise of std 1, blurred by `blur` px; 0 leaves it white."""
    white = np.random.default_rng(seed).standard_normal(shape)
    if not blur:
        return white
    spread = [0.0] * (len(shape) - 2) + [blur, blur]
    return gaussian_filter(white, spread, mode="wrap") / np.sqrt(covariance_sum(blur))


def covariance_sum(blur):
    return np.square(kernel(blur)).sum() ** 2


def kernel(blur):
    impulse = np.zeros(4 * LAGS + 1)
    impulse[2 * LAGS] = 1.0
    return gaussian_filter(impulse, blur) if blur else impulse


def covariance(blur=0.0):
    """Give the exact autocovariance of `blurred_noise`, (31, 31)."""
    line = np.correlate(kernel(blur), kernel(blur), "full")
    middle = line.size // 2
    line = line[middle - LAGS : middle + LAGS + 1] / line[middle]
    return np.outer(line, line)


def noise_model(blur=0.0, stabiliser=None, curve=None):
    exact = covariance(blur)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = StationaryGenerator(exact)
    curve = curve or NoiseCurve(np.array([20.0]), np.ones(1))
    return GaussianNoise(stabiliser or Stabiliser(), curve, exact, generator.eval(), None, 100)


def noise_of(values, sigma):
    """Give noise of which every pixel is one of these values, said to be `sigma` strong."""
    unit = torch.from_numpy((values / values.std()).astype(np.float32)).reshape(-1, 1, 1)
    generator = ResampledNoise(unit, torch.zeros(1, dtype=torch.long))
    curve = NoiseCurve(np.zeros(1), np.array([sigma]))
    return replace(noise_model(curve=curve), generator=generator)


def denoiser(noise, *, seed=0, mean=0.0, spread=1.0, **changes: Any):
    """Give a denoiser whose network has random weights, the last layer included."""
    plain = {"network": "compact", "width": 8, "depth": 4, "keep_brightness": False}
    chosen = DenoiserSettings(**{**plain, **changes})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(chosen)
        if chosen.network == "compact":
            torch.nn.init.normal_(network.layers[-1].weight, 0.0, 0.02)
            torch.nn.init.normal_(network.layers[-1].bias, 0.0, 0.02)
    settings = Settings(device="cpu", denoiser=chosen)
    return Denoiser(network.eval(), (Channel(noise, mean, spread),), settings, CPU)


def kept_model(folder, **changes: Any):
    """Write a model with random weights as `m.g2g` into a folder, and give its path."""
    return save_denoiser(denoiser(noise_model(), **changes), folder / "m.g2g")


def with_published_noise(chosen, sigma=0.1):
    """Give a denoiser g1 in place of the generator of noise of any size."""
    torch.manual_seed(0)
    base = chosen.channels[0].noise
    curve = NoiseCurve(np.zeros(1), np.array([sigma]))
    noise = PublishedNoise(Stabiliser(), curve, base.covariance, NoiseGenerator().eval(), None, 9)
    return replace(chosen, channels=(Channel(noise),))


class Identity(torch.nn.Module):
    """Gives its noisy channel back."""

    halo_px = 3
    multiple_px = 2

    def __init__(self, channels=1):
        super().__init__()
        self.channels = channels

    def forward(self, images):
        return images[:, :1]


def stack(pixels, axes="YX", dtype=None, **more: Any):
    return Stack(np.asarray(pixels, dtype or np.asarray(pixels).dtype), axes, **more)


def squared_error(image, clean):
    return float(np.mean((np.asarray(image, np.float64) - clean) ** 2))
