"""What the noise of a stack is like: how it grows with the signal, and how far it correlates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import dct

from .anscombe import Stabiliser
from .even_windows import calmest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Values = NDArray[np.float64]


WINDOW_PX, BLOCK_PX = 16, 4
MOST_WINDOWS = 20_000
PURE = 1.6  # times the low-pass energy of pure noise: above it a class is taken for structure
EDGES = 1.2  # times the strongest pure class: where there are only edges, more is structure
WORTH_STABILISING = 1.15  # ratio of variances between bright and dark
FAILED = 0.6  # of the usual std in stabilised units: below it the stabilisation has failed
LAGS = 15  # px: the correlation is measured up to here


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


@dataclass(frozen=True, eq=False)
class Windows:
    """Small windows with their slow trend removed: each a (count,) float64 statistic."""

    mean: Values
    fine: Values  # energy of the finest detail, where structure hardly shows
    slow: Values  # energy of block means, where structure shows most
    whole: Values
    third: Values  # cumulant

    @classmethod
    def of(cls, frames: Sequence[Image]) -> Windows:
        """Look at windows of (height, width) frames."""
        per_frame = [_window_statistics(frame, MOST_WINDOWS // len(frames)) for frame in frames]
        columns = zip(*per_frame, strict=True)
        mean, fine, slow, whole, third = (np.concatenate(parts) for parts in columns)
        # Masked and saturated areas say nothing of the noise, nor does what rounding leaves there.
        alive = fine > 1e-18 * mean**2
        alive |= not alive.any()
        fine = np.maximum(fine, 1e-30)
        return cls(*(values[alive] for values in (mean, fine, slow, whole, third)))

    def smoothest(self, expected: Values) -> list[NDArray[np.intp]]:
        """Give, per brightness class, the windows with the least slow energy for their variance."""
        return calmest(self.mean, self.slow / expected)

    def excess(self, groups: list[NDArray[np.intp]]) -> Values:
        """Give each class's slow energy over that of pure noise, (classes,), 1 or more."""
        ratio = np.array([np.median(self.slow[g] / self.fine[g].mean()) for g in groups])
        clean: Values = np.maximum(ratio / max(float(np.quantile(ratio, 0.25)), 1e-30), 1.0)
        return clean


