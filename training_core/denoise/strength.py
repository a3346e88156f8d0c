"""How strongly a result is denoised, changed afterwards: its blend with the noisy stack."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training_core.frames import made_frames
from training_core.stack import Pixels, Stack, float_of

from .denoiser import Denoiser
from .tiled import kept_share

LEAST = 1e-6  # of what was removed: a result that is the noisy stack cannot be made another


def kept_of(denoiser: Denoiser, stack: Stack) -> float:
    """Give how much of what is removed the result of a stack keeps; of several channels the most.

    0 to 1.
    """
    settings = denoiser.settings.denoiser
    return max(kept_share(settings, stack, channel) for channel in denoiser.channels)


def keeping(denoiser: Denoiser, share: float) -> Denoiser:
    """Give a denoiser that keeps this share of what it removes, 0 to 1, and whose card says so."""
    settings = denoiser.settings
    changed = replace(settings, denoiser=replace(settings.denoiser, kept_noise=share))
    return replace(denoiser, settings=changed, card={**denoiser.card, "kept_noise": share})


def kept_again(result: Stack, noisy: Stack, denoiser: Denoiser, share: float) -> Stack:
    """Give what a result would be if another share of what was removed had been kept.

    Parameters
    ----------
    result
        What `denoiser` made of `noisy`; its frames are blended when they are asked for.
    share
        0 to 1, the same in all channels.
    """
    settings, channels = denoiser.settings.denoiser, denoiser.channels
    factors = [
        (1 - share) / max(1 - kept_share(settings, noisy, channel), LEAST) for channel in channels
    ]

    dtype = float_of(result.dtype)

    def frame(index: int) -> Pixels:
        made = result.raw_frame(index)
        factor = factors[noisy.channel_of(index) if len(factors) > 1 else 0]
        if factor == 1:
            return made
        original = noisy.raw_frame(index).astype(dtype)
        blended: Pixels = original + np.asarray(factor, dtype) * (made - original)
        return blended

    return result.with_pixels(made_frames(frame, result.shape, dtype))
