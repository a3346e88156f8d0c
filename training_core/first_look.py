"""DnCNN-B, the bundled blind denoiser: instant first look, first estimate and comparison row.

It has seen natural photographs and white Gaussian noise only (see `blind_training` and the card
beside its weights), so values are brought to where it is at home: white at 1, even noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from training_core.compute.device import choose_device
from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser, denoise
from training_core.io.tiff_writer import program
from training_core.networks.compact import StationaryGenerator
from training_core.networks.published import DnCNN, fold_batch_norm
from training_core.networks.weights import fill_with_bundled, write_weights
from training_core.noise.anscombe import Stabiliser
from training_core.noise.covariance import LAGS, NoiseCurve, fit_stabiliser
from training_core.noise.model import CORRELATED, NoiseModel
from training_core.noise.noise_level import NoiseWindows, centre
from training_core.selection.sure import error_estimate
from training_core.training.pairs import Estimate

from .place import tiles
from .run import SILENT
from .settings import DenoiserSettings, Settings
from .stack import check_trainable

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
FACTORS = (1.0, 1.5, 2.0, 3.0)  # by how much stronger noise is tried
JUDGED_PX = 128
GOOD = 0.5  # of the noise's variance is left: above, less of the network may be more
WEAKER = (0.5, 0.25, 0.0)
SAMPLED_FRAMES = 4
ADVICE = "Correlated noise: the bundled denoiser knows white noise only. Train for a better result."
SETTINGS = Settings(
    denoiser=DenoiserSettings(
        network="dncnn",
        collaborate=False,
        keep_brightness=False,
        kept_noise=0.0,
        neighbours="off",
    )
)


@dataclass(eq=False)
class _Channel(Channel):
    """A channel with the share of the network's correction that is taken."""

    strength: float = 1.0


# A stack's fitted channels and the correlation of their noise, by channel number and device.
Fits = dict[tuple[int, torch.device], tuple[_Channel, float]]


class _Denoiser(Denoiser):
    """Takes as much of the network's correction as does good."""

    def network_pass(
        self, noisy: Tensor, channel: Channel, strength: Tensor | None = None
    ) -> Tensor:
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
    alone = replace(stack, pixels=stack.frame(frame), axes="YX", channels=())
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
    return _Denoiser(load_dncnn_b(place), ready, SETTINGS, place, card)


def _channel(stack: Stack, number: int, device: torch.device, run: Run) -> tuple[_Channel, float]:
    """Fit a channel; also give the largest correlation of neighbouring pixels' noise."""
    mine = [i for i in range(stack.frame_count) if stack.channel_of(i) == number]
    chosen = np.unique(np.linspace(0, len(mine) - 1, SAMPLED_FRAMES).round().astype(int))
    frames = [np.asarray(centre(stack.frame(mine[i])), np.float32) for i in chosen]
    stabiliser = _stabiliser(frames, stack)
    stabilised = [stabiliser.forward(frame) for frame in frames]
    windows = NoiseWindows.choose(stabilised)
    noise = _white_noise(stabiliser, windows.sigma(stabilised), device)
    return fit_scale(noise, stabilised, device, run), max(map(abs, windows.correlation(stabilised)))


def _stabiliser(frames: list[Image], stack: Stack) -> Stabiliser:
    if stack.value_unit == "HU":  # the noise of CT does not grow with the value
        return Stabiliser(offset=stack.intensity.offset, scale=stack.intensity.scale)
    return fit_stabiliser(frames)


def _white_noise(stabiliser: Stabiliser, sigma: float, device: torch.device) -> NoiseModel:
    covariance = np.zeros((2 * LAGS + 1, 2 * LAGS + 1))
    covariance[LAGS, LAGS] = 1.0
    generator = StationaryGenerator(covariance).to(device)
    # One std for all brightnesses: a curve is wrong where there are only edges, and weak noise
    # would then be taken for strong.
    curve = NoiseCurve(np.zeros(1), np.array([sigma]))
    return NoiseModel(stabiliser, curve, covariance, generator, None, 0)


def fit_scale(
    noise: NoiseModel, images: Sequence[Image], device: torch.device, run: Run = SILENT
) -> _Channel:
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
    fits = [_Channel(noise, *scale) for scale in network_scales(values, sigma)]
    parts = [torch.from_numpy(part).to(device) for part in _judged(images)]

    def error(channel: _Channel) -> float:
        denoiser = _Denoiser(load_dncnn_b(device), (channel,), SETTINGS, device)
        return error_estimate(denoiser, [Estimate(part, channel) for part in parts], 0, run)

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


def fit_to_noise(
    noise: NoiseModel,
    images: Sequence[Image],
    device: torch.device,
    *,
    collaborate: bool,
    run: Run = SILENT,
) -> Denoiser:
    """Give the bundled network as a denoiser of images with learned noise.

    Parameters
    ----------
    noise, images
        As in `fit_scale`.
    collaborate
        Whether the network's result guides the collaborative filter, which knows the noise.
    """
    channel = fit_scale(noise, images, device, run)
    chosen = replace(SETTINGS, denoiser=replace(SETTINGS.denoiser, collaborate=collaborate))
    return _Denoiser(load_dncnn_b(device), (channel,), chosen, device)
