"""Noise brought to the same strength, in each place of CT and in frames unlike, and the way back.

How many photons arrive through a place of the body does not show in its own value, so the noise of
CT follows the place: 20 HU beside a patient, 90 HU between the shoulders. Its finest detail, which
hardly any structure reaches, tells how strong it is where.

A camera whose gain was changed, or frames that were stretched one by one, have other noise in each
frame. The same camera has the same noise at the same brightness, so there frames are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from training_core.frames import Pixels, made_frames
from training_core.patches.local_strength import bounded_sigma, local_sigma, tissue, usual_sigma
from training_core.patches.window_moments import cut_windows
from training_core.run import SILENT, Run
from training_core.stack import Image, Stack, Values, float_of, sampled_frames, spread
from training_core.wording import figure

from .covariance import coloured, detrended


@dataclass(frozen=True, slots=True)
class EvenNoise:
    """Scales every place so that its finest detail has the std `sigma`, in HU.

    0 HU stays what it is. What is learned at this strength serves any dose.
    """

    sigma: float

    @classmethod
    def of(cls, stacks: Sequence[Stack], run: Run = SILENT) -> Self | None:
        """Measure the usual strength in tissue; None where there is no noise at all."""
        usual = []
        for stack in stacks:
            for index in sampled_frames(stack):
                run.check()
                frame = stack.frame(index)
                usual.append(usual_sigma(local_sigma(frame), frame))
        sigma = float(np.median(usual))
        return cls(sigma) if sigma > 0 else None

    def gain(self, frame: Image) -> Values:
        """Give what each pixel is multiplied by, (height, width)."""
        return self.sigma / bounded_sigma(frame)

    def places(self, stack: Stack, usual: float) -> tuple[float, float]:
        """Give the std in calm and in loud tissue (5 and 95 %), from that in a usual place."""
        frames = [stack.frame(index) for index in range(stack.frame_count)]
        seen = [(local_sigma(frame), tissue(frame)) for frame in frames]
        found = [sigma[inside] if inside.any() else sigma.ravel() for sigma, inside in seen]
        calm, loud = np.quantile(np.concatenate(found), (0.05, 0.95)) * usual / self.sigma
        return float(calm), float(loud)

    def evened(self, stack: Stack, like: Stack | None = None, run: Run = SILENT) -> Stack:
        """Give the stack in float32 with noise of the same strength everywhere.

        `like` is a stack of the same shape whose noise decides; None: the stack itself.
        """

        def frame(index: int) -> Values:
            return stack.frame(index) * self.gain((like or stack).frame(index))

        return replace(stack, pixels=made_frames(frame, stack.shape, np.float32, run))

    def restored(self, frame: Image, stack: Stack, index: int) -> Values:
        """Bring frame `index` of the evened stack back; what nobody changed keeps its last bit."""
        original = stack.frame(index)
        gain = self.gain(original)
        restored: Values = frame / gain
        return np.where(frame == (original * gain).astype(np.float32), original, restored)


def is_ct(stacks: Sequence[Stack]) -> bool:
    """Tell whether values are in Hounsfield units."""
    return any(stack.value_unit == "HU" for stack in stacks)


TURNS = 2.0  # times the spread that patches of one noise have; micrographs have 1.3, CT 4 to 5
MADE_PX, PART_PX = 512, 32
WHY = (
    "The noise has another direction in each place, which no noise that is made alike everywhere "
    "can show, so the network learns from the noisy images themselves and their first estimates"
)


def turns(noise: Image, covariance: Values) -> bool:
    """Tell whether patches of noise lean more differently than one noise explains.

    How far a patch leans is its correlation along x less that along y, between direct neighbours.
    The spread over the patches, (count, size, size) float32 of unit std without their trend, is
    compared with that of Gaussian noise with their mean autocovariance, (31, 31) float64.
    """
    size = min(noise.shape[1], PART_PX)
    white = np.random.default_rng(0).standard_normal((MADE_PX, MADE_PX))
    made = coloured(white, covariance).astype(np.float32)
    alike, found = (_leaning(detrended(_parts(of, size))) for of in (made[None], noise))
    return bool(found.std() > TURNS * alike.std())


def _parts(images: Image, size: int) -> Image:
    """Cut (count, n, n) into squares, (more, size, size)."""
    across = images.shape[1] // size
    inner = images[:, : across * size, : across * size]
    parts = inner.reshape(-1, across, size, across, size).swapaxes(2, 3)
    return parts.reshape(-1, size, size)


def _leaning(patches: Image) -> Values:
    exact = patches.astype(np.float64)
    along_x = (exact[:, :, 1:] * exact[:, :, :-1]).mean(axis=(1, 2))
    along_y = (exact[:, 1:] * exact[:, :-1]).mean(axis=(1, 2))
    leaning: Values = (along_x - along_y) / np.square(exact).mean(axis=(1, 2))
    return leaning


LOOKED_AT = 64  # frames
UNLIKE = 1.4  # times weaker or stronger than the usual frame, at every brightness they share
SIDE_PX, MOST_ACROSS = 18, 32  # windows are spread over the frame
BRIGHTNESSES = 8
CALMEST = 0.25  # of a frame's windows of one brightness: what chance adds is the same in all
FEWEST = 12  # windows of one brightness
BLACK = 0.01  # of the pixels: a frame is scaled about its darkest values


@dataclass(frozen=True, eq=False)
class FrameLevels:
    """How much stronger the noise of each frame is than that of the usual one.

    All are (frames,) float64 in the order of the stack: the factors, the darkest value of each
    frame, and that of the usual frame of its channel, which it becomes.
    """

    levels: Values
    blacks: Values
    usual: Values

    @classmethod
    def of(cls, stack: Stack, run: Run = SILENT) -> Self | None:
        """Compare the frames of each channel of a stack; None where all are alike.

        Of a long stack all frames are only looked at if 64 of them, spread, are not alike.
        """
        channels = np.array([stack.channel_of(index) for index in range(stack.frame_count)])
        if len(channels) < 2 * len(set(channels)) or min(stack.frame_shape) < SIDE_PX:
            return None
        some = spread(stack.frame_count, LOOKED_AT)
        if len(some) < stack.frame_count and cls._of(stack, channels, some, run) is None:
            return None
        return cls._of(stack, channels, range(stack.frame_count), run)

    @classmethod
    def _of(cls, stack: Stack, channels: Pixels, numbers: Sequence[int], run: Run) -> Self | None:
        channels, seen = channels[list(numbers)], []
        for index in numbers:
            run.check()
            seen.append(_FrameWindows.of(stack.frame(index)))
        levels, blacks = np.ones(len(seen)), np.array([one.black for one in seen])
        usual = blacks.copy()
        for channel in set(channels):
            mine = np.flatnonzero(channels == channel)
            usual[mine] = np.median(blacks[mine])
            levels[mine] = _levels([seen[index] for index in mine], float(usual[mine[0]]))
        return None if (levels == 1).all() else cls(levels, blacks, usual)

    @property
    def sentence(self) -> str:
        """Say what was found and done."""
        changed = self.levels[self.levels != 1]
        count = len(changed)
        least, most = (figure(float(level)) for level in (changed.min(), changed.max()))
        times = least if least == most else f"{least} to {most}"
        return (
            f"The noise of {'one frame' if count == 1 else f'{count} frames'} is {times} times as "
            "strong as that of the others at the same brightness: it is made alike before anything "
            "is learned, and as it was in the result."
        )

    def evened(self, stack: Stack, run: Run = SILENT) -> Stack:
        """Give the stack in floating-point numbers with noise as strong in each frame."""

        def frame(index: int) -> Pixels:
            return self.frame_evened(index, stack.raw_frame(index))

        return replace(stack, pixels=made_frames(frame, stack.shape, float_of(stack.dtype), run))

    def restored(self, frame: Image, stack: Stack, index: int) -> Pixels:
        """Bring frame `index` of the evened stack back; what nobody changed keeps its last bit."""
        raw = stack.raw_frame(index)
        same = frame == self.frame_evened(index, raw).astype(frame.dtype)
        return np.where(same, raw, self.frame_restored(index, frame))

    def frame_evened(self, index: int, values: Pixels) -> Pixels:
        """Give values of a part of frame `index` with the noise of the usual frame, any shape."""
        level, black, usual = self.levels[index], self.blacks[index], self.usual[index]
        if level == 1:
            return values
        evened: Values = (values.astype(np.float64) - black) / level + usual
        return evened

    def frame_restored(self, index: int, values: Pixels) -> Pixels:
        """Bring values of a part of frame `index` back, any shape."""
        level, black, usual = self.levels[index], self.blacks[index], self.usual[index]
        if level == 1:
            return values
        restored: Values = (values.astype(np.float64) - usual) * level + black
        return restored


def finest_power(windows: Values) -> Values:
    """Give the power of the finest waves of windows, (windows,); of white noise its variance."""
    waves = np.diff(np.diff(windows, 2, axis=1), 2, axis=2) / 6
    power: Values = np.square(waves).mean(axis=(1, 2))
    return power


@dataclass(frozen=True, eq=False)
class _FrameWindows:
    """Windows of a frame: their brightness and the power of their finest waves, (windows,)."""

    brightness: Values
    power: Values
    black: float

    @classmethod
    def of(cls, frame: Image) -> Self:
        strides = [max(SIDE_PX // 2, n // MOST_ACROSS) for n in frame.shape]
        cut = cut_windows(frame, SIDE_PX, strides)
        power, means = finest_power(cut), cut.mean(axis=(1, 2))
        varied = power > 0
        return cls(means[varied], power[varied], float(np.quantile(frame, BLACK)))

    def scaled(self, level: float, usual: float) -> _FrameWindows:
        """Give the windows of the frame as it is evened."""
        brightness = (self.brightness - self.black) / level + usual
        return replace(self, brightness=brightness, power=self.power / level**2)


def _levels(frames: Sequence[_FrameWindows], usual: float) -> Values:
    """Give the level of each frame of a channel against the usual one; 1 where they are alike.

    Frames of k times the gain have noise of only k ** .5 times the std at the same brightness, so
    the square of what is found is tried as well: that which leaves least of it is taken.
    """
    found = _compared(frames)
    left = []
    for power in (1, 2):
        levels = found**power
        scaled = [one.scaled(v, usual) for one, v in zip(frames, levels, strict=True)]
        left.append(np.abs(np.log(_compared(scaled))))
    levels = np.where(left[1] < left[0], found**2, found)
    levels /= np.median(levels)
    apart = np.abs(np.log(levels)) > np.log(UNLIKE)
    return np.where(apart, levels, 1.0)


def _compared(frames: Sequence[_FrameWindows]) -> Values:
    """Give how much stronger the noise of each frame is, at the brightnesses that it shares."""
    every = np.concatenate([one.brightness for one in frames])
    if not every.size:
        return np.ones(len(frames))
    edges = np.quantile(every, np.linspace(0, 1, BRIGHTNESSES + 1)[1:-1])
    strength = np.stack([_by_brightness(one, edges) for one in frames])
    strength = strength[:, np.isfinite(strength).sum(axis=0) > 1]  # what only one has says nothing
    ratios = np.log(strength / np.nanmedian(strength, axis=0))
    return np.array([_agreed(mine[np.isfinite(mine)]) for mine in ratios])


def _by_brightness(windows: _FrameWindows, edges: Values) -> Values:
    """Give the std of the finest waves in the calmest windows of each brightness."""
    group = np.searchsorted(edges, windows.brightness)
    found = np.full(len(edges) + 1, np.nan)
    for number in range(len(found)):
        mine = windows.power[group == number]
        if mine.size >= FEWEST:
            found[number] = np.sqrt(mine[mine <= np.quantile(mine, CALMEST)].mean())
    return found


def _agreed(logs: Values) -> float:
    """Give the ratio that all brightnesses agree upon; 1 where one says more and another less."""
    if not logs.size or not ((logs > 0).all() or (logs < 0).all()):
        return 1.0
    return float(np.exp(np.median(logs)))
