"""The noise measured again, everywhere, by what a filter or a network takes from the image.

Smooth patches are chosen because they are calm, so their noise is weaker than that of the frames,
most of all its slow waves, and in CT they show one of its sorts only. With z the noisy image, C the
known covariance and J the derivative of what takes the noise away, the noise is z - f(z) and what f
cannot tell, J C. In CT f is the shrinkage filter, before anything is trained (`refined`); elsewhere
it is the network, once that takes more than the known noise from calm places (`relearn`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter
from torch import Tensor

from training_core.denoise.channel import Channel
from training_core.denoise.dct_filter import ShrinkageFilter
from training_core.denoise.denoiser import Denoiser
from training_core.noise.covariance import AROUND, LAGS, autocovariance, coloured
from training_core.noise.generator import ResampledNoise, StationaryGenerator
from training_core.noise.measurement import Measurement, orientations, strengths_of
from training_core.noise.model import NoiseModel
from training_core.noise.strength_curve import NoiseCurve
from training_core.noise.white_covariance import SIDE_PX, window_spectra
from training_core.run import Run, Stage
from training_core.selection.sure import PROBE, RiskEstimator, Trial
from training_core.selection.warnings import TOO_WEAK
from training_core.stack import Image, Values
from training_core.wording import again

STRIDE_PX = SIDE_PX // 2
FEWEST = 100  # windows of a channel
TREND = 1.5 / SIDE_PX  # cycles per pixel: slower waves are taken out of windows with their trend
MOST_CHANGE = 4.0  # of the power in one wave
SEED = 0x5EE7  # the scale must not depend on what was drawn before an interruption
NEXT = ((LAGS, LAGS + 1), (LAGS + 1, LAGS))  # pixels, across and down


def is_too_weak(risk: RiskEstimator, residual: float) -> bool:
    """Tell whether a network takes more than the learned noise from calm places, and that can be.

    `residual` is that of `calm_residual`. Where photons are few the noise is known by their number,
    where not all counts it is that of CT, averaged frames bring noise of their own along, another
    exposure needs no learned noise, and in small images chance alone exceeds the limit.
    """
    if residual < TOO_WEAK:
        return False
    windows: Counter[Channel] = Counter()
    for trial in risk.trials:
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
def relearn(
    denoiser: Denoiser, risk: RiskEstimator, run: Run
) -> tuple[dict[Channel, Channel], dict[str, dict[str, float]]]:
    """Give for every channel of a denoiser one with the noise that its network finds.

    With z the noisy image, C the learned covariance, b a probe of it and J the derivative of the
    network f, what f takes away is z - f(z), about (I - J) n of noise n. Of the probe it would take
    (I - J) b. So in every wave the power of n is that of b times the ratio of these two. What
    changed in each channel is told by its number.
    """
    alone, relearned, found = replace(denoiser, collaboration=0.0), {}, {}
    for number, channel in enumerate(denoiser.channels):
        mine = [trial for trial in risk.trials if trial.noisy.channel is channel]
        spectra = [_taken(alone, trial, run) for trial in mine if _windows(trial.noisy.image)]
        noise, probe = (
            uniform_filter(np.concatenate(each).mean(axis=0), 3, mode="wrap")
            for each in zip(*spectra, strict=True)
        )
        after = changed(channel.noise, _ratio(noise, probe))
        relearned[channel] = replace(channel, noise=after)
        found[str(number)] = told = _told(channel.noise, after)
        named = f"Channel {number + 1}: " if len(denoiser.channels) > 1 else ""
        run.note(f"{named}{again(told)}")
    return relearned, found


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
    """Give a noise model, no published g1, whose power in each wave is `ratio` times as much.

    The ratio is (n, n) float64 on the grid of `fft2`, symmetric. The power of the generator's noise
    is taken for that of `covariance`, which it matches within what `match` says. The `covariance`
    has variance 1 again, and `curve` is as much stronger as the noise is.
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
    wrapped[AROUND] = lags
    filtered: Values = np.fft.ifft2(np.fft.fft2(wrapped) * fine).real[AROUND]
    return filtered


def _told(before: NoiseModel, after: NoiseModel) -> dict[str, float]:
    """Say what changed, in plain values: strength and correlation, the larger of both ways."""
    sigmas = [float(np.mean(noise.curve.sigmas)) for noise in (before, after)]
    lags = [
        max((float(noise.covariance[place]) for place in NEXT), key=abs)
        for noise in (before, after)
    ]
    return {"stronger": sigmas[1] / sigmas[0] - 1, "patches": lags[0], "now": lags[1]}


PASSES = 6  # true error of L096, HU^2: 1265 after none, 476 after 4, 329 after 8
SETTLED = 0.01  # largest change of the correlation that no further pass is worth
FRAMES = 3  # those of which most is seen
SOFT_PX = 4
GRID_PX = 64  # of the grid of spectra
LEAST = 1e-3  # of the mean power; below it a ratio says nothing
MOST_GAIN = 2.0  # of an amplitude


