"""How well made noise resembles real noise that its maker was never shown."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np

from training_core.stack import Image, Values

from .covariance import detrended, residual_sigmas

# Of the generator against the truth; sampling errors come on top.
CORRELATION_LIMIT, SPECTRUM_LIMIT, KURTOSIS_LIMIT = 0.05, 0.05, 0.10
NEAR_LAGS = 3
BANDS = 16
# Of the bootstrap: held-out patches that overlap are no independent ones.
GROUPS, DRAWS, CERTAINTY = 16, 400, 0.95


@dataclass(frozen=True, slots=True)
class NoiseMatch:
    """How made noise differs from held-out real noise, both detrended and brought to unit std."""

    # Std of the made noise, at the strength that the noise model gives it, over the real one's
    std_ratio: float
    # Largest difference of the autocorrelations over lags of 0 to 3 px in any direction
    correlation: float
    spectrum: float  # difference of the radially averaged power spectra, as a share of all energy
    kurtosis: float  # difference of the fourth moments, as a share of the real one
    # What noise from a perfect generator would differ by, 19 times of 20, because the held-out
    # patches are few
    correlation_error: float = 0.0
    spectrum_error: float = 0.0
    kurtosis_error: float = 0.0

    @property
    def distance(self) -> float:
        """One number: 1 where one difference is at its limit, sampling error included.

        A generator within a limit of the truth is within the limit plus the distance of the
        held-out patches from the truth (triangle inequality): that sum is what is allowed.
        """
        return max(
            self.correlation / (CORRELATION_LIMIT + self.correlation_error),
            self.spectrum / (SPECTRUM_LIMIT + self.spectrum_error),
            self.kurtosis / (KURTOSIS_LIMIT + self.kurtosis_error),
        )

    @property
    def good(self) -> bool:
        """Whether the generator has converged: all differences of shape are within their limits."""
        return self.distance < 1

    @property
    def score(self) -> float:
        """Likeness in percent: 100 less the largest difference, that of kurtosis taken half."""
        worst = max(abs(self.std_ratio - 1), self.correlation, self.spectrum, self.kurtosis / 2)
        return 100 * max(0.0, 1 - worst)

    @property
    def sentence(self) -> str:
        """Say the differences in plain words, without a full stop."""
        return (
            f"std {100 * (self.std_ratio - 1):+.0f} %, correlation off by "
            f"{100 * self.correlation:.0f} %, spectrum by {100 * self.spectrum:.0f} %, "
            f"kurtosis by {100 * self.kurtosis:.0f} %"
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any] | None) -> Self | None:
        """Read a judgement; one of an older kind, without a spectrum, says nothing comparable."""
        if not values or "spectrum" not in values:
            return None
        return cls(**{field.name: float(values[field.name]) for field in fields(cls)})


@dataclass(frozen=True, eq=False)
class NoiseShape:
    """What is compared of patches of noise, detrended of unit std, (count, size, size) float32."""

    patches: Image

    @cached_property
    def table(self) -> Values:
        """Per patch: autocorrelation at the 24 near lags, power in 16 bands, fourth moment."""
        fourth = np.mean(self.patches.astype(np.float64) ** 4, axis=(1, 2))
        return np.hstack([_near_lags(self.patches), _bands(self.patches), fourth[:, None]])

    def scatter(self) -> Values:
        """Draw by how far the mean of `table` may be off, (draws, columns).

        A wild bootstrap (Wu, 1986): deviations of groups from the mean get random signs, which is
        half the difference of two random halves. Neighbours in order, which may overlap, share a
        group.
        """
        groups = np.array_split(self.table, min(GROUPS, len(self.table)))
        apart = np.stack([group.mean(axis=0) for group in groups]) - self.table.mean(axis=0)
        signs = np.random.default_rng(0).choice((-1.0, 1.0), (DRAWS, len(groups)))
        drawn: Values = signs @ apart / np.sqrt(len(groups) * max(len(groups) - 1, 1))
        return drawn


def compare_noise(made: Image, real: Image, strengths: Values | None = None) -> NoiseMatch:
    """Compare made patches of unit noise with held-out real ones, both (count, size, size) float32.

    `strengths` are the std of each held-out patch, detrended, over what the noise model gives
    there, (count,).
    """
    ratio = 1.0
    if strengths is not None:
        ratio = _rms(residual_sigmas(made)) / max(_rms(strengths), 1e-12)
    return match_of(NoiseShape(detrended(made)), NoiseShape(detrended(real)), ratio)


def match_of(made: NoiseShape, real: NoiseShape, std_ratio: float = 1.0) -> NoiseMatch:
    """Compare the shape of made noise with that of real noise."""
    mean = real.table.mean(axis=0)
    apart = made.table.mean(axis=0) - mean
    errors = np.quantile(_distances(real.scatter(), mean), CERTAINTY, axis=0)
    found = _distances(apart[None], mean)[0]
    return NoiseMatch(std_ratio, *found.tolist(), *errors.tolist())


def _distances(apart: Values, real: Values) -> Values:
    """Give the norms of differences of tables, (n, columns), by quantity, (n, 3)."""
    bands = slice(2 * NEAR_LAGS * (NEAR_LAGS + 1), -1)
    correlation = np.abs(apart[:, : bands.start]).max(axis=1)
    spectrum = np.abs(apart[:, bands]).sum(axis=1) / real[bands].sum()
    return np.stack([correlation, spectrum, np.abs(apart[:, -1]) / real[-1]], axis=1)


def _near_lags(patches: Image) -> Values:
    """Give each patch's mean product at all lags up to 3 px, one of each pair, (count, 24)."""
    size = patches.shape[1]
    along = range(-NEAR_LAGS, NEAR_LAGS + 1)
    lags = [(y, x) for y in range(NEAR_LAGS + 1) for x in along if (y, x) > (0, 0)]
    products = []
    for y, x in lags:
        left, right = slice(max(0, -x), size - max(0, x)), slice(max(0, x), size - max(0, -x))
        pairs = patches[:, : size - y, left] * patches[:, y:, right]
        products.append(pairs.mean(axis=(1, 2), dtype=np.float64))
    return np.stack(products, axis=1)


def _bands(patches: Image) -> Values:
    """Give each patch's power in rings of equal width up to .5 cycles per pixel, (count, 16)."""
    size = patches.shape[1]
    power = np.abs(np.fft.fft2(patches, norm="ortho")).reshape(len(patches), -1) ** 2
    bands: Values = power @ _members(size) / size**2
    return bands


def _members(size: int) -> Values:
    """Tell which waves of a patch belong to which band, (size^2, 16), 0 or 1."""
    along = np.fft.fftfreq(size)
    ring = np.hypot(along[:, None], along) * 2 * BANDS
    member = np.minimum(ring, BANDS - 1).astype(int).ravel()[:, None] == np.arange(BANDS)
    members: Values = member.astype(np.float64)
    return members


def band_shares(size: int) -> Values:
    """Give the power of white noise of unit std in each band of a patch, (16,)."""
    shares: Values = _members(size).mean(axis=0)
    return shares


def _rms(values: Values) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
