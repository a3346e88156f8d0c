"""Places in a frame, the tiles of one, and the orientations an image can have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


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
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )

    def grown(self, halo_px: int, frame_shape: Sequence[int]) -> PatchLocation:
        """Add a halo on all sides, as far as the frame reaches."""
        top, left = max(self.top - halo_px, 0), max(self.left - halo_px, 0)
        bottom = min(self.top + self.height + halo_px, frame_shape[0])
        right = min(self.left + self.width + halo_px, frame_shape[1])
        return PatchLocation(top, left, bottom - top, right - left)

    def within(self, outer: PatchLocation) -> PatchLocation:
        """Give this place in the coordinates of a larger one."""
        return PatchLocation(self.top - outer.top, self.left - outer.left, self.height, self.width)


def tiles(frame_shape: Sequence[int], tile_px: int) -> list[PatchLocation]:
    """Cover a frame with tiles that do not overlap; those at the far ends may be smaller."""
    height, width = frame_shape
    return [
        PatchLocation(top, left, min(tile_px, height - top), min(tile_px, width - left))
        for top, left in product(range(0, height, tile_px), range(0, width, tile_px))
    ]


ALL = tuple(range(8))
FLIPS = (0, 2, 4, 6)  # those that keep rows rows: identity, half turn, and the two flips


def turn(images: Tensor, way: int) -> Tensor:
    """Rotate (..., height, width) by way % 4 quarter turns; mirror it if way is 4 or more."""
    turned = images.rot90(way % 4, (-2, -1))
    return turned.flip(-1) if way >= 4 else turned


def turn_back(images: Tensor, way: int) -> Tensor:
    """Undo `turn`."""
    unflipped = images.flip(-1) if way >= 4 else images
    return unflipped.rot90(-(way % 4), (-2, -1))
