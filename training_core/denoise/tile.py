"""A tile of a frame: what it takes with it, and what denoises it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from training_core.compute.device import TilePieces, describe_device
from training_core.place import PatchLocation
from training_core.run import Run
from training_core.stack import Image, Pixels, Values

from .channel import Channel
from .denoiser import Denoiser
from .finished import MadeFrame


@dataclass(frozen=True, eq=False)
class Tile:
    """A place of a frame to be denoised, with the frame, its neighbours and its channel's number.

    Frames are (height, width) in stack units, and `place` begins on the denoiser's grid.
    """

    raw: Pixels
    others: Sequence[Pixels]
    place: PatchLocation
    channel: int

    def cut(self, halo_px: int) -> Tile:
        """Give it with as much of the frames as it sees, in memory of their own."""
        around = self.place.grown(halo_px, self.raw.shape)
        raw, *others = (frame[around.slices].copy() for frame in (self.raw, *self.others))
        return Tile(raw, others, self.place.within(around), self.channel)

    def denoised(self, pieces: TilePieces, denoiser: Denoiser, run: Run) -> Image:
        """Give what `denoise_tile` does, in smaller pieces where the memory runs out."""

        def make(place: PatchLocation) -> Image:
            channel = denoiser.channels[self.channel]
            return denoise_tile(self.raw, self.others, place, denoiser, channel, run)

        return pieces.work(self.place, make)


class TileMaker(Protocol):
    """Denoises tiles; gives what `Tile.denoised` does of each, in their order; ends frames."""

    def __call__(
        self, tiles: Iterator[Tile], denoiser: Denoiser, run: Run
    ) -> Generator[Image, None, None]:
        """Take tiles when it can work on them; closed, it takes no more."""

    def ending(self, frame: MadeFrame, denoiser: Denoiser, run: Run) -> Callable[[], Values]:
        """Begin what `MadeFrame.finished` does, and give what waits for its end."""

    def describe(self, device: torch.device) -> str:
        """Say what works on them, where the denoiser is on a device."""


class TilesHere:
    """Denoises tiles one after another, on the denoiser's device."""

    def __call__(
        self, tiles: Iterator[Tile], denoiser: Denoiser, run: Run
    ) -> Generator[Image, None, None]:
        """Take each tile when it is asked for."""
        pieces = TilePieces(denoiser.device, denoiser.grid_px, run)
        for tile in tiles:
            yield tile.denoised(pieces, denoiser, run)

    def ending(self, frame: MadeFrame, denoiser: Denoiser, run: Run) -> Callable[[], Values]:
        """Do it on the denoiser's device; never stopped, since the last tile is not saved yet."""
        made = frame.finished(denoiser)
        return lambda: made

    def describe(self, device: torch.device) -> str:
        """Name the device."""
        return describe_device(device)


HERE = TilesHere()


def denoise_tile(
    raw: Pixels,
    others: Sequence[Pixels],
    place: PatchLocation,
    denoiser: Denoiser,
    channel: Channel,
    run: Run,
) -> Image:
    """Denoise one tile with its halo; with neighbours, also give the share of noise there was.

    The frame and its neighbours are (height, width) in stack units, and `place` begins on the
    denoiser's grid. Given is what the `passes` gave there, (1 or 2, height, width) float32.
    """
    around = place.grown(denoiser.halo_px, raw.shape)
    frames = np.stack([channel.stabilised(frame[around.slices]) for frame in (raw, *others)])
    tensors = torch.from_numpy(frames).to(denoiser.device)
    inner = place.within(around)
    made, strength = denoiser.passes(tensors[0], channel, run, tensors[1:], inner)
    layers = [made]
    if denoiser.neighbours:
        layers.append(torch.ones_like(made) if strength is None else strength)
    return torch.stack(layers).cpu().numpy()
