"""What the bench asks of the core, as functions for a `Job`; torch is imported in them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from training_core.place import PatchLocation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training_core.denoise.denoiser import Denoiser
    from training_core.noise.likeness import NoiseLikeness
    from training_core.patches.smooth_patches import SmoothPatches
    from training_core.quality.measuring import Histograms, Point, Profile, RegionFigures
    from training_core.run import Run
    from training_core.stack import Pixels, Stack, Values
    from training_core.trust.planted import PlantedDot
    from training_core.trust.pure_noise import PureNoise
    from training_core.trust.trust_map import TrustMap

MOST_PX = 512  # side of what is denoised again and again
DOT_PX = 96  # side of what is denoised around a dot


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured in one frame of several stacks.

    `regions` has for each region its figures, or why there are none.
    """

    profile: Profile | str | None
    regions: tuple[RegionFigures | str, ...]
    histograms: Histograms


@dataclass(frozen=True, eq=False)
class Measuring:
    """What to measure: `pictures` by name, the noisy and the denoised one first, of one frame.

    `line` has two ends; each of `regions` has two corners of a rectangle, or those of a polygon.
    The histograms are those of the first region, or of the whole frame.
    """

    pictures: Mapping[str, Stack]
    frame: int
    denoiser: Denoiser | None = None
    line: tuple[Point, Point] | None = None
    width_px: int = 1
    regions: tuple[tuple[Point, ...], ...] = field(default=())


def measure(asked: Measuring, run: Run) -> Measured:
    """Measure a profile, regions and histograms."""
    from training_core.errors import InputError
    from training_core.quality.measuring import Histograms, Outline, Profile, RegionFigures

    frames = [_frame(stack, asked.frame) for stack in asked.pictures.values()]
    noisy, denoised = frames[0], frames[1]
    first = next(iter(asked.pictures.values()))
    noise, by_place = None, False
    if asked.denoiser is not None:
        channels = asked.denoiser.channels
        noise = channels[first.channel_of(asked.frame) if len(channels) > 1 else 0].noise
        by_place = asked.denoiser.even_noise is not None
    profile: Profile | str | None = None
    if asked.line is not None:
        try:
            profile = Profile.along(frames, *asked.line, asked.width_px)
        except InputError as error:
            profile = str(error)
    figures: list[RegionFigures | str] = []
    inside = None
    for corners in asked.regions:
        run.check()
        try:
            mask = Outline(corners).mask(first.frame_shape)
        except InputError as error:
            figures.append(str(error))
            continue
        inside = mask if inside is None else inside
        figures.append(RegionFigures.of(noisy, denoised, mask, noise, by_place=by_place))
    return Measured(profile, tuple(figures), Histograms.of(frames, inside))


def _frame(stack: Stack, index: int) -> Pixels:
    return stack.raw_frame(index if stack.frame_count > 1 else 0)


def middle_of(place: PatchLocation) -> PatchLocation:
    """Give the middle 512 x 512 px of a place, or all of a smaller one."""
    height, width = min(place.height, MOST_PX), min(place.width, MOST_PX)
    top, left = place.top + (place.height - height) // 2, place.left + (place.width - width) // 2
    return PatchLocation(top, left, height, width)


def trust_map(
    stack: Stack, denoiser: Denoiser, index: int, place: PatchLocation, count: int, run: Run
) -> TrustMap:
    """Denoise a place again and again with other noise, and say where to believe the result."""
    from training_core.compute import device
    from training_core.quality.measuring import noise_sigmas
    from training_core.trust.renoised import Scene, denoised_again
    from training_core.trust.trust_map import TrustMap

    device.limit_threads()
    scene = Scene.of(stack, denoiser, index, place)
    copies = denoised_again(scene, count, run=run)
    sigmas = noise_sigmas(scene.learned.noise, copies.estimate)
    if denoiser.even_noise is not None:
        sigmas = np.full_like(copies.estimate, float(copies.added.std()))
    return TrustMap.of(copies, sigmas)


def made_of_noise(
    stack: Stack, denoiser: Denoiser, index: int, place: PatchLocation, run: Run
) -> PureNoise:
    """Denoise noise alone, as large as a place."""
    from training_core.compute import device
    from training_core.trust.pure_noise import made_of_noise as make
    from training_core.trust.renoised import Scene

    device.limit_threads()
    return make(Scene.of(stack, denoiser, index, place), run=run)


def plant_dot(
    stack: Stack, denoiser: Denoiser, index: int, at: tuple[int, int], size_px: float, run: Run
) -> PlantedDot:
    """Plant dots at a pixel (row, column) of a frame and tell what is left of them."""
    from training_core.compute import device
    from training_core.trust import planted
    from training_core.trust.renoised import Scene

    device.limit_threads()
    spots = [
        min(max(a - DOT_PX // 2, 0), max(n - DOT_PX, 0))
        for a, n in zip(at, stack.frame_shape, strict=True)
    ]
    sides = [min(DOT_PX, n) for n in stack.frame_shape]
    place = PatchLocation(spots[0], spots[1], sides[0], sides[1])
    scene = Scene.of(stack, denoiser, index, place)
    return planted.plant_dot(scene, at[0] - place.top, at[1] - place.left, size_px, run=run)


def likeness(
    stack: Stack, patches: SmoothPatches, denoiser: Denoiser, channel: int, run: Run
) -> NoiseLikeness:
    """Compare real noise with made noise."""
    from training_core.compute import device
    from training_core.trust.noise_likeness import noise_likeness

    device.limit_threads()
    return noise_likeness(stack, patches, denoiser, channel, run=run)


def in_frame(stack: Stack, place: PatchLocation, values: Pixels) -> Stack:
    """Give a stack of one frame that holds values in a place and NaN, which is clear, elsewhere."""
    pixels = np.full(stack.frame_shape, np.nan, np.float32)
    pixels[place.slices] = values
    return replace(stack, pixels=pixels, axes="YX", channels=(), not_finite={}, metadata={})


def slices(stacks: Sequence[Stack], index: int, row: int, column: int, run: Run) -> list[Values]:
    """Cut the volume around a frame along x and along y, through a pixel.

    Gives for each stack an XZ (depth, width) and a YZ image (depth, height).
    """
    cut: list[Values] = []
    for stack in stacks:
        along, across = [], []
        for number in depth_frames(stack, index):
            run.check()
            frame = stack.frame(number)
            along.append(frame[row])
            across.append(frame[:, column])
        cut += [np.stack(along), np.stack(across)]
    return cut


def depth_frames(stack: Stack, index: int) -> list[int]:
    """Give the frames of the same channel and time as one, from the first depth to the last."""
    axis = stack.axes.index("Z")
    numbers = np.arange(stack.frame_count).reshape(stack.shape[:-2])
    place = [int(n) for n in np.unravel_index(index, stack.shape[:-2])]
    del place[axis]
    return [int(n) for n in np.moveaxis(numbers, axis, -1)[tuple(place)]]
