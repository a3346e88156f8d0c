"""How long a job will take here, from a short real calculation of each of its parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from training_core.compute.device import mixed, tile_size
from training_core.compute.optimiser_step import TrainingStep
from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.neighbours import sequence_axis
from training_core.denoise.tiled import MEMORY_CHANNELS
from training_core.networks.build import build_network
from training_core.networks.published import GENERATED_PX, fold_batch_norm
from training_core.noise.adversarial import NoiseGame
from training_core.noise.anscombe import Stabiliser
from training_core.noise.covariance import uncorrelated
from training_core.noise.local_strength import is_ct
from training_core.noise.model import GaussianNoise
from training_core.paper.gan import paper_game
from training_core.place import tiles
from training_core.run import Stage
from training_core.selection.neighbours import AUTOMATIC, JUDGED_MPX, MOST
from training_core.selection.sure import JUDGED_CROPS, JUDGED_PX
from training_core.settings import Settings
from training_core.stack import Stack

from .first_estimate import AUTOMATIC as AUTOMATIC_FIRST
from .noisier2noise import NAME as NOISIER2NOISE
from .noisier2noise import SHARE

SAMPLE_PX = 96
WHOLE_BATCH, FEW = 8, 4  # batches up to 8 are timed as they are, larger ones from 1 and 4 crops
GUESSED_PATCH_SEARCH = 0.3e-6  # seconds a pixel: too short to be worth a measurement


def expected_plan(
    stacks: Sequence[Stack], settings: Settings, device: torch.device
) -> dict[Stage, float]:
    """Give the seconds each stage will take on the device; measuring takes about two seconds.

    Rounds that end because they gain nothing take less.
    """
    pixels = float(sum(stack.frame_count * np.prod(stack.frame_shape) for stack in stacks))
    chosen = settings.denoiser
    # Published pairs are made of crops in every step, and no round estimates whole regions.
    area = 0.0 if settings.is_published else min(pixels, chosen.area_mpx * 1e6)
    with torch.random.fork_rng(devices=[]):
        per_pixel = _seconds_per_pixel(settings, device)
        step = _seconds_per_step(settings, device)
        game = _seconds_per_game_step(settings, device)
        all_tiles = _pixels_with_halo(stacks, settings, device)
    judged = 2 * min(pixels, JUDGED_CROPS * JUDGED_PX**2)  # each time, with a probe and without
    choosing = 2 * (MOST + 1) * _pixels_to_choose_neighbours(stacks, settings)
    learning = 0.0
    turning = chosen.first_estimate == AUTOMATIC_FIRST and is_ct(stacks)
    if turning or chosen.first_estimate == NOISIER2NOISE:
        learning = SHARE * chosen.steps * step
    return {
        Stage.PATCHES: pixels * GUESSED_PATCH_SEARCH,
        Stage.NOISE_MODEL: settings.noise_model.steps * game,
        Stage.FIRST_ESTIMATE: learning + (area + choosing) * per_pixel,
        Stage.ROUNDS: chosen.rounds * (chosen.steps * step + (area + judged) * per_pixel),
        Stage.DENOISE: all_tiles * per_pixel,
    }


def _pixels_to_choose_neighbours(stacks: Sequence[Stack], settings: Settings) -> float:
    """Count the pixels that each of the choices is judged on."""
    if settings.is_published or settings.denoiser.neighbours != AUTOMATIC:
        return 0.0
    pixels = (float(np.prod(stack.shape)) for stack in stacks if sequence_axis(stack))
    return min(sum(pixels), JUDGED_MPX * 1e6)


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
    network = _for_inference(build_network(settings.denoiser).to(device))
    channel = Channel(GaussianNoise.white(Stabiliser(), 1.0, device))
    return Denoiser(network, (channel,), settings, device)


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


def _for_inference(network: nn.Module) -> nn.Module:
    folded: nn.Module = fold_batch_norm(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return folded


def _seconds_per_batch(work: Callable[[int], object], batch: int, device: torch.device) -> float:
    """Time `work` for a batch; on a processor a large one is extrapolated from two small ones."""
    if batch <= WHOLE_BATCH or device.type == "cuda":
        return _clocked(lambda: work(batch), device)
    one, few = (_clocked(lambda n=n: work(n), device) for n in (1, FEW))  # type: ignore[misc]
    each = max((few - one) / (FEW - 1), few / FEW / 4)  # noise in both could make it too little
    return one + (batch - 1) * each


def _seconds_per_step(settings: Settings, device: torch.device) -> float:
    """Time a step of a round; as published, with the teacher's estimate of the batch."""
    chosen = settings.denoiser
    network = build_network(chosen).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    fast = settings.precision == "auto"
    update = TrainingStep(network, torch.optim.Adam(network.parameters()), bfloat16=fast)
    teacher = _for_inference(network) if settings.is_published else None
    channels, size = getattr(network, "channels", 1), chosen.crop_px

    def step(count: int) -> None:
        images = torch.randn(count, channels, size, size).to(device)
        if teacher is not None:
            with torch.no_grad(), mixed(device, wanted=fast):
                teacher(images)
        update(images, images[:, :1])

    return _seconds_per_batch(step, chosen.batch, device)


def _seconds_per_game_step(settings: Settings, device: torch.device) -> float:
    chosen = settings.noise_model
    if settings.is_published:
        game = paper_game(settings, device)

        def step(count: int) -> None:
            images = torch.randn(count, 1, GENERATED_PX, GENERATED_PX).to(device)
            game.step(images, images, torch.randn(count, game.g1.latent).to(device))

        return _seconds_per_batch(step, chosen.batch, device)
    noise = np.random.default_rng(0).standard_normal((16, 32, 32), dtype=np.float32)
    noise_game = NoiseGame(noise, uncorrelated(), chosen, 0, device)
    return _clocked(noise_game.step, device)
