"""A result that is made noisy again with the learned noise, and denoised again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.tiled import denoise, kept_share
from training_core.noise.anscombe import STABILISED_FLOOR, Stabiliser
from training_core.noise.model import RecordedNoise
from training_core.place import PatchLocation
from training_core.run import SILENT, PartOfRun, Run, Stage
from training_core.stack import Image, Pixels, Stack, Values

OWN_STREAM = 0x5EE4  # added to the seed: noise that the training has not seen
TABLE = 8192  # entries


@dataclass(frozen=True, eq=False)
class Scene:
    """A part of one frame of a noisy stack with its neighbours, and the denoiser of it.

    Attributes
    ----------
    stack
        The part of the frame among those beside it, (frames, height, width), axes "IYX".
    middle
        Which of them it is.
    channel
        That of the frame, counted from 0.
    denoiser
        Its kept noise is that of the result.
    """

    stack: Stack
    middle: int
    channel: int
    denoiser: Denoiser

    @classmethod
    def of(cls, stack: Stack, denoiser: Denoiser, index: int, place: PatchLocation) -> Scene:
        """Cut a place out of frame `index`, with as many frames beside as the denoiser averages."""
        channel = stack.channel_of(index)
        numbers = np.arange(stack.frame_count).reshape(stack.shape[:-2])
        if "C" in stack.axes:
            numbers = numbers.take([channel], axis=stack.axes.index("C"))
        row = numbers.ravel().tolist() if stack.axes[:-2] in ("C", "") else _row(numbers, index)
        at, reach = row.index(index), denoiser.neighbours
        near = row[max(0, at - reach) : at + reach + 1]
        pixels = np.stack([stack.raw_frame(i)[place.slices] for i in near])
        plain = replace(stack, pixels=pixels, axes="IYX", channels=(), not_finite={}, metadata={})
        number = channel if len(denoiser.channels) > 1 else 0
        alone = replace(denoiser, channels=(denoiser.channels[number],))
        return cls(plain, near.index(index), number, alone)

    @property
    def learned(self) -> Channel:
        """What is known of the channel's noise."""
        return self.denoiser.channels[0]

    @property
    def raw(self) -> Pixels:
        """The noisy part itself, (height, width) in the file's dtype."""
        return self.stack.raw_frame(self.middle)

    @cached_property
    def share(self) -> float:
        """How much of what is removed the result keeps."""
        return kept_share(self.denoiser.settings.denoiser, self.stack, self.learned)

    def denoised(self, frames: Pixels, run: Run = SILENT) -> Values:
        """Denoise frames like those of `stack` with nothing kept, and give all of them.

        (frames, height, width) of any dtype become float64.
        """
        settings = self.denoiser.settings
        nothing = replace(settings, denoiser=replace(settings.denoiser, kept_noise=0.0))
        plain = replace(self.denoiser, settings=nothing)
        made = denoise(replace(self.stack, pixels=frames), plain, run=PartOfRun(run))
        return np.asarray(made.pixels[:], np.float64)

    def renoised(self, clean: Values, count: int, seed: int, run: Run = SILENT) -> Iterator[Pixels]:
        """Give noisy copies of clean frames, (frames, height, width), as the file would have them.

        In the file's dtype.
        """
        noise = self.learned.noise
        recorded = RecordedNoise(noise, self.learned.recording)
        gains = [self._gain(index) for index in range(len(clean))]
        draw = torch.Generator().manual_seed(seed + OWN_STREAM)
        for _ in range(count):
            run.check()
            made = [
                self._noisy(frame * gain, recorded, draw) / gain
                for frame, gain in zip(clean, gains, strict=True)
            ]
            yield self._like_file(np.stack(made))

    def _gain(self, index: int) -> Values | float:
        even = self.denoiser.even_noise
        return 1.0 if even is None else even.gain(self.stack.frame(index))

    def _noisy(self, clean: Values, recorded: RecordedNoise, draw: torch.Generator) -> Values:
        stabiliser = self.learned.noise.stabiliser
        level = stabilised_means(stabiliser, clean)
        images = torch.from_numpy(level)[None, None].to(self.denoiser.device)
        noisy = recorded.add(images, draw)[0, 0].cpu().numpy()
        return stabiliser.algebraic_inverse(noisy)

    def _like_file(self, noisy: Values) -> Pixels:
        dtype = self.stack.dtype
        if dtype.kind not in "iu":
            return noisy.astype(dtype)
        info = np.iinfo(dtype)
        return np.clip(np.rint(noisy), info.min, info.max).astype(dtype)


def stabilised_means(stabiliser: Stabiliser, means: Values) -> Image:
    """Undo `inverse`, which maps means to means; `forward` is for single values. Any shape."""
    if not stabiliser.gain:
        return stabiliser.forward(means)
    ends = stabiliser.forward(np.array([means.min(), means.max() + stabiliser.gain]))
    steps = np.linspace(min(float(ends[0]), STABILISED_FLOOR), float(ends[1]), TABLE)
    steps = steps[steps >= STABILISED_FLOOR]
    values = stabiliser.inverse(steps.astype(np.float32))
    level: Image = np.interp(means, values, steps).astype(np.float32)
    return level


def _row(numbers: np.ndarray, index: int) -> list[int]:
    """Give the frames that lie along the last axis with this one."""
    rows = (
        numbers.reshape(-1, numbers.shape[-1]) if numbers.shape[-1] > 1 else numbers.reshape(1, -1)
    )
    return next(row.tolist() for row in rows if index in row)


@dataclass(frozen=True, eq=False)
class Copies:
    """A denoised part of a frame, and what became of it when it was made noisy again.

    All in stack units, with the noise that the result keeps.

    Attributes
    ----------
    noisy, estimate
        As recorded, and denoised, (height, width) float64.
    again
        Denoised again, (copies, height, width) float64.
    added
        The noise that was added each time, (copies, height, width) float64.
    """

    noisy: Values
    estimate: Values
    again: Values
    added: Values


def denoised_again(scene: Scene, count: int = 8, *, seed: int = 0, run: Run = SILENT) -> Copies:
    """Make a result noisy `count` times with the learned noise and denoise each copy.

    Raises
    ------
    Cancelled
        If the run was cancelled.
    """
    run.start(Stage.DENOISE, count + 1)
    base = scene.denoised(np.asarray(scene.stack.pixels), run)
    run.progress(Stage.DENOISE, 1, count + 1)
    again, added = [], []
    for number, noisy in enumerate(scene.renoised(base, count, seed, run)):
        made = scene.denoised(noisy, run)[scene.middle]
        seen = noisy[scene.middle].astype(np.float64)
        added.append(seen - base[scene.middle])
        again.append(made + scene.share * (seen - made))
        run.progress(Stage.DENOISE, number + 2, count + 1)
    run.finish(Stage.DENOISE)
    raw = scene.raw.astype(np.float64)
    estimate = base[scene.middle]
    kept = estimate + scene.share * (raw - estimate)
    return Copies(raw, kept, np.stack(again), np.stack(added))
