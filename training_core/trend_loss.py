"""What removing a trend takes from the correlation of noise, and giving it back."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

STEPS = 40  # enough for noise that correlates over a fifth of the patch
EXACT = 1e-5  # of the variance; larger patches lose less and are there at once


@lru_cache(maxsize=8)
def trend_basis(size: int) -> Values:
    """Give the orthonormal polynomials of degree 0 to 2 of a flattened patch, (size^2, 6)."""
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    basis: Values = np.linalg.qr(terms)[0]
    return basis


def trend_restored(measured: Values, fade: Values, size: int) -> Values:
    """Give the autocovariance of noise whose patches lost their second-order trend.

    With P the projection that removes the trend, P C P is left of the covariance matrix C of a
    patch, and is averaged over all pairs of pixels at each lag. That is linear in the
    autocovariance and near the identity, so it is undone by fixed-point steps.

    Parameters
    ----------
    measured
        Autocovariance of the detrended patches, (31, 31) float64.
    fade
        Weights of the result, (31, 31), 0 where the patches are too small to know.
    """
    covariance = measured * fade
    for _ in range(STEPS):
        before, covariance = covariance, fade * (measured + _lost(covariance, size))
        if np.abs(covariance - before).max() < EXACT * measured.max():
            break
    return covariance


def trend_share(covariance: Values, size: int) -> float:
    """Give the share of the variance that the trend of a patch takes with it."""
    lags = len(covariance) // 2
    return float(_lost(covariance, size)[lags, lags] / covariance[lags, lags])


def _lost(covariance: Values, size: int) -> Values:
    """Give the mean over a patch of C - P C P at each lag, (31, 31)."""
    lags = len(covariance) // 2
    edge = 2 * (size + lags)
    shape = (edge, edge)
    basis = trend_basis(size).T.reshape(-1, size, size)
    wrapped = np.zeros(shape)
    around = np.arange(-lags, lags + 1) % edge
    wrapped[np.ix_(around, around)] = covariance
    waves = np.fft.rfft2(basis, shape)
    seen = np.fft.irfft2(waves * np.fft.rfft2(wrapped), shape)[:, :size, :size]  # C b
    inside = np.einsum("kij,mij->km", basis, seen)  # b^T C b
    rest = np.fft.rfft2(seen - np.einsum("km,mij->kij", inside, basis) / 2, shape)
    pairs = np.fft.irfft2((waves.conj() * rest).sum(axis=0), shape)[np.ix_(around, around)]
    ones = np.abs(np.fft.rfft2(np.ones((size, size)), shape)) ** 2
    count = np.fft.irfft2(ones, shape)[np.ix_(around, around)]
    lost: Values = (pairs + pairs[::-1, ::-1]) / np.maximum(count, 0.5)
    return lost
