"""The method as published (METHOD 2): g1 and g2 learn together, then rounds of DnCNN or U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from training_core.compute.checkpoint import Part, State
from training_core.costs import NOISE
from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.model_file import channel_from, channel_state
from training_core.denoise.region import Region
from training_core.networks.build import build_network
from training_core.noise.anscombe import Stabiliser
from training_core.noise.covariance import detrended
from training_core.noise.likeness import RealNoise
from training_core.noise.measurement import measure_noise
from training_core.noise.model import PublishedNoise
from training_core.noise.strength_curve import NoiseCurve
from training_core.paper.gan import first_network, train_paper_gan
from training_core.paper.pairs import PublishedPairs
from training_core.patches.smooth_patches import cut_noise_patches
from training_core.run import SILENT, RoundJudged, Run, Stage
from training_core.selection.choice import Judged, choose_share
from training_core.selection.sure import Risk, RiskEstimator
from training_core.settings import Settings, preset
from training_core.stack import Image, IntensityRange, Stack

from .calibrate import calibrated
from .channels import MEASURED_REGIONS, measured_mpx
from .material import Material
from .report import Learned, TrainingReport
from .round import Preview, train_round
from .rounds import Round, settled_on_best
from .task import Task

# What the authors changed for CT.
STRICTNESS, BATCH, STEPS = 0.15, 4, 153_750  # 20 500 crops, 30 epochs


def train_as_published(
    stacks: Sequence[Stack], repeats: Sequence[Stack], task: Task
) -> tuple[Learned, TrainingReport]:
    """Learn a denoiser as the paper does; the round that is used is chosen blind all the same."""
    material = Material.of(stacks, repeats, task, by_place=False)
    patches = cut_noise_patches(stacks, task.settings.patches, task.run, task.checkpoint)
    learned = [_channel(number, material, mine, task) for number, mine in enumerate(patches)]
    channels = tuple(channel for channel, _ in learned)
    first = [g2 for _, g2 in learned]
    network = build_network(task.settings.denoiser).to(task.device).eval()
    denoiser = Denoiser(network, channels, task.settings, task.device)
    # Only crops of the regions are taken, and `Crops` says where those fit.
    noisy = material.stabilised(channels, torch.device("cpu"))
    frames = material.sequences(channels, 0, task.run)
    risk = material.risk(noisy, task)
    rounds = _rounds(denoiser, noisy, first, risk, task, Preview(material, frames[0]))
    denoiser, history, share = settled_on_best(denoiser, rounds, task.run)
    report = TrainingReport(tuple(one.result for one in rounds), last_pass=share)
    history[0] = first[0]  # g2 of the first channel
    return Learned(calibrated(denoiser, noisy, material, task), history), report


def _channel(
    number: int, material: Material, patches: Image, task: Task
) -> tuple[Channel, nn.Module]:
    """Train g1 and g2 on unit intensities; kept once it is done."""
    game = task.checkpoint.part(f"noise-{number}")
    state = task.checkpoint.stage(
        f"channel-{number}", lambda: _play(number, material, patches, task, game)
    )
    game.drop()
    # Built from the state also where it was learned just now, so that nothing can differ.
    channel = channel_from(state["channel"], task.device)
    g2 = first_network(task.settings).to(task.device).eval()
    g2.load_state_dict(state["g2"])
    return channel, g2


def _play(number: int, material: Material, patches: Image, task: Task, game: Part) -> State:
    intensity = IntensityRange.published(material.stacks)
    unit = Stabiliser(offset=intensity.offset, scale=intensity.scale)
    settings = task.settings
    frames = [r.values for r in material.of_channel(number)]
    measured = measure_noise(frames[:MEASURED_REGIONS], patches, settings.noise_model, linear=True)
    task.run.did(NOISE, measured_mpx(frame.size for frame in frames[:MEASURED_REGIONS]))
    noise = unit.forward(patches)
    curve = NoiseCurve(np.zeros(1), np.array([float(noise.std(axis=(1, 2)).mean())]))
    gan = train_paper_gan(
        noise,
        [unit.forward(frame) for frame in frames],
        settings,
        device=task.device,
        run=task.run,
        part=game,
        real=RealNoise(detrended(noise), patches, unit, curve),
        channel=number,
    )
    model = PublishedNoise(unit, curve, measured.covariance, gan.g1, None, len(patches))
    return {"channel": channel_state(Channel(model)), "g2": gan.g2.state_dict()}


def _rounds(
    denoiser: Denoiser,
    noisy: Sequence[Region],
    first: Sequence[nn.Module],
    risk: RiskEstimator,
    task: Task,
    preview: Preview,
) -> list[Round]:
    """Take all rounds. Too little is known of this noise for what `judge_shares` checks."""
    plan = [task.settings.denoiser.steps] * task.settings.denoiser.rounds
    draw = torch.Generator().manual_seed(task.settings.seed)
    rounds: list[Round] = []
    taken = 0
    for number in range(1, len(plan) + 1):
        part = task.checkpoint.part(f"round-{number}")
        state = part.load()
        if state is None:
            teachers = first if number == 1 else [denoiser.network] * len(denoiser.channels)

            def pairs(teachers: Sequence[nn.Module] = teachers) -> PublishedPairs:
                return PublishedPairs(denoiser, noisy, teachers, draw, task.run)

            taken += train_round(denoiser, pairs, plan, number, task, preview=preview)
            judged, *_ = choose_share(denoiser, risk, task.run)
            state = {
                "network": deepcopy(denoiser.network.state_dict()),
                "parts": judged.score.parts,
                "share": judged.share,
                "errors": judged.errors,
                "steps_taken": taken,
                "draw": draw.get_state(),
            }
            part.save(state)
            task.checkpoint.part(f"steps-{number}").drop()
        else:
            denoiser.network.load_state_dict(state["network"])
            draw.set_state(state["draw"])
        taken = state["steps_taken"]
        judged = Judged(Risk(state["parts"]), share=state["share"], errors=state["errors"])
        rounds.append(Round(number, state["network"], judged))
        task.run.emit(RoundJudged(number, rounds[-1].result.score))
        if task.run.finish_early:
            break
    task.run.finish(Stage.ROUNDS)
    return rounds


def for_stacks(settings: Settings, stacks: Sequence[Stack], run: Run = SILENT) -> Settings:
    """Give the variant for CT where the stacks are in HU and the paper preset is untouched.

    The U-Net takes the place of all denoising networks, in batches of 4, and the strictness is
    0.15. Who changed anything but seed, device and precision gets what was asked for.
    """
    chosen = {name: getattr(settings, name) for name in ("seed", "device", "precision")}
    untouched = settings == preset("paper", **chosen)
    if not untouched or any(stack.value_unit != "HU" for stack in stacks):
        return settings
    run.note("The stack is CT: the paper preset takes the U-Net and a strictness of 0.15 for it.")
    return replace(
        settings,
        patches=replace(settings.patches, strictness=STRICTNESS),
        denoiser=replace(settings.denoiser, network="unet", batch=BATCH, steps=STEPS),
    )