def _window_statistics(frame: Image, most: int) -> tuple[Values, ...]:
    size = min(WINDOW_PX, *(n // BLOCK_PX * BLOCK_PX for n in frame.shape))
    stride = max(BLOCK_PX, int(np.sqrt(frame.size / max(most, 1))))
    windows = np.lib.stride_tricks.sliding_window_view(frame, (size, size))[::stride, ::stride]
    flat = windows.reshape(-1, size * size).astype(np.float64)
    left = (flat - _trend(flat, size)).reshape(-1, size, size)
    mixed = np.diff(np.diff(left, axis=1), axis=2)
    blocks = left.reshape(-1, size // BLOCK_PX, BLOCK_PX, size // BLOCK_PX, BLOCK_PX)
    return (
        flat.mean(axis=1),
        np.square(mixed).mean(axis=(1, 2)) / 4,
        np.square(blocks.mean(axis=(2, 4))).mean(axis=(1, 2)),
        np.square(left).sum(axis=(1, 2)) / (size * size - 6),
        (left**3).sum(axis=(1, 2)) / _third_left(size),
    )


@cache
def _third_left(size: int) -> float:
    """Give how many pixels' worth of the third cumulant a window keeps without its trend."""
    basis = trend_basis(size)
    kept: Values = np.eye(size * size) - basis @ basis.T
    return float((kept**3).sum())


def _trend(flat: Values, size: int) -> Values:
    """Give the second-order polynomial of each flattened window, (count, size * size)."""
    basis = trend_basis(size)
    trend: Values = (flat @ basis) @ basis.T
    return trend


def fit_stabiliser(frames: Sequence[Image], covariance: Values | None = None) -> Stabiliser:
    """Fit variance = gain * value + read variance on the smoothest windows, blind.

    Parameters
    ----------
    frames
        Noisy frames of one channel, (height, width) float32 in stack units, 16 px or more across.
    covariance
        Autocovariance of the noise, if it is known already; only its shape matters.

    Returns
    -------
    Stabiliser
        The Anscombe transform where bright areas are noisier than dark ones, else a linear map
        that brings the noise to a standard deviation of about 1.
    """
    windows = Windows.of(frames)
    expected = np.full(windows.mean.size, max(float(np.median(windows.fine)), 1e-30))
    gain = read = 0.0
    for _ in range(6):  # which windows are smoothest depends on the fit, and the fit on them
        gain, read, typical = _fit_line(windows, windows.smoothest(expected), covariance)
        expected = np.maximum(gain * windows.mean + read, 0.05 * typical)
    dark, bright = np.percentile(windows.mean, (5, 95))
    if gain <= 0 or gain * bright + read < WORTH_STABILISING * (gain * dark + read):
        # Around zero, where float32 is exact enough also for large values with little noise.
        middle = float(np.median(windows.mean))
        return Stabiliser(offset=middle, scale=float(np.sqrt(max(typical, 1e-30))))
    return Stabiliser(gain, read)


def _fit_line(
    windows: Windows, groups: list[NDArray[np.intp]], covariance: Values | None
) -> tuple[float, float, float]:
    """Give slope, variance at 0 and median variance; groups with structure in them weigh less."""
    purity = windows.excess(groups)
    fine = np.array([windows.fine[g].mean() for g in groups])
    measured = np.array([windows.whole[g].mean() for g in groups])
    whole = measured if covariance is None else fine / _fine_energy(covariance)
    variance = fine * np.median((whole / fine)[purity < PURE])
    mean = np.array([windows.mean[g].mean() for g in groups])
    weight = 1 / (np.maximum(variance, 1e-30) * purity**2)
    terms = np.stack([mean, np.ones_like(mean)], axis=1)
    slope, intercept = np.linalg.lstsq(terms * weight[:, None], variance * weight, rcond=None)[0]
    return float(slope), float(intercept), float(np.median(variance))


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
    sigmas = np.sqrt(np.maximum(fine / _fine_energy(covariance), 1e-12))
    pure = windows.excess(groups) < PURE
    highest = EDGES * max(float(sigmas[pure].max(initial=0.0)), 1.0)
    sigmas = np.where(pure, sigmas, np.minimum(sigmas, highest))
    order = np.argsort(levels)
    return NoiseCurve(levels[order], sigmas[order])


def _fine_energy(covariance: Values) -> float:
    """Give the energy of the finest detail for noise of variance 1 with this correlation."""
    c = covariance / covariance[LAGS, LAGS]
    beside = c[LAGS, LAGS + 1] + c[LAGS + 1, LAGS]
    across = c[LAGS + 1, LAGS + 1] + c[LAGS + 1, LAGS - 1]
    return float(max(4 - 4 * beside + 2 * across, 1e-3)) / 4


def detrended(patches: Image) -> Image:
    """Remove the slow trend of each patch and bring it to unit std.

    Patches whose std is far under that of the others are left out: there the stabilisation has
    failed, since a few photons are no Gaussian noise on any scale.

    Returns
    -------
    numpy.ndarray
        (at most count, size, size) float32.
    """
    left = _residuals(patches)
    sigmas = residual_sigmas(patches)
    alive = stabilised_well(sigmas)
    unit: Image = (left[alive] / sigmas[alive, None, None]).astype(np.float32)
    return unit


def residual_sigmas(patches: Image) -> Values:
    """Give the std of each patch, (count, size, size), once its slow trend is gone, (count,)."""
    freedom = patches.shape[1] ** 2 - 6
    sigmas: Values = np.sqrt(np.square(_residuals(patches)).sum(axis=(1, 2)) / freedom)
    return sigmas


def stabilised_well(sigmas: Values) -> NDArray[np.bool_]:
    """Tell the patches, by their std in stabilised units, whose photons were enough, (count,)."""
    return sigmas > FAILED * np.quantile(sigmas, 0.9) if len(sigmas) else np.zeros(0, bool)


def _residuals(patches: Image) -> Values:
    count, size = patches.shape[:2]
    flat = patches.reshape(count, size * size).astype(np.float64)
    return (flat - _trend(flat, size)).reshape(patches.shape)


def autocovariance(patches: Image, *, trendless: bool = False) -> Values:
    """Average the autocovariance of patches over lags of -15 to 15 px.

    Parameters
    ----------
    patches
        (count, size, size) float.
    trendless
        Whether they lost their trend by `detrended`: then what it took is given back.

    Returns
    -------
    numpy.ndarray
        (31, 31) float64; the middle is the variance. Lags beyond half a patch are 0, and the rest
        fades out towards its end, where the estimate is uncertain.
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
    wrapped = np.zeros((max(shape[0], 2 * LAGS + 1), max(shape[1], 2 * LAGS + 1)))
    lags = np.arange(-LAGS, LAGS + 1)
    wrapped[np.ix_(lags % wrapped.shape[0], lags % wrapped.shape[1])] = covariance
    power: Values = np.maximum(np.fft.rfft2(wrapped).real, 0.0)
    return power


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
