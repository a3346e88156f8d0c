"""The last of denoising a frame: flat areas are evened out, and its values are the file's again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from .patches import tiles
from .stack import cast

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .channel import Channel
    from .denoiser import Denoiser
    from .stack import Pixels

    Image = NDArray[np.float32]

TILE_PX = 2048


def finish_frame(
    raw: Pixels, layers: Image, denoiser: Denoiser, channel: Channel, into: Pixels
) -> int:
    """Write a frame whose tiles are made, with flat areas even; give how many pixels were clipped.

    Not tile by tile as they are made: to tell what is flat takes a wide halo, which is cheap here.

    Parameters
    ----------
    raw, into
        The noisy frame and its place in the result, (height, width), of the file's dtype.
    layers
        What the denoiser's `passes` gave, (1 or 2, height, width) float32.
    """
    clipped = 0
    for place in tiles(raw.shape, TILE_PX):
        around = place.grown(channel.flat_areas.halo_px if channel.flat_areas else 0, raw.shape)
        seen = torch.from_numpy(layers[:, *around.slices]).to(denoiser.device)
        made = denoiser.evened(seen[0], channel, seen[1] if len(seen) > 1 else None)
        original = raw[place.slices]
        noisy = channel.noise.stabiliser.forward(original)
        estimate = made.cpu().numpy()[place.within(around).slices]
        values = to_stack_units(estimate, noisy, original, channel)
        into[place.slices], lost = cast(values, original.dtype, original)
        clipped += lost
    return clipped


def to_stack_units(
    estimate: Image, noisy: Image, original: Pixels, channel: Channel
) -> NDArray[np.float64]:
    """Undo the stabilisation; a pixel that was left alone keeps its value to the last bit."""
    values = channel.brightness(channel.noise.stabiliser.inverse(estimate))
    exact: NDArray[np.float64] = np.where(estimate == noisy, original.astype(np.float64), values)
    return exact
