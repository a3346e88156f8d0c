"""A frame whose tiles are made, brought to its end: flat areas even, in the units of the stack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from training_core.place import tiles
from training_core.stack import Image, Pixels, Values

from .denoiser import Denoiser

TILE_PX = 2048  # of frames that are made: the halo of 204 px is cheap at this size


@dataclass(frozen=True, eq=False)
class MadeFrame:
    """A noisy frame and what its tiles became.

    `raw` is the noisy frame, of the file's dtype, `layers` what the denoiser's `passes` gave, (1 or
    2, height, width) float32, `channel` the number of its channel, and `kept_noise` how much of
    what was removed is put back, 0 to 1.
    """

    raw: Pixels
    layers: Image
    channel: int
    kept_noise: float = 0.0

    def finished(self, denoiser: Denoiser) -> Values:
        """Give the frame with flat areas even, (height, width).

        Not tile by tile as they are made: to tell what is flat takes a wide halo, which is cheap
        here.
        """
        channel, shape = denoiser.channels[self.channel], self.raw.shape
        halo = channel.flat_areas.halo_px if channel.flat_areas else 0
        made_of = np.empty(shape)
        for place in tiles(shape, TILE_PX):
            around = place.grown(halo, shape)
            seen = torch.from_numpy(self.layers[:, *around.slices]).to(denoiser.device)
            made = denoiser.evened(seen[0], channel, seen[1] if len(seen) > 1 else None)
            original = self.raw[place.slices]
            estimate = made.cpu().numpy()[place.within(around).slices]
            values = channel.in_stack_units(estimate, original)
            if self.kept_noise:
                values += self.kept_noise * (original - values)
            made_of[place.slices] = values
        return made_of
