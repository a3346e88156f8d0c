"""The eight flips and rotations of an image, numbered 0 to 7."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

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
