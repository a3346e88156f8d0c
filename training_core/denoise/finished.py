"""A frame whose tiles are made, brought to its end: flat areas even, in the units of the stack."""

from __future__ import annotations

import numpy as np
import torch

from training_core.place import tiles
from training_core.stack import Image, Pixels, Values

from .channel import Channel
from .denoiser import Denoiser

TILE_PX = 2048  # of frames that are made: the halo of 204 px is cheap at this size


def finished_frame(
    raw: Pixels, layers: Image, denoiser: Denoiser, channel: Channel, kept_noise: float = 0.0
) -> Values:
    """Give a frame whose tiles are made, with flat areas even, (height, width).

    Not tile by tile as they are made: to tell what is flat takes a wide halo, which is cheap here.
    `raw` is the noisy frame, of the file's dtype, `layers` what the denoiser's `passes` gave, (1 or
    2, height, width) float32, and `kept_noise` how much of what was removed is put back, 0 to 1.
    """
    made_of = np.empty(raw.shape)
    for place in tiles(raw.shape, TILE_PX):
        around = place.grown(channel.flat_areas.halo_px if channel.flat_areas else 0, raw.shape)
        seen = torch.from_numpy(layers[:, *around.slices]).to(denoiser.device)
        made = denoiser.evened(seen[0], channel, seen[1] if len(seen) > 1 else None)
        original = raw[place.slices]
        estimate = made.cpu().numpy()[place.within(around).slices]
        values = channel.in_stack_units(estimate, original)
        if kept_noise:
            values += kept_noise * (original - values)
        made_of[place.slices] = values
    return made_of
