"""The figures of a channel's noise as people know them, and how its pixels were recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from training_core.patches.smooth_patches import split_channels
from training_core.stack import Pixels, Stack, Values, centre, float_of, sampled_frames

from .covariance import LAGS, spectrum
from .measurement import Measurement, same_both_ways

WHITE = 0.1  # correlation below this counts as none
SPECTRUM_PX, SPECTRUM_BINS = 64, 16
SHOWN_LAGS = 4
BRIGHTNESSES = ("dark", "middle", "bright")
# By the names that they have in JSON.
FIGURES: dict[str, Callable[[MeasuredNoise], Any]] = {
    "gain": lambda noise: noise.gain,
    "read_noise": lambda noise: noise.read_noise,
    "levels": lambda noise: dict(zip(BRIGHTNESSES, noise.levels, strict=True)),
    "sigma": lambda noise: dict(zip(BRIGHTNESSES, noise.sigmas, strict=True)),
    "variance_ratio": lambda noise: noise.variance_ratio,
    "correlation_x": lambda noise: noise.correlation_x[:SHOWN_LAGS].tolist(),
    "correlation_y": lambda noise: noise.correlation_y[:SHOWN_LAGS].tolist(),
    "correlation_px": lambda noise: noise.correlation_px,
    "power_spectrum": lambda noise: noise.power.tolist(),
    "photons": lambda noise: noise.photons,
    "places": lambda noise: noise.places,
}
FAR_PX = slice(6, 9)  # lags at which only whole rows or columns still correlate


@dataclass(frozen=True, eq=False)
class MeasuredNoise:
    """The figures of one channel, taken in its smooth patches.

    Attributes
    ----------
    gain
        Stack units per detected electron or photon; None where noise does not grow with intensity.
    read_noise
        Std at value 0, stack units; None without a gain, and where an offset of the file hides it.
    levels, sigmas
        Intensity in the dark, in the middle and in the bright (5, 50 and 95 % of the smooth
        windows), and the noise's std there, stack units.
    covariance, doubted
        As in `Measurement`.
    photons
        About how many there are in a pixel of middle brightness, where they are few enough for
        noise to be made of single ones; else None.
    places
        For CT the noise's std where it is weak and where it is strong (5 and 95 % of the tissue),
        `sigmas` being that of its usual place; else None.
    """

    gain: float | None
    read_noise: float | None
    levels: Sequence[float]
    sigmas: Sequence[float]
    covariance: Values
    photons: float | None = None
    places: tuple[float, float] | None = None
    doubted: bool = False

    @classmethod
    def of(cls, measured: Measurement) -> Self:
        """Bring what training measures, in stabilised units, to stack units."""
        stabiliser, curve, photons = measured.stabiliser, measured.curve, measured.photons
        stabilised = np.quantile(curve.levels, (0.05, 0.5, 0.95))
        levels = stabiliser.inverse(stabilised.astype(np.float32))
        gain, read = stabiliser.gain, stabiliser.read_variance
        slope = gain * stabilised / 2 if gain else stabiliser.scale
        # Where photons are few the transform leaves less than unit noise, but the fit still holds.
        fitted = np.sqrt(np.maximum(gain * levels + read, 0.0))
        sigmas = np.maximum(slope * curve(stabilised), fitted)
        return cls(
            gain or None,
            float(np.sqrt(read)) if gain and read >= 0 else None,
            levels.tolist(),
            sigmas.tolist(),
            measured.covariance,
            float(photons.counts(levels[1:2])[0]) if photons else None,
            doubted=measured.doubted,
        )

    @property
    def variance_ratio(self) -> float:
        """Variance in the bright over that in the dark."""
        dark, _, bright = self.sigmas
        return (bright / dark) ** 2 if dark > 0 else float("inf")

    @property
    def correlation_x(self) -> Values:
        """Correlation along x over lags 0 to 15 px, (16,)."""
        along: Values = self.covariance[LAGS, LAGS:] / self.covariance[LAGS, LAGS]
        return along

    @property
    def correlation_y(self) -> Values:
        """Correlation along y over lags 0 to 15 px, (16,)."""
        along: Values = self.covariance[LAGS:, LAGS] / self.covariance[LAGS, LAGS]
        return along

    @property
    def correlation_px(self) -> float:
        """Distance at which the correlation falls below 0.1, the longer of x and y; 0 if white."""
        return max(_reach(self.correlation_x), _reach(self.correlation_y))

    @property
    def same_both_ways(self) -> bool:
        """Whether the correlation along x and y is alike, so that quarter turns keep it."""
        return same_both_ways(self.covariance)

    @property
    def striped(self) -> Literal["", "rows", "columns"]:
        """What shifts as a whole, as line noise does."""
        x, y = (float(c[FAR_PX].mean()) for c in (self.correlation_x, self.correlation_y))
        if max(x, y) < WHITE or min(x, y) > max(x, y) / 2:
            return ""
        return "rows" if x > y else "columns"

    @property
    def power(self) -> Values:
        """Radial power spectrum from 0 to 0.5 cycles per pixel, (16,); white noise is 1."""
        shape = (SPECTRUM_PX, SPECTRUM_PX)
        power = spectrum(self.covariance / self.covariance[LAGS, LAGS], shape)
        down, across = np.fft.fftfreq(SPECTRUM_PX)[:, None], np.fft.rfftfreq(SPECTRUM_PX)
        bins = (np.hypot(down, across) * 2 * SPECTRUM_BINS).astype(int).ravel()
        total = np.bincount(bins, power.ravel())[:SPECTRUM_BINS]
        return total / np.bincount(bins)[:SPECTRUM_BINS]

    def to_dict(self) -> dict[str, Any]:
        """Give plain values under the names in `FIGURES`."""
        return {name: figure(self) for name, figure in FIGURES.items()}


def _reach(correlation: Values) -> float:
    """Give where a correlation first falls below `WHITE`, between two lags in proportion."""
    below = np.flatnonzero(correlation < WHITE)
    if not below.size:
        return float(LAGS)
    lag = int(below[0])
    if lag == 1:  # neighbours do not know of each other
        return 0.0
    before, after = correlation[lag - 1], correlation[lag]
    return float(lag - 1 + (before - WHITE) / (before - after))


LOOKED_AT = 1 << 20  # pixels whose values are counted
PILED_UP = 4.0  # times as many pixels at the end as at the values beside it: cut off
LEAST_SHARE = 1e-4
# Of converters; the ends of 8 and 16 are those of the file, too.
CAMERA_BITS = (8, 10, 11, 12, 14, 16)
BLOCK_PX = 8  # of JPEG
LEAST_BLOCKS = 16  # side by side; fewer are too few to tell steps from structure
BLOCKY = 0.06  # of the mean difference of neighbours: more than noise makes


@dataclass(frozen=True, slots=True)
class PixelValues:
    """The values of some frames: their ends and least difference, in stack units.

    `lowest_share` and `saturated_share` are the fractions of the pixels that were cut off at the
    ends, 0 where the values just end. `step` is 0 for values without a grid; `blocky` says that
    steps repeat every 8 px, as JPEG leaves them.
    """

    lowest: float
    highest: float
    lowest_share: float
    saturated_share: float
    step: float
    blocky: bool

    @classmethod
    def of(cls, frames: Sequence[Pixels]) -> Self:
        """Count the values of frames, (height, width) each in their own dtype."""
        pixels = np.concatenate([frame.ravel() for frame in frames])
        values, counts = np.unique(pixels[:: -(-pixels.size // LOOKED_AT)], return_counts=True)
        step = _step(values)
        return cls(
            float(values[0]),
            float(values[-1]),
            _cut_off(counts[::-1], at_limit=False),
            _cut_off(counts, at_limit=_is_limit(values[-1], step)),
            step,
            min(map(_blockiness, (frames[0], frames[0].T))) > BLOCKY,
        )


def _step(values: Pixels) -> float:
    """Give the grid on which ascending values lie; 0 if there is none."""
    if values.size < 2:
        return 0.0
    if values.dtype.kind in "iub":  # modulo 2**64, where no difference overflows
        return float(np.gcd.reduce(np.diff(values.astype(np.uint64))))
    apart = np.diff(values.astype(np.float64))
    least = float(apart.min())
    steps = apart / least
    # Values that only float32 parts have no grid, though each is a multiple of the last bit.
    with np.errstate(over="ignore"):  # at the largest value of float16
        close = least > 4 * np.spacing(np.abs(values).max())
    return least if close and np.abs(steps - np.rint(steps)).max() < 0.1 else 0.0


def _is_limit(highest: np.generic[Any], step: float) -> bool:
    """Tell whether a camera or a data type can count no further, such as 4095 or 16 x 4095."""
    kind = highest.dtype.kind
    most = float(np.asarray(highest)) / (step or 1.0)
    return kind in "iu" and any(most == 2**bits - 1 for bits in CAMERA_BITS)


def _cut_off(counts: NDArray[np.intp], *, at_limit: bool) -> float:
    """Give the share of the last count where it towers above those before it."""
    share = float(counts[-1] / counts.sum())
    beside = counts[-9:-1]
    piled = beside.size > 0 and counts[-1] > PILED_UP * float(beside.mean())
    return share if share >= LEAST_SHARE and (piled or at_limit) else 0.0


def _blockiness(frame: Pixels) -> float:
    """Give how much larger the difference is across one in eight columns; near 0 without blocks."""
    exact = frame.astype(float_of(frame.dtype))
    step = np.abs(np.diff(exact, axis=1)).mean(axis=0, dtype=np.float64)
    excess = step[1:-1] - (step[:-2] + step[2:]) / 2
    count = excess.size // BLOCK_PX
    if count < LEAST_BLOCKS or not step.any():
        return 0.0
    phases = np.median(excess[: count * BLOCK_PX].reshape(count, BLOCK_PX), axis=0)
    return float((phases.max() - np.median(phases)) / step.mean())


RECORDED = 8  # stacks


@dataclass(frozen=True, slots=True)
class Recording:
    """The ends at which pixels were cut off, infinite where none were, and their least step.

    All in stack units; `step` is 0 for values without a grid, which else goes through `origin`.
    """

    lowest: float = -np.inf
    highest: float = np.inf
    step: float = 0.0
    origin: float = 0.0

    @classmethod
    def of(cls, stacks: Sequence[Stack], channel: int) -> Self:
        """Look at some frames of a channel, which were all taken alike."""
        parts = [split_channels(stack)[channel] for stack in stacks[:RECORDED]]
        frames = [part.raw_frame(index) for part in parts for index in sampled_frames(part)]
        found = PixelValues.of([centre(frame) for frame in frames])
        lowest, highest, kind = found.lowest, found.highest, stacks[0].dtype
        # The ends of whole numbers are ends, however few pixels lie there.
        ends = (np.iinfo(kind).min, np.iinfo(kind).max) if kind.kind in "iu" else (None, None)
        low = lowest if found.lowest_share or lowest == ends[0] else -np.inf
        high = highest if found.saturated_share or highest == ends[1] else np.inf
        return cls(low, high, found.step, lowest)


UNTOUCHED = Recording()
