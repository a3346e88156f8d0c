"""Work on tiles that goes on in smaller ones when the memory runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .device import out_of_memory, release_memory
from .errors import SettingsError
from .patches import PatchLocation, tiles

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from .run import Run
    from .stack import Pixels

    Work = Callable[[PatchLocation], tuple[Pixels, int]]

SMALLEST_PX = 32


class TilePieces:
    """Works on places of a frame, in pieces of half the side each time the memory runs out.

    Parameters
    ----------
    grid_px
        Pieces begin on multiples of this within a place, so that they do not show in the result.
    """

    def __init__(self, device: torch.device, grid_px: int, run: Run) -> None:
        self.device, self.grid_px, self.run = device, grid_px, run
        self.side = 0  # of a piece; 0 while places are worked on whole

    def work(self, place: PatchLocation, make: Work) -> tuple[Pixels, int]:
        """Call `make` with the place or its pieces; give the joined pixels and the sum of counts.

        Raises
        ------
        SettingsError
            If not even the smallest pieces fit.
        """
        while True:
            try:
                return self._joined(place, make)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
            self._halve(place)

    def _joined(self, place: PatchLocation, make: Work) -> tuple[Pixels, int]:
        largest = max(place.height, place.width)
        if not 0 < self.side < largest:
            return make(place)
        inner = tiles((place.height, place.width), self.side)
        made = [
            make(PatchLocation(place.top + p.top, place.left + p.left, p.height, p.width))
            for p in inner
        ]
        joined = np.empty((place.height, place.width), made[0][0].dtype)
        for piece, (pixels, _) in zip(inner, made, strict=True):
            joined[piece.slices] = pixels
        return joined, sum(count for _, count in made)

    def _halve(self, place: PatchLocation) -> None:
        release_memory(self.device)
        if not self.side:
            self.run.note("The memory ran out; smaller tiles are used from now on.")
        largest = max(place.height, place.width)
        now = min(self.side or largest, largest)
        self.side = now // 2 // self.grid_px * self.grid_px
        if self.side < SMALLEST_PX:
            raise SettingsError(
                f"The memory ({self.device.type}) is too small even for tiles of {now} px; close "
                "other programs or choose another device."
            )
