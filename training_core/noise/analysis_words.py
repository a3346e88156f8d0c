"""An analysis of noise in plain words, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .analysis import MeasuredNoise, NoiseAnalysis

SAME = 1.2  # variance in the bright over that in the dark: nothing worth saying
HARDLY = 1.6  # a quarter more std
MUCH = 3.0
SATURATED = 0.001  # share of the pixels from which on it is worth a warning
CUT_OFF = 0.02
COARSE = 0.7  # std in steps of the values; below it rounding makes most of the noise
SMOOTHED = 0.01  # power of the finest detail over the mean power


@dataclass(frozen=True, slots=True)
class Route:
    """What training does by itself because of the noise.

    Attributes
    ----------
    stabilise
        Whether intensities are transformed so that the noise is the same everywhere.
    orientations
        In how many of the 8 flips and rotations the noise is learned and made.
    sentences
        Why, a sentence each.
    """

    stabilise: bool
    orientations: int
    sentences: tuple[str, ...]


def choose_route(analysis: NoiseAnalysis) -> Route:
    """Say what training will do."""
    noise = analysis.noise
    if noise is None:
        return Route(stabilise=False, orientations=8, sentences=())
    if noise.gain:
        first = (
            "Intensities are transformed so that the noise is as strong in the dark as in the "
            "bright, and back afterwards (variance stabilisation)."
        )
    elif noise.places:
        first = (
            "CT values count no photons, so the noise does not follow intensity. It is measured "
            "around each pixel and brought to the same strength everywhere before it is learned, "
            "and back afterwards."
        )
    elif not 1 / HARDLY < noise.variance_ratio < HARDLY:
        first = (
            "The noise does not grow with intensity as photon noise does, so it is learned as it "
            "is, with its strength at each intensity."
        )
    else:
        first = "The noise is about equally strong everywhere, so it is learned as it is."
    told = [first]
    if noise.photons is not None:
        told.append(
            f"A usual pixel holds about {figure(noise.photons)} photons, so noise is made of "
            "single photons, and results are judged by what one more of them changes."
        )
    if not noise.same_both_ways:
        told.append(
            "It differs between x and y, so images are flipped but not turned by a quarter."
        )
    return Route(bool(noise.gain), 8 if noise.same_both_ways else 4, tuple(told))


def tell(analysis: NoiseAnalysis) -> str:
    """Say all there is to say: the noise, what is wrong with it, and what training will do."""
    named = f"Channel {analysis.channel}: " if analysis.channel else ""
    return named + " ".join((analysis.sentence, *analysis.warnings, *analysis.route.sentences))


def describe(analysis: NoiseAnalysis) -> str:
    """Put the noise into one or two sentences."""
    noise = analysis.noise
    if noise is None:
        return f"The noise could not be measured: {analysis.refusal}"
    what = f"Noise of about {figure(noise.sigmas[1])} {analysis.unit or 'grey levels'}"
    like = f"{_correlation(noise)} {_growth(noise, analysis.unit)}"
    told = f"{what}{_range(noise, analysis.unit)}; {like}."
    if analysis.confidence == "low":
        told += f" Measured in only {analysis.patches} smooth patches, so this is uncertain."
    if analysis.frames < analysis.of_frames:
        told += f" Measured on {analysis.frames} of {analysis.of_frames} frames."
    return told


def _range(noise: MeasuredNoise, unit: str) -> str:
    if noise.places:
        calm, loud = (figure(sigma) for sigma in noise.places)
        return f" in a usual place of the body, {calm} to {loud} {unit} in others"
    if 1 / SAME < noise.variance_ratio < SAME:
        return ""
    low, high = figure(noise.sigmas[0]), figure(noise.sigmas[2])
    if unit:  # CT knows no dark
        return f" ({low} in some tissues, {high} in others)"
    return f" ({low} in the dark, {high} in the bright)"


def _correlation(noise: MeasuredNoise) -> str:
    if not noise.correlation_px:
        return "neighbouring pixels are independent, and it"
    return f"it is correlated over about {max(1, round(noise.correlation_px))} px and"


def _growth(noise: MeasuredNoise, unit: str) -> str:
    ratio = noise.variance_ratio
    if 1 / HARDLY < ratio < HARDLY:
        return "hardly depends on intensity"
    if unit:
        return "differs between tissues"
    if ratio < 1:
        return "gets weaker with intensity"
    if noise.gain is None:
        return "gets stronger with intensity, but not as photon noise does"
    extent = "grows" if ratio > MUCH else "grows somewhat"
    return f"{extent} with intensity as photon noise does (gain {figure(noise.gain)} per photon)"


def warn(analysis: NoiseAnalysis) -> tuple[str, ...]:
    """Say what is wrong with the pixels or the noise, and what that means."""
    values, noise = analysis.values, analysis.noise
    told = []
    if values.saturated_share >= SATURATED:
        told.append(
            f"{_percent(values.saturated_share)} of the pixels are saturated at "
            f"{figure(values.highest)}: they hold no noise, and none is learned around them."
        )
    if values.lowest_share >= CUT_OFF:
        dark = "air" if analysis.unit else "no photon"
        told.append(
            f"{_percent(values.lowest_share)} of the pixels hold the lowest value, "
            f"{figure(values.lowest)}: padding, {dark}, or noise that was cut off. "
            "No noise is learned around them."
        )
    if values.blocky:
        told.append(
            "Steps repeat every 8 px, as JPEG leaves them: the noise is not what the camera "
            "made. Use the uncompressed file if there is one."
        )
    return (*told, *(() if noise is None else _warn_of(noise, values.step)))


def _warn_of(noise: MeasuredNoise, step: float) -> list[str]:
    told = []
    if noise.sigmas[1] < COARSE * step:
        told.append(
            f"The noise is smaller than one step of the values ({figure(step)}): rounding hides "
            "most of it. Use a file with more bits if there is one."
        )
    if noise.power[-1] < SMOOTHED:
        told.append(
            "The finest detail is missing: the image was smoothed, enlarged or compressed. "
            "Use the file as it came from the microscope if there is one."
        )
    if noise.striped:
        told.append(
            f"Whole {noise.striped} shift together (line noise); only its part within 15 px "
            "is learned."
        )
    return told


def figure(value: float) -> str:
    """Write two or three digits, and never an exponent for everyday numbers."""
    if value == 0 or 1e-4 <= abs(value) < 1:
        return f"{value:.2g}"
    if abs(value) >= 1e7 or abs(value) < 1:
        return f"{value:.2e}"
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
