"""Profiles, regions and histograms of frames, as one measures them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import ndimage

from training_core.errors import InputError
from training_core.noise.anscombe import sigmas_at
from training_core.noise.covariance import LAGS
from training_core.noise.model import NoiseModel
from training_core.patches.painted import filled
from training_core.stack import Image, Mask, Pixels, Values

Point = tuple[float, float]  # x, y in pixels of the frame, the corner of the first one being 0, 0
BINS = 256
WIDEST_PX = 512
TAILS = (0.0005, 0.9995)  # what a histogram shows; a hot pixel would squeeze all else


@dataclass(frozen=True, eq=False)
class Profile:
    """Mean values along a line, over a band beside it.

    Attributes
    ----------
    distances
        From the first end, in pixels, (steps,) float64.
    values
        (images, steps) float64, in the units of the images.
    """

    distances: Values
    values: Values

    @classmethod
    def along(
        cls, images: Sequence[Pixels], start: Point, end: Point, width_px: int = 1
    ) -> Profile:
        """Read images of one shape, (height, width), along a line from `start` to `end`.

        Values lie a pixel apart and are interpolated linearly; outside an image its border counts.

        Raises
        ------
        InputError
            If the ends are one point or the band is not 1 to 512 px wide.
        """
        way = np.subtract(end, start)
        length = float(np.hypot(*way))
        if length < 1:
            raise InputError("The line is shorter than a pixel; draw it longer.")
        if not 1 <= width_px <= WIDEST_PX:
            raise InputError(f"The band is {width_px} px wide; choose 1 to {WIDEST_PX} px.")
        distances = np.arange(int(length) + 1, dtype=np.float64)
        beside = np.arange(width_px) - (width_px - 1) / 2
        along_x, along_y = way / length
        # The middle of the first pixel is at .5, .5 of the frame and at 0, 0 of its array.
        x = start[0] - 0.5 + distances * along_x - beside[:, None] * along_y
        y = start[1] - 0.5 + distances * along_y + beside[:, None] * along_x
        read = [
            ndimage.map_coordinates(image, [y, x], np.float64, order=1, mode="nearest")
            for image in images
        ]
        return cls(distances, np.stack([values.mean(axis=0) for values in read]))


@dataclass(frozen=True, slots=True)
class Outline:
    """A rectangle (two opposite corners) or a polygon (three corners or more) in a frame."""

    corners: tuple[Point, ...]

    def mask(self, shape: tuple[int, int]) -> Mask:
        """Tell which pixels of a frame, (height, width), have their middle inside.

        Raises
        ------
        InputError
            If there are none.
        """
        inside = filled(np.array(self.corners)[:, ::-1], shape)
        if not inside.any():
            raise InputError("The region holds no pixel; draw it larger, or inside the image.")
        return inside


@dataclass(frozen=True, slots=True)
class RegionFigures:
    """What a region of one frame shows; values in the units of the stack.

    Attributes
    ----------
    pixels
        How many there are.
    raw_mean, raw_std, raw_sum
        Of the pixels as they were recorded.
    noise_sigma
        Std of the noise in one pixel there, by the noise model; by the residual without one.
    sum_error, mean_error
        Std of the sum and of the mean of the raw pixels that noise causes, its correlation
        included.
    mean, std, total
        Of the denoised pixels.
    """

    pixels: int
    raw_mean: float
    raw_std: float
    raw_sum: float
    noise_sigma: float
    sum_error: float
    mean: float
    std: float
    total: float

    @property
    def mean_error(self) -> float:
        """Std of the mean of the raw pixels that noise causes."""
        return self.sum_error / self.pixels

    @property
    def raw_snr(self) -> float:
        """Mean over the std of the noise in a raw pixel."""
        return _ratio(self.raw_mean, self.noise_sigma)

    @property
    def snr(self) -> float:
        """Mean over std of the denoised pixels, structure included."""
        return _ratio(self.mean, self.std)

    def cnr(self, background: RegionFigures) -> tuple[float, float]:
        """Give contrast to noise against another region, of raw and of denoised pixels.

        The difference of the means over the root of the mean of both variances.
        """
        raw = np.hypot(self.raw_std, background.raw_std) / np.sqrt(2)
        made = np.hypot(self.std, background.std) / np.sqrt(2)
        return (
            _ratio(abs(self.raw_mean - background.raw_mean), float(raw)),
            _ratio(abs(self.mean - background.mean), float(made)),
        )

    @classmethod
    def of(
        cls,
        noisy: Pixels,
        denoised: Image,
        inside: Mask,
        noise: NoiseModel | None = None,
        *,
        by_place: bool = False,
    ) -> Self:
        """Measure a region of one frame; all arrays are (height, width).

        `noise` is that of the channel. Without it the residual stands for the noise, in which
        each pixel is taken for itself; where noise is stronger `by_place`, as in CT, it tells how
        strong it is and the model how far it goes together.
        """
        raw, made = noisy[inside].astype(np.float64), denoised[inside].astype(np.float64)
        sigma, factor = float(np.std(raw - made)), 1.0
        if noise is not None and not by_place:
            sigma = float(np.sqrt(np.square(noise_sigmas(noise, made)).mean()))
        if noise is not None:
            factor = shared_noise(inside, noise.autocorrelation) / raw.size
        error = sigma * np.sqrt(max(raw.size * factor, 0.0))
        return cls(
            raw.size,
            float(raw.mean()),
            float(raw.std()),
            float(raw.sum()),
            sigma,
            float(error),
            float(made.mean()),
            float(made.std()),
            float(made.sum()),
        )


def noise_sigmas(noise: NoiseModel, clean: Values) -> Values:
    """Give the std of the noise, in stack units, where the mean is `clean`, of any shape."""
    return sigmas_at(noise.stabiliser, noise.curve, clean)


def shared_noise(inside: Mask, autocorrelation: Values) -> float:
    """Sum the correlation of all pairs of pixels of a region; their number for white noise."""
    rows, columns = np.nonzero(inside)
    cut = inside[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    size = [n + 2 * LAGS + 1 for n in cut.shape]
    power = np.square(np.abs(np.fft.rfft2(cut.astype(np.float64), size)))
    pairs = np.fft.irfft2(power, size)
    lags = np.ix_(*2 * [np.arange(-LAGS, LAGS + 1)])
    # Beyond the lags that were measured, correlation is not known and taken for none.
    return float(max((pairs[lags] * autocorrelation).sum(), 0.0))


@dataclass(frozen=True, eq=False)
class Histograms:
    """How many pixels of several images have a value in each bin, with one set of bins.

    `edges` is (bins + 1,) float64 in stack units, `counts` (images, bins) int64.
    """

    edges: Values
    counts: Values

    @classmethod
    def of(cls, images: Sequence[Pixels], inside: Mask | None = None, bins: int = BINS) -> Self:
        """Count images of one shape, or the pixels of a region of them."""
        values = [np.asarray(i if inside is None else i[inside], np.float64) for i in images]
        low = float(min(np.quantile(v, TAILS[0], method="lower") for v in values))
        high = float(max(np.quantile(v, TAILS[1], method="higher") for v in values))
        high = high if high > low else low + 1.0
        if any(image.dtype.kind in "iu" for image in images):
            # Bins of whole numbers, else some hold one value more than others: a comb.
            low, width = np.floor(low), max(np.ceil((high - low) / bins), 1.0)
            bins = min(bins, int(np.ceil((high + 1 - low) / width)))
            high = low + bins * width
        counts = [np.histogram(v, bins, (low, high))[0] for v in values]
        return cls(np.linspace(low, high, bins + 1), np.stack(counts))


def table(rows: Sequence[Sequence[object]], separator: str) -> str:
    """Write rows as lines for a spreadsheet; figures with 7 digits and a point."""
    return "\n".join(separator.join(map(_written, row)) for row in rows) + "\n"


def _written(value: object) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _ratio(value: float, spread: float) -> float:
    return value / spread if spread > 0 else float("inf")
