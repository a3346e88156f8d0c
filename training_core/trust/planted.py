"""Dots that are planted where one clicks, and what the denoiser leaves of them there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training_core.errors import InputError
from training_core.quality.measuring import noise_sigmas
from training_core.run import SILENT, Run, Stage
from training_core.selection.faint_spots import CONTRASTS, FaintSpots
from training_core.stack import Values

from .renoised import Scene

SMALLEST_PX, LARGEST_PX = 0.5, 6.0  # std of a dot
SHOWN_PX = 48  # side of the pictures of it
OFFSETS = (-4, 0, 4)  # px: the noise of one place tells little, so it is tried around the click


@dataclass(frozen=True, eq=False)
class PlantedDot:
    """What became of dots of five contrasts at one place.

    Attributes
    ----------
    spots
        The share of the height that is left for each contrast.
    noisy, denoised
        How the middle one looks at each contrast, (5, side, side) float64, stack units.
    """

    spots: FaintSpots
    noisy: Values
    denoised: Values


def plant_dot(
    scene: Scene, row: int, column: int, size_px: float, *, run: Run = SILENT
) -> PlantedDot:
    """Plant dots at a pixel of a scene and denoise it with each.

    Parameters
    ----------
    scene
        Its frame is the one that is shown; neighbours get the dot too, as if it stood still.
    row, column
        In the scene, pixels.
    size_px
        Std of the dot, .5 to 6 px; what is seen of it is about 2.4 times as wide.

    Raises
    ------
    InputError
        If the dot lies outside the scene or is too small or large.
    Cancelled
        If the run was cancelled.
    """
    height, width = scene.raw.shape
    if not (0 <= row < height and 0 <= column < width):
        raise InputError("The dot lies outside the image; click inside it.")
    if not SMALLEST_PX <= size_px <= LARGEST_PX:
        raise InputError(
            f"The dot is {size_px:g} px wide; choose {SMALLEST_PX:g} to {LARGEST_PX:g} px."
        )
    frames = np.asarray(scene.stack.pixels, np.float64)
    run.start(Stage.DENOISE, 1 + len(CONTRASTS) * len(OFFSETS))
    base = scene.denoised(frames, run)
    level = np.array([base[scene.middle][row, column]])
    sigma = float(noise_sigmas(scene.learned.noise, level)[0])
    done, kept, noisy, denoised = 1, [], [], []
    for contrast in CONTRASTS:
        shares = []
        for offset in OFFSETS:
            run.progress(Stage.DENOISE, done, 1 + len(CONTRASTS) * len(OFFSETS))
            place = _inside(row, height), _inside(column + offset, width)
            dot = _dot(scene.raw.shape, *place, size_px)
            brighter = frames + contrast * sigma * dot
            made = scene.denoised(brighter, run)
            change = (made - base)[scene.middle]
            left = float((change * dot).sum() / np.square(dot).sum()) / (contrast * sigma)
            shares.append(scene.share + (1 - scene.share) * left)
            done += 1
            if offset == 0:
                seen = brighter[scene.middle]
                result = made[scene.middle]
                noisy.append(_cut(seen, row, column))
                denoised.append(_cut(result + scene.share * (seen - result), row, column))
        kept.append(float(np.median(shares)))
    run.finish(Stage.DENOISE)
    return PlantedDot(FaintSpots(tuple(kept), sigma), np.stack(noisy), np.stack(denoised))


def _inside(place: int, length: int) -> int:
    return min(max(place, 0), length - 1)


def _dot(shape: Sequence[int], row: int, column: int, size_px: float) -> Values:
    """Give a dot of height 1, (height, width)."""
    down, across = (np.arange(n) - at for n, at in zip(shape, (row, column), strict=True))
    profiles = [np.exp(-np.square(d) / (2 * size_px**2)) for d in (down, across)]
    return np.outer(*profiles)


def _cut(image: Values, row: int, column: int) -> Values:
    """Cut a square around a pixel; where it leaves the image, the image is mirrored."""
    half = SHOWN_PX // 2
    padded = np.pad(image, half, mode="symmetric" if min(image.shape) >= half else "edge")
    return padded[row : row + SHOWN_PX, column : column + SHOWN_PX]
