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
MADE_PX, PART_PX = 512, 32
WHY = (
    "The noise has another direction in each place, which no noise that is made alike everywhere "
    "can show, so the network learns from the noisy images themselves and their first estimates"
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
    size = min(noise.shape[1], PART_PX)
    white = np.random.default_rng(0).standard_normal((MADE_PX, MADE_PX))
    waves = np.fft.rfft2(white) * np.sqrt(spectrum(covariance, white.shape))
    made = np.fft.irfft2(waves, white.shape).astype(np.float32)
    alike, found = (_leaning(detrended(_parts(of, size))) for of in (made[None], noise))
    return bool(found.std() > TURNS * alike.std())


def _parts(images: Image, size: int) -> Image:
    """Cut (count, n, n) into squares, (more, size, size)."""
    across = images.shape[1] // size
    inner = images[:, : across * size, : across * size]
    parts = inner.reshape(-1, across, size, across, size).swapaxes(2, 3)
    return parts.reshape(-1, size, size)


def _leaning(patches: Image) -> Values:
    exact = patches.astype(np.float64)
    along_x = (exact[:, :, 1:] * exact[:, :, :-1]).mean(axis=(1, 2))
    along_y = (exact[:, 1:] * exact[:, :-1]).mean(axis=(1, 2))
    leaning: Values = (along_x - along_y) / np.square(exact).mean(axis=(1, 2))
    return leaning
