"""Neighbouring frames: which they are, and how they are averaged where they match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training_core.noise.covariance import dct_variances
from training_core.noise.local_strength import EvenNoise
from training_core.noise.model import NoiseModel
from training_core.noise.strength_curve import NoiseCurve
from training_core.patches.window_moments import block_means
from training_core.place import PatchLocation
from training_core.run import SILENT, Run
from training_core.stack import Image, Pixels, Stack, Values

from .dct_filter import add_up, block_coefficients, block_variances, local_sigma

# With 5 the averages of three still scenes gain .01, .27 and .03 dB.
PATCH_PX, STEP_PX = 8, 4  # of the blocks that are compared
SURPRISING = 4.0  # std by which noise alone hardly ever moves a coefficient, or a mean of many
BANDS = (2, 4, 8)  # the lowest so many coefficients each way are also judged together
UNKNOWN = 0.01  # of the noise's variance: rounding and the like, which no measured spectrum holds


@dataclass(frozen=True, eq=False)
class NeighbourAverage:
    """Averages a frame and its neighbours block by block, unless noise cannot explain a difference.

    The noise of neighbours is independent, so averaging takes it off and leaves what they share.
    Blocks in which any DCT coefficient of the difference, or the mean square of the lowest ones,
    stands out of the noise of both frames are not averaged: what moves leaves no ghost.
    """

    covariance: Values
    curve: NoiseCurve

    halo_px: ClassVar[int] = PATCH_PX

    def __call__(self, frame: Tensor, neighbours: Tensor) -> tuple[Tensor, Tensor]:
        """Average stabilised (height, width) with (count, height, width), all float32.

        Also give the share of the noise's std that is left in each pixel of it.
        """
        weights = self._weights(torch.cat([frame[None], neighbours])[:, None])
        total = 1 + weights.sum(dim=0)
        image = (frame + (weights * neighbours).sum(dim=0)) / total
        return image, (1 + weights.square().sum(dim=0)).sqrt() / total

    def _weights(self, frames: Tensor) -> Tensor:
        """Give how many of the blocks over each pixel match the first frame, from 0 to 1."""
        height, width = frames.shape[-2:]
        matching = self._matching(frames).float()
        ones = matching.new_ones(1, 1, PATCH_PX, PATCH_PX)
        blocks = torch.cat([matching, torch.ones_like(matching[:1])])
        laid = add_up(blocks, ones, STEP_PX)
        inside = slice(PATCH_PX, PATCH_PX + height), slice(PATCH_PX, PATCH_PX + width)
        return (laid[:-1] / laid[-1])[:, 0, *inside]

    def _matching(self, frames: Tensor) -> Tensor:
        """Tell in which blocks the others differ from the first by noise alone: (n, 1, h, w)."""
        coefficients = block_coefficients(frames, PATCH_PX, STEP_PX)
        unit = block_variances(self.covariance, PATCH_PX).reshape(1, -1, 1, 1).to(frames.device)
        strength = local_sigma(self.curve, coefficients[:, :1] / PATCH_PX).square()
        variance = (unit + UNKNOWN * unit.mean()) * (strength[1:] + strength[:1])
        apart = (coefficients[1:] - coefficients[:1]).square() / variance
        alike = apart.amax(dim=1) < SURPRISING**2
        square = apart.reshape(len(apart), PATCH_PX, PATCH_PX, *apart.shape[2:])
        for band in BANDS:
            most = 1 + SURPRISING * (2 / band**2) ** 0.5  # a mean of squares of normal numbers
            alike &= square[:, :band, :band].mean(dim=(1, 2)) < most
        return alike[:, None]


def averaged(
    noisy: Tensor, neighbours: Tensor | None, noise: NoiseModel
) -> tuple[Tensor, Tensor | None]:
    """Give a frame averaged with its neighbours and the share of noise left; None for all of it."""
    if neighbours is None or not len(neighbours):
        return noisy, None
    return NeighbourAverage(noise.covariance, noise.curve)(noisy, neighbours)


SEQUENCES = {"T": "time", "Z": "depth", "I": "the order of the frames"}  # in order of preference
BLOCK_PX = 8
EXPLAINED = 3.0  # times what noise makes of two equal frames: up to this nothing has happened
OUTLIER = 8.0  # times the usual change between frames
FEW = 4  # changes, from which on there is a usual one
LOOKED_AT = 8  # pairs of frames
LEAST = 0.2  # of the blocks: those with the least detail
UNLIKE = 0.5  # of the contrast of both frames: with so large a change they share less than half


def sequence_axis(stack: Stack) -> str:
    """Give the axis along which frames follow each other, "" if none: never that of the dyes."""
    long = [axis for axis, n in zip(stack.axes[:-2], stack.shape, strict=False) if n > 1]
    return next((axis for axis in SEQUENCES if axis in long), "")


class NeighbourFrames:
    """Finds the neighbours of each frame of one stack.

    A frame whose content jumps (a cut, a moved stage, a shutter) ends a sequence: none before it is
    a neighbour of any from it on.

    There are `count` neighbours on each side; 0 costs nothing. A single one of `noises` serves all
    channels. `given` and `even` are the stack before its noise was brought to one strength, and
    what did that; or None.
    """

    def __init__(
        self,
        stack: Stack,
        noises: Sequence[NoiseModel],
        count: int,
        run: Run = SILENT,
        *,
        given: Stack | None = None,
        even: EvenNoise | None = None,
    ) -> None:
        self.stack, self.noises, self.run = stack, noises, run
        self.given, self.even = given or stack, even
        self.axis = sequence_axis(stack)
        self.count = count if self.axis else 0
        place = stack.axes.index(self.axis) if self.axis else len(stack.shape) - 2
        self.length = stack.shape[place] if self.axis else 1
        self.step = int(np.prod(stack.shape[place + 1 : -2], dtype=np.int64))

    @property
    def order(self) -> list[int]:
        """The frames in an order in which neighbours follow each other, so that few are remembered.

        In the order of the file where there are none.
        """
        numbers: NDArray[np.intp] = np.arange(self.stack.frame_count)
        if self.count:
            # Between two that follow each other lie `step` frames, of other depths or dyes.
            numbers = numbers.reshape(-1, self.length, self.step).swapaxes(1, 2)
        return [int(n) for n in numbers.ravel()]

    def channel_of(self, index: int) -> int:
        """Give the channel, of those whose noise is known, that a frame belongs to."""
        return self.stack.channel_of(index) if len(self.noises) > 1 else 0

    def noise_of(self, index: int) -> NoiseModel:
        """Give the noise of the channel that a frame belongs to."""
        return self.noises[self.channel_of(index)]

    def of(self, index: int) -> list[int]:
        """Give the neighbours of frame `index`, those before and then those after it."""
        position = index // self.step % self.length
        before = range(position, max(position - self.count, 0), -1)
        after = range(position + 1, min(position + self.count + 1, self.length))
        found = []
        for direction, crossed in ((-1, before), (1, after)):
            for distance, entered in enumerate(crossed, 1):
                if index + (entered - position) * self.step in self.jumps:
                    break
                found.append(index + direction * distance * self.step)
        return found

    def beside(self, index: int) -> list[Pixels]:
        """Give the neighbours of frame `index`, scaled as it is so that they still match."""
        if self.even is None:
            return [self.stack.raw_frame(i) for i in self.of(index)]
        others = [self.given.frame(i) for i in self.of(index)]
        gain = self.even.gain(self.given.frame(index)) if others else 1.0
        return [(frame * gain).astype(np.float32) for frame in others]

    def cut(self, index: int, place: PatchLocation) -> Image:
        """Give a place of the neighbours of frame `index`, stabilised (count, height, width)."""
        stabiliser = self.noise_of(index).stabiliser
        parts = [stabiliser.forward(frame[place.slices]) for frame in self.beside(index)]
        empty = np.empty((0, place.height, place.width), np.float32)
        return np.stack(parts) if parts else empty

    @cached_property
    def jumps(self) -> frozenset[int]:
        """The frames whose content has nothing to do with that of the frame before."""
        if not self.count:
            return frozenset()
        changes = list(self._changes())
        found = set()
        for channel in {self.stack.channel_of(index) for index, *_ in changes}:
            mine = [change for change in changes if self.stack.channel_of(change[0]) == channel]
            usual = OUTLIER * float(np.median([beyond for _, beyond, _ in mine]))
            for index, beyond, unlike in mine:
                jumps = beyond > usual if len(mine) >= FEW else unlike > UNLIKE
                if beyond > EXPLAINED and jumps:
                    found.add(index)
        return frozenset(found)

    def note_jumps(self) -> None:
        """Tell how many frames are kept apart from those before them, if any are."""
        if count := len(self.jumps):
            frames = "1 frame is" if count == 1 else f"{count} frames are"
            self.run.note(f"{frames} kept apart from the one before, since the content jumps.")

    def shared_noise(self) -> float:
        """Estimate the correlation of the noise of frames that follow each other, about 0 to 1.

        Averages, copies and interpolated frames share noise, which then neither averages out nor
        shows in Stein's estimate. Of independent noise, sum and difference of two frames have the
        same power in the finest detail of the blocks that show least of it.
        """
        after = [i for i in range(self.stack.frame_count) if i // self.step % self.length]
        looked_at = np.unique(np.linspace(0, len(after) - 1, LOOKED_AT).round().astype(int))
        found = []
        for index in (after[i] for i in looked_at):
            self.run.check()
            forward = self.noise_of(index).stabiliser.forward
            one, two = (forward(self.stack.frame(i)) for i in (index - self.step, index))
            apart, together = _least_detail(one - two), _least_detail(one + two)
            found.append((together - apart) / max(together + apart, 1e-30))
        return float(np.median(found))

    def _changes(self) -> Iterator[tuple[int, float, float]]:
        """Give the changes between neighbouring frames: index, over noise, over the contrast."""
        kept: dict[int, tuple[Values, Values]] = {}
        for index in range(self.stack.frame_count):
            self.run.check()
            kept[index] = means, power = self._coarse(index)
            if index // self.step % self.length == 0:
                continue
            before, power_before = kept.pop(index - self.step)
            change = float(np.square(means - before).mean())
            noise = max(float((power + power_before).mean()), 1e-30)
            contrast = float(means.var() + before.var()) - noise
            yield index, change / noise, (change - noise) / max(contrast, noise)

    def _coarse(self, index: int) -> tuple[Values, Values]:
        """Give the means of the blocks of a frame, stabilised, and the variance of their noise."""
        noise = self.noise_of(index)
        image = noise.stabiliser.forward(self.stack.frame(index))
        means = block_means(image.astype(np.float64), BLOCK_PX)
        of_mean = dct_variances(noise.covariance, BLOCK_PX)[0, 0] / BLOCK_PX**2
        return means, noise.curve(means) ** 2 * of_mean


def _least_detail(image: Image) -> float:
    """Give the power of the finest diagonal detail in the blocks that have least of it."""
    mixed = np.square(np.diff(np.diff(image, axis=0), axis=1)).astype(np.float64)
    return float(np.quantile(block_means(mixed, BLOCK_PX), LEAST))
