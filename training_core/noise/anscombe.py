"""Making the noise of photon-limited images independent of brightness, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from training_core.stack import Image, Pixels, Values

from .strength_curve import PURE, TINY, NoiseCurve, Windows, fine_energy

STABILISED_FLOOR = 1.5**0.5  # what no photon at all becomes; below it the inverse rises again


@dataclass(frozen=True, slots=True)
class Stabiliser:
    """Maps stack values to values whose noise has a standard deviation of about 1.

    With a `gain` the variance is `gain` * value + `read_variance`, in stack units, and the map is
    the generalised Anscombe transform; `read_variance` is negative where the file has an offset.
    Without one the map is linear, (value - `offset`) / `scale`.
    """

    gain: float = 0.0
    read_variance: float = 0.0
    offset: float = 0.0
    scale: float = 1.0

    @property
    def floor(self) -> float:
        """The stack value at and below which `forward` is flat."""
        return -(0.375 * self.gain + self.read_variance / self.gain) if self.gain else -np.inf

    def sigma(self, value: float) -> float:
        """Give the std of the noise at a stack value, in stack units."""
        if not self.gain:
            return self.scale
        return float(np.sqrt(max(self.gain * value + self.read_variance, 0.0)))

    def forward(self, values: Pixels) -> NDArray[np.float32]:
        """Map stack values, any shape and dtype, to float32."""
        exact = np.asarray(values, dtype=np.float64)
        if not self.gain:
            return ((exact - self.offset) / self.scale).astype(np.float32)
        inside = self.gain * exact + 0.375 * self.gain**2 + self.read_variance
        stabilised: Values = 2 / self.gain * np.sqrt(np.maximum(inside, 0.0))
        return stabilised.astype(np.float32)

    def inverse(self, stabilised: NDArray[np.float32]) -> Values:
        """Map the *mean* of stabilised values to the mean of stack values, float64.

        The algebraic inverse would be biased, since the transform is not linear. This is the
        closed form of the exact unbiased inverse (Makitalo and Foi, IEEE TIP 22, 2013, Eqn (7)).
        """
        exact = stabilised.astype(np.float64)
        if not self.gain:
            return exact * self.scale + self.offset
        d = np.maximum(exact, STABILISED_FLOOR)
        root = np.sqrt(1.5)
        read = self.read_variance / self.gain**2
        counts = d**2 / 4 + root / (4 * d) - 11 / (8 * d**2) + 5 * root / (8 * d**3) - 1 / 8 - read
        values: Values = np.maximum(counts, -read) * self.gain
        return values

    def algebraic_inverse(self, stabilised: NDArray[np.floating]) -> Values:
        """Map single noisy values back, float64: `forward` undone, biased for means."""
        exact = stabilised.astype(np.float64)
        if not self.gain:
            return exact * self.scale + self.offset
        root = np.maximum(exact, 0.0) / 2
        return self.gain * root**2 - 0.375 * self.gain - self.read_variance / self.gain

    def to_dict(self) -> dict[str, float]:
        """Give plain values for the model file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        return cls(**{name: float(value) for name, value in values.items()})


# Below, either way gives the same dB.
WORTH_STABILISING = 1.15  # ratio of variances between bright and dark


def fit_stabiliser(
    frames: Sequence[Image], covariance: Values | None = None, windows: Windows | None = None
) -> Stabiliser:
    """Fit variance = gain * value + read variance on the smoothest windows, blind.

    The Anscombe transform where bright areas are noisier than dark ones, else a linear map that
    brings the noise to a standard deviation of about 1. The noisy frames of one channel are
    (height, width) float32 in stack units, 16 px or more across; their `windows` are given where
    they were looked at already. Of the autocovariance, if it is known, only the shape matters.
    """
    windows = windows or Windows.of(frames)
    expected = np.full(windows.mean.size, max(float(np.median(windows.fine)), TINY))
    gain = read = 0.0
    for _ in range(6):  # which windows are smoothest depends on the fit, and the fit on them
        gain, read, typical = _fit_line(windows, windows.smoothest(expected), covariance)
        expected = np.maximum(gain * windows.mean + read, max(0.05 * typical, TINY))
    dark, bright = np.percentile(windows.mean, (5, 95))
    if gain <= 0 or gain * bright + read < WORTH_STABILISING * (gain * dark + read):
        # Around zero, where float32 is exact enough also for large values with little noise.
        middle = float(np.median(windows.mean))
        return Stabiliser(offset=middle, scale=float(np.sqrt(max(typical, TINY))))
    return Stabiliser(gain, read)


def _fit_line(
    windows: Windows, groups: list[NDArray[np.intp]], covariance: Values | None
) -> tuple[float, float, float]:
    """Give slope, variance at 0 and median variance; groups with structure in them weigh less."""
    purity = windows.excess(groups)
    fine = np.array([windows.fine[g].mean() for g in groups])
    measured = np.array([windows.whole[g].mean() for g in groups])
    whole = measured if covariance is None else fine / fine_energy(covariance)
    variance = fine * np.median((whole / fine)[purity < PURE])
    mean = np.array([windows.mean[g].mean() for g in groups])
    typical = max(float(np.median(variance)), TINY)
    weight = typical / (np.maximum(variance, TINY) * purity**2)
    # From the middle and in units of the span: far from zero the terms would be alike.
    middle, span = float(mean.mean()), float(np.ptp(mean)) or 1.0
    terms = np.stack([(mean - middle) / span, np.ones_like(mean)], axis=1)
    wanted = variance / typical * weight
    slope, height = typical * np.linalg.lstsq(terms * weight[:, None], wanted, rcond=None)[0]
    return float(slope / span), float(height - slope / span * middle), float(np.median(variance))


def sigmas_at(stabiliser: Stabiliser, curve: NoiseCurve, clean: Values) -> Values:
    """Give the std of noise, in stack units, where the mean is `clean`, of any shape.

    `curve` is that of the stabilised noise.
    """
    level = stabiliser.forward(clean)
    left: Values = curve(level).astype(np.float64)
    if not stabiliser.gain:
        return left * stabiliser.scale
    # Where photons are few the transform leaves less than unit noise, but the fit still holds.
    fitted = np.sqrt(np.maximum(stabiliser.gain * clean + stabiliser.read_variance, 0.0))
    return np.maximum(left * stabiliser.gain * level / 2, fitted)
