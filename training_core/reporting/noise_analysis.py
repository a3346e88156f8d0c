"""An analysis of noise in plain words, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np

from training_core.errors import TooFewPatchesError
from training_core.noise.figures import FIGURES, MeasuredNoise, PixelValues
from training_core.noise.local_strength import EvenNoise, is_ct
from training_core.noise.measurement import measure_noise
from training_core.patches.smooth_patches import (
    NEEDED,
    blank_channels,
    cut_patches,
    find_smooth_patches,
    split_channels,
)
from training_core.place import tiles
from training_core.run import SILENT, Run
from training_core.settings import NoiseModelSettings, PatchSettings
from training_core.stack import (
    Image,
    Stack,
    centre,
    float_of,
    is_lost,
    sampled_frames,
    spread,
    unfit,
)
from training_core.unmeasured import measured_frame
from training_core.wording import figure, percent

SAME = 1.2  # variance in the bright over that in the dark: nothing worth saying
HARDLY = 1.6  # a quarter more std
MUCH = 3.0  # ratio of variances from which on noise plainly grows
SATURATED = 0.001  # share of the pixels from which on it is worth a warning
CUT_OFF = 0.02  # share of the pixels, as of what makes a window unusable
COARSE = 0.7  # std in steps of the values; below it rounding makes most of the noise
BLANK = (
    "Hardly any of its values differ, as where a dye is switched off or all is saturated, so it is "
    "left as it is."
)
MEASURED_PX, MOST_MEASURED_PX = 384 * 1024, 512 * 512  # of all channels, of one of them
SQUARE_PX = 64  # of 128 too few are seen: a picture has its calm places together
FEWEST_FRAMES = 4  # of a channel, or all: the first and the last ones may be empty
SMOOTHED = 0.01  # power of the finest detail over the mean power


@dataclass(frozen=True, slots=True)
class Route:
    """What training does by itself because of the noise."""

    stabilise: bool  # whether intensities are transformed so that the noise is the same everywhere
    orientations: int  # in how many of the 8 flips and rotations the noise is learned and made
    sentences: tuple[str, ...]  # why, a sentence each


@dataclass(frozen=True, eq=False)
class NoiseAnalysis:
    """What is known of one channel, in figures and in words."""

    channel: str  # its name or number; "" in a stack without channels
    unit: str  # that of the values: "HU" for CT, else ""
    # How many frames were looked at, of how many
    frames: int
    of_frames: int
    patches: int  # how many smooth patches were found there
    noise: MeasuredNoise | None  # the figures; None where there are too few patches to measure them
    values: PixelValues  # which values occur
    refusal: str = ""  # why there are no figures
    hot: int = 0  # how many hot pixels these frames have

    @property
    def confidence(self) -> Literal["good", "low", "none"]:
        """How far the figures can be trusted."""
        if self.noise is None:
            return "none"
        return "good" if self.patches >= NEEDED else "low"

    @property
    def sentence(self) -> str:
        """The noise in one or two plain sentences."""
        noise = self.noise
        if noise is None:
            return f"The noise could not be measured: {self.refusal}"
        told = f"{_strength(noise, self.unit)}; {_kind(noise, self.unit)}."
        if self.confidence == "low":
            told += f" Measured in only {self.patches} smooth patches, so this is uncertain."
        if self.frames < self.of_frames:
            told += f" Measured on {self.frames} of {self.of_frames} frames."
        return told

    @property
    def route(self) -> Route:
        """What training will do because of it."""
        noise = self.noise
        if noise is None:
            return Route(stabilise=False, orientations=8, sentences=())
        if noise.gain:
            first = (
                "Intensities are transformed so that the noise is as strong in the dark as in the "
                "bright, and back afterwards (variance stabilisation)."
            )
        elif noise.places:
            first = (
                "CT values count no photons, so the noise does not follow intensity. It is "
                "measured around each pixel and brought to the same strength everywhere before "
                "it is learned, and back afterwards."
            )
        elif not 1 / HARDLY < noise.variance_ratio < HARDLY:
            first = (
                "The noise does not grow with intensity as photon noise does, so it is learned as "
                "it is, with its strength at each intensity."
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

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the pixels or the noise, and what that means, a sentence each."""
        return tuple(_warnings(self))

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
            "hot_pixels": self.hot,
            "sentence": self.sentence,
            "route": asdict(self.route),
            "warnings": list(self.warnings),
        }


def tell(analysis: NoiseAnalysis) -> str:
    """Say all there is to say: the noise, what is wrong with it, and what training will do."""
    named = f"Channel {analysis.channel}: " if analysis.channel else ""
    return named + " ".join((analysis.sentence, *analysis.warnings, *analysis.route.sentences))


def _strength(noise: MeasuredNoise, unit: str) -> str:
    what = f"Noise of about {figure(noise.sigmas[1])} {unit or 'grey levels'}"
    if noise.places:
        calm, loud = (figure(sigma) for sigma in noise.places)
        return f"{what} in a usual place of the body, {calm} to {loud} {unit} in others"
    if 1 / SAME < noise.variance_ratio < SAME:
        return what
    low, high = figure(noise.sigmas[0]), figure(noise.sigmas[2])
    if unit:  # CT knows no dark
        return f"{what} ({low} in some tissues, {high} in others)"
    return f"{what} ({low} in the dark, {high} in the bright)"


def _kind(noise: MeasuredNoise, unit: str) -> str:
    growth = _growth(noise, unit)
    if not noise.correlation_px:
        return f"neighbouring pixels are independent, and it {growth}"
    return f"it is correlated over about {max(1, round(noise.correlation_px))} px and {growth}"


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


