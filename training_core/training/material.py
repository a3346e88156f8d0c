"""What a training works on: the stacks, with noise as strong everywhere, and regions of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray

from training_core.denoise.channel import Channel
from training_core.denoise.neighbours import NeighbourFrames
from training_core.denoise.region import Region
from training_core.errors import InputError
from training_core.noise.local_strength import EvenNoise, FrameLevels, is_ct
from training_core.patches.local_strength import tissue
from training_core.place import PatchLocation, TrainingRegion, choose_regions
from training_core.run import SILENT, Run
from training_core.selection.sure import RiskEstimator
from training_core.stack import Image, Stack, Values
from training_core.unmeasured import measured

if TYPE_CHECKING:
    from .task import Task


@dataclass(frozen=True, eq=False)
class Material:
    """The stacks of a training and what is taken from them."""

    # The stacks as they came, but for pixels that are no measurement (see `measured`)
    given: tuple[Stack, ...]
    # The stacks, and further exposures of the only one, once their noise is as strong everywhere
    stacks: tuple[Stack, ...]
    repeats: tuple[Stack, ...]
    regions: tuple[TrainingRegion, ...]  # the parts that are learned from, of `stacks`
    even: EvenNoise | None = None  # what made the noise even, for CT; else None
    # How strong the noise of the frames of each stack was; None where they are alike
    levels: tuple[FrameLevels | None, ...] = ()

    @classmethod
    def of(
        cls, stacks: Sequence[Stack], repeats: Sequence[Stack], task: Task, *, by_place: bool
    ) -> Self:
        """Choose regions; with `by_place` of stacks whose noise is made even before.

        In CT that is so in every place, else in frames whose noise is unlike.
        """
        run = task.run
        repair = task.settings.denoiser.repair_hot_pixels
        given, again = (
            tuple(measured(one, run, repair=repair) for one in of) for of in (stacks, repeats)
        )
        stacks = given
        even = EvenNoise.of(stacks, run) if by_place and is_ct(stacks) else None
        if even:
            again = tuple(even.evened(repeat, like=stacks[0], run=run) for repeat in again)
            stacks = [even.evened(stack, run=run) for stack in stacks]
        levels: tuple[FrameLevels | None, ...] = ()
        if by_place and not even:
            levels = tuple(FrameLevels.of(stack, run) for stack in stacks)
            again = tuple(one.evened(r, run) if (one := levels[0]) else r for r in again)
            stacks = [
                one.evened(stack, run) if one else stack
                for stack, one in zip(stacks, levels, strict=True)
            ]
        settings = task.settings
        regions = choose_regions(stacks, settings.denoiser.area_mpx, settings.seed)
        return cls(given, tuple(stacks), again, tuple(regions), even, levels)

    def of_channel(self, number: int) -> list[TrainingRegion]:
        """Give the regions of a channel."""
        return [region for region in self.regions if region.channel == number]

    def tissue(self, region: TrainingRegion) -> NDArray[np.bool_]:
        """Tell tissue from air in a region, (height, width); for CT."""
        return tissue(region.cut_from(self.given[region.stack]))

    def as_given(self, index: int, place: PatchLocation, values: Values) -> tuple[Values, Image]:
        """Bring values of a place of the first stack back to what was given, and give that too."""
        given = self.given[0].frame(index)
        if self.even:
            values = values / self.even.gain(given)[place.slices]
        elif self.levels and (levels := self.levels[0]):
            values = levels.frame_restored(index, values)
        return values, given[place.slices]

    def stabilised(self, channels: Sequence[Channel], device: torch.device) -> list[Region]:
        """Give the noisy regions in the units of their channels' noise, on a device."""
        each = ((region.values, channels[region.channel]) for region in self.regions)
        return [_estimate(values, channel, device) for values, channel in each]

    def sequences(self, channels: Sequence[Channel], count: int, run: Run) -> list[NeighbourFrames]:
        """Give for each stack what finds the neighbours of its frames, `count` on each side."""
        noises = [channel.noise for channel in channels]
        return [
            NeighbourFrames(stack, noises, count, run, given=given, even=self.even)
            for stack, given in zip(self.stacks, self.given, strict=True)
        ]

    def stabilised_repeats(self, noisy: Sequence[Region]) -> list[list[Region]]:
        """Give for each repeat its regions in the units of the `noisy` ones, and where they are."""
        each = list(zip(self.regions, noisy, strict=True))
        return [
            [_estimate(r.cut_from(repeat), one.channel, one.image.device) for r, one in each]
            for repeat in self.repeats
        ]

    def risk(self, noisy: Sequence[Region], task: Task) -> RiskEstimator:
        """Give what chooses among estimates, weights and rounds, by repeats if there are any."""
        others = self.stabilised_repeats(noisy)
        seen = [self.tissue(region) for region in self.regions] if self.even else None
        return RiskEstimator(noisy, task.settings.seed, task.device, others=others, seen=seen)


def _estimate(values: Image, channel: Channel, device: torch.device) -> Region:
    return Region(torch.from_numpy(channel.stabilised(values)).to(device), channel)


MOST = 2


SAME_BRIGHTNESS = 0.02  # of the mean; beyond, the estimated errors are off by more than noise


def check_repeats(stacks: Sequence[Stack], repeats: Sequence[Stack], run: Run = SILENT) -> None:
    """Check that repeats are further exposures of the only stack.

    Raises `InputError` if there is more than one stack or more than two repeats, or if a repeat has
    another shape or is a copy.
    """
    if not repeats:
        return
    if len(stacks) != 1:
        raise InputError(
            f"Repeats are further exposures of one stack, but there are {len(stacks)} stacks; "
            "give one."
        )
    if len(repeats) > MOST:
        raise InputError(f"There are {len(repeats)} repeats; give one or two, after the stack.")
    for repeat in repeats:
        _check_shape(stacks[0], repeat)
    for one, other in combinations([*stacks, *repeats], 2):
        _check_copy(one, other)
    for repeat in repeats:
        _note_brightness(stacks[0], repeat, run)


def _check_shape(stack: Stack, repeat: Stack) -> None:
    for what, mine, theirs in (
        ("pixels", _lengths(stack), _lengths(repeat)),
        ("axes", stack.axes, repeat.axes),
        ("the unit", stack.value_unit or "none", repeat.value_unit or "none"),
    ):
        if mine != theirs:
            raise InputError(
                f"{repeat.name} cannot be a repeat of {stack.name}: it has {what} {theirs} instead "
                f"of {mine}; give an exposure of the same scene, taken alike."
            )


def _lengths(stack: Stack) -> str:
    return " x ".join(map(str, stack.shape))


def _check_copy(stack: Stack, repeat: Stack) -> None:
    for index in range(stack.frame_count):
        if np.array_equal(stack.raw_frame(index), repeat.raw_frame(index)):
            raise InputError(
                f"Frame {index + 1} of {repeat.name} is identical to that of {stack.name}: it is "
                "a copy and no further exposure; give another file."
            )


def _note_brightness(stack: Stack, repeat: Stack, run: Run) -> None:
    mine, theirs = (
        float(np.mean([np.mean(of.frame(i), dtype=np.float64) for i in range(of.frame_count)]))
        for of in (stack, repeat)
    )
    if abs(theirs - mine) > SAME_BRIGHTNESS * abs(mine):
        run.note(
            f"The mean of {repeat.name} is {theirs:.4g}, that of {stack.name} {mine:.4g}; where "
            "brightness changed between the exposures, a repeat chooses less surely.",
            warning=True,
        )
