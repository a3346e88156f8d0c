"""The last of denoising a frame: flat areas are evened out, and its values are the file's again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from .even_noise import is_ct
from .patches import tiles
from .stack import cast

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .channel import Channel
    from .denoiser import Denoiser
    from .settings import DenoiserSettings
    from .stack import Pixels, Stack

    Image = NDArray[np.float32]

TILE_PX = 2048
KEPT_IN_CT = 0.2  # so that quarter dose becomes like full dose, which has half of its noise


def finish_frame(
    raw: Pixels,
    layers: Image,
    denoiser: Denoiser,
    channel: Channel,
    into: Pixels,
    kept_noise: float = 0.0,
) -> int:
    """Write a frame whose tiles are made, with flat areas even; give how many pixels were clipped.

    Not tile by tile as they are made: to tell what is flat takes a wide halo, which is cheap here.

    Parameters
    ----------
    raw, into
        The noisy frame and its place in the result, (height, width), of the file's dtype.
    layers
        What the denoiser's `passes` gave, (1 or 2, height, width) float32.
    kept_noise
        How much of what was removed is put back, 0 to 1.
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
        if kept_noise:
            values += kept_noise * (original - values)
        into[place.slices], lost = cast(values, original.dtype, original)
        clipped += lost
    return clipped


def kept_share(settings: DenoiserSettings, stack: Stack) -> float:
    """Give how much of the noise of a stack stays in the result."""
    if settings.kept_noise is not None:
        return settings.kept_noise
    return KEPT_IN_CT if is_ct([stack]) else 0.0


def to_stack_units(
    estimate: Image, noisy: Image, original: Pixels, channel: Channel
) -> NDArray[np.float64]:
    """Undo the stabilisation; a pixel that was left alone keeps its value to the last bit."""
    values = channel.brightness(channel.noise.stabiliser.inverse(estimate))
    exact: NDArray[np.float64] = np.where(estimate == noisy, original.astype(np.float64), values)
    return exact
