"""What is measured of a trained denoiser: what it leaves of noise, what it does to brightness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from training_core.denoise.brightness import BrightnessCurve, shift_by_brightness, uncut
from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.flat_areas import MOST, FlatAreas, learned
from training_core.denoise.region import Region, on_channels
from training_core.denoise.tiled import kept_share
from training_core.noise.model import RecordedNoise
from training_core.place import TrainingRegion
from training_core.run import SILENT, Run
from training_core.selection.faint_spots import FaintSpots, faint_spots
from training_core.selection.sure import estimates_of

from .material import Material
from .pairs import estimate_all
from .task import Task

MUCH = 0.003  # of its pixels; of Gaussian noise 2.97 std
SAMPLES, SAMPLE_PX = 6, 256  # with 4 the worst of 24 tests left .063 of the noise, with 8 .054
OWN_NOISE = 0x0F1A7  # added to the seed: `flat_residual` must see other noise than what is learned


@torch.no_grad()
def measure_flat_areas(
    denoiser: Denoiser, channel: Channel, seed: int = 0, run: Run = SILENT
) -> FlatAreas:
    """Learn what a denoiser leaves of learned noise on a constant, which is to be evened out.

    `channel` must have no flat areas yet. The noise is drawn from a stream of its own.
    """
    draw = torch.Generator().manual_seed(seed + OWN_NOISE)
    flat = torch.full((1, 1, SAMPLE_PX, SAMPLE_PX), channel.mean, device=denoiser.device)
    noisy = [channel.noise.add_noise(flat, draw)[0, 0].float() for _ in range(SAMPLES)]
    curve = channel.noise.curve
    apart = (torch.stack(noisy) - channel.mean).abs() / float(curve(np.array(channel.mean)))
    most = max(MOST, float(torch.quantile(apart, 1 - MUCH)))
    return learned([denoiser.estimate(image, channel, run) for image in noisy], curve, most=most)


def brightness_curve(
    regions: Sequence[TrainingRegion], estimates: Sequence[Tensor], channel: Channel
) -> BrightnessCurve:
    """Measure by how much areas of each brightness have moved, and give what undoes it.

    The noise has mean zero, so where the noisy and the denoised image differ on average, the
    denoiser is off: smoothing in stabilised units takes from bright detail, for one. Averaging is
    over areas of similar *blurred* brightness, which the noise of a single pixel cannot choose. The
    noisy regions are of one channel, in stack units, their estimates stabilised.
    """
    clean, change = [], []
    for region, estimate in zip(regions, estimates, strict=True):
        values = channel.in_stack_units(estimate.cpu().numpy(), region.values)
        clean.append(values)
        change.append(region.values - values)
    return shift_by_brightness(clean, change)


def calibrated(
    denoiser: Denoiser, noisy: Sequence[Region], material: Material, task: Task
) -> Denoiser:
    """Give the denoiser what evens flat areas and holds brightness, as far as that is asked for.

    So is undone what cutting off at the ends of the file did to the mean of dark areas.
    """
    settings, seed, run = task.settings.denoiser, task.settings.seed, task.run
    if settings.even_flat_areas:
        even = [measure_flat_areas(denoiser, c, seed, run) for c in denoiser.channels]
        both = zip(denoiser.channels, even, strict=True)
        known = [replace(channel, flat_areas=areas) for channel, areas in both]
        denoiser, noisy = _with_channels(denoiser, noisy, known)
    if settings.keep_brightness:
        estimates = estimate_all(denoiser, noisy, task.checkpoint.part("last-estimates"), run)
        known = [
            replace(channel, brightness=_brightness(number, channel, estimates, material))
            for number, channel in enumerate(denoiser.channels)
        ]
        denoiser, _ = _with_channels(denoiser, noisy, known)
    return denoiser


def faint_spots_left(
    denoiser: Denoiser, noisy: Sequence[Region], material: Material, task: Task
) -> tuple[FaintSpots, ...]:
    """Measure for each channel how faint a spot the denoiser leaves, as it is given to the user."""
    settings, estimator = task.settings.denoiser, estimates_of(denoiser, task.run)
    found = []
    for number, channel in enumerate(denoiser.channels):
        of = zip(material.regions, noisy, strict=True)
        mine = [replace(n, channel=channel) for region, n in of if region.channel == number]
        share = kept_share(settings, material.given[0], channel)
        found.append(faint_spots(mine, estimator, task.run, put_back=share))
    return tuple(found)


def _with_channels(
    denoiser: Denoiser, noisy: Sequence[Region], channels: Sequence[Channel]
) -> tuple[Denoiser, list[Region]]:
    changed = dict(zip(denoiser.channels, channels, strict=True))
    return replace(denoiser, channels=tuple(channels)), on_channels(noisy, changed)


def _brightness(
    number: int, channel: Channel, estimates: Sequence[Region], material: Material
) -> BrightnessCurve:
    """Find how far areas of each brightness moved in the estimates of one channel's regions."""
    mine = [i for i, region in enumerate(material.regions) if region.channel == number]
    regions, images = [material.regions[i] for i in mine], [estimates[i].image for i in mine]
    curve = brightness_curve(regions, images, channel)
    return uncut(curve, RecordedNoise(channel.noise, channel.recording))
