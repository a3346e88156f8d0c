"""The noise level function: how strong the noise is at each brightness, measured blind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training_core.stack import Image, Values

from .covariance import LAGS
from .even_windows import PURE, Windows

EDGES = 1.2  # times the strongest pure class: where there are only edges, more is structure


@dataclass(frozen=True, eq=False)
class NoiseCurve:
    """Standard deviation of the noise against the local mean, both in stabilised units.

    `levels` and `sigmas` are (n,) float64, levels ascending; between them it is linear, outside
    constant.
    """

    levels: Values
    sigmas: Values

    def __call__(self, mean: NDArray[np.floating]) -> Image:
        """Give the standard deviation at each local mean, any shape, float32."""
        sigmas: Image = np.interp(mean, self.levels, self.sigmas).astype(np.float32)
        return sigmas


def fit_curve(frames: Sequence[Image], covariance: Values) -> NoiseCurve:
    """Measure what stabilisation left: the noise's std per brightness class.

    A class that holds nothing but structure shows it even in the finest detail, so its std is
    limited by what the pure classes have, or by the 1 that stabilisation aims at.

    Parameters
    ----------
    frames
        Stabilised frames, (height, width) float32.
    covariance
        Autocovariance of the noise, see `autocovariance`; only its shape matters.
    """
    windows = Windows.of(frames)
    groups = windows.smoothest(np.ones_like(windows.mean))
    levels = np.array([windows.mean[g].mean() for g in groups])
    fine = np.array([windows.fine[g].mean() for g in groups])
    sigmas = np.sqrt(np.maximum(fine / fine_energy(covariance), 1e-12))
    pure = windows.excess(groups) < PURE
    highest = EDGES * max(float(sigmas[pure].max(initial=0.0)), 1.0)
    sigmas = np.where(pure, sigmas, np.minimum(sigmas, highest))
    order = np.argsort(levels)
    return NoiseCurve(levels[order], sigmas[order])


def fine_energy(covariance: Values) -> float:
    """Give the energy of the finest detail for noise of variance 1 with this correlation."""
    c = covariance / covariance[LAGS, LAGS]
    beside = c[LAGS, LAGS + 1] + c[LAGS + 1, LAGS]
    across = c[LAGS + 1, LAGS + 1] + c[LAGS + 1, LAGS - 1]
    return float(max(4 - 4 * beside + 2 * across, 1e-3)) / 4
