"""Work on tiles that goes on in smaller ones when the memory runs out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from training_core.errors import SettingsError
from training_core.place import PatchLocation, tiles
from training_core.run import Run

from .device import out_of_memory, release_memory

Layers = NDArray[np.float32]
Work = Callable[[PatchLocation], Layers]

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

    def work(self, place: PatchLocation, make: Work) -> Layers:
        """Call `make` with the place or its pieces; give its (layers, height, width), joined.

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

    def _joined(self, place: PatchLocation, make: Work) -> Layers:
        largest = max(place.height, place.width)
        if not 0 < self.side < largest:
            return make(place)
        inner = tiles((place.height, place.width), self.side)
        made = [
            make(PatchLocation(place.top + p.top, place.left + p.left, p.height, p.width))
            for p in inner
        ]
        joined = np.empty((len(made[0]), place.height, place.width), np.float32)
        for piece, layers in zip(inner, made, strict=True):
            joined[:, *piece.slices] = layers
        return joined

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
