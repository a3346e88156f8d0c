"""The noise model: what is measured of the noise, and a generator that learned to make it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from training_core.networks.published import NoiseGenerator
from training_core.stack import Image, Pixels, Values

from .anscombe import Stabiliser
from .compound_poisson import Photons, chances
from .covariance import LAGS, uncorrelated
from .generator import ResampledNoise, StationaryGenerator
from .match import NoiseMatch
from .measurement import orientations
from .strength_curve import NoiseCurve

CORRELATED = 0.2  # of neighbouring pixels' noise
WHITE = 0.02  # correlation at any lag below this counts as none
HEAVY = 7.0  # kurtosis, 3 for Gaussian noise
MOST_SHARED = 0.1  # correlation of neighbouring pixels
EACH_WAY = 0.25  # of the fourth moment is darker than the mean, and as much brighter
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
        How the generator was judged, before its noise was learned again if it was; None for the
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
    def is_white(self) -> bool:
        """Whether each pixel has noise of its own, as far as can be measured."""
        apart = np.abs(self.autocorrelation)
        apart[LAGS, LAGS] = 0
        return bool(apart.max() < WHITE)

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
        fourth = unit.pow(4)
        darker = float(fourth[unit < 0].sum() / fourth.sum())
        return EACH_WAY < darker < 1 - EACH_WAY and kurtosis(unit) > HEAVY


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


def kurtosis(unit: Tensor) -> float:
    """Give the fourth moment of values of mean 0 over their squared variance."""
    return float(unit.pow(4).mean() / unit.square().mean().square())