def _warnings(found: NoiseAnalysis) -> Iterator[str]:
    values, noise = found.values, found.noise
    if values.saturated_share >= SATURATED:
        yield (
            f"{percent(values.saturated_share)} of the pixels are saturated at "
            f"{figure(values.highest)}: they hold no noise, and none is learned around them."
        )
    if values.lowest_share >= CUT_OFF:
        dark = "air" if found.unit else "no photon"
        yield (
            f"{percent(values.lowest_share)} of the pixels hold the lowest value, "
            f"{figure(values.lowest)}: padding, {dark}, or noise that was cut off. "
            "No noise is learned around them."
        )
    if found.hot:
        yield (
            f"{found.hot} hot or dead pixels, farther off than noise gets and each alone: they are "
            "repaired unless the setting Repair hot pixels is turned off."
        )
    if values.blocky:
        yield (
            "Steps repeat every 8 px, as JPEG leaves them: the noise is not what the camera "
            "made. Use the uncompressed file if there is one."
        )
    if noise is None:
        return
    if noise.doubted:
        yield (
            "Texture and noise cannot be told apart, since no area is surely flat: every pixel "
            "is taken to have noise of its own, and hardly any of it will be removed."
        )
    if noise.sigmas[1] < COARSE * values.step:
        yield (
            f"The noise is smaller than one step of the values ({figure(values.step)}): rounding "
            "hides most of it. Use a file with more bits if there is one."
        )
    if noise.power[-1] < SMOOTHED:
        yield (
            "The finest detail is missing: the image was smoothed, enlarged or compressed. "
            "Use the file as it came from the microscope if there is one."
        )
    if noise.striped:
        yield (
            f"Whole {noise.striped} shift together (line noise); only its part within 15 px "
            "is learned."
        )


def analyse_noise(
    stack: Stack, *, seen: list[Image] | None = None, run: Run = SILENT
) -> list[NoiseAnalysis]:
    """Analyse the noise of each channel, on frames of it spread over the stack.

    It loads no torch, and looks at no more than four megapixels of a channel; many channels
    share what is looked at. Noise is measured in squares spread over that. A stack that nothing
    can be measured on gets an analysis that says why. `seen` takes the frames that were looked at,
    (height, width), without what is no measurement in them.
    """
    names, blank = stack.channels, blank_channels([stack], PatchSettings())
    found, channels = [], split_channels(stack)
    seen = [] if seen is None else seen
    for number, channel in enumerate(channels):
        known = number < len(names) and names[number]
        name = (names[number] if known else str(number + 1)) if "C" in stack.axes else ""
        found.append(_analyse(channel, name, seen, run, share=1 / len(channels)))
        if told := BLANK if number in blank else unfit(channel):
            found[-1] = replace(found[-1], noise=None, refusal=told)
    return found


def _analyse(
    channel: Stack, name: str, seen: list[Image], run: Run, *, share: float
) -> NoiseAnalysis:
    numbers = sampled_frames(channel)
    fewer = max(FEWEST_FRAMES, math.ceil(share * len(numbers)))
    numbers = [numbers[place] for place in spread(len(numbers), fewer)]
    frames = [centre(channel.raw_frame(index)) for index in numbers]
    bad = [np.flatnonzero(is_lost(centre(channel.file_frame(index)))) for index in numbers]
    lost = {n: (places, frames[n].flat[places]) for n, places in enumerate(bad) if places.size}
    sample = replace(channel, pixels=np.stack(frames), axes="IYX", not_finite=lost)
    chosen = find_smooth_patches(sample, PatchSettings(), run=run)
    noise, refusal = None, chosen.verdict.sentence
    repaired = [measured_frame(sample, index) for index in range(len(frames))]
    pairs = zip(frames, repaired, strict=True)
    whole = [raw if made.filled is None else made.filled for raw, made in pairs]
    seen += [np.asarray(frame, float_of(channel.dtype)) for frame in whole]
    if chosen.count >= NEEDED // 3:
        sample = replace(sample, pixels=np.stack(whole))
        even = EvenNoise.of([sample]) if is_ct([sample]) else None
        evened = even.evened(sample) if even else sample
        most = min(share * MEASURED_PX, MOST_MEASURED_PX)
        noise, refusal = _measure(evened, cut_patches(evened, chosen), most)
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
        sum(made.hot for made in repaired),
    )


def _measure(sample: Stack, patches: Image, most_px: float) -> tuple[MeasuredNoise | None, str]:
    frames = _spread_squares([sample.frame(n) for n in range(sample.frame_count)], most_px)
    try:
        measured = measure_noise(frames, patches, NoiseModelSettings(), linear=is_ct([sample]))
    except TooFewPatchesError as error:
        return None, str(error)
    return MeasuredNoise.of(measured), ""


def _spread_squares(frames: list[Image], most_px: float) -> list[Image]:
    """Cut squares out of frames of one shape, spread by chance, where these have more pixels.

    What has one value throughout is left out.
    """
    shape = frames[0].shape
    if len(frames) * math.prod(shape) <= most_px:
        return frames
    least = min(SQUARE_PX, *shape)
    whole = [p for p in tiles(shape, SQUARE_PX) if min(p.height, p.width) >= least]
    places = list(product(range(len(frames)), whole))
    squares, taken_px = list[Image](), 0
    for number in np.random.default_rng(0).permutation(len(places)):
        frame, place = places[number]
        square = frames[frame][place.slices]
        if np.ptp(square):
            squares.append(square)
            taken_px += square.size
        if taken_px >= most_px:
            break
    return squares or frames
