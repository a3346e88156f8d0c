"""Making the noise of photon-limited images independent of brightness, and the way back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training_core.stack import Pixels

STABILISED_FLOOR = 1.5**0.5  # what no photon at all becomes; below it the inverse rises again


@dataclass(frozen=True, slots=True)
class Stabiliser:
    """Maps stack values to values whose noise has a standard deviation of about 1.

    With a `gain` the variance is `gain` * value + `read_variance`, and the map is the generalised
    Anscombe transform; without one it is linear, (value - `offset`) / `scale`.

    Attributes
    ----------
    gain
        Variance per stack unit; 0 for the linear map.
    read_variance
        Variance at value 0, in stack units squared; negative where the file has an offset.
    offset, scale
        The linear map, in stack units.
    """

    gain: float = 0.0
    read_variance: float = 0.0
    offset: float = 0.0
    scale: float = 1.0

    def forward(self, values: Pixels) -> NDArray[np.float32]:
        """Map stack values, any shape and dtype, to float32."""
        exact = np.asarray(values, dtype=np.float64)
        if not self.gain:
            return ((exact - self.offset) / self.scale).astype(np.float32)
        inside = self.gain * exact + 0.375 * self.gain**2 + self.read_variance
        stabilised: NDArray[np.float32] = (2 / self.gain * np.sqrt(np.maximum(inside, 0.0))).astype(
            np.float32
        )
        return stabilised

    def inverse(self, stabilised: NDArray[np.float32]) -> NDArray[np.float64]:
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
        values: NDArray[np.float64] = np.maximum(counts, -read) * self.gain
        return values

    def algebraic_inverse(self, stabilised: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map single noisy values back, float64: `forward` undone, biased for means."""
        exact = stabilised.astype(np.float64)
        if not self.gain:
            return exact * self.scale + self.offset
        root = np.maximum(exact, 0.0) / 2
        values: NDArray[np.float64] = (
            self.gain * root**2 - 0.375 * self.gain - self.read_variance / self.gain
        )
        return values

    def to_dict(self) -> dict[str, float]:
        """Give plain values for the model file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        return cls(**{name: float(value) for name, value in values.items()})
