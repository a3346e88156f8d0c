"""A look without training: a stack, or one frame of it, as the bundled DnCNN-B denoises it.

That has seen natural photographs and white Gaussian noise only (see `pretraining/dncnn_b.py` and
the card beside its weights), so values are brought to where it is at home: white at 1, even noise.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from training_core.compute.device import choose_device
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.tiled import denoise
from training_core.noise.anscombe import Stabiliser, fit_stabiliser
from training_core.noise.model import CORRELATED, GaussianNoise
from training_core.quality.noise_level import NoiseLevel
from training_core.resources import program
from training_core.stack import Image
from training_core.training.dncnn_b import (
    SETTINGS,
    FittedChannel,
    FittedDenoiser,
    fit_scale,
    load_dncnn_b,
)

from .run import SILENT, Run
from .stack import Stack, centre, check_trainable
from .unmeasured import seen_frames

SAMPLED_FRAMES = 4
ADVICE = "Correlated noise: the bundled denoiser knows white noise only. Train for a better result."
# A stack's fitted channels and the correlation of their noise, by channel number and device.
Fits = dict[tuple[int, torch.device], tuple[FittedChannel, float]]


def look(
    stack: Stack,
    *,
    frame: int | None = None,
    device: str = "auto",
    fits: Fits | None = None,
    run: Run = SILENT,
) -> Stack:
    """Denoise a stack, or one frame of it, with the bundled network; nothing is trained.

    Parameters
    ----------
    stack
        16 pixels a side or more; the same axes, dtype and pixel size come back.
    frame
        Only this frame (over all other axes), to look at: its axes are YX, its dtype is float32.
    fits
        As in `bundled_denoiser`, for who looks at one frame after another.

    Raises
    ------
    InputError
        If the stack is too small or constant.
    ModelError
        If the weights are missing or damaged.
    Cancelled
        If the run was cancelled.
    """
    if frame is None:
        return denoise(stack, bundled_denoiser(stack, device=device, fits=fits, run=run), run=run)
    channels = [stack.channel_of(frame)]
    fitted = bundled_denoiser(stack, channels=channels, device=device, fits=fits, run=run)
    lost = {0: stack.not_finite[frame]} if frame in stack.not_finite else {}
    pixels = stack.frame(frame)
    alone = replace(stack, pixels=pixels, axes="YX", channels=(), not_finite=lost)
    return denoise(alone, fitted, run=run)


def bundled_denoiser(
    stack: Stack,
    *,
    channels: list[int] | None = None,
    device: str = "auto",
    fits: Fits | None = None,
    run: Run = SILENT,
) -> Denoiser:
    """Fit the bundled network to a stack: its noise is measured, nothing is trained.

    Parameters
    ----------
    channels
        For which channels; all by default.
    fits
        What earlier calls found out about this same stack; what is new is added.
    """
    check_trainable(stack)
    place = choose_device(device, run=run)
    count = stack.shape[stack.axes.index("C")] if "C" in stack.axes else 1
    chosen, fits = channels or range(count), {} if fits is None else fits
    for number in chosen:
        if (number, place) not in fits:
            fits[number, place] = _channel(stack, number, place, run)
    measured = [fits[number, place] for number in chosen]
    if max(correlation for _, correlation in measured) > CORRELATED:
        run.note(ADVICE, warning=True)
    card = {
        "program": program(),
        "model": "DnCNN-B, bundled",
        "trained_on": "natural photographs with white Gaussian noise, not this stack",
    }
    ready = tuple(channel for channel, _ in measured)
    return FittedDenoiser(load_dncnn_b(place), ready, SETTINGS, place, card)


def _channel(
    stack: Stack, number: int, device: torch.device, run: Run
) -> tuple[FittedChannel, float]:
    """Fit a channel; also give the largest correlation of neighbouring pixels' noise."""
    mine = [i for i in range(stack.frame_count) if stack.channel_of(i) == number]
    chosen = np.unique(np.linspace(0, len(mine) - 1, SAMPLED_FRAMES).round().astype(int))
    frames = [centre(frame) for frame in seen_frames(stack, [mine[i] for i in chosen])]
    stabiliser = _stabiliser(frames, stack)
    stabilised = [stabiliser.forward(frame) for frame in frames]
    level = NoiseLevel.of(stabilised)
    # One std for all brightnesses: a curve is wrong where there are only edges, and weak noise
    # would then be taken for strong.
    noise = GaussianNoise.white(stabiliser, level.sigma, device)
    return fit_scale(noise, stabilised, device, run), max(map(abs, level.correlation))


def _stabiliser(frames: list[Image], stack: Stack) -> Stabiliser:
    if stack.value_unit == "HU":  # the noise of CT does not grow with the value
        return Stabiliser(offset=stack.intensity.offset, scale=stack.intensity.scale)
    return fit_stabiliser(frames)
