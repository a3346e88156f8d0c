"""The whole job: find smooth patches, learn the noise, estimate, train in rounds, denoise."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from training_core.compute.checkpoint import NO_CHECKPOINT, describe_job
from training_core.compute.device import choose_device, describe_device, reproducible
from training_core.compute.memory import give_memory_back
from training_core.denoise.tiled import denoise
from training_core.io.tiff_writer import program
from training_core.selection.choice import best_round
from training_core.selection.repeats import check_repeats
from training_core.training.expected_time import expected_plan
from training_core.training.training_job import Training
from training_core.training.variant import for_stacks

from .run import SILENT
from .stack import check_trainable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training_core.compute.checkpoint import Checkpoint
    from training_core.denoise.denoiser import Denoiser
    from training_core.selection.choice import RoundResult

    from .run import Run
    from .settings import Settings
    from .stack import Stack


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of the whole job."""

    denoised: Stack
    denoiser: Denoiser


def denoise_stack(
    stack: Stack,
    settings: Settings,
    *,
    run: Run = SILENT,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    repeats: Sequence[Stack] = (),
) -> Outcome:
    """Train a denoiser on a stack and denoise the stack with it.

    Parameters
    ----------
    checkpoint
        Where an interrupted job is kept and gone on with.
    repeats
        As in `train`.

    Raises
    ------
    InputError
        If nothing can be learned from the stack, or a repeat is none of it.
    CheckpointError
        If the checkpoint keeps another job.
    Cancelled
        If the run was cancelled.
    """
    denoiser = train([stack], settings, run=run, checkpoint=checkpoint, repeats=repeats)
    return Outcome(denoise(stack, denoiser, run=run, checkpoint=checkpoint), denoiser)


def expected_seconds(stack: Stack, settings: Settings) -> float:
    """Estimate how long `denoise_stack` takes here, from a short real calculation."""
    suited = for_stacks(settings, [stack])
    plan = expected_plan([stack], suited, choose_device(settings.device))
    return sum(plan.values())


def train(
    stacks: Sequence[Stack],
    settings: Settings,
    *,
    run: Run = SILENT,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    repeats: Sequence[Stack] = (),
) -> Denoiser:
    """Learn one denoiser from stacks that were taken alike; nothing clean is needed.

    With `run.stop_and_keep` it finishes early, with what was learned so far.

    Parameters
    ----------
    checkpoint
        Where an interrupted training is kept and gone on with, to the same weights as one that was
        not interrupted.
    repeats
        One or two further exposures of the scene of the only stack. They choose among first
        estimates, weights and rounds, more surely than Stein's estimate can; nothing is learned
        from them.

    Raises
    ------
    InputError
        If a stack is constant or too small, or has too few smooth patches, or a repeat does not
        show the scene of the stack.
    CheckpointError
        If the checkpoint keeps another job.
    Cancelled
        If the run was cancelled.
    """
    started = time.monotonic()
    for stack in stacks:
        check_trainable(stack)
    check_repeats(stacks, repeats, run)
    settings = for_stacks(settings, stacks, run)
    checkpoint.claim(describe_job(stacks, settings, repeats) if checkpoint.working else {})
    device = choose_device(settings.device, run=run)
    run.plan(expected_plan(stacks, settings, device))
    fast = settings.precision == "auto"
    with torch.random.fork_rng(devices=[]), reproducible(device, fast=fast):
        torch.manual_seed(settings.seed)
        training = Training(stacks, settings, device, run, checkpoint, repeats)
        denoiser, rounds = training.denoiser()
    give_memory_back()
    seconds = checkpoint.seconds_before + time.monotonic() - started
    denoiser.card |= _card(denoiser, stacks, rounds, seconds)
    denoiser.card["repeats"] = [repeat.name for repeat in repeats]
    return denoiser


def _card(
    denoiser: Denoiser, stacks: Sequence[Stack], rounds: Sequence[RoundResult], seconds: float
) -> dict[str, Any]:
    """Tell the story of a training in plain values."""
    stack, settings = stacks[0], denoiser.settings
    return {
        "program": program(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": describe_device(denoiser.device),
        "preset": settings.preset,
        "seed": settings.seed,
        "seconds": seconds,
        "settings": settings.to_dict(),
        "trained_on": [s.name for s in stacks],
        "dtype": str(stack.dtype),
        "axes": stack.axes,
        "pixel_size_um": [stack.pixel_size.x_um, stack.pixel_size.y_um, stack.pixel_size.z_um],
        "patches": sum(channel.noise.patches for channel in denoiser.channels),
        "noise": [channel.noise.statistics() for channel in denoiser.channels],
        "rounds": [result.to_dict() for result in rounds],
        "chosen_round": best_round(rounds),
    }
