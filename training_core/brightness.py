"""How brightness is held: what areas of each brightness get back after denoising."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class BrightnessCurve:
    """What to add so that areas of each brightness keep their mean; all in stack units."""

    levels: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    shifts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Correct denoised values, any shape."""
        if not self.shifts.any():
            return values
        corrected: NDArray[np.float64] = values + np.interp(values, self.levels, self.shifts)
        return corrected
