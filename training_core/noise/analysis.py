"""What a stack's noise is like, channel by channel, before anything is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from training_core.errors import TooFewPatchesError
from training_core.patches.smooth_patches import (
    NEEDED,
    cut_patches,
    find_smooth_patches,
    split_channels,
)
from training_core.run import SILENT
from training_core.settings import NoiseModelSettings, PatchSettings

from .analysis_words import Route, choose_route, describe, warn
from .covariance import LAGS, spectrum
from .local_strength import EvenNoise, is_ct
from .measurement import Measurement, measure_noise, same_both_ways
from .noise_level import centre, sampled_frames
from .pixel_values import PixelValues

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training_core.run import Run
    from training_core.stack import Stack

    from .covariance import Values

WHITE = 0.1  # correlation below this counts as none
SPECTRUM_PX, SPECTRUM_BINS = 64, 16
SHOWN_LAGS = 4
BRIGHTNESSES = ("dark", "middle", "bright")
FIGURES = (
    "gain",
    "read_noise",
    "levels",
    "sigma",
    "variance_ratio",
    "correlation_x",
    "correlation_y",
    "correlation_px",
    "power_spectrum",
    "photons",
    "places",
)
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
    covariance
        Autocovariance of unit noise over lags of -15 to 15 px, (31, 31) float64.
    photons
        About how many there are in a pixel of middle brightness, where they are few enough for
        noise to be made of single ones; else None.
    places
        For CT the noise's std where it is weak and where it is strong (5 and 95 % of the tissue),
        `sigmas` being that of its usual place; else None.
    """

    gain: float | None
    read_noise: float | None
    levels: tuple[float, float, float]
    sigmas: tuple[float, float, float]
    covariance: Values
    photons: float | None = None
    places: tuple[float, float] | None = None

    @classmethod
    def of(cls, measured: Measurement) -> Self:
        """Bring what training measures, in stabilised units, to stack units."""
        stabiliser, curve, covariance, _, _, photons = measured
        stabilised = np.quantile(curve.levels, (0.05, 0.5, 0.95))
        levels = stabiliser.inverse(stabilised.astype(np.float32))
        gain, read = stabiliser.gain, stabiliser.read_variance
        slope = gain * stabilised / 2 if gain else stabiliser.scale
        # Where photons are few the transform leaves less than unit noise, but the fit still holds.
        fitted = np.sqrt(np.maximum(gain * levels + read, 0.0))
        dark, middle, bright = levels.tolist()
        sigmas = np.maximum(slope * curve(stabilised), fitted).tolist()
        return cls(
            gain or None,
            float(np.sqrt(read)) if gain and read >= 0 else None,
            (dark, middle, bright),
            (sigmas[0], sigmas[1], sigmas[2]),
            covariance,
            float(photons.counts(levels[1:2])[0]) if photons else None,
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
        radial: Values = total / np.bincount(bins)[:SPECTRUM_BINS]
        return radial

    def to_dict(self) -> dict[str, Any]:
        """Give plain values under the names in `FIGURES`."""
        figures = (
            self.gain,
            self.read_noise,
            dict(zip(BRIGHTNESSES, self.levels, strict=True)),
            dict(zip(BRIGHTNESSES, self.sigmas, strict=True)),
            self.variance_ratio,
            self.correlation_x[:SHOWN_LAGS].tolist(),
            self.correlation_y[:SHOWN_LAGS].tolist(),
            self.correlation_px,
            self.power.tolist(),
            self.photons,
            self.places,
        )
        return dict(zip(FIGURES, figures, strict=True))


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


@dataclass(frozen=True, eq=False)
class NoiseAnalysis:
    """What is known of one channel, in figures and in words.

    Attributes
    ----------
    channel
        Its name or number; "" in a stack without channels.
    unit
        That of the values: "HU" for CT, else "".
    frames, of_frames
        How many frames were looked at, of how many.
    patches
        How many smooth patches were found there.
    noise
        The figures; None where there are too few patches to measure them.
    values
        Which values occur.
    refusal
        Why there are no figures.
    """

    channel: str
    unit: str
    frames: int
    of_frames: int
    patches: int
    noise: MeasuredNoise | None
    values: PixelValues
    refusal: str = ""

    @property
    def confidence(self) -> Literal["good", "low", "none"]:
        """How far the figures can be trusted."""
        if self.noise is None:
            return "none"
        return "good" if self.patches >= NEEDED else "low"

    @property
    def sentence(self) -> str:
        """The noise in plain words."""
        return describe(self)

    @property
    def route(self) -> Route:
        """What training will do because of it."""
        return choose_route(self)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the stack, a sentence each."""
        return warn(self)

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, for JSON; figures that were not measured are None."""
        return {
            "channel": self.channel,
            "frames": self.frames,
            "of_frames": self.of_frames,
            "patches": self.patches,
            "confidence": self.confidence,
            **dict.fromkeys(FIGURES),
            **(self.noise.to_dict() if self.noise else {}),
            "values": asdict(self.values),
            "sentence": self.sentence,
            "route": asdict(self.route),
            "warnings": list(self.warnings),
        }


def analyse_noise(
    stack: Stack, settings: PatchSettings | None = None, *, run: Run = SILENT
) -> list[NoiseAnalysis]:
    """Analyse the noise of each channel, on up to 8 frames of it spread over the stack.

    It takes about half a second per megapixel, of which no more than four are looked at, and loads
    no torch. A stack that nothing can be measured on gets an analysis that says why.

    Raises
    ------
    Cancelled
        If the run was cancelled.
    """
    names = stack.channels
    found = []
    for number, channel in enumerate(split_channels(stack)):
        known = number < len(names) and names[number]
        name = (names[number] if known else str(number + 1)) if "C" in stack.axes else ""
        found.append(_analyse(channel, name, settings or PatchSettings(), run))
    return found


def _analyse(channel: Stack, name: str, settings: PatchSettings, run: Run) -> NoiseAnalysis:
    frames = [centre(channel.raw_frame(index)) for index in sampled_frames(channel)]
    sample = replace(channel, pixels=np.stack(frames), axes="IYX")
    chosen = find_smooth_patches(sample, settings, run=run)
    noise, refusal = None, chosen.verdict.sentence
    if chosen.count >= NEEDED // 3:
        even = EvenNoise.of([sample]) if is_ct([sample]) else None
        evened = even.evened(sample) if even else sample
        noise, refusal = _measure(evened, cut_patches(evened, chosen))
        if noise and even:
            noise = replace(noise, places=even.places(sample, noise.sigmas[1]))
    return NoiseAnalysis(
        name,
        channel.value_unit,
        len(frames),
        channel.frame_count,
        chosen.count,
        noise,
        PixelValues.of(frames),
        refusal,
    )


def _measure(sample: Stack, patches: NDArray[np.float32]) -> tuple[MeasuredNoise | None, str]:
    frames = [sample.frame(index) for index in range(sample.frame_count)]
    try:
        measured = measure_noise(frames, patches, NoiseModelSettings(), linear=is_ct([sample]))
    except TooFewPatchesError as error:
        return None, str(error)
    return MeasuredNoise.of(measured), ""
