"""The noise model: what is measured of the noise, and a generator that learned to make it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .compact_networks import StationaryGenerator
from .crops import send
from .networks import GENERATED_PX
from .noise_measurement import same_both_ways
from .noise_statistics import LAGS
from .orientations import ALL, FLIPS

if TYPE_CHECKING:
    from torch import Tensor

    from .networks import NoiseGenerator
    from .noise_statistics import NoiseCurve, Values
    from .stabilise import Stabiliser

MATCHED_CORRELATION = 0.08  # largest difference over lags 0 to 3 px
MATCHED_KURTOSIS = 0.6


@dataclass(frozen=True, slots=True)
class NoiseMatch:
    """How well made noise resembles held-out real noise; both are differences, 0 is best.

    `correlation` is the largest over lags up to 3 px, `kurtosis` that of the fourth moments.
    """

    correlation: float
    kurtosis: float

    @property
    def distance(self) -> float:
        """One number: 1 where one of the two differences is at its limit."""
        return max(self.correlation / MATCHED_CORRELATION, self.kurtosis / MATCHED_KURTOSIS)

    @property
    def good(self) -> bool:
        """Whether both differences are within their limits."""
        return self.distance < 1


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """The noise of one channel: n^ = s(x^) g1(r) in stabilised units.

    Attributes
    ----------
    stabiliser
        To the units in which the noise hardly depends on brightness, and back.
    curve
        s, the std of the noise against the local mean.
    covariance
        Autocovariance of unit noise over lags of -15 to 15 px, (31, 31) float64.
    generator
        A `StationaryGenerator`, or the published g1, in eval mode.
    match
        How the generator was judged; None for the published one, which nobody judges.
    patches
        How many smooth patches it was learned from.
    """

    stabiliser: Stabiliser
    curve: NoiseCurve
    covariance: Values
    generator: StationaryGenerator | NoiseGenerator
    match: NoiseMatch | None
    patches: int

    @torch.no_grad()
    def sample(self, count: int, height: int, width: int, draw: torch.Generator) -> Tensor:
        """Make unit noise, (count, 1, height, width) float32; that of g1 is laid in tiles."""
        device = next(self.generator.parameters()).device
        if isinstance(self.generator, StationaryGenerator):
            edge = 2 * self.generator.margin_px
            white = torch.randn(count, 1, height + edge, width + edge, generator=draw)
            noise: Tensor = self.generator(white.to(device))
            return noise
        made = made_by_g1(self.generator, count, height, width, draw)
        return made / float(self.curve.sigmas[0])

    def add_noise(self, clean: Tensor, draw: torch.Generator) -> Tensor:
        """Give x^ + s(x^) n^ for stabilised images x^, (count, 1, height, width)."""
        count, _, height, width = clean.shape
        sigma = torch.from_numpy(self.curve(clean.cpu().numpy())).to(clean.device)
        return clean + sigma * self.sample(count, height, width, draw)

    @property
    def orientations(self) -> tuple[int, ...]:
        """The flips and rotations that leave the noise what it is."""
        return ALL if same_both_ways(self.covariance) else FLIPS

    def statistics(self) -> dict[str, Any]:
        """Give what a person wants to know of the noise, as plain values."""
        unit = self.covariance / self.covariance[LAGS, LAGS]
        return {
            "gain": self.stabiliser.gain,
            "read_variance": self.stabiliser.read_variance,
            "sigma": float(self.stack_sigma()),
            "correlation_x": [round(float(v), 4) for v in unit[LAGS, LAGS : LAGS + 4]],
            "correlation_y": [round(float(v), 4) for v in unit[LAGS : LAGS + 4, LAGS]],
            "patches": self.patches,
            "generator": type(self.generator).__name__,
            "match": asdict(self.match) if self.match else None,
        }

    def stack_sigma(self) -> float:
        """Give the noise's std at the middle brightness, in stack units."""
        level = float(np.median(self.curve.levels))
        spread = float(self.curve(np.array(level))) / 2
        ends = self.stabiliser.inverse(np.array([level - spread, level + spread], np.float32))
        return float(ends[1] - ends[0])


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
