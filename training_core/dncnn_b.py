"""DnCNN-B, the bundled blind denoiser: instant first look, first estimate and comparison row.

It has seen natural photographs and white Gaussian noise only (see `blind_training` and the card
beside its weights), so values are brought to where it is at home: white at 1, even noise.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from .compact_networks import StationaryGenerator
from .denoiser import Channel, Denoiser, denoise
from .device import choose_device
from .errors import ModelError
from .networks import DnCNN, fold_batch_norm
from .noise_level import NoiseWindows, centre
from .noise_model import NoiseModel
from .noise_statistics import LAGS, NoiseCurve, fit_stabiliser
from .resources import resource
from .run import SILENT
from .settings import DenoiserSettings, Settings
from .shrinkage import CollaborativeFilter
from .stabilise import Stabiliser
from .stack import check_trainable
from .tiff_files import program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from .run import Run
    from .stack import Stack

    Image = NDArray[np.float32]

NAME = "dncnn-b"
WEIGHTS = "dncnn_b.safetensors"
DEPTH = 20
LEAST_SIGMA, MOST_SIGMA = 3 / 255, 50 / 255  # what it is good at; it was trained with 0 to 55
WIDEST = 4.0  # times the range from black to white that values may take
SAMPLED_FRAMES = 4
CORRELATED = 0.2  # of neighbouring pixels' noise
ADVICE = (
    "The noise of this stack is correlated; the bundled denoiser knows white noise only. "
    "Train for a better result."
)
OTHER_ESTIMATE = (
    "The noise of this stack is correlated; the bundled denoiser knows white noise only. "
    "Choose shrinkage as the first estimate for a better result."
)
SETTINGS = Settings(
    denoiser=DenoiserSettings(network="dncnn", collaborate=False, keep_brightness=False)
)


def save_dncnn_b(network: DnCNN, path: Path) -> None:
    """Write a network whose batch norm is folded in, float32."""
    save_file(
        {name: v.detach().cpu().contiguous() for name, v in network.state_dict().items()}, path
    )


@cache
def load_dncnn_b(device: torch.device) -> DnCNN:
    """Give the bundled network, for images (batch, 1, height, width) with black 0 and white 1.

    Raises
    ------
    ModelError
        If its weights are missing or damaged.
    """
    network = fold_batch_norm(DnCNN(DEPTH))
    try:
        network.load_state_dict(load_file(resource(WEIGHTS)))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelError(
            f"The bundled denoiser {WEIGHTS} is missing or damaged; install g2g desktop again."
        ) from error
    ready: DnCNN = network.requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ready


def look(
    stack: Stack, *, frame: int | None = None, device: str = "auto", run: Run = SILENT
) -> Stack:
    """Denoise a stack, or one frame of it, with the bundled network; nothing is trained.

    Parameters
    ----------
    stack
        16 pixels a side or more; the same axes, dtype and pixel size come back.
    frame
        Only this frame (over all other axes), to look at: its axes are YX, its dtype is float32.

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
        return denoise(stack, bundled_denoiser(stack, device=device, run=run), run=run)
    fitted = bundled_denoiser(stack, channels=[stack.channel_of(frame)], device=device, run=run)
    alone = replace(stack, pixels=stack.frame(frame), axes="YX", channels=())
    return denoise(alone, fitted, run=run)


def bundled_denoiser(
    stack: Stack,
    *,
    channels: list[int] | None = None,
    device: str = "auto",
    run: Run = SILENT,
) -> Denoiser:
    """Fit the bundled network to a stack: its noise is measured, nothing is trained.

    Parameters
    ----------
    channels
        For which channels; all by default.
    """
    check_trainable(stack)
    place = choose_device(device, run=run)
    count = stack.shape[stack.axes.index("C")] if "C" in stack.axes else 1
    measured = [_channel(stack, c, place) for c in (channels or range(count))]
    if max(correlation for _, correlation in measured) > CORRELATED:
        run.note(ADVICE, warning=True)
    card = {
        "program": program(),
        "model": "DnCNN-B, bundled",
        "trained_on": "natural photographs with white Gaussian noise, not this stack",
    }
    ready = tuple(channel for channel, _ in measured)
    return Denoiser(load_dncnn_b(place), ready, SETTINGS, place, card)


