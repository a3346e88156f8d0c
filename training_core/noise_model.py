"""The noise model: what is measured of the noise, and a generator that learned to make it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .compact_networks import StationaryGenerator
from .crops import send
from .errors import TooFewPatchesError
from .networks import GENERATED_PX
from .noise_statistics import LAGS, NoiseCurve, autocovariance, detrended, fit_curve, fit_stabiliser
from .orientations import ALL, FLIPS
from .stabilise import Stabiliser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from .networks import NoiseGenerator
    from .noise_statistics import Values
    from .settings import NoiseModelSettings

    Image = NDArray[np.float32]

MATCHED_CORRELATION = 0.08  # largest difference over lags 0 to 3 px
MATCHED_KURTOSIS = 0.6
SAME_BOTH_WAYS = 0.1  # correlation along x and y may differ by this and still count as equal


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
        middle = slice(LAGS - 3, LAGS + 4)
        near = self.covariance[middle, middle] / self.covariance[LAGS, LAGS]
        return ALL if np.abs(near - near.T).max() < SAME_BOTH_WAYS else FLIPS

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


def measure_noise(
    frames: Sequence[Image], patches: Image, settings: NoiseModelSettings, *, linear: bool
) -> tuple[Stabiliser, NoiseCurve, Values, Image]:
    """Measure the noise of one channel before anything is trained.

    Parameters
    ----------
    frames
        Noisy frames, (height, width) float32 in stack units.
    patches
        Smooth patches, (count, size, size) float32 in stack units.
    linear
        Whether the noise cannot grow with the signal, as in CT.

    Returns
    -------
    tuple
        Stabiliser, curve, autocovariance and the patches as unit noise.
    """
    if not np.ptp(patches, axis=(1, 2)).any():
        raise TooFewPatchesError(
            "The smooth patches hold no noise at all: every pixel is equal. "
            "Use an image that was not smoothed or masked."
        )
    if linear or not settings.stabilise:
        stabiliser = Stabiliser(offset=float(np.median(patches)), scale=_spread(patches))
    else:
        stabiliser = fit_stabiliser(frames)
    noise = detrended(stabiliser.forward(patches))
    covariance = autocovariance(noise)
    covariance /= covariance[LAGS, LAGS]
    curve = fit_curve([stabiliser.forward(frame) for frame in frames], covariance)
    return stabiliser, curve, covariance, noise


def _spread(patches: Image) -> float:
    """Give the median std of the patches, a scale for the linear map."""
    sigma = float(np.median(patches.std(axis=(1, 2), dtype=np.float64)))
    return sigma if sigma > 0 else 1.0
