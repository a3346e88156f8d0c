"""Denoising whole stacks tile by tile: what is kept of them, and the last of each frame."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training_core.compute.checkpoint import NO_CHECKPOINT, Checkpoint, Part, State
from training_core.compute.device import tile_size
from training_core.compute.memory import give_memory_back
from training_core.costs import LAST_PASS, NEIGHBOURS, PASS, Amounts, of_network
from training_core.frames import HELD_BYTES, FrameFile
from training_core.networks.published import fold_batch_norm
from training_core.noise.local_strength import EvenNoise, FrameLevels, is_ct
from training_core.place import PatchLocation, tiles
from training_core.run import SILENT, Cancelled, Run, Stage
from training_core.settings import DenoiserSettings
from training_core.stack import Pixels, Stack, float_of
from training_core.unmeasured import measured, put_back, tell_hot

from .channel import Channel, check_channels
from .denoiser import Denoiser
from .finished import MadeFrame
from .neighbours import NeighbourFrames
from .tile import HERE, Tile, TileMaker

MEMORY_CHANNELS = 160  # the collaborative pass needs about as much memory as so many channels
# What is removed may be texture of up to eight times the noise's power: a fifth does no harm. Where
# the strength of the noise is sure it is less: .28 of it does none up to five times.
KEPT_IN_DOUBT, KEPT_IF_SURE = 0.8, 0.72
KEPT_IN_CT = 0.2  # so that quarter dose becomes like full dose, which has half of its noise


def kept_share(settings: DenoiserSettings, stack: Stack, channel: Channel) -> float:
    """Give how much of what is removed from a channel of a stack is put back."""
    if settings.kept_noise is not None:
        return settings.kept_noise
    if channel.doubted:
        return KEPT_IF_SURE if channel.sure else KEPT_IN_DOUBT
    return KEPT_IN_CT if is_ct([stack]) else 0.0


class KeptFrames:
    """Keeps the frames of a growing result: in the memory, or a large one in a file.

    `part` keeps how far the result, (frames, height, width), is; its pixels lie in a file of their
    own. An interrupted job goes on with the tiles that it had, whatever `tile_px` is now. `places`
    are the tiles of a frame in the order in which they are denoised, `layers` those of the
    unfinished frame, (layers, height, width) float32, and `done` counts all that are made.
    Frames are denoised in the `order` of their numbers; `hot` counts the hot pixels of each that is
    made.
    """

    def __init__(
        self,
        part: Part,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        tile_px: int,
        layers: int,
        order: Sequence[int],
        hot: dict[int, int],
    ) -> None:
        self.part, self.shape, self.dtype = part, shape, dtype
        self.order, self.hot = order, hot
        self.layers = np.zeros((layers, *shape[1:]), np.float32)
        self.frames: Pixels | FrameFile
        if math.prod(shape) * dtype.itemsize > HELD_BYTES:
            self.frames = FrameFile(
                part.pixels_path if part.checkpoint.working else None, shape, dtype
            )
        else:
            self.frames = np.empty(shape, dtype)
        self.done = 0
        self._checks: list[int] = []  # of the whole frames
        self._ending: Callable[[], Pixels] | None = None  # gives the one after them
        self._use_tiles(tile_px)
        self._load()
        self._written = self._whole  # frames that are in the file of the part

    def _use_tiles(self, tile_px: int) -> None:
        self.tile_px, self.places = tile_px, tiles(self.shape[1:], tile_px)

    def _load(self) -> None:
        """Fill in what is kept, up to the first frame that is not what it was."""
        state = self.part.load()
        if state is None:
            return
        try:
            self._take(state)
        except (OSError, ValueError, TypeError, KeyError) as error:
            self.part.checkpoint.note_damage(self.part.pixels_path, error)

    def _take(self, state: State) -> None:
        checks, done, tile_px = state["checks"], state["done"], state["tile_px"]
        if tile_px < 1 or len(checks) > self.shape[0]:
            raise ValueError("there are not as many frames")
        self._use_tiles(tile_px)
        begun = done % len(self.places) > 0
        if done // len(self.places) != len(checks) or begun != (state["layers"] is not None):
            raise ValueError("it does not say how far it is")
        kept = FrameFile(self.part.pixels_path, self.shape, self.dtype)
        self.hot |= state["hot"]  # of frames that are not made again
        for index, check in zip(self.order, checks, strict=False):
            frame = kept[index]
            if zlib.crc32(frame.data) != check:
                raise ValueError("its pixels have changed on the disk")
            if isinstance(self.frames, np.ndarray) or self.frames.path != kept.path:
                self.frames[index] = frame
            self._checks.append(check)
            self.done += len(self.places)
        if begun:
            self.layers[:] = state["layers"]
            self.done = done

    def saved_before_leaving(self) -> AbstractContextManager[None]:
        """Save what is done where the run is cancelled inside, within a tile too."""
        return self.part.saved_before_leaving(self._state, self._write)

    def check(self, run: Run) -> None:
        """Ask before each tile whether to go on, and keep what is done from time to time.

        Raises
        ------
        Cancelled
            If the run was cancelled.
        """
        run.check()
        if self.part.due():
            self.save()

    def save(self) -> None:
        """Keep everything that is done."""
        self.settle()
        self.part.save(self._state(), self._write)

    def finish(self, ending: Callable[[], Pixels]) -> None:
        """Take what gives a frame whose last tile is made, (height, width).

        It is called when the next frame is at its end, so that this one may be ended elsewhere
        meanwhile; of the last one at once.
        """
        self.settle()
        self._ending = ending
        if self._whole + 1 == len(self.order):
            self.settle()

    def settle(self) -> None:
        """Wait for the frame that is being ended."""
        if self._ending is None:
            return
        made = np.ascontiguousarray(self._ending(), self.dtype)
        self._ending = None
        self.frames[self.order[self._whole]] = made
        self._checks.append(zlib.crc32(made.data))

    def pixels(self, shape: tuple[int, ...]) -> Pixels:
        """Give the whole result in the shape of its stack; a large one on request."""
        if isinstance(self.frames, FrameFile):
            return self.frames.pixels(shape)
        return self.frames.reshape(shape)

    @property
    def _whole(self) -> int:
        """How many frames are in the result."""
        return len(self._checks)

    def _state(self) -> State:
        with suppress(Cancelled):  # by others, who have not ended it
            self.settle()
        done = self.done if self._ending is None else self._whole * len(self.places)
        return {
            "tile_px": self.tile_px,
            "done": done,
            "checks": list(self._checks),
            "hot": dict(self.hot),
            "layers": self.layers if done % len(self.places) else None,
        }

    def _write(self, path: Path) -> None:
        """Write the frames that are new; those of a large result are there already."""
        with path.open("r+b" if path.exists() else "wb") as file:
            if isinstance(self.frames, np.ndarray):
                for index in self.order[self._written : self._whole]:
                    file.seek(index * self.frames[0].nbytes)
                    file.write(self.frames[index].data)
                file.flush()
            os.fsync(file.fileno())
        self._written = self._whole


def denoise(
    stack: Stack,
    denoiser: Denoiser,
    *,
    run: Run = SILENT,
    tile_px: int = 0,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    maker: TileMaker = HERE,
) -> Stack:
    """Denoise every frame of a stack, tile by tile.

    Parameters
    ----------
    stack
        Any size; the same axes and pixel size come back, in float32 (float64 for values of 32 bits
        and more); `cast_like` gives the data type of the stack.
    denoiser
        Trained on this stack or on one like it.
    tile_px
        Side of a tile without its halo; 0 chooses by the free memory. Where that runs out after
        all, smaller ones are used, with the same result.
    checkpoint
        Keeps the tiles that are done, for a job that it was told of before.
    maker
        Makes the tiles.

    Raises
    ------
    InputError
        If the stack has channels that the denoiser has not learned.
    SettingsError
        If the memory is too small even for small tiles.
    """
    check_channels(stack, denoiser.channels)
    hot: dict[int, int] = {}
    given = measured(stack, run, repair=denoiser.settings.denoiser.repair_hot_pixels, hot=hot)
    even = denoiser.even_noise or _levels(given, denoiser, run)
    stack, original = even.evened(given, run=run) if even else given, stack
    ready, part = _ready(denoiser), checkpoint.part("denoised")
    shape = stack.frame_count, *stack.frame_shape
    raws: dict[int, Pixels] = {}  # frames of which tiles are being made
    tile, layers = _tile(denoiser, tile_px), 2 if ready.neighbours else 1
    near, noises = ready.neighbours, [channel.noise for channel in ready.channels]
    frames = NeighbourFrames(stack, noises, near, run, given=given, even=denoiser.even_noise)
    kept = KeptFrames(part, shape, float_of(given.dtype), tile, layers, frames.order, hot)
    places, total = kept.places, stack.frame_count * len(kept.places)
    run.plan(maker.describe(denoiser.device), _work(stack, denoiser, kept.tile_px))
    run.start(Stage.DENOISE, total, done=kept.done)

    def ending(index: int) -> Callable[[], Pixels]:
        number = frames.channel_of(index)
        share = kept_share(ready.settings.denoiser, stack, ready.channels[number])
        end = maker.ending(MadeFrame(raws.pop(index), kept.layers, number, share), ready, run)
        return lambda: _restored(end().astype(kept.dtype), index, even, given, original)

    made = maker(_tiles(frames, places, kept.done, raws), ready, run)
    with kept.saved_before_leaving(), closing(made):
        frames.note_jumps()
        for index in frames.order[kept.done // len(places) :]:
            for place in places[kept.done % len(places) :]:
                kept.check(run)
                kept.layers[:, *place.slices] = next(made)
                if place is places[-1]:
                    kept.finish(ending(index))
                kept.done += 1
                if run.tick_due() or kept.done == total:
                    run.progress(Stage.DENOISE, kept.done, total)
    kept.save()
    give_memory_back()
    tell_hot(hot, original, run)
    run.finish(Stage.DENOISE)
    return original.with_pixels(kept.pixels(original.shape))


def _tiles(
    frames: NeighbourFrames,
    places: Sequence[PatchLocation],
    done: int,
    raws: dict[int, Pixels],
) -> Iterator[Tile]:
    """Give the tiles of a stack in their order, but those that are done; keep the frames begun."""
    first, begun = divmod(done, len(places))
    for index in frames.order[first:]:
        raws[index], others = frames.stack.raw_frame(index), frames.beside(index)
        for place in places[begun:]:
            yield Tile(raws[index], others, place, frames.channel_of(index))
        begun = 0


def _restored(
    made: Pixels, index: int, even: EvenNoise | FrameLevels | None, given: Stack, original: Stack
) -> Pixels:
    """Give a frame with noise as unlike as it came, and what is no measurement in it."""
    made = even.restored(made, given, index) if even else made
    put_back(made, original, index)
    return made


def _ready(denoiser: Denoiser) -> Denoiser:
    """Fold the batch norm away and order memory by channels: both faster and exact."""
    network = fold_batch_norm(denoiser.network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return replace(denoiser, network=network)


def _tile(denoiser: Denoiser, tile_px: int) -> int:
    """Give the side of the tiles, on the denoiser's grid; 0 is by the free memory."""
    side = tile_px or tile_size(denoiser.device, denoiser.halo_px, MEMORY_CHANNELS)
    return max(denoiser.grid_px, side // denoiser.grid_px * denoiser.grid_px)


def tiled_mpx(stack: Stack, halo_px: int, tile_px: int) -> float:
    """Give how many megapixels every tile of a stack is with its halo, together."""
    shape = stack.frame_shape
    around = (place.grown(halo_px, shape) for place in tiles(shape, tile_px))
    return stack.frame_count * sum(place.height * place.width for place in around) / 1e6


def _work(stack: Stack, denoiser: Denoiser, tile_px: int) -> dict[Stage, Amounts]:
    """Say how much work denoising a stack is."""
    mpx = tiled_mpx(stack, denoiser.last_halo_px, tile_px)
    ways = {len(channel.noise.orientations) for channel in denoiser.channels}
    each = (min(ways), max(ways)) if denoiser.settings.denoiser.every_orientation else (1, 1)
    near = 2 * denoiser.neighbours * tiled_mpx(stack, denoiser.halo_px, tile_px)
    work = {
        of_network(PASS, denoiser.network): (each[0] * mpx, each[1] * mpx),
        NEIGHBOURS: (near, near),
    }
    return {Stage.DENOISE: work | ({LAST_PASS: (mpx, mpx)} if denoiser.collaborates else {})}


def _levels(given: Stack, denoiser: Denoiser, run: Run) -> FrameLevels | None:
    levels = FrameLevels.of(given, run) if denoiser.settings.noise_model.by_place else None
    if levels:
        run.note(levels.sentence)
    return levels
