"""The channels of a training: the noise of each, measured in smooth patches and learned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np

from training_core.compute.checkpoint import Part, State
from training_core.costs import NOISE, NOISE_IN_CT
from training_core.denoise.channel import Channel, doubted_of
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.model_file import channel_from, channel_state
from training_core.denoise.region import Region
from training_core.networks.pretrained import NAME as PRETRAINED
from training_core.noise.adversarial import train_generator
from training_core.noise.figures import Recording
from training_core.noise.local_strength import is_ct, turns
from training_core.noise.measurement import measure_noise, note_unlike
from training_core.noise.model import noise_of
from training_core.patches.smooth_patches import blank_channels, cut_noise_patches
from training_core.stack import Image, Stack
from training_core.wording import in_doubt

from .heavy_tails import with_tails
from .material import Material
from .remeasure import refined
from .start import untrained
from .task import Task

MEASURED_REGIONS = 8
MEASURED_MPX = 0.32  # of all together: larger ones are looked at in as many windows


def measured_mpx(pixels: Iterable[int]) -> float:
    """Give how many megapixels of regions of a channel its noise is measured on."""
    return min(sum(list(pixels)[:MEASURED_REGIONS]) / 1e6, MEASURED_MPX)


def learn_channels(
    material: Material, patches: Sequence[Image], task: Task
) -> tuple[tuple[Channel, ...], bool]:
    """Measure the noise of each channel and let a generator learn it; kept once it is done.

    The smooth patches of each channel are (count, size, size) float32 in stack units. Also tell
    whether the noise of a channel changes its direction from place to place.
    """
    learned = [_learned(number, material, mine, task) for number, mine in enumerate(patches)]
    channels = tuple(channel for channel, _ in learned)
    doubted = doubted_of(channels)
    if doubted:
        task.run.note(in_doubt(doubted, len(channels)), warning=True)
    return channels, any(turning for _, turning in learned)


def without_blank(
    stacks: Sequence[Stack], repeats: Sequence[Stack], task: Task
) -> tuple[list[Stack], list[Stack], list[int]]:
    """Give stacks and repeats without the channels that hold nothing, and which these are."""
    blank = blank_channels(stacks, task.settings.patches)
    if not blank:
        return list(stacks), list(repeats), []
    some = [n for n in range(stacks[0].shape[stacks[0].axes.index("C")]) if n not in blank]
    named = " and ".join(str(n + 1) for n in blank)
    task.run.note(
        f"Channel {named} of {stacks[0].name} holds hardly any differing values, as where a dye is "
        "switched off or all is saturated: it is left as it is and not counted in what follows.",
        warning=True,
    )
    seen, again = ([one.of_channels(some) for one in of] for of in (stacks, repeats))
    return seen, again, blank


def with_blank(learned: Sequence[Channel], blank: Sequence[int]) -> tuple[Channel, ...]:
    """Give the learned channels, and among them those of these numbers, of which none was."""
    channels = list(learned)
    for number in blank:
        # A copy, since model files share no weights between channels.
        channels.insert(number, replace(deepcopy(learned[0]), blank=True))
    return tuple(channels)


def _learned(number: int, material: Material, patches: Image, task: Task) -> tuple[Channel, bool]:
    game = task.checkpoint.part(f"noise-{number}")
    state = task.checkpoint.stage(
        f"channel-{number}", lambda: _learn(number, material, patches, task, game)
    )
    game.drop()
    # Built from the state also where it was learned just now, so that nothing can differ.
    channel = channel_from(state["channel"], task.device)
    if task.settings.denoiser.as_recorded and not material.even:  # which moves the ends of values
        channel = replace(channel, recording=Recording.of(material.stacks, number))
    return channel, state["turns"]


def _learn(number: int, material: Material, patches: Image, task: Task, game: Part) -> State:
    mine, settings = material.of_channel(number)[:MEASURED_REGIONS], task.settings
    frames, turning = [region.values for region in mine], False
    measured = measure_noise(frames, patches, settings.noise_model, linear=is_ct(material.stacks))
    if material.even:
        turning = turns(measured.noise, measured.covariance)
        seen = [material.tissue(region) for region in mine]
        measured = refined(measured, frames, patches, task.run, seen)
    kind = NOISE_IN_CT if material.even else NOISE
    task.run.did(kind, measured_mpx(frame.size for frame in frames))
    generator, match = train_generator(
        measured,
        settings.noise_model,
        seed=settings.seed,
        device=task.device,
        run=task.run,
        part=game,
        cut=patches,
        channel=number,
    )
    stabiliser, curve = measured.stabiliser, measured.curve
    parts = (stabiliser, curve, measured.covariance, generator, match, len(patches))
    model = noise_of(measured.photons, *parts)
    stabilised = np.concatenate([stabiliser.forward(frame).ravel() for frame in frames])
    spread = float(stabilised.std())
    # The bundled network was trained on images in units of their noise.
    if settings.denoiser.network == PRETRAINED:
        spread = curve.strongest
    mean, doubted = float(stabilised.mean()), measured.doubted
    spread = spread if spread > 0 else 1.0
    channel = Channel(model, mean, spread, doubted=doubted, sure=measured.sure)
    return {"channel": channel_state(channel), "turns": turning}


@dataclass(frozen=True, eq=False)
class KnownNoise:
    """What is known of stacks before anything is trained."""

    denoiser: Denoiser  # untrained, with the noise of each channel
    # What is learned from, and its regions, stabilised
    material: Material
    noisy: list[Region]
    turning: bool  # whether the noise of a channel changes its direction from place to place
    tails: tuple[int, ...]  # the channels, counted from 1, whose noise a few pixels hold


def with_known_noise(stacks: Sequence[Stack], repeats: Sequence[Stack], task: Task) -> KnownNoise:
    """Measure the noise of stacks and let a generator learn it: what the rounds begin with."""
    settings, run = task.settings, task.run
    material = Material.of(stacks, repeats, task, by_place=settings.noise_model.by_place)
    note_unlike(stacks, material.regions, run)
    given = material.stacks
    patches = cut_noise_patches(stacks, settings.patches, run, task.checkpoint, evened=given)
    run.check()
    channels, turning = learn_channels(material, patches, task)
    run.check()
    denoiser = untrained(channels, material.even, task)
    noisy = material.stabilised(channels, task.device)
    denoiser, noisy, tails = with_tails(denoiser, noisy, task)
    return KnownNoise(denoiser, material, list(noisy), turning, tails)
