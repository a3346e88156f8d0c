"""Real noise and made noise beside each other, as a person compares them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from training_core.stack import Image, Values, spread

from .anscombe import Stabiliser, sigmas_at
from .covariance import LAGS, autocovariance, detrended
from .match import BANDS, NoiseMatch, NoiseShape, band_shares, match_of
from .strength_curve import NoiseCurve

MOST_PATCHES = 512
ACROSS, DOWN = 4, 3  # patches in a picture
REACH, BINS = 5.0, 60  # std that a histogram shows
SHOWN_LAGS = 9
CURVE_POINTS = 64


@dataclass(frozen=True, eq=False)
class NoiseLikeness:
    """What is compared of real and made noise, both without their trend and of unit std.

    Attributes
    ----------
    real, made
        A few patches each, laid in a picture, (height, width) float32.
    values, counts
        Middles of the bins, in std, (bins,), and the shares of real and made values, (2, bins).
    along_x, along_y
        Autocorrelation over lags of 0 to 8 px, real and made, (2, 9).
    spectrum
        Power of rings of equal width up to .5 cycles per pixel, (2, 16); 1 is white noise.
    levels, sigmas
        Mean and std of real patches in stack units, (count,).
    curve
        What the model says: levels and std in stack units, (2, points).
    match
        The differences.
    """

    real: Image
    made: Image
    values: Values
    counts: Values
    along_x: Values
    along_y: Values
    spectrum: Values
    levels: Values
    sigmas: Values
    curve: Values
    match: NoiseMatch

    @property
    def sentence(self) -> str:
        """Say how like they are."""
        score = f"{self.match.score:.0f} % alike"
        if self.match.good:
            return f"The made noise looks like the real noise: {score}."
        return f"The made noise differs from the real noise: {score}; {self.match.sentence}."


@dataclass(frozen=True, eq=False)
class _Look:
    """What a person sees of patches, (count, size, size), detrended of unit std."""

    shape: NoiseShape

    @cached_property
    def picture(self) -> Image:
        """Up to 12 patches in rows of four, with a line of zeros between them."""
        patches = self.shape.patches
        chosen = patches[np.linspace(0, len(patches) - 1, ACROSS * DOWN).astype(int)]
        size = chosen.shape[-1]
        framed = np.pad(chosen, ((0, 0), (0, 1), (0, 1)))
        rows = framed.reshape(DOWN, ACROSS, size + 1, size + 1).swapaxes(1, 2)
        return rows.reshape(DOWN * (size + 1), ACROSS * (size + 1))[:-1, :-1]

    @cached_property
    def histogram(self) -> Values:
        """The share of all values in each bin."""
        patches = self.shape.patches
        shares: Values = np.histogram(patches, BINS, (-REACH, REACH))[0] / patches.size
        return shares

    @cached_property
    def correlation(self) -> Values:
        """The autocorrelation over lags of -15 to 15 px, (31, 31)."""
        covariance = autocovariance(self.shape.patches, trendless=True)
        unit: Values = covariance / covariance[LAGS, LAGS]
        return unit

    @cached_property
    def spectrum(self) -> Values:
        """The power in 16 rings, over that of white noise."""
        power: Values = self.shape.table[:, -1 - BANDS : -1].mean(axis=0)
        shares = band_shares(self.shape.patches.shape[-1])
        bands, seen = np.arange(BANDS), shares > 0  # small patches have no wave in some of them
        return np.interp(bands, bands[seen], power[seen] / shares[seen])


class RealNoise:
    """The noise of at most 512 smooth patches, to which made noise is held again and again.

    Parameters
    ----------
    unit
        The patches, detrended of unit std, (count, size, size) float32.
    cut
        Patches as they are in the stack, (count, size, size).
    stabiliser, curve
        As in `Measurement`: how strong the model says that their noise is.
    """

    def __init__(self, unit: Image, cut: Image, stabiliser: Stabiliser, curve: NoiseCurve) -> None:
        self._look = _Look(NoiseShape(unit[spread(len(unit), MOST_PATCHES)]))
        cut = cut[spread(len(cut), MOST_PATCHES)]
        self._levels = cut.mean(axis=(1, 2), dtype=np.float64)
        self._sigmas = cut.std(axis=(1, 2), dtype=np.float64)
        ends = np.linspace(self._levels.min(), self._levels.max(), CURVE_POINTS)
        self._curve = np.stack([ends, sigmas_at(stabiliser, curve, ends)])

    @property
    def size(self) -> int:
        """The side of a patch, px."""
        return int(self._look.shape.patches.shape[-1])

    def beside(self, made: Image) -> NoiseLikeness:
        """Compare with made patches of any strength, (count, size, size) float32."""
        real, look = self._look, _Look(NoiseShape(detrended(made)))
        edges = np.linspace(-REACH, REACH, BINS + 1)
        near = slice(LAGS, LAGS + SHOWN_LAGS)
        both = (real, look)
        return NoiseLikeness(
            real.picture,
            look.picture,
            (edges[:-1] + edges[1:]) / 2,
            np.stack([one.histogram for one in both]),
            np.stack([one.correlation[LAGS, near] for one in both]),
            np.stack([one.correlation[near, LAGS] for one in both]),
            np.stack([one.spectrum for one in both]),
            self._levels,
            self._sigmas,
            self._curve,
            match_of(look.shape, real.shape),
        )
