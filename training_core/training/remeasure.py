"""Noise that proved to be stronger than the calmest patches have it, learned from what is removed.

Smooth patches are chosen because they are calm, so of correlated noise they lack slow waves. Once a
network takes more than the learned noise from calm places it knows the image well enough to tell
the noise everywhere.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import map_coordinates, uniform_filter

from training_core.noise.covariance import LAGS
from training_core.noise.generator import ResampledNoise, StationaryGenerator
from training_core.noise.measurement import orientations
from training_core.noise.strength_curve import NoiseCurve
from training_core.noise.white_covariance import SIDE_PX, window_spectra
from training_core.selection.calm_residual import TOO_WEAK
from training_core.selection.sure import PROBE
from training_core.wording import again

from .remeasure_refined import reshaped_to

if TYPE_CHECKING:
    from torch import Tensor

    from training_core.denoise.channel import Channel
    from training_core.denoise.denoiser import Denoiser
    from training_core.noise.covariance import Values
    from training_core.noise.model import NoiseModel
    from training_core.run import Run
    from training_core.selection.sure import RiskEstimator, Trial

STRIDE_PX = SIDE_PX // 2
FEWEST = 100  # windows of a channel
TREND = 1.5 / SIDE_PX  # cycles per pixel: slower waves are taken out of windows with their trend
MOST_CHANGE = 4.0  # of the power in one wave
SEED = 0x5EE7
NEXT = ((LAGS, LAGS + 1), (LAGS + 1, LAGS))  # pixels, across and down


def is_too_weak(judge: RiskEstimator, residual: float) -> bool:
    """Tell whether a network takes more than the learned noise from calm places, and that can be.

    `residual` is that of `calm_residual`. Where photons are few the noise is known by their number,
    where not all counts it is that of CT, averaged frames bring noise of their own along, another
    exposure needs no learned noise, and in small images chance alone exceeds the limit.
    """
    if residual < TOO_WEAK:
        return False
    windows: Counter[Channel] = Counter()
    for trial in judge.trials:
        region = trial.noisy
        averaged = region.neighbours is not None or region.strength is not None
        counted_apart = trial.photons is not None or trial.counted is not None
        if averaged or counted_apart or trial.others or not region.channel.noise.is_correlated:
            return False
        windows[region.channel] += _windows(region.image)
    return min(windows.values(), default=0) >= FEWEST


def _windows(image: Tensor) -> int:
    """Count the windows of an image, (height, width)."""
    down, across = (max((side - SIDE_PX) // STRIDE_PX + 1, 0) for side in image.shape)
    return down * across


@torch.no_grad()
def relearn(denoiser: Denoiser, judge: RiskEstimator, run: Run) -> None:
    """Give every channel of a denoiser the noise that its network finds.

    With z the noisy image, C the learned covariance, b a probe of it and J the derivative of the
    network f, what f takes away is z - f(z), about (I - J) n of noise n. Of the probe it would take
    (I - J) b. So in every wave the power of n is that of b times the ratio of these two.

    Raises
    ------
    Cancelled
        If the run was cancelled.
    """
    alone = replace(denoiser, collaboration=0.0)
    for number, channel in enumerate(denoiser.channels):
        mine = [trial for trial in judge.trials if trial.noisy.channel is channel]
        spectra = [_taken(alone, trial, run) for trial in mine if _windows(trial.noisy.image)]
        noise, probe = (
            uniform_filter(np.concatenate(each).mean(axis=0), 3, mode="wrap")
            for each in zip(*spectra, strict=True)
        )
        before = channel.noise
        channel.noise = changed(before, _ratio(noise, probe))
        told = _told(before, channel.noise)
        denoiser.card.setdefault("noise_again", {})[str(number)] = told
        named = f"Channel {number + 1}: " if len(denoiser.channels) > 1 else ""
        run.note(f"{named}{again(told)}")


def _taken(denoiser: Denoiser, trial: Trial, run: Run) -> tuple[Values, Values]:
    """Give the spectra of what is taken from a crop, and from its probe, each (windows, 32, 32)."""
    run.check()
    image, channel = trial.noisy.image, trial.noisy.channel
    made = denoiser.estimate(image, channel, run)
    moved = denoiser.estimate(image + PROBE * trial.probe, channel, run)
    followed = trial.probe - (moved - made) / PROBE
    taken, of_probe = (
        window_spectra((left / trial.sigma).cpu().numpy(), STRIDE_PX)[1]
        for left in (image - made, followed)
    )
    return taken, of_probe


def _ratio(noise: Values, probe: Values) -> Values:
    """Divide two spectra; the slowest waves, which windows do not tell, go with the next ones."""
    ratio: Values = noise / np.maximum(probe, 1e-30)
    frequency = np.fft.fftfreq(SIDE_PX)
    distance = np.hypot(frequency[:, None], frequency)
    slow = distance < TREND
    ratio[slow] = ratio[~slow & (distance < TREND + 1 / SIDE_PX)].mean()
    return np.clip(ratio, 1 / MOST_CHANGE, MOST_CHANGE)


@torch.no_grad()
def changed(noise: NoiseModel, ratio: Values) -> NoiseModel:
    """Give a noise model whose power in each wave is `ratio` times what it was.

    Parameters
    ----------
    noise
        With a generator that is no published g1.
    ratio
        (n, n) float64 on the grid of `fft2`, symmetric. That of the generator's noise is taken for
        that of `covariance`, which it matches within what `match` says.

    Returns
    -------
    NoiseModel
        With `covariance` of variance 1 again, and `curve` as much stronger as the noise is.
    """
    covariance = _filtered(noise.covariance, ratio)
    power = covariance[LAGS, LAGS] / noise.covariance[LAGS, LAGS]
    covariance /= covariance[LAGS, LAGS]
    generator = deepcopy(noise.generator)
    if isinstance(generator, ResampledNoise):
        patches, _ = reshaped_to(generator.patches.cpu().numpy(), covariance)
        there = generator.patches.device
        generator = ResampledNoise.of(patches, orientations(covariance)).to(there).eval()
    elif isinstance(generator, StationaryGenerator):
        kernel = generator.linear.weight.detach()[0, 0].cpu().double().numpy()
        filtered = _filtered(kernel, np.sqrt(ratio)) / np.sqrt(power)
        generator.linear.weight.copy_(torch.from_numpy(filtered.astype(np.float32)))
        generator.hold_scale(torch.Generator().manual_seed(SEED))
    curve = NoiseCurve(noise.curve.levels, noise.curve.sigmas * float(np.sqrt(power)))
    return replace(noise, covariance=covariance, curve=curve, generator=generator)


def _filtered(lags: Values, gain: Values) -> Values:
    """Multiply the spectrum of what reaches over lags of -15 to 15 px by a gain, (31, 31)."""
    size = 4 * (LAGS + 1)
    places = np.fft.fftfreq(size) * len(gain)
    fine = map_coordinates(
        gain, np.meshgrid(places, places, indexing="ij"), order=1, mode="grid-wrap"
    )
    wrapped = np.zeros((size, size))
    around = np.ix_(np.arange(-LAGS, LAGS + 1), np.arange(-LAGS, LAGS + 1))
    wrapped[around] = lags
    filtered: Values = np.fft.ifft2(np.fft.fft2(wrapped) * fine).real[around]
    return filtered


def _told(before: NoiseModel, after: NoiseModel) -> dict[str, float]:
    """Say what changed, in plain values: strength and correlation, the larger of both ways."""
    sigmas = [float(np.mean(noise.curve.sigmas)) for noise in (before, after)]
    lags = [
        max((float(noise.covariance[place]) for place in NEXT), key=abs)
        for noise in (before, after)
    ]
    return {"stronger": sigmas[1] / sigmas[0] - 1, "patches": lags[0], "now": lags[1]}
