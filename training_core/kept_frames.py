"""The frames that are denoised already, kept beside the count of their tiles."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from .patches import tiles

if TYPE_CHECKING:
    from pathlib import Path

    from .checkpoint import Part, State
    from .run import Run
    from .stack import Pixels


class KeptFrames:
    """Keeps the pixels of a growing result, each frame written once.

    Parameters
    ----------
    part
        Keeps how far the result is; its pixels lie in a file of their own.
    frames
        The result, (frames, height, width); filled by whoever denoises.
    tile_px
        Side of the tiles; an interrupted job goes on with those that it had.
    layers
        How many images of float32 the tiles of a frame are gathered in before it is finished.

    Attributes
    ----------
    places
        The tiles of a frame, in the order in which they are denoised.
    layers
        The tiles of the unfinished frame, (layers, height, width) float32.
    done
        Tiles that are made, over all frames; `frames` has those of whole frames.
    clipped
        How many of the pixels in `frames` were clipped.
    """

    def __init__(self, part: Part, frames: Pixels, tile_px: int, layers: int = 1) -> None:
        self.part, self.frames = part, frames
        self.layers = np.zeros((layers, *frames.shape[1:]), np.float32)
        self.done = self.clipped = 0
        self._use_tiles(tile_px)
        self._load()
        self._written = self._whole  # frames that are in the file

    def _use_tiles(self, tile_px: int) -> None:
        self.tile_px, self.places = tile_px, tiles(self.frames.shape[1:], tile_px)

    def _load(self) -> None:
        """Fill in what is kept, if anything is."""
        state = self.part.load()
        if state is None:
            return
        try:
            with self.part.pixels_path.open("rb") as file:
                for frame in self.frames[: state["whole"]]:
                    frame[:] = np.fromfile(file, frame.dtype, frame.size).reshape(frame.shape)
        except (OSError, ValueError) as error:
            self.part.checkpoint.note_damage(self.part.pixels_path, error)
            return
        self._use_tiles(state["tile_px"])
        self.done, self.clipped = state["done"], state["clipped"]
        if state["layers"] is not None:
            self.layers[:] = state["layers"]

    def check(self, run: Run) -> None:
        """Ask before each tile whether to go on; save when it is due or before leaving.

        Raises
        ------
        Cancelled
            If the run was cancelled.
        """
        self.part.check(run, self._state, self._write)

    def save(self) -> None:
        """Keep everything that is done."""
        self.part.save(self._state(), self._write)

    @property
    def _whole(self) -> int:
        """How many frames are in the result."""
        return self.done // len(self.places)

    def _state(self) -> State:
        return {
            "tile_px": self.tile_px,
            "done": self.done,
            "whole": self._whole,
            "layers": self.layers if self.done % len(self.places) else None,
            "clipped": self.clipped,
        }

    def _write(self, path: Path) -> None:
        """Write the frames that are new."""
        with path.open("r+b" if path.exists() else "wb") as file:
            file.seek(self._written * self.frames[0].nbytes)
            for frame in self.frames[self._written : self._whole]:
                file.write(frame.data)
            file.flush()
            os.fsync(file.fileno())
        self._written = self._whole