def _channel(stack: Stack, number: int, device: torch.device) -> tuple[Channel, float]:
    """Bring a channel to the network's scale; also give the largest lag-1 correlation."""
    mine = [i for i in range(stack.frame_count) if stack.channel_of(i) == number]
    chosen = np.unique(np.linspace(0, len(mine) - 1, SAMPLED_FRAMES).round().astype(int))
    frames = [np.asarray(centre(stack.frame(mine[i])), np.float32) for i in chosen]
    stabiliser = _stabiliser(frames, stack)
    stabilised = [stabiliser.forward(frame) for frame in frames]
    windows = NoiseWindows.choose(stabilised)
    sigma = windows.sigma(stabilised)
    mean, spread = network_scale(np.concatenate([s.ravel() for s in stabilised]), sigma)
    noise = _white_noise(stabiliser, NoiseCurve(np.array([mean + spread / 2]), np.array([sigma])))
    noise.generator.to(device)
    return Channel(noise, mean, spread), max(map(abs, windows.correlation(stabilised)))


def _stabiliser(frames: list[Image], stack: Stack) -> Stabiliser:
    if stack.value_unit == "HU":  # the noise of CT does not grow with the value
        return Stabiliser(offset=stack.intensity.offset, scale=stack.intensity.scale)
    return fit_stabiliser(frames)


def network_scale(values: NDArray[np.floating], sigma: float) -> tuple[float, float]:
    """Give mean and spread that map values to about 0 to 1, or so that the noise suits the network.

    Parameters
    ----------
    values
        Noisy, stabilised, any shape.
    sigma
        Standard deviation of their noise.
    """
    low, high = (float(v) for v in np.percentile(values, (0.1, 99.9)))
    full = (high - low) or float(np.ptp(values)) or 1.0
    spread = min(max(full, sigma / MOST_SIGMA), max(sigma / LEAST_SIGMA, full / WIDEST))
    return (low + high - spread) / 2, spread


def _white_noise(stabiliser: Stabiliser, curve: NoiseCurve) -> NoiseModel:
    covariance = np.zeros((2 * LAGS + 1, 2 * LAGS + 1))
    covariance[LAGS, LAGS] = 1.0
    return NoiseModel(stabiliser, curve, covariance, StationaryGenerator(covariance), None, 0)


@torch.no_grad()
def first_estimate_b(
    noisy: Tensor, noise: NoiseModel, *, collaborate: bool, run: Run = SILENT
) -> Tensor:
    """Estimate a stabilised region (height, width), as the other first estimates do.

    Parameters
    ----------
    collaborate
        Whether the network's result guides the collaborative filter, which knows the noise.
    """
    values = noisy.cpu().numpy()
    mean, spread = network_scale(values, float(noise.curve(values).mean()))
    images = ((noisy - mean) / spread)[None, None]
    pilot: Tensor = load_dncnn_b(noisy.device)(images)[0, 0] * spread + mean
    if not collaborate:
        return pilot
    return CollaborativeFilter(noise.covariance, noise.curve)(noisy, pilot, run)


def note_correlation(noises: Sequence[NoiseModel], run: Run) -> None:
    """Tell the user when learned noise is more correlated than the network can make sense of."""
    for noise in noises:
        unit = noise.covariance / noise.covariance[LAGS, LAGS]
        if max(abs(unit[LAGS, LAGS + 1]), abs(unit[LAGS + 1, LAGS])) > CORRELATED:
            run.note(OTHER_ESTIMATE, warning=True)
            return
