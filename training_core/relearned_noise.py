"""Noise that proved to be stronger than the calmest patches have it, learned from what is removed.

Smooth patches are chosen because they are calm, so of correlated noise they lack slow waves. Once a
network takes more than the learned noise from calm places it knows the image well enough to tell
the noise everywhere.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import map_coordinates, uniform_filter

from .blind_score import PROBE
from .card_words import again
from .compact_networks import StationaryGenerator
from .dncnn_b import is_correlated
from .noise_refinement import reshaped_to
from .noise_spectrum import SIDE_PX, window_spectra
from .noise_statistics import LAGS, NoiseCurve
from .resampled_noise import ResampledNoise

if TYPE_CHECKING:
    from .blind_score import Judge, Trial
    from .denoiser import Denoiser
    from .noise_model import NoiseModel
    from .noise_statistics import Values
    from .run import Run

TOO_WEAK = 1.02  # times the learned noise: what a network takes from calm places
STRIDE_PX = SIDE_PX // 2
TREND = 1.5 / SIDE_PX  # cycles per pixel: slower waves are taken out of windows with their trend
MOST_CHANGE = 4.0  # of the power in one wave
SEED = 0x5EE7


def is_too_weak(judge: Judge, residual: float) -> bool:
    """Tell whether a network takes more than the learned noise from calm places, and that can be.

    `residual` is that of `calm_residual`. Where photons are few the noise is known by their number,
    averaged frames bring noise of their own along, and another exposure needs no learned noise.
    """
    plain = all(
        is_correlated(trial.noisy.channel.noise)
        and trial.photons is None
        and trial.counted is None
        and trial.noisy.neighbours is None
        and trial.noisy.strength is None
        and not trial.others
        for trial in judge.trials
    )
    return plain and residual >= TOO_WEAK


@torch.no_grad()
def relearn(denoiser: Denoiser, judge: Judge, run: Run) -> None:
    """Give every channel of a denoiser the noise that its network finds.

    With z the noisy image, C the learned covariance, b a probe of it and J the derivative of the
    network f, what f takes away is z - f(z), about (I - J) n of noise n. Of the probe it would take
    (I - J) b. So in every wave the power of n is that of b times the ratio of these two.
    """
    alone = replace(denoiser, collaboration=0.0)
    for channel in dict.fromkeys(trial.noisy.channel for trial in judge.trials):
        mine = [trial for trial in judge.trials if trial.noisy.channel is channel]
        spectra = [_taken(alone, trial, run) for trial in mine]
        windows = [len(taken) for taken, _ in spectra]
        if not sum(windows):
            continue
        noise, probe = (
            uniform_filter(np.concatenate(each).mean(axis=0), 3, mode="wrap")
            for each in zip(*spectra, strict=True)
        )
        before = channel.noise
        channel.noise = changed(before, _ratio(noise, probe))
        told = _told(before, channel.noise)
        denoiser.card.setdefault("noise_again", {})[str(denoiser.channels.index(channel))] = told
        run.note(f"{again(told)} Training goes on with it.")


def _taken(denoiser: Denoiser, trial: Trial, run: Run) -> tuple[Values, Values]:
    """Give the spectra of what is taken from a crop, and from its probe, each (windows, 32, 32)."""
    image, channel = trial.noisy.image, trial.noisy.channel
    if min(image.shape) < SIDE_PX:
        return np.zeros((0, SIDE_PX, SIDE_PX)), np.zeros((0, SIDE_PX, SIDE_PX))
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
        (n, n) float64 on the grid of `fft2`, symmetric.

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
        generator = ResampledNoise.of(patches, generator.ways.tolist()).to(there).eval()
    elif isinstance(generator, StationaryGenerator):
        kernel = generator.linear.weight.detach()[0, 0].double().cpu().numpy()
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
    """Say what changed, in plain values."""
    sigmas = [float(np.mean(noise.curve.sigmas)) for noise in (before, after)]
    lags = [float(noise.covariance[LAGS, LAGS + 1]) for noise in (before, after)]
    return {"stronger": sigmas[1] / sigmas[0] - 1, "patches": lags[0], "now": lags[1]}