def refined(
    measured: Measurement,
    frames: Sequence[Image],
    patches: Image,
    run: Run,
    seen: Sequence[NDArray[np.bool_]] | None = None,
) -> Measurement:
    """Give the measurement with the spectrum and the level that explain whole frames best.

    Expectation-maximisation (Dempster, Laird and Rubin 1977) with the shrinkage filter f in place
    of the posterior mean: with z the frames, the noise is what f takes away, z - f(z), and what f
    cannot tell, whose covariance is J C with the derivative J of f (Tweedie's formula). J C is
    found by a probe of noise with covariance C, as in Stein's estimate.

    `measured` is the noise of the smooth patches, (count, size, size). Of the noisy frames (height,
    width), like these float32 in stack units, a few are looked at. `seen` says where each counts;
    None, or all of them empty: everywhere.
    """
    run.start(Stage.NOISE_MODEL, PASSES, "the noise of whole frames")
    scenes = _scenes(measured, frames, seen)
    weights = [float(scene.weight.sum()) for scene in scenes]
    curve, covariance = measured.curve, measured.covariance
    for _ in range(PASSES):
        run.check()
        each = [scene.noise(covariance, curve, run) for scene in scenes]
        found: Values = np.average(each, axis=0, weights=weights)
        before, covariance = covariance, found / found[LAGS, LAGS]
        step = float(np.sqrt(found[LAGS, LAGS]))
        curve = NoiseCurve(curve.levels, curve.sigmas * step)
        if np.abs(covariance - before).max() < SETTLED and abs(step - 1) < SETTLED:
            break
    noise, kept = reshaped_to(measured.noise, covariance)
    strengths = kept * strengths_of(measured.stabiliser.forward(patches), curve)
    return measured._replace(curve=curve, covariance=covariance, noise=noise, strengths=strengths)


def reshaped_to(noise: Image, covariance: Values) -> tuple[Image, Values]:
    """Give patches of unit noise the mean spectrum of an autocovariance.

    They are (count, size, size) float32, each of unit std again; also give by how much the std of
    each has grown, (count,).
    """
    own = autocovariance(noise, trendless=True)
    found, wanted = (_power(c / c[LAGS, LAGS], noise.shape[1]) for c in (own, covariance))
    gain = np.sqrt(wanted / np.maximum(found, LEAST * found.mean()))
    shaped = np.fft.ifft2(np.fft.fft2(noise) * np.clip(gain, 1 / MOST_GAIN, MOST_GAIN)).real
    shaped -= shaped.mean(axis=(1, 2), keepdims=True)
    grown: Values = shaped.std(axis=(1, 2))
    unit: Image = (shaped / np.maximum(grown, 1e-30)[:, None, None]).astype(np.float32)
    return unit, grown


@dataclass(frozen=True, eq=False)
class _Scene:
    """A frame in stabilised units, white noise of its size, and where it counts (0 to 1)."""

    image: Tensor
    white: Values  # no smaller than the autocovariance
    weight: Values

    @torch.no_grad()
    def noise(self, covariance: Values, curve: NoiseCurve, run: Run) -> Values:
        """Give the autocovariance of the noise, (31, 31), in parts of what is taken for it."""
        height, width = self.weight.shape
        unit = coloured(self.white, covariance)[:height, :width]
        look = ShrinkageFilter(covariance, curve, size_px=16, step_px=4)
        made = look(self.image[None, None])[0, 0]
        run.check()
        sigma = curve(made.numpy())
        probe = torch.from_numpy((PROBE * sigma * unit).astype(np.float32))
        moved = look((self.image + probe)[None, None])[0, 0]
        taken = (self.image - made).numpy() / sigma
        followed = (moved - made).numpy() / (PROBE * sigma)
        power, cross, own = (
            _power(self._covariance(*pair), GRID_PX)
            for pair in ((taken, taken), (unit, followed), (unit, unit))
        )
        share = np.clip(cross / np.maximum(own, LEAST * own.mean()), 0, 1)
        found: Values = np.fft.ifft2(power + share * _power(covariance, GRID_PX)).real[AROUND]
        return found

    def _covariance(self, one: Values, other: Values) -> Values:
        """Give the covariance of two unit images over lags of -15 to 15 px, fading out."""
        height, width = self.weight.shape
        shape = (height + LAGS, width + LAGS)  # so that the borders do not meet
        means = (np.average(v, weights=self.weight) for v in (one, other))
        waves = [
            np.fft.rfft2(self.weight * (v - mean), shape)
            for v, mean in zip((one, other), means, strict=True)
        ]
        total = np.fft.irfft2(waves[0].conj() * waves[1], shape)
        count = np.fft.irfft2(np.square(np.abs(np.fft.rfft2(self.weight, shape))), shape)
        covariance = total[AROUND] / np.maximum(count[AROUND], 1.0)
        faded: Values = (covariance + covariance[::-1, ::-1]) / 2 * _FADE
        return faded


_FADE = np.outer(*2 * [np.clip(2 - 2 * np.abs(np.arange(-LAGS, LAGS + 1)) / (LAGS + 1), 0, 1)])


def _power(covariance: Values, size: int) -> Values:
    """Give the spectrum of an autocovariance on a grid of size x size; white noise has 1."""
    reach = min(LAGS, (size - 1) // 2)
    lags = np.arange(-reach, reach + 1)
    wrapped = np.zeros((size, size))
    wrapped[np.ix_(lags, lags)] = covariance[np.ix_(lags + LAGS, lags + LAGS)]
    power: Values = np.maximum(np.fft.fft2(wrapped).real, 0.0)
    return power


def _scenes(
    measured: Measurement, frames: Sequence[Image], seen: Sequence[NDArray[np.bool_]] | None
) -> list[_Scene]:
    weights = [np.ones(frame.shape) for frame in frames]
    if seen is not None and any(mask.any() for mask in seen):
        weights = [gaussian_filter(mask.astype(np.float64), SOFT_PX) for mask in seen]
    most = sorted(range(len(frames)), key=lambda number: -weights[number].sum())
    scenes = []
    for number in [n for n in most if weights[n].any()][:FRAMES]:
        frame, weight = measured.stabiliser.forward(frames[number]), weights[number]
        sides = [max(n, 2 * LAGS + 1) for n in frame.shape]
        white = np.random.default_rng(number).standard_normal(sides)
        scenes.append(_Scene(torch.from_numpy(frame), white, weight))
    return scenes
