"""What a denoiser makes of noise alone, which holds nothing: all that shows there is made up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training_core.run import SILENT, Run
from training_core.stack import Values

from .renoised import Scene


@dataclass(frozen=True, eq=False)
class PureNoise:
    """Learned noise on an even grey, and what the denoiser makes of it; stack units.

    Both are (height, width) float64; `level` is the grey.
    """

    noisy: Values
    denoised: Values
    level: float

    @property
    def left(self) -> float:
        """Std of what is left over that of the noise, 0 to 1."""
        spread = float(self.noisy.std())
        return float(self.denoised.std()) / spread if spread else 0.0


def made_of_noise(scene: Scene, *, seed: int = 0, run: Run = SILENT) -> PureNoise:
    """Denoise learned noise on the usual brightness of a scene, as large as the scene.

    Raises
    ------
    Cancelled
        If the run was cancelled.
    """
    base = scene.denoised(np.asarray(scene.stack.pixels), run)
    level = float(np.median(base[scene.middle]))
    noisy = next(scene.renoised(np.full_like(base, level), 1, seed, run))
    made = scene.denoised(noisy, run)[scene.middle]
    seen = noisy[scene.middle].astype(np.float64)
    return PureNoise(seen, made + scene.share * (seen - made), level)
