"""What a denoiser takes from calm places, against the noise that is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from training_core.denoise.channel import Channel
from training_core.noise.white_covariance import SIDE_PX, window_spectra

from .sure import BLOCK_PX, Trial

TOO_WEAK = 1.02  # times the learned noise: what a network takes from calm places
STRIDE_PX = SIDE_PX // 2
CALM = 1 / 3  # of the windows
SLOW = 0.07  # cycles per pixel: what contrast is measured in
WAVES = (0.08, 0.18)  # cycles per pixel: shorter ones are known well, longer ones left in part


def calm_residual(trials: Sequence[Trial], estimates: Sequence[Tensor]) -> float:
    """Give the power of the residuals in calm windows over that of the learned noise there.

    Where the image is calm nothing but noise can be taken from it, so more than 1 says that the
    learned noise is too weak. Which windows are calm a first look tells, not the estimates, since
    one that wiped structure out would be calm itself. In waves of 6 to 12 px; of several channels
    the least, and 1 where all crops are under 32 px.

    Parameters
    ----------
    trials
        What was judged, with a sample of the learned noise each.
    estimates
        What was made of them, each (height, width), stabilised.
    """
    channels: dict[Channel, list[NDArray[np.float64]]] = {}
    for trial, made in zip(trials, estimates, strict=True):
        if min(made.shape) >= SIDE_PX:
            channels.setdefault(trial.noisy.channel, []).append(_looked_at(trial, made))
    return min((_ratio(np.concatenate(each)) for each in channels.values()), default=1.0)


def _looked_at(trial: Trial, made: Tensor) -> NDArray[np.float64]:
    """Give contrast, power of the residual and of the noise of the windows that count, (n, 3)."""
    across = np.fft.fftfreq(SIDE_PX)
    distance = np.hypot(across[:, None], across)
    band = (distance >= WAVES[0]) & (distance < WAVES[1])
    images = (trial.guess, trial.noisy.image - made, trial.probe)
    guess, residual, noise = (window_spectra(i.cpu().numpy(), STRIDE_PX)[1] for i in images)
    slow = guess[:, distance < SLOW].mean(axis=1)  # in it, the noise tells nothing of the band
    found = [slow, *(p[:, band].mean(axis=1) for p in (residual, noise))]
    return np.stack(found, axis=1)[_counts(trial)]


def _counts(trial: Trial) -> NDArray[np.bool_]:
    """Tell which windows lie in blocks that count, (windows,)."""
    height, width = trial.noisy.image.shape
    counts = np.ones((height, width), bool)
    if trial.counted is not None:
        counts[:] = False
        rows, columns = height // BLOCK_PX, width // BLOCK_PX
        blocks = trial.counted.reshape(rows, columns).repeat(BLOCK_PX, 0).repeat(BLOCK_PX, 1)
        counts[: rows * BLOCK_PX, : columns * BLOCK_PX] = blocks
    windows = np.lib.stride_tricks.sliding_window_view(counts, (SIDE_PX, SIDE_PX))
    return windows[::STRIDE_PX, ::STRIDE_PX].all(axis=(2, 3)).ravel()


def _ratio(windows: NDArray[np.float64]) -> float:
    if not len(windows):
        return 1.0
    contrast, residual, noise = windows.T
    calm = contrast <= np.quantile(contrast, CALM)
    known = float(noise[calm].mean())
    return float(residual[calm].mean()) / known if known > 0 else 1.0
