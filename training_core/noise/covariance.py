"""The autocovariance of noise, its spectrum, and what removing a trend takes from it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, next_fast_len

from training_core.stack import Image, Pixels, Values

# Their kurtosis of 15 cannot be learned together with that of bright patches.
FAILED = 0.6  # of the usual std in stabilised units: below it the stabilisation has failed
LAGS = 15  # px: the correlation is measured up to here
AROUND = np.ix_(*2 * [np.arange(-LAGS, LAGS + 1)])  # the lags of what lies on a torus


def detrended(patches: Image) -> Image:
    """Remove the slow trend of each patch and bring it to unit std, (fewer, size, size) float32.

    Patches whose std is far under that of the others are left out: there the stabilisation has
    failed, since a few photons are no Gaussian noise on any scale.
    """
    sigmas = residual_sigmas(patches)
    alive = stabilised_well(sigmas)
    return (residuals(patches)[alive] / sigmas[alive, None, None]).astype(np.float32)


def residual_sigmas(patches: Image) -> Values:
    """Give the std of each patch, (count, size, size), once its slow trend is gone, (count,)."""
    freedom = patches.shape[1] ** 2 - 6
    sigmas: Values = np.sqrt(np.square(residuals(patches)).sum(axis=(1, 2)) / freedom)
    return sigmas


def stabilised_well(sigmas: Values) -> NDArray[np.bool_]:
    """Tell the patches, by their std in stabilised units, whose photons were enough, (count,)."""
    return sigmas > FAILED * np.quantile(sigmas, 0.9) if len(sigmas) else np.zeros(0, bool)


def residuals(patches: Pixels) -> Values:
    """Take from each patch its second-order polynomial, (count, size, size) float64."""
    count, size = patches.shape[:2]
    flat, basis = patches.reshape(count, size * size).astype(np.float64), trend_basis(size)
    flat -= (flat @ basis) @ basis.T
    return flat.reshape(patches.shape)


def autocovariance(patches: Image, *, trendless: bool = False) -> Values:
    """Average the autocovariance of patches, (count, size, size), over lags of -15 to 15 px.

    It is (31, 31) float64; the middle is the variance. Lags beyond half a patch are 0, and the rest
    fades out towards its end, where the estimate is uncertain. Of `trendless` patches, which
    `detrended` gave, what that took is given back.
    """
    size = patches.shape[1]
    padded = np.fft.rfft2(patches, (2 * size, 2 * size))
    overlap = np.fft.rfft2(np.ones((size, size)), (2 * size, 2 * size))
    total = np.fft.irfft2(np.mean(np.abs(padded) ** 2, axis=0), (2 * size, 2 * size))
    count = np.fft.irfft2(np.abs(overlap) ** 2, (2 * size, 2 * size))
    lags = np.arange(-LAGS, LAGS + 1)
    within = np.abs(lags) < size
    wrapped = np.where(within, lags, 0) % (2 * size)
    measured = (total / np.maximum(count, 1))[np.ix_(wrapped, wrapped)]
    reach = min(LAGS + 1, size // 2)
    fade = np.clip(2 - 2 * np.abs(lags) / reach, 0, 1) * within
    weights = np.outer(fade, fade)
    return trend_restored(measured, weights, size) if trendless else measured * weights


def spectrum(covariance: Values, shape: tuple[int, int]) -> Values:
    """Give the power spectrum of noise with this autocovariance on a torus, for `rfft2`."""
    least = 2 * LAGS + 1
    torus = on_torus(covariance, (max(shape[0], least), max(shape[1], least)))
    return np.maximum(np.fft.rfft2(torus).real, 0.0)


def on_torus(covariance: Values, shape: tuple[int, int]) -> Values:
    """Lay an autocovariance, (31, 31), around the corner of a torus; what does not fit is lost."""
    reaches = [min(LAGS, n // 2) for n in shape]
    down, across = (np.arange(-reach, reach + 1) for reach in reaches)
    torus = np.zeros(shape)
    torus[np.ix_(down, across)] = covariance[np.ix_(down + LAGS, across + LAGS)]
    return torus


def uncorrelated() -> Values:
    """Give the autocovariance of white noise of std 1, (31, 31)."""
    covariance = np.zeros((2 * LAGS + 1, 2 * LAGS + 1))
    covariance[LAGS, LAGS] = 1.0
    return covariance


def coloured(white: Values, covariance: Values) -> Values:
    """Give white noise of std 1, (height, width), this autocovariance, on a torus."""
    waves = np.fft.rfft2(white) * np.sqrt(spectrum(covariance, white.shape))
    return np.fft.irfft2(waves, white.shape)


def dct_variances(covariance: Values, size: int) -> Values:
    """Give the variance of each coefficient of a size x size DCT of the noise, (size, size).

    The floor keeps a filter from dividing by nothing where the noise has no power.
    """
    waves = dct(np.eye(size), axis=0, norm="ortho")
    reach = min(LAGS, size - 1)
    overlaps = np.stack([np.correlate(wave, wave, "full") for wave in waves])
    overlaps = overlaps[:, size - 1 - reach : size + reach]
    inner = covariance[LAGS - reach : LAGS + reach + 1, LAGS - reach : LAGS + reach + 1]
    exact = np.einsum("ud,de,ve->uv", overlaps, inner, overlaps)
    variances: Values = np.maximum(exact, 1e-4 * covariance[LAGS, LAGS])
    return variances


def patch_covariance(covariance: Values, size: int) -> Values:
    """Give the covariance matrix of a flattened size x size patch of noise, (size^2, size^2)."""
    y, x = np.divmod(np.arange(size * size), size)
    matrix: Values = covariance[LAGS + y[:, None] - y, LAGS + x[:, None] - x]
    return matrix


STEPS, EXACT = 40, 1e-5  # of the variance; enough for noise that correlates over a fifth of a patch


@lru_cache(maxsize=8)
def trend_basis(size: int) -> Values:
    """Give the orthonormal polynomials of degree 0 to 2 of a flattened patch, (size^2, 6)."""
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    return np.linalg.qr(terms)[0]


def trend_restored(measured: Values, fade: Values, size: int) -> Values:
    """Give the autocovariance of noise whose patches lost their second-order trend.

    With P the projection that removes the trend, P C P is left of the covariance matrix C of a
    patch, and is averaged over all pairs of pixels at each lag. That is linear in the
    autocovariance and near the identity, so it is undone by fixed-point steps.

    `measured` is that of the detrended patches, and `fade` weighs the result, 0 where the patches
    are too small to know; all (31, 31) float64.
    """
    covariance = measured * fade
    for _ in range(STEPS):
        before, covariance = covariance, fade * (measured + _lost(covariance, size))
        if np.abs(covariance - before).max() < EXACT * measured.max():
            break
    return covariance


def trend_share(covariance: Values, size: int) -> float:
    """Give the share of the variance that the trend of a patch takes with it."""
    return float(_lost(covariance, size)[LAGS, LAGS] / covariance[LAGS, LAGS])


@lru_cache(maxsize=8)
def _waves(size: int) -> tuple[NDArray[np.complex128], Values]:
    """Give the spectra of the trends of a patch, and how many pairs of its pixels each lag has."""
    edge = next_fast_len(2 * (size + LAGS))
    waves = np.fft.rfft2(trend_basis(size).T.reshape(-1, size, size), (edge, edge))
    ones = np.abs(np.fft.rfft2(np.ones((size, size)), (edge, edge))) ** 2
    return waves, np.fft.irfft2(ones, (edge, edge))[AROUND]


def _lost(covariance: Values, size: int) -> Values:
    """Give the mean over a patch of C - P C P at each lag, (31, 31)."""
    edge = next_fast_len(2 * (size + LAGS))
    shape = (edge, edge)
    basis = trend_basis(size).T.reshape(-1, size, size)
    waves, count = _waves(size)
    whole = np.fft.rfft2(on_torus(covariance, shape))
    seen = np.fft.irfft2(waves * whole, shape)[:, :size, :size]  # C b
    inside = np.einsum("kij,mij->km", basis, seen)  # b^T C b
    rest = np.fft.rfft2(seen - np.einsum("km,mij->kij", inside, basis) / 2, shape)
    pairs = np.fft.irfft2((waves.conj() * rest).sum(axis=0), shape)[AROUND]
    return (pairs + pairs[::-1, ::-1]) / np.maximum(count, 0.5)
