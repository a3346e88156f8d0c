"""The noise of CT measured again on whole slices, before anything is trained.

Smooth patches are chosen because they are calm, and in CT they show one sort of its noise only.
With z the noisy image, C the known covariance and J the derivative of the shrinkage filter f, the
noise is z - f(z) and what f cannot tell, J C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from training_core.denoise.dct_filter import ShrinkageFilter
from training_core.noise.covariance import AROUND, LAGS, autocovariance, coloured
from training_core.noise.measurement import Measurement, strengths_of
from training_core.noise.strength_curve import NoiseCurve
from training_core.run import Run, Stage
from training_core.selection.sure import PROBE
from training_core.stack import Image, Values

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
        look = ShrinkageFilter.wide(covariance, curve)
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
