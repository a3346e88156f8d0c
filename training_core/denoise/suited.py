"""A denoiser for another recording than the one it learned from: with the transform of the file.

A model keeps a network and a spectrum. Gain and offset are the camera's settings, and where those
of a file are others, values come out of the model's own transform lifted or flattened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from training_core.networks.pretrained import NAME as PRETRAINED
from training_core.noise.anscombe import Stabiliser, fit_stabiliser
from training_core.noise.figures import UNTOUCHED
from training_core.noise.model import GaussianNoise, NoiseModel, PublishedNoise
from training_core.noise.strength_curve import BLOCK_PX, TINY, NoiseCurve
from training_core.noise.white_covariance import is_surely_noise
from training_core.patches.smooth_patches import blank_channels
from training_core.run import SILENT, Run
from training_core.stack import Image, Stack, centre, sampled_frames
from training_core.unmeasured import seen_frames
from training_core.wording import figure

from .brightness import BrightnessCurve
from .channel import Channel, check_channels
from .denoiser import Denoiser

UNLIKE = 1.5  # times the std that a model expects
BELOW = 0.01  # of the pixels lie where its transform cannot tell them apart


def suited_to(denoiser: Denoiser, stack: Stack, run: Run = SILENT) -> Denoiser:
    """Give a denoiser whose transform suits a stack; the same one where that is alike already.

    Of CT and of published noise nothing is changed: the first is measured by place anyway, the
    second has units of its own.

    Raises `InputError` if the stack has channels that the denoiser has not learned.
    """
    check_channels(stack, denoiser.channels)
    if denoiser.even_noise:
        return denoiser
    count = stack.shape[stack.axes.index("C")] if "C" in stack.axes else 1
    known = denoiser.channels
    mine = known if len(known) > 1 else known * count
    learned_from = denoiser.card.get("trained_on")  # a list of names, of 0.1 also a text
    own = isinstance(learned_from, list) and stack.name in learned_from
    by_noise = denoiser.settings.denoiser.network == PRETRAINED
    names = [
        f"channel {n} of {stack.name}" if count > 1 else stack.name for n in range(1, count + 1)
    ]
    some_blank = any(channel.blank for channel in mine)
    blank = blank_channels([stack], denoiser.settings.patches) if some_blank else []
    channels = tuple(
        channel
        if n in blank and channel.blank  # as it was when the model was trained
        else _suited(channel, _frames(stack, n), "" if own else names[n], run, by_noise=by_noise)
        for n, channel in enumerate(mine)
    )
    return denoiser if channels == mine else replace(denoiser, channels=channels)


def _frames(stack: Stack, channel: int) -> list[Image]:
    frames = [i for i in range(stack.frame_count) if stack.channel_of(i) == channel]
    some = sorted({frames[i * len(frames) // stack.frame_count] for i in sampled_frames(stack)})
    return [centre(frame) for frame in seen_frames(stack, some)]


def _suited(
    channel: Channel, frames: Sequence[Image], name: str, run: Run, *, by_noise: bool
) -> Channel:
    noise = channel.noise
    if isinstance(noise, PublishedNoise) or not any(np.ptp(frame) for frame in frames):
        return channel
    if min(frames[0].shape) < BLOCK_PX:
        run.note(
            f"The frames of {name or 'this stack'} are too narrow to measure their noise in; it is "
            "taken to be as the model expects.",
            warning=True,
        )
        return channel
    if channel.blank:
        run.note(
            f"The model has learned nothing for {name or 'a channel'}, which was blank in its "
            "training: it is left as it is. Train on this stack to denoise it.",
            warning=True,
        )
        return channel
    own = fit_stabiliser(frames, noise.covariance)
    values = np.concatenate([frame.ravel() for frame in frames])
    usual = float(np.median(values))
    expected = noise.stabiliser.sigma(usual)  # 0 where its transform knows no such values
    strength = own.sigma(usual) / max(expected, TINY)
    below = float((values <= noise.stabiliser.floor).mean())
    if 1 / UNLIKE < strength < UNLIKE and below < BELOW:
        return channel
    unlike = (
        f"The noise of {name or 'this stack'} is {figure(strength)} times as strong at usual "
        "brightness as the model expects"
        if expected
        else f"The values of {name or 'this stack'} are none that the model has learned from"
    )
    stronger = strength >= UNLIKE and below < BELOW
    # What looks stronger may be texture, of which nothing is taken.
    if stronger and not is_surely_noise([own.forward(frame) for frame in frames]):
        if name:
            run.note(f"{unlike}, so noise may be left; train on this stack.", warning=True)
        return channel
    run.note(
        f"{unlike}. Strength and offset are taken from this stack, the kind of noise from the "
        "model; training on this stack will do better.",
        warning=True,
    )
    return _with_transform(channel, own, values, by_noise=by_noise)


def _with_transform(channel: Channel, own: Stabiliser, values: Image, *, by_noise: bool) -> Channel:
    """Give the channel with another transform, in whose units its noise has a std of 1."""
    known: NoiseModel = channel.noise
    stabilised = own.forward(values)
    curve = NoiseCurve(np.array([float(np.median(stabilised))]), np.ones(1))
    parts = (known.covariance, known.generator, known.match, known.patches)
    return replace(
        channel,
        noise=GaussianNoise(own, curve, *parts),
        mean=float(stabilised.mean()),
        spread=1.0 if by_noise else float(stabilised.std()) or 1.0,
        brightness=BrightnessCurve(),
        recording=UNTOUCHED,
    )
