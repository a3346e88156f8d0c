"""What a denoiser takes from calm places, against the noise that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .noise_spectrum import SIDE_PX, window_spectra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from .blind_score import Trial

STRIDE_PX = SIDE_PX // 2
CALM = 1 / 3  # of the windows, by how much their estimate varies
WAVES = (0.08, 0.18)  # cycles per pixel: shorter ones are known well, longer ones left in part


def calm_residual(trials: Sequence[Trial], estimates: Sequence[Tensor]) -> float:
    """Give the power of the residuals where estimates are calm, over that of the learned noise.

    Where the image is calm nothing but noise can be taken from it, so more than 1 says that the
    learned noise is too weak. In waves of 6 to 12 px; 1 where the crops are under 32 px.

    Parameters
    ----------
    trials
        What was judged, with a sample of the learned noise each.
    estimates
        What was made of them, each (height, width), stabilised.
    """
    across = np.fft.fftfreq(SIDE_PX)
    distance = np.hypot(across[:, None], across)
    band = (distance >= WAVES[0]) & (distance < WAVES[1])
    found: list[list[np.ndarray]] = [[], [], []]
    for trial, made in zip(trials, estimates, strict=True):
        if min(made.shape) < SIDE_PX:
            continue
        for kept, image in zip(found, (made, trial.noisy.image - made, trial.probe), strict=True):
            kept.append(window_spectra(image.cpu().numpy(), STRIDE_PX)[1])
    if not found[0]:
        return 1.0
    varied, residual, noise = (np.concatenate(kept) for kept in found)
    contrast = varied.sum(axis=(1, 2))
    calm = contrast <= np.quantile(contrast, CALM)
    known = float(noise[:, band].mean())
    return float(residual[calm][:, band].mean()) / known if known > 0 else 1.0
