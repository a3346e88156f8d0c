"""The noise model: what is measured of the noise, and a generator that learned to make it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training_core.compute.crops import send
from training_core.networks.published import GENERATED_PX, NoiseGenerator
from training_core.stack import Image, Values

from .anscombe import Stabiliser
from .compound_poisson import Photons, chances
from .covariance import LAGS
from .generator import ResampledNoise, StationaryGenerator
from .match import NoiseMatch
from .measurement import orientations
from .strength_curve import NoiseCurve

CORRELATED = 0.2  # of neighbouring pixels' noise
WHITE = 0.02  # correlation at any lag below this counts as none


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """The noise of one channel: n^ = s(x^) g1(r) in stabilised units.

    Where photons are few its shape changes with brightness; then g1 gives only which pixels are
    how likely, and the photons what they are.

    Attributes
    ----------
    stabiliser
        To the units in which the noise hardly depends on brightness, and back.
    curve
        s, the std of the noise against the local mean.
    covariance
        Autocovariance of unit noise over lags of -15 to 15 px, (31, 31) float64.
    generator
        A `StationaryGenerator`, real patches in its place, or the published g1, in eval mode.
    match
        How the generator was judged, before its noise was learned again if it was; None for the
        published one, which nobody judges.
    patches
        How many smooth patches it was learned from.
    photons
        What the noise comes from where photons are few; None where they are many.
    """

    stabiliser: Stabiliser
    curve: NoiseCurve
    covariance: Values
    generator: StationaryGenerator | ResampledNoise | NoiseGenerator
    match: NoiseMatch | None
    patches: int
    photons: Photons | None = None

    @torch.no_grad()
    def sample(self, count: int, height: int, width: int, draw: torch.Generator) -> Tensor:
        """Make unit noise, (count, 1, height, width) float32; that of g1 is laid in tiles."""
        if not isinstance(self.generator, NoiseGenerator):
            return self.generator.sample(count, height, width, draw)
        made = made_by_g1(self.generator, count, height, width, draw)
        return made / float(self.curve.sigmas[0])

    def add_noise(self, clean: Tensor, draw: torch.Generator) -> Tensor:
        """Give x^ + s(x^) n^ for stabilised images x^, (count, 1, height, width)."""
        if not self.photons:
            return clean + self.apart_from(clean, draw)
        count, _, height, width = clean.shape
        unit = self.sample(count, height, width, draw)
        noisy = self.counted(clean.cpu().numpy(), unit.cpu().numpy(), draw)
        return torch.from_numpy(noisy).to(clean.device)

    def apart_from(self, clean: Tensor, draw: torch.Generator) -> Tensor:
        """Give noise as strong as there is at stabilised images x^, and as if of many photons.

        Of few photons, x^ could be told from the noise that is added to it, or from a part of it.
        """
        count, _, height, width = clean.shape
        sigma = torch.from_numpy(self.curve(clean.cpu().numpy())).to(clean.device)
        return sigma * self.sample(count, height, width, draw)

    def counted(self, clean: Image, unit: Image, draw: torch.Generator) -> Image:
        """Give noisy copies of stabilised images by their `photons`, any shape; `unit` is noise."""
        photons = self.photons
        assert photons is not None
        values = photons.values(self.stabiliser.inverse(clean), chances(unit))
        values += photons.read * torch.randn(values.shape, generator=draw).numpy()
        return self.stabiliser.forward(values)

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


@torch.no_grad()
def made_by_g1(
    g1: NoiseGenerator, count: int, height: int, width: int, draw: torch.Generator
) -> Tensor:
    """Make the published generator's noise, (count, 1, height, width), laid in tiles of 64 px."""
    rows, columns = -(-height // GENERATED_PX), -(-width // GENERATED_PX)
    latent = torch.randn(count * rows * columns, g1.latent, generator=draw)
    made = g1(send(latent, next(g1.parameters()).device))
    laid = made.reshape(count, rows, columns, GENERATED_PX, GENERATED_PX).transpose(2, 3)
    tiled: Tensor = laid.reshape(count, 1, rows * GENERATED_PX, columns * GENERATED_PX)
    return tiled[..., :height, :width]
