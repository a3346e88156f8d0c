"""Warnings: signs that a denoiser did harm, told and kept whatever its score (METHOD 6).

One sign is not told: that it takes more from calm places than the noise that is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from training_core.denoise.brightness import shift_by_brightness
from training_core.denoise.channel import Channel
from training_core.noise.white_covariance import SIDE_PX, window_spectra
from training_core.patches.window_moments import block_means, cut_windows
from training_core.stack import Mask, Values

from .sure import BLOCK_PX, Trial

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


TOO_WEAK = 1.02  # times the learned noise: what a network takes from calm places
STRIDE_PX = SIDE_PX // 2
CALM = 1 / 3  # of the windows
SLOW = 0.07  # cycles per pixel: what contrast is measured in
WAVES = (0.08, 0.18)  # cycles per pixel: shorter ones are known well, longer ones left in part


def calm_residual(trials: Sequence[Trial], estimates: Sequence[Tensor]) -> float:
    """Give the power of the residuals in calm windows over that of the learned noise there.

    Where the image is calm nothing but noise can be taken from it, so more than 1 says that the
    learned noise is too weak. Which windows are calm a first look tells, not the estimates, since
    one that wiped structure out would be calm itself. In waves of 6 to 12 px; of several channels
    the least, and 1 where all crops are under 32 px.
    """
    channels: dict[Channel, list[Values]] = {}
    for trial, made in zip(trials, estimates, strict=True):
        if min(made.shape) >= SIDE_PX:
            channels.setdefault(trial.noisy.channel, []).append(_looked_at(trial, made))
    return min((_ratio(np.concatenate(each)) for each in channels.values()), default=1.0)


def _looked_at(trial: Trial, made: Tensor) -> Values:
    """Give contrast, power of the residual and of the noise of the windows that count, (n, 3)."""
    across = np.fft.fftfreq(SIDE_PX)
    distance = np.hypot(across[:, None], across)
    band = (distance >= WAVES[0]) & (distance < WAVES[1])
    images = (trial.guess, trial.noisy.image - made, trial.probe)
    guess, residual, noise = (window_spectra(i.cpu().numpy(), STRIDE_PX)[1] for i in images)
    slow = guess[:, distance < SLOW].mean(axis=1)  # in it, the noise tells nothing of the band
    found = np.stack([slow, *(p[:, band].mean(axis=1) for p in (residual, noise))], axis=1)
    return found if trial.counted is None else found[_counts(trial.counted, made.shape)]


def _counts(counted: Mask, shape: Sequence[int]) -> Mask:
    """Tell which windows of a crop lie in blocks that count, (windows,)."""
    height, width = shape
    inner = counted.reshape(height // BLOCK_PX, -1).repeat(BLOCK_PX, 0).repeat(BLOCK_PX, 1)
    counts = np.zeros((height, width), bool)
    counts[: inner.shape[0], : inner.shape[1]] = inner
    inside: Mask = cut_windows(counts, SIDE_PX, STRIDE_PX).min(axis=(1, 2)) > 0
    return inside


def _ratio(windows: Values) -> float:
    if not len(windows):
        return 1.0
    contrast, residual, noise = windows.T
    calm = contrast <= np.quantile(contrast, CALM)
    known = float(noise[calm].mean())
    return float(residual[calm].mean()) / known if known > 0 else 1.0
