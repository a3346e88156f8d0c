"""Noise whose direction differs from place to place, as the streaks of CT do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .noise_statistics import detrended, spectrum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .noise_statistics import Values

    Image = NDArray[np.float32]

TURNS = 2.0  # times the spread that patches of one noise have; micrographs have 1.3, CT 4 to 5
MADE_PX = 512
WHY = (
    "The noise has another direction in each place, which no noise that is made alike everywhere "
    "can show: the pretrained network is not trained on, since it would learn streaks for structure"
)


def turns(noise: Image, covariance: Values) -> bool:
    """Tell whether patches of noise lean more differently than one noise explains.

    How far a patch leans is its correlation along x less that along y, between direct neighbours.
    The spread over the patches is compared with that of Gaussian noise with their covariance.

    Parameters
    ----------
    noise
        Unit noise of smooth patches without their trend, (count, size, size) float32.
    covariance
        Its mean autocovariance, (31, 31) float64.
    """
    size = noise.shape[1]
    white = np.random.default_rng(0).standard_normal((MADE_PX, MADE_PX))
    waves = np.fft.rfft2(white) * np.sqrt(spectrum(covariance, white.shape))
    made = np.fft.irfft2(waves, white.shape).astype(np.float32)
    across = MADE_PX // size
    inner = made[: across * size, : across * size].reshape(across, size, across, size)
    alike = detrended(inner.swapaxes(1, 2).reshape(-1, size, size))
    return bool(_leaning(noise).std() > TURNS * _leaning(alike).std())


def _leaning(patches: Image) -> Values:
    exact = patches.astype(np.float64)
    along_x = (exact[:, :, 1:] * exact[:, :, :-1]).mean(axis=(1, 2))
    along_y = (exact[:, 1:] * exact[:, :-1]).mean(axis=(1, 2))
    leaning: Values = (along_x - along_y) / np.square(exact).mean(axis=(1, 2))
    return leaning
