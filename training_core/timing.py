"""How long a job will take here, from a short real calculation of each of its parts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from .compact_networks import StationaryGenerator
from .denoiser import MEMORY_CHANNELS, Channel, Denoiser, build_network
from .device import tile_size
from .noise_game import NoiseGame
from .noise_model import NoiseModel
from .noise_statistics import LAGS, NoiseCurve
from .paper_gan import AdversarialGame
from .patches import tiles
from .run import Stage
from .stabilise import Stabiliser

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .settings import Settings
    from .stack import Stack

SAMPLE_PX = 96
GUESSED_PATCH_SEARCH = 0.3e-6  # seconds a pixel: too short to be worth a measurement


def expected_plan(
    stacks: Sequence[Stack], settings: Settings, device: torch.device
) -> dict[Stage, float]:
    """Give the seconds each stage will take on the device; measuring takes about two seconds."""
    pixels = float(sum(stack.frame_count * np.prod(stack.frame_shape) for stack in stacks))
    chosen = settings.denoiser
    area = min(pixels, chosen.area_mpx * 1e6)
    with torch.random.fork_rng(devices=[]):
        per_pixel = _seconds_per_pixel(settings, device)
        step = _seconds_per_step(settings, device)
        game = _seconds_per_game_step(settings, device)
        all_tiles = _pixels_with_halo(stacks, settings, device)
    return {
        Stage.PATCHES: pixels * GUESSED_PATCH_SEARCH,
        Stage.NOISE_MODEL: settings.noise_model.steps * game,
        Stage.FIRST_ESTIMATE: area * per_pixel,
        Stage.ROUNDS: chosen.rounds * (chosen.steps * step + area * per_pixel),
        Stage.DENOISE: all_tiles * per_pixel,
    }


def _pixels_with_halo(stacks: Sequence[Stack], settings: Settings, device: torch.device) -> float:
    """Count what denoising will work on: every tile with its halo."""
    halo = _untrained(settings, device).halo_px
    side = tile_size(device, halo, MEMORY_CHANNELS)
    return float(
        sum(
            stack.frame_count * around.height * around.width
            for stack in stacks
            for around in (
                place.grown(halo, stack.frame_shape) for place in tiles(stack.frame_shape, side)
            )
        )
    )


def _untrained(settings: Settings, device: torch.device) -> Denoiser:
    network = build_network(settings.denoiser).to(device).eval()
    return Denoiser(network, (Channel(_white_noise(device)),), settings, device)


def _clocked(work: Callable[[], object], device: torch.device) -> float:
    """Time `work` once, after a warm-up."""
    work()
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _seconds_per_pixel(settings: Settings, device: torch.device) -> float:
    denoiser = _untrained(settings, device)
    channel = denoiser.channels[0]
    image = torch.randn(SAMPLE_PX, SAMPLE_PX).to(device)
    return _clocked(lambda: denoiser.estimate(image, channel), device) / SAMPLE_PX**2


def _white_noise(device: torch.device) -> NoiseModel:
    covariance = np.zeros((2 * LAGS + 1, 2 * LAGS + 1))
    covariance[LAGS, LAGS] = 1.0
    generator = StationaryGenerator(covariance).to(device)
    curve = NoiseCurve(np.zeros(1), np.ones(1))
    return NoiseModel(Stabiliser(), curve, covariance, generator, None, 0)


def _seconds_per_step(settings: Settings, device: torch.device) -> float:
    chosen = settings.denoiser
    network = build_network(chosen).to(device).train()
    few, size = min(chosen.batch, 8), chosen.crop_px
    inputs = torch.randn(few, getattr(network, "channels", 1), size, size).to(device)

    def step() -> None:
        loss = nn.functional.mse_loss(network(inputs), inputs[:, :1])
        loss.backward()  # type: ignore[no-untyped-call]

    return _clocked(step, device) * chosen.batch / few


def _seconds_per_game_step(settings: Settings, device: torch.device) -> float:
    chosen = settings.noise_model
    if chosen.generator == "g1":
        game = AdversarialGame(chosen, "dncnn", 0, device)
        few = min(chosen.batch, 2)
        images = torch.randn(few, 1, 64, 64).to(device)
        latent = torch.randn(few, game.g1.latent).to(device)
        return _clocked(lambda: game.step(images, images, latent), device) * chosen.batch / few
    noise = np.random.default_rng(0).standard_normal((16, 32, 32), dtype=np.float32)
    noise_game = NoiseGame(noise, _white_noise(device).covariance, chosen, 0, device)
    return _clocked(noise_game.step, device)
