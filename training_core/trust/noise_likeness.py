"""Real noise of smooth patches and made noise of the model beside it, to look at and to compare."""

from __future__ import annotations

import numpy as np
import torch

from training_core.denoise.denoiser import Denoiser
from training_core.errors import TooFewPatchesError
from training_core.noise.covariance import detrended
from training_core.noise.likeness import MOST_PATCHES, NoiseLikeness, RealNoise
from training_core.patches.smooth_patches import SmoothPatches
from training_core.run import SILENT, Run
from training_core.stack import Image, Stack

FEWEST = 8


def noise_likeness(
    stack: Stack,
    patches: SmoothPatches,
    denoiser: Denoiser,
    channel: int = 0,
    *,
    seed: int = 0,
    run: Run = SILENT,
) -> NoiseLikeness:
    """Compare the noise in smooth patches of a channel with that of its noise model.

    Raises
    ------
    TooFewPatchesError
        If the channel has fewer than 8 smooth patches.
    Cancelled
        If the run was cancelled.
    """
    run.check()
    learned = denoiser.channels[channel if len(denoiser.channels) > 1 else 0]
    even = denoiser.even_noise
    seen = _cut(even.evened(stack) if even else stack, patches, channel)
    noise = learned.noise
    unit = detrended(learned.stabilised(seen))
    draw = torch.Generator().manual_seed(seed)
    size = seen.shape[-1]
    made = noise.sample(len(seen), size, size, draw)[:, 0].cpu().numpy()
    run.check()
    return RealNoise(unit, seen, noise.stabiliser, noise.curve).beside(made)


def _cut(stack: Stack, patches: SmoothPatches, channel: int) -> Image:
    """Cut the patches of a channel, evenly from the list, (count, size, size)."""
    places = [p for p in patches.locations.tolist() if stack.channel_of(p[0]) == channel]
    if len(places) < FEWEST:
        raise TooFewPatchesError(
            f"Only {len(places)} smooth patches show the noise of this channel; {FEWEST} are "
            "needed to compare it. Choose a smaller patch size."
        )
    step = max(1, -(-len(places) // MOST_PATCHES))
    size = patches.patch_size_px
    frames: dict[int, Image] = {}
    cut = []
    for frame, top, left in places[::step]:
        if frame not in frames:
            frames = {frame: stack.frame(frame)}  # they are ordered by frame
        cut.append(frames[frame][top : top + size, left : left + size])
    return np.stack(cut)
