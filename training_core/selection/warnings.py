"""Warnings: signs that a denoiser did harm, told and kept whatever its score (METHOD 6)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from training_core.denoise.brightness import shift_by_brightness
from training_core.denoise.channel import Channel
from training_core.patches.window_moments import block_means
from training_core.stack import Values

from .sure import Trial

LEAST_POWER, MOST_POWER = 0.7, 1.2  # of the residual, over that of the learned noise
MOST_SHIFT = 0.01  # of a region's mean intensity
MOST_SLOPE = 0.02  # of the residual against the estimate
REGION_PX, FINE_PX, SLOPE_PX = 96, 16, 8  # a region of 96 px moves by a percent by noise alone
SURE = 3  # standard errors: what noise alone can do is no sign of harm
MOST_ERROR = 0.5  # a score above it says nothing of how hard the scene is
NOTHING_GAINED = 1.0  # of the noise's variance: the error of the noisy image itself


def find_warnings(
    trials: Sequence[Trial], estimates: Sequence[Tensor], error: float, *, corrected: bool
) -> tuple[str, ...]:
    """Say what speaks against estimates, one sentence without an end for each.

    All is measured in stabilised units, where a mean is not that of a few bright pixels; a shift
    is told in stack units, and measured there where photons are few. What the correction of
    brightness will undo where it is `corrected` afterwards is taken out before, for it is not what
    the user gets. `error` is the blind score of what was made of the noisy crops.
    """
    images = [_Image.of(trial, made) for trial, made in zip(trials, estimates, strict=True)]
    if corrected:
        for channel in dict.fromkeys(image.channel for image in images):
            _correct([image for image in images if image.channel is channel], channel)
    worse = f"by the blind score it is worse than the noisy image ({100 * error:.0f} % left)"
    told = (worse,) if error > NOTHING_GAINED else ()
    return (*told, *_power(images, error), *_shifts(images), *_slope(images))


@dataclass(eq=False)
class _Image:
    """What was made of a crop, and what was taken away, stabilised and in stack units.

    Where photons are few, these are measured apart, since means are not the same in both.
    """

    channel: Channel
    made: Values
    left: Values
    sigma: Values
    probe: Values
    level: Values = field(init=False)
    change: Values = field(init=False)

    @classmethod
    def of(cls, trial: Trial, made: Tensor) -> _Image:
        tensors = (made, trial.noisy.image - made, trial.sigma, trial.probe)
        channel = trial.noisy.channel
        image = cls(channel, *(t.cpu().double().numpy() for t in tensors))
        image.to_stack()
        if channel.noise.of_few_photons and trial.noisy.strength is None:
            stabilised = trial.noisy.image.cpu().numpy()
            image.change = channel.noise.stabiliser.algebraic_inverse(stabilised) - image.level
        return image

    def to_stack(self) -> None:
        """Find what is in stack units by how fast these grow with the stabilised ones."""
        step = max(0.05 * float(self.sigma.mean()), 1e-6)
        inverse = self.channel.noise.stabiliser.inverse
        moved = (self.made + move for move in (-step, 0.0, step))
        below, self.level, above = (inverse(made.astype(np.float32)) for made in moved)
        self.change = self.left * (above - below) / (2 * step)


def _correct(images: Sequence[_Image], channel: Channel) -> None:
    """Take out what the correction of brightness will undo."""
    curve = shift_by_brightness([i.made for i in images], [i.left for i in images])
    for image in images:
        moved = curve(image.made) - image.made
        image.made, image.left = image.made + moved, image.left - moved
        if not channel.noise.of_few_photons:
            image.to_stack()
    if channel.noise.of_few_photons:
        curve = shift_by_brightness([i.level for i in images], [i.change for i in images])
        for image in images:
            moved = curve(image.level) - image.level
            image.level, image.change = image.level + moved, image.change - moved


def _power(images: Sequence[_Image], error: float) -> Iterator[str]:
    """Compare the residual's power with the noise's.

    Where much cannot be known, even the best estimate keeps a part of the noise that is as large as
    its error (its error is orthogonal to it), so that part is no sign that noise was left.
    """
    residual = sum(float(np.square(i.left).sum()) for i in images)
    power = residual / max(sum(float(np.square(i.sigma).sum()) for i in images), 1e-30)
    least = LEAST_POWER * (1 - min(max(error, 0.0), MOST_ERROR))
    if power < least:
        yield f"it leaves noise: what it takes away has {power:.2f} of the noise's power"
    if power > MOST_POWER:
        yield f"it takes structure: what it takes away has {power:.2f} of the noise's power"


def _shifts(images: Sequence[_Image]) -> Iterator[str]:
    """Compare the mean intensity of regions before and after, in stack units above black."""
    shifts, unsure = [], []
    black = min(0.0, *(float(np.quantile(i.level, 0.001)) for i in images))
    for image in images:
        parts = (_regions(block_means(v, FINE_PX)) for v in (image.change, image.level - black))
        for change, height in zip(*parts, strict=True):
            mean = max(float(height.mean()), 1e-30)
            shifts.append(float(change.mean()) / mean)
            unsure.append(SURE * float(change.std()) / math.sqrt(change.size) / mean)
    sure = np.maximum(np.abs(shifts) - unsure, 0.0)
    worst = int(sure.argmax())
    if sure[worst] > MOST_SHIFT:
        yield f"a region's mean intensity moves by {-100 * shifts[worst]:+.1f} %"


def _slope(images: Sequence[_Image]) -> Iterator[str]:
    """Ask whether the residual follows the estimate, by means of small blocks.

    The noise that is left follows itself; it can account for a quarter of the blocks' noise.
    """
    product = square = noise = 0.0
    residuals = []
    for image in images:
        made, left = block_means(image.made, SLOPE_PX), block_means(image.left, SLOPE_PX)
        made, left = made - made.mean(), left - left.mean()
        product, square = product + float((made * left).sum()), square + float((made**2).sum())
        noise += float(np.square(block_means(image.probe, SLOPE_PX)).sum())
        residuals.append(left.ravel())
    if square <= 0:
        return
    slope, spread = product / square, float(np.concatenate(residuals).std())
    allowed = MOST_SLOPE + SURE * spread / math.sqrt(square) + noise / (4 * square)
    if abs(slope) > allowed:
        yield f"what it takes away follows the image (slope {slope:+.3f})"


def _regions(fine: Values) -> list[Values]:
    """Group the means of small blocks into those of regions."""
    size = REGION_PX // FINE_PX
    rows, columns = (max(n // size, 1) for n in fine.shape)
    return [part for row in np.array_split(fine, rows) for part in np.array_split(row, columns, 1)]
