"""A look without training: a region of a frame, as `g2g run --preset instant` would denoise it.

The noise is measured once for a stack, in a sample of it. Then a look costs what the bundled
network takes for the region in view and a halo around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from training_core.compute.device import choose_device, reproducible, seeded
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.finished import MadeFrame
from training_core.denoise.tile import denoise_tile
from training_core.denoise.tiled import kept_share
from training_core.networks.published import fold_batch_norm
from training_core.noise.local_strength import FrameLevels

from .errors import InputError
from .place import PatchLocation
from .run import SILENT, Run
from .settings import PatchSettings, Settings, preset
from .stack import SMALLEST_PX, Mask, Pixels, Stack, Values, check_trainable, float_of, spread
from .training.channels import with_blank, with_known_noise, without_blank
from .training.task import Task
from .unmeasured import measured_frame

SAMPLED_FRAMES = 8  # as many as the analysis of noise looks at
SAMPLED_PX = 1024 * 1024  # of each channel, in all sampled frames together


def look_settings(device: str, patches: PatchSettings) -> Settings:
    """Give the settings of a look: instant, without what costs more than the region in view.

    Each frame is taken alone, and neither are flat areas evened out nor is brightness held, which
    changes less than a tenth of the noise's std.
    """
    instant = preset("instant", device=device)
    plain = replace(
        instant.denoiser, neighbours="off", even_flat_areas=False, keep_brightness=False
    )
    return replace(instant, denoiser=plain, patches=patches)


class Look:
    """Looks at one stack; what was measured for one look serves the next.

    Its memory is a few copies of the frame looked at last. One look at a time.
    """

    def __init__(
        self, stack: Stack, device: str = "auto", patches: PatchSettings | None = None
    ) -> None:
        self.stack, self.settings = stack, look_settings(device, patches or PatchSettings())
        self._denoiser: Denoiser | None = None
        self._frame: _Frame | None = None

    @property
    def is_measured(self) -> bool:
        """Whether the noise is known, so that a look costs its region only."""
        return self._denoiser is not None

    def region(self, index: int, place: PatchLocation, run: Run = SILENT) -> Pixels:
        """Denoise a region of frame `index`, counted over all axes but Y and X.

        What is around the `place` in the frame is seen as well, so any part of a frame comes out as
        it is in the whole: its (height, width), float32 (float64 for values of 32 bits and more),
        in stack units.

        Raises
        ------
        InputError
            If the stack is too small or constant, or has too few smooth patches.
        ModelError
            If the weights are missing or damaged.
        """
        denoiser = self._measured(run)
        frame = self._prepared(index, denoiser, run)
        run.check()
        number = self.stack.channel_of(index)
        channel = denoiser.channels[number]
        whole = _on_grid(place, denoiser.grid_px, self.stack.frame_shape)
        layers = denoise_tile(frame.seen, (), whole, denoiser, channel, run)
        share = kept_share(self.settings.denoiser, self.stack, channel)
        made = MadeFrame(frame.seen[whole.slices], layers, number, share).finished(denoiser)
        made = frame.restored(made.astype(float_of(self.stack.dtype)), whole)
        return made[place.within(whole).slices]

    def _measured(self, run: Run) -> Denoiser:
        """Measure the noise in a sample, or in all of the stack where that is too little."""
        if self._denoiser is None:
            check_trainable(self.stack)
            sample = sampled(self.stack)
            try:
                check_trainable(sample)
                self._denoiser = known_denoiser(sample, self.settings, run)
            except InputError:
                if sample is self.stack:
                    raise
                self._denoiser = known_denoiser(self.stack, self.settings, run)
        return self._denoiser

    def _prepared(self, index: int, denoiser: Denoiser, run: Run) -> _Frame:
        if self._frame is None or self._frame.index != index:
            self._frame = _Frame.of(self.stack, index, denoiser, run)
        return self._frame


def known_denoiser(stack: Stack, settings: Settings, run: Run = SILENT) -> Denoiser:
    """Measure the noise of a stack and give the bundled network that knows it.

    Raises
    ------
    InputError
        If the stack has too few smooth patches.
    ModelError
        If the weights are missing or damaged.
    """
    device = choose_device(settings.device, run=run)
    task = Task(settings, device, run)
    seen, _, blank = without_blank([stack], (), task)
    with seeded(settings.seed, run), reproducible(device, fast=True):
        denoiser = with_known_noise(seen, (), task).denoiser
    # Memory ordered by channels is faster.
    network = fold_batch_norm(denoiser.network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    channels = with_blank(denoiser.channels, blank)
    return replace(denoiser, network=network, channels=channels)


def sampled(stack: Stack) -> Stack:
    """Give the middles of frames spread over a stack, with all channels; or all, if it is small.

    The axes are IYX or ICYX: up to 8 frames, and more of such as hold little.
    """
    middle, numbers = _seen(stack)
    if numbers.size == stack.frame_count and middle.height * middle.width == _size(stack):
        return stack
    every = numbers.ravel().tolist()
    frames = np.stack([stack.raw_frame(i)[middle.slices] for i in every])
    known = stack.not_finite
    lost = {n: _cut(known[i], stack, middle) for n, i in enumerate(every) if i in known}
    shape, axes = (numbers.shape, "ICYX") if "C" in stack.axes else (numbers.shape[:1], "IYX")
    pixels = frames.reshape(*shape, *frames.shape[-2:])
    return replace(stack, pixels=pixels, axes=axes, not_finite=lost)


def _seen(stack: Stack) -> tuple[PatchLocation, NDArray[np.intp]]:
    """Give the place that is sampled, and of which frames, (count, channels)."""
    numbers = np.arange(stack.frame_count).reshape(stack.shape[:-2])
    if "C" in stack.axes:
        numbers = np.moveaxis(numbers, stack.axes.index("C"), -1)
        numbers = numbers.reshape(-1, numbers.shape[-1])
    else:
        numbers = numbers.reshape(-1, 1)
    chosen = numbers[spread(len(numbers), max(SAMPLED_FRAMES, SAMPLED_PX // _size(stack)))]
    height, width = stack.frame_shape
    share = min(1.0, (SAMPLED_PX / (len(chosen) * height * width)) ** 0.5)
    rows, columns = max(int(share * height), SMALLEST_PX), max(int(share * width), SMALLEST_PX)
    return PatchLocation((height - rows) // 2, (width - columns) // 2, rows, columns), chosen


def _size(stack: Stack) -> int:
    height, width = stack.frame_shape
    return height * width


def _cut(
    lost: tuple[NDArray[np.intp], Pixels], stack: Stack, place: PatchLocation
) -> tuple[NDArray[np.intp], Pixels]:
    """Give which lost pixels of a frame lie in a place of it, and what they were."""
    rows, columns = np.divmod(lost[0], stack.frame_shape[1])
    rows, columns = rows - place.top, columns - place.left
    inside = (rows >= 0) & (rows < place.height) & (columns >= 0) & (columns < place.width)
    return (rows * place.width + columns)[inside], lost[1][inside]


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame that is looked at: as it came, and with noise as strong as that which was measured.

    `given` lacks what is no measurement, which `lost` tells; `gain` and `levels` say what made
    `seen` of it. All are (height, width).
    """

    index: int
    raw: Pixels
    given: Pixels
    seen: Pixels
    lost: Mask | None
    gain: Values | None = None
    levels: FrameLevels | None = None

    @classmethod
    def of(cls, stack: Stack, index: int, denoiser: Denoiser, run: Run) -> _Frame:
        """Prepare a frame of a stack."""
        raw = stack.raw_frame(index)
        filled, _, lost = measured_frame(stack, index)
        given = raw if filled is None else filled
        frame = cls(index, raw, given, given, lost)
        if denoiser.even_noise:
            exact = given.astype(float_of(stack.dtype))
            gain = denoiser.even_noise.gain(exact)
            return replace(frame, seen=(exact * gain).astype(np.float32), gain=gain)
        levels = _level(stack, index, given, run)
        if levels:
            frame = replace(frame, seen=levels.frame_evened(0, given), levels=levels)
        return frame

    def restored(self, made: Pixels, place: PatchLocation) -> Pixels:
        """Bring what was made of a place of `seen` back, and put back what is no measurement."""
        seen, given = self.seen[place.slices], self.given[place.slices]
        if self.gain is not None:
            made = np.where(made == seen, given, made / self.gain[place.slices]).astype(made.dtype)
        if self.levels:
            restored = self.levels.frame_restored(0, made)
            made = np.where(made == seen.astype(made.dtype), given, restored).astype(made.dtype)
        if self.lost is not None:
            lost = self.lost[place.slices]
            made[lost] = self.raw[place.slices][lost]
        return made


def _level(stack: Stack, index: int, given: Pixels, run: Run) -> FrameLevels | None:
    """Compare a frame with the sampled ones of its channel; None where it is like them."""
    place, numbers = _seen(stack)
    others = numbers[:, stack.channel_of(index) if numbers.shape[1] > 1 else 0].tolist()
    frames = [given, *(stack.raw_frame(i) for i in others if i != index)]
    pixels = np.stack([frame[place.slices] for frame in frames])
    return FrameLevels.of(replace(stack, pixels=pixels, axes="IYX", not_finite={}), run)


def _on_grid(place: PatchLocation, grid_px: int, frame_shape: Sequence[int]) -> PatchLocation:
    """Give the least place around another that begins and ends on a grid, or with the frame."""
    top, left = (n // grid_px * grid_px for n in (place.top, place.left))
    bottom, right = (
        min(-(-end // grid_px) * grid_px, side)
        for end, side in zip(
            (place.top + place.height, place.left + place.width), frame_shape, strict=True
        )
    )
    return PatchLocation(top, left, bottom - top, right - left)
