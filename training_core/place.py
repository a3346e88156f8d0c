"""Places in a frame: tiles, the regions that training works on, and how a place can be turned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from .stack import Image, Stack

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_PX = 512
SMALLEST_REGION_PX = 64  # a sliver at the end of a frame teaches nothing
LOOKED_AT = 200  # candidates whose contrast is measured
ALL = tuple(range(8))
FLIPS = (0, 2, 4, 6)  # those that keep rows rows: identity, half turn, and the two flips


@dataclass(frozen=True, slots=True)
class PatchLocation:
    """A rectangle of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index a (height, width) frame with this."""
        bottom, right = self.top + self.height, self.left + self.width
        return slice(self.top, bottom), slice(self.left, right)

    def grown(self, halo_px: int, frame_shape: Sequence[int]) -> PatchLocation:
        """Add a halo on all sides, as far as the frame reaches."""
        top, left = max(self.top - halo_px, 0), max(self.left - halo_px, 0)
        bottom = min(self.top + self.height + halo_px, frame_shape[0])
        right = min(self.left + self.width + halo_px, frame_shape[1])
        return PatchLocation(top, left, bottom - top, right - left)

    def within(self, outer: PatchLocation) -> PatchLocation:
        """Give this place in the coordinates of a larger one."""
        return PatchLocation(self.top - outer.top, self.left - outer.left, self.height, self.width)


def whole(frame_shape: Sequence[int]) -> PatchLocation:
    """Give the place that is all of a frame."""
    height, width = frame_shape
    return PatchLocation(0, 0, height, width)


def tiles(frame_shape: Sequence[int], tile_px: int) -> list[PatchLocation]:
    """Cover a frame with tiles that do not overlap; those at the far ends may be smaller."""
    height, width = frame_shape
    return [
        PatchLocation(top, left, min(tile_px, height - top), min(tile_px, width - left))
        for top, left in product(range(0, height, tile_px), range(0, width, tile_px))
    ]


@dataclass(frozen=True, eq=False)
class TrainingRegion:
    """A part of one frame.

    `values` is (height, width) as `Stack.frame` gives them, `channel` the channel it belongs to; it
    was cut at `place` from a `frame` of a stack.
    """

    channel: int
    values: Image
    stack: int = 0
    frame: int = 0
    place: PatchLocation | None = None

    def cut_from(self, stack: Stack) -> Image:
        """Give the same part of another stack of the same shape."""
        frame = stack.frame(self.frame)
        return frame if self.place is None else np.ascontiguousarray(frame[self.place.slices])


def choose_regions(stacks: Sequence[Stack], area_mpx: float, seed: int) -> list[TrainingRegion]:
    """Choose regions of at most 512 x 512 px that add up to about `area_mpx` megapixels.

    Half are those with the most contrast, where there is structure to learn; the others are drawn
    at random, so that background is seen as well. Each channel gets the same share. What has one
    value throughout is left out where there is anything else.
    """
    rng = np.random.default_rng(seed)
    candidates = _candidates(stacks)
    channels = sorted({channel for *_, channel in candidates})
    chosen = []
    for channel in channels:
        mine = [candidate for candidate in candidates if candidate[3] == channel]
        mine = [mine[i] for i in rng.permutation(len(mine))]
        mine, others = mine[:LOOKED_AT], mine[LOOKED_AT:]
        share = area_mpx * 1e6 / len(channels)
        if sum(place.height * place.width for _, _, place, _ in mine) > share:
            # Looked at in the order of the file: frames that are made are made once.
            contrast = {c: _contrast(stacks, c) for c in sorted(mine, key=_frame_of)}
            mine.sort(key=lambda candidate: -contrast[candidate])
            mine = [mine[i] for pair in enumerate(rng.permutation(len(mine))) for i in pair]
        varied = (c for c in mine + others if np.ptp(_cut(stacks, c)))
        chosen += _until(varied, share) or _until(mine + others, share)
    parts = {c: _cut(stacks, c) for c in sorted(chosen, key=_frame_of)}
    return [TrainingRegion(c[3], parts[c], *c[:3]) for c in chosen]


Candidate = tuple[int, int, PatchLocation, int]  # stack, frame, place, channel


def _candidates(stacks: Sequence[Stack]) -> list[Candidate]:
    return [
        (number, index, place, stack.channel_of(index))
        for number, stack in enumerate(stacks)
        for index in range(stack.frame_count)
        for place in tiles(stack.frame_shape, LARGEST_PX)
        if min(place.height, place.width) >= min(SMALLEST_REGION_PX, *stack.frame_shape)
    ]


def _frame_of(candidate: Candidate) -> tuple[int, int]:
    return candidate[:2]


def _cut(stacks: Sequence[Stack], candidate: Candidate) -> Image:
    number, index, place, _ = candidate
    part: Image = np.ascontiguousarray(stacks[number].frame(index)[place.slices])
    return part


def _contrast(stacks: Sequence[Stack], candidate: Candidate) -> float:
    """Give the std of 8 px block means, in which noise hardly shows."""
    part = _cut(stacks, candidate)
    height, width = (n // 8 * 8 for n in part.shape)
    blocks = part[:height, :width].reshape(height // 8, 8, width // 8, 8)
    return float(blocks.mean(axis=(1, 3)).std())


def _until(candidates: Iterable[Candidate], area: float) -> list[Candidate]:
    """Take candidates in order, each once, until they cover `area` pixels; one if there is any."""
    taken: dict[Candidate, None] = {}
    for candidate in candidates:
        if sum(place.height * place.width for _, _, place, _ in taken) >= area:
            break
        taken[candidate] = None
    return list(taken)


def turn(images: Tensor, way: int) -> Tensor:
    """Rotate (..., height, width) by way % 4 quarter turns; mirror it if way is 4 or more."""
    turned = images.rot90(way % 4, (-2, -1))
    return turned.flip(-1) if way >= 4 else turned


def turn_back(images: Tensor, way: int) -> Tensor:
    """Undo `turn`."""
    unflipped = images.flip(-1) if way >= 4 else images
    return unflipped.rot90(-(way % 4), (-2, -1))
