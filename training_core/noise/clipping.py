"""What a file's pixels passed on their way: cut off at the ends, rounded to whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor
from torch.nn import functional

from training_core.patches.smooth_patches import split_channels
from training_core.stack import Stack, Values, centre, sampled_frames

from .figures import PixelValues
from .model import NoiseModel

LOOKED_AT = 8  # stacks
REACH = 5.0  # std from an end: farther away nothing is cut off
MOST_CUT = 1.0  # std beyond an end: of more than that too little is left to be measured
FINE = 200  # entries of a table per end
ROUNDING = 1e-4  # of float32, in stabilised units
AROUND_PX = 5


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
        parts = [split_channels(stack)[channel] for stack in stacks[:LOOKED_AT]]
        frames = [part.raw_frame(index) for part in parts for index in sampled_frames(part)]
        found = PixelValues.of([centre(frame) for frame in frames])
        lowest, highest, kind = found.lowest, found.highest, stacks[0].dtype
        # The ends of whole numbers are ends, however few pixels lie there.
        ends = (np.iinfo(kind).min, np.iinfo(kind).max) if kind.kind in "iu" else (None, None)
        low = lowest if found.lowest_share or lowest == ends[0] else -np.inf
        high = highest if found.saturated_share or highest == ends[1] else np.inf
        return cls(low, high, found.step, lowest)


UNTOUCHED = Recording()


class RecordedNoise:
    """Noise that is cut off and rounded as the file's pixels were; the mean stays what it was.

    Estimates are of the mean *after* recording, for that is what averages of a file are, and so is
    `noise` as it was measured. The mean and std before are found from those after by the moments of
    a normal distribution that is cut off (Foi, Signal Processing 89, 2009, section 3); all in
    stabilised units.
    """

    def __init__(self, noise: NoiseModel, recording: Recording) -> None:
        self.noise, self.recording = noise, recording
        limits = (recording.lowest, recording.highest)
        ends = noise.stabiliser.forward(np.array(limits))
        self.low, self.high = (
            float(end) if np.isfinite(limit) else limit
            for end, limit in zip(ends, limits, strict=True)
        )
        # Where something is cut off, and in which direction values lie inside.
        sides = ((-np.inf if noise.of_few_photons else self.low, 1.0), (self.high, -1.0))
        self.ends = [(end, sign) for end, sign in sides if np.isfinite(end)]
        self.levels, self.sigmas = self._before()
        self.recorded, self.shifts = self._shifts()

    def _before(self) -> tuple[Values, Values]:
        """Give the mean and std of the noise before recording, for each level of the curve."""
        measured, spread = self.noise.curve.levels, self.noise.curve.sigmas
        levels, sigmas = measured.copy(), spread.copy()
        u = np.linspace(-MOST_CUT, REACH, FINE)
        mean, sigma = u + lift(u), cut_spread(u)
        for end, sign in self.ends:
            found = np.interp(sign * (measured - end) / spread, mean / sigma, u)
            near = found < REACH
            sigmas[near] = (spread / np.interp(found, u, sigma))[near]
            levels[near] = end + sign * (found * sigmas)[near]
        order = np.argsort(levels)
        return levels[order], sigmas[order]

    def _shifts(self) -> tuple[Values, Values]:
        """Give for means after recording how far they lay from there before, ascending."""
        if not self.ends:
            return np.zeros(1), np.zeros(1)
        steps = np.linspace(-MOST_CUT, REACH, FINE)
        around = [end + sign * steps * self._sigma(np.array(end)) for end, sign in self.ends]
        before = np.unique(np.concatenate(around))
        sigma = self._sigma(before)
        after = before
        for end, sign in self.ends:
            after = after + sign * sigma * lift(sign * (before - end) / sigma)
        after = np.maximum.accumulate(after)
        return after, before - after

    def _sigma(self, before: Values) -> Values:
        return np.interp(before, self.levels, self.sigmas)

    def add(self, clean: Tensor, draw: torch.Generator) -> Tensor:
        """Give noisy copies of stabilised images, (count, 1, height, width), as a file has them."""
        if self.recording == UNTOUCHED:
            return self.noise.add_noise(clean, draw)
        count, _, height, width = clean.shape
        unit = self.noise.sample(count, height, width, draw).cpu().numpy()
        mean = clean.cpu().numpy()
        before = mean + np.interp(mean, self.recorded, self.shifts)
        noisy = self.noise.laid_on(before, self._sigma(before), unit, draw)
        noisy = np.clip(noisy, self.low, self.high)
        if self.recording.step:
            step, origin = self.recording.step, self.recording.origin
            exact = self.noise.stabiliser.algebraic_inverse(noisy)
            noisy = self.noise.stabiliser.forward(np.rint((exact - origin) / step) * step + origin)
        return torch.from_numpy(noisy.astype(np.float32)).to(clean.device)

    def known(self, noisy: Tensor) -> Tensor | None:
        """Give 0 for the pixels of a stabilised image of whose brightness nothing is known, else 1.

        Those are saturated, as are most around them. None, or (height, width) float32.
        """
        saturated = (noisy >= self.high - ROUNDING).float()[None, None]
        if not saturated.any():
            return None
        around = functional.avg_pool2d(saturated, AROUND_PX, 1, AROUND_PX // 2)
        return (saturated * around <= 0.5).float()[0, 0]


def lift(u: Values) -> Values:
    """Give by how much cutting off below 0 raises the mean of normal values, mean u and std 1."""
    return _density(u) - u * ndtr(-u)


def cut_spread(u: Values) -> Values:
    """Give the std of such values once they are cut off."""
    square = (1 + u**2) * ndtr(u) + u * _density(u)
    return np.sqrt(np.maximum(square - (u + lift(u)) ** 2, 1e-12))


def _density(u: Values) -> Values:
    density: Values = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
    return density
