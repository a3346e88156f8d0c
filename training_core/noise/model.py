"""The noise model: what is measured of the noise, and a generator that learned to make it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor
from torch.nn import functional

from training_core.networks.published import NoiseGenerator
from training_core.stack import Image, Pixels, Values

from .anscombe import Stabiliser
from .compound_poisson import Photons, chances
from .covariance import LAGS, uncorrelated
from .figures import UNTOUCHED, Recording
from .generator import ResampledNoise, StationaryGenerator
from .match import NoiseMatch
from .measurement import orientations
from .strength_curve import NoiseCurve

CORRELATED = 0.2  # of neighbouring pixels' noise
WHITE = 0.02  # correlation at any lag below this counts as none
HEAVY = 7.0  # kurtosis, 3 for Gaussian noise
MOST_SHARED = 0.1  # correlation of neighbouring pixels
FAR = 3.0  # std, which of Gaussian values one in 370 is
EACH_WAY = 0.25  # of the fourth moment or of the far values is darker, and as much brighter
SAMPLE_PX = 512  # side of the noise that is looked at


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """The noise of one channel: n^ = s(x^) g1(r) in stabilised units.

    What differs between kinds of noise is asked of it and told by `GaussianNoise`, `PhotonNoise`
    and `PublishedNoise`; nobody need know which of them it is.

    Attributes
    ----------
    stabiliser, curve, covariance
        As in `Measurement`; the curve is s.
    generator
        A `StationaryGenerator`, real patches in its place, or the published g1, in eval mode.
    match
        How the generator was judged, before noise with heavy tails was learned again; None for the
        published one, which nobody judges.
    patches
        How many smooth patches it was learned from.
    of_few_photons
        Whether means cannot be compared stabilised, and noise has a least value of its own, the
        background, below which a file can cut nothing off.
    """

    stabiliser: Stabiliser
    curve: NoiseCurve
    covariance: Values
    generator: StationaryGenerator | ResampledNoise | NoiseGenerator
    match: NoiseMatch | None
    patches: int

    of_few_photons: ClassVar[bool] = False

    @property
    def is_heavy_tailed(self) -> bool:
        """Whether a few pixels hold most of the power of the noise, and each for itself."""
        return False

    def sample(self, count: int, height: int, width: int, draw: torch.Generator) -> Tensor:
        """Make unit noise, (count, 1, height, width) float32."""
        return self.generator.sample(count, height, width, draw)

    def add_noise(self, clean: Tensor, draw: torch.Generator) -> Tensor:
        """Give x^ + s(x^) n^ for stabilised images x^, (count, 1, height, width)."""
        return clean + self.apart_from(clean, draw)

    def apart_from(self, clean: Tensor, draw: torch.Generator) -> Tensor:
        """Give noise as strong as there is at stabilised images x^, and as if of many photons.

        Of few photons, x^ could be told from the noise that is added to it, or from a part of it.
        """
        count, _, height, width = clean.shape
        sigma = torch.from_numpy(self.curve(clean.cpu().numpy())).to(clean.device)
        return sigma * self.sample(count, height, width, draw)

    def laid_on(self, mean: Values, sigma: Values, unit: Image, draw: torch.Generator) -> Pixels:
        """Give noisy copies of stabilised images of any shape from unit noise of that shape."""
        return mean + sigma * unit

    def noise_values(self, draw: torch.Generator) -> Tensor:
        """Draw unit noise of mean 0, (512^2,) float64."""
        unit = self.sample(1, SAMPLE_PX, SAMPLE_PX, draw).flatten().cpu().double()
        return unit - unit.mean()

    @property
    def autocorrelation(self) -> Values:
        """The covariance with 1 in the middle, (31, 31) float64."""
        unit: Values = self.covariance / self.covariance[LAGS, LAGS]
        return unit

    @property
    def correlation(self) -> float:
        """That of neighbouring pixels, in the direction in which it is larger; 0 to 1."""
        unit = self.autocorrelation
        return float(max(abs(unit[LAGS, LAGS + 1]), abs(unit[LAGS + 1, LAGS])))

    @property
    def is_correlated(self) -> bool:
        """Whether neighbouring pixels share more noise than what knows white noise can bear."""
        return self.correlation > CORRELATED

    @property
    def orientations(self) -> tuple[int, ...]:
        """The flips and rotations that leave the noise what it is."""
        return orientations(self.covariance)

    def statistics(self) -> dict[str, Any]:
        """Give what a person wants to know of the noise, as plain values."""
        unit = self.autocorrelation
        return {
            "gain": self.stabiliser.gain,
            "read_variance": self.stabiliser.read_variance,
            "sigma": float(self.stack_sigma()),
            "correlation_x": [round(float(v), 4) for v in unit[LAGS, LAGS : LAGS + 4]],
            "correlation_y": [round(float(v), 4) for v in unit[LAGS : LAGS + 4, LAGS]],
            "patches": self.patches,
            "generator": type(self.generator).__name__,
            "match": asdict(self.match) | {"score": self.match.score} if self.match else None,
        }

    def stack_sigma(self) -> float:
        """Give the noise's std at the middle brightness, in stack units.

        Where photons are few the transform leaves less than unit noise, but the fit still holds:
        the larger of the two is right (see `MeasuredNoise`).
        """
        level, gain = float(np.median(self.curve.levels)), self.stabiliser.gain
        spread = float(self.curve(np.array(level))) / 2
        places = np.array([level - spread, level, level + spread], np.float32)
        low, middle, high = self.stabiliser.inverse(places).tolist()
        fitted = max(gain * middle + self.stabiliser.read_variance, 0.0) if gain else 0.0
        return float(max(high - low, np.sqrt(fitted)))


class GaussianNoise(NoiseModel):
    """Noise that is stabilised to one shape at every brightness, Gaussian or with heavier tails."""

    @classmethod
    def white(cls, stabiliser: Stabiliser, sigma: float, device: torch.device) -> Self:
        """Give noise of pixels each for itself, of one std at all brightnesses."""
        covariance = uncorrelated()
        curve = NoiseCurve(np.zeros(1), np.array([sigma]))
        generator = StationaryGenerator(covariance).to(device)
        return cls(stabiliser, curve, covariance, generator, None, 0)

    @cached_property
    def is_heavy_tailed(self) -> bool:
        """Whether a few pixels hold most of the power of the noise, and each for itself.

        Spots that a microscope shows may be as small as a pixel, and hot pixels look like them in
        one frame. Both are bright, so only noise that goes both ways is taken for such.
        """
        if self.correlation > MOST_SHARED:
            return False
        unit = self.noise_values(torch.Generator().manual_seed(0))
        if kurtosis(unit) <= HEAVY:
            return False
        # Counted as well: where bright and dark differ much, the transform stretches dark values.
        far = unit[unit.abs() > FAR * unit.std()]
        each = (_share_below(unit.pow(4), unit), _share_below(torch.ones_like(far), far))
        return any(EACH_WAY < darker < 1 - EACH_WAY for darker in each)


@dataclass(frozen=True, eq=False)
class PhotonNoise(NoiseModel):
    """Noise of few photons, whose shape changes with brightness.

    The generator gives only which pixels are how likely, and `photons` what they are.
    """

    photons: Photons

    of_few_photons: ClassVar[bool] = True

    def add_noise(self, clean: Tensor, draw: torch.Generator) -> Tensor:
        """Give noisy copies of stabilised images x^, (count, 1, height, width)."""
        count, _, height, width = clean.shape
        unit = self.sample(count, height, width, draw)
        noisy = self._counted(clean.cpu().numpy(), unit.cpu().numpy(), draw)
        return torch.from_numpy(noisy).to(clean.device)

    def laid_on(self, mean: Values, sigma: Values, unit: Image, draw: torch.Generator) -> Pixels:
        """Give noisy copies of stabilised images of any shape; `photons` say how strong."""
        return self._counted(mean, unit, draw)

    def _counted(self, clean: Pixels, unit: Image, draw: torch.Generator) -> Image:
        values = self.photons.values(self.stabiliser.inverse(clean), chances(unit))
        values += self.photons.read * torch.randn(values.shape, generator=draw).numpy()
        return self.stabiliser.forward(values)


@dataclass(frozen=True, eq=False)
class PublishedNoise(NoiseModel):
    """That of the published g1, whose noise has its own strength and knows no brightness."""

    def sample(self, count: int, height: int, width: int, draw: torch.Generator) -> Tensor:
        """Make unit noise, (count, 1, height, width), laid in tiles of 64 px."""
        return super().sample(count, height, width, draw) / float(self.curve.sigmas[0])


def noise_of(photons: Photons | None, *parts: Any) -> NoiseModel:
    """Give the kind of noise model that its parts, those of a `NoiseModel` in order, make."""
    if photons is not None:
        return PhotonNoise(*parts, photons)  # type: ignore[call-arg]
    published = any(isinstance(part, NoiseGenerator) for part in parts)
    return (PublishedNoise if published else GaussianNoise)(*parts)


def _share_below(weights: Tensor, values: Tensor) -> float:
    """Give what share of all weights values below 0 have."""
    return float(weights[values < 0].sum() / weights.sum())


def kurtosis(unit: Tensor) -> float:
    """Give the fourth moment of values of mean 0 over their squared variance."""
    return float(unit.pow(4).mean() / unit.square().mean().square())


REACH = 5.0  # std from an end: farther away nothing is cut off
MOST_CUT = 1.0  # std beyond an end: of more than that too little is left to be measured
FINE = 200  # entries of a table per end
ROUNDING = 1e-4  # of float32, in stabilised units
AROUND_PX = 5


class RecordedNoise:
    """Noise that is cut off and rounded as the file's pixels were; the mean stays what it was.

    Estimates are of the mean *after* recording, for that is what averages of a file are, and so is
    `noise` as it was measured. The mean and std before are found from those after by the moments of
    a normal distribution that is cut off (Foi, Signal Processing 89, 2009, section 3); all in
    stabilised units.
    """

    def __init__(self, noise: NoiseModel, recording: Recording) -> None:
        self.noise, self.recording = noise, recording
        limits = (recording.lowest, recording.highest)
        ends = noise.stabiliser.forward(np.array(limits))
        self.low, self.high = (
            float(end) if np.isfinite(limit) else limit
            for end, limit in zip(ends, limits, strict=True)
        )
        # Where something is cut off, and in which direction values lie inside.
        sides = ((-np.inf if noise.of_few_photons else self.low, 1.0), (self.high, -1.0))
        self.ends = [(end, sign) for end, sign in sides if np.isfinite(end)]
        self.levels, self.sigmas = self._before()
        self.recorded, self.shifts = self._shifts()

    def _before(self) -> tuple[Values, Values]:
        """Give the mean and std of the noise before recording, for each level of the curve."""
        measured, spread = self.noise.curve.levels, self.noise.curve.sigmas
        levels, sigmas = measured.copy(), spread.copy()
        u = np.linspace(-MOST_CUT, REACH, FINE)
        mean, sigma = u + lift(u), cut_spread(u)
        for end, sign in self.ends:
            found = np.interp(sign * (measured - end) / spread, mean / sigma, u)
            near = found < REACH
            sigmas[near] = (spread / np.interp(found, u, sigma))[near]
            levels[near] = end + sign * (found * sigmas)[near]
        order = np.argsort(levels)
        return levels[order], sigmas[order]

    def _shifts(self) -> tuple[Values, Values]:
        """Give for means after recording how far they lay from there before, ascending."""
        if not self.ends:
            return np.zeros(1), np.zeros(1)
        steps = np.linspace(-MOST_CUT, REACH, FINE)
        around = [end + sign * steps * self._sigma(np.array(end)) for end, sign in self.ends]
        before = np.unique(np.concatenate(around))
        sigma = self._sigma(before)
        after = before
        for end, sign in self.ends:
            after = after + sign * sigma * lift(sign * (before - end) / sigma)
        after = np.maximum.accumulate(after)
        return after, before - after

    def _sigma(self, before: Values) -> Values:
        return np.interp(before, self.levels, self.sigmas)

    def add(self, clean: Tensor, draw: torch.Generator) -> Tensor:
        """Give noisy copies of stabilised images, (count, 1, height, width), as a file has them."""
        if self.recording == UNTOUCHED:
            return self.noise.add_noise(clean, draw)
        count, _, height, width = clean.shape
        unit = self.noise.sample(count, height, width, draw).cpu().numpy()
        mean = clean.cpu().numpy()
        before = mean + np.interp(mean, self.recorded, self.shifts)
        noisy = self.noise.laid_on(before, self._sigma(before), unit, draw)
        noisy = np.clip(noisy, self.low, self.high)
        if self.recording.step:
            step, origin = self.recording.step, self.recording.origin
            exact = self.noise.stabiliser.algebraic_inverse(noisy)
            noisy = self.noise.stabiliser.forward(np.rint((exact - origin) / step) * step + origin)
        return torch.from_numpy(noisy.astype(np.float32)).to(clean.device)

    def known(self, noisy: Tensor) -> Tensor | None:
        """Give 0 for the pixels of a stabilised image of whose brightness nothing is known, else 1.

        Those are saturated, as are most around them. None, or (height, width) float32.
        """
        saturated = (noisy >= self.high - ROUNDING).float()[None, None]
        if not saturated.any():
            return None
        around = functional.avg_pool2d(saturated, AROUND_PX, 1, AROUND_PX // 2)
        return (saturated * around <= 0.5).float()[0, 0]


def lift(u: Values) -> Values:
    """Give by how much cutting off below 0 raises the mean of normal values, mean u and std 1."""
    return _density(u) - u * ndtr(-u)


def cut_spread(u: Values) -> Values:
    """Give the std of such values once they are cut off."""
    square = (1 + u**2) * ndtr(u) + u * _density(u)
    return np.sqrt(np.maximum(square - (u + lift(u)) ** 2, 1e-12))


def _density(u: Values) -> Values:
    density: Values = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
    return density
