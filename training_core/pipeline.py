"""The whole job: find smooth patches, learn the noise, estimate, train in rounds, denoise."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from training_core.training.material import check_repeats

from .compute.checkpoint import NO_CHECKPOINT, Checkpoint, describe_job
from .compute.device import choose_device, describe_device, reproducible, seeded
from .compute.memory import give_memory_back
from .costs import Costs, Span, total
from .denoise.denoiser import Denoiser
from .denoise.tiled import denoise
from .noise.local_strength import WHY as NOISE_TURNS
from .run import SILENT, Run
from .selection.neighbours import most_neighbours, with_neighbours
from .settings import Settings
from .stack import Stack, check_trainable
from .training.as_published import for_stacks, train_as_published
from .training.calibrate import calibrated, faint_spots_left
from .training.channels import with_blank, with_known_noise, without_blank
from .training.expected_work import expected_work
from .training.first_estimate import make_first_estimates
from .training.pairs import learns_from_recorded
from .training.report import Learned, TrainingReport, card_of
from .training.round import Preview
from .training.rounds import train_rounds
from .training.task import EstimateTask, Task


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
    """Train a denoiser on a stack and denoise the stack with it; for the rest see `train`."""
    denoiser = train([stack], settings, repeats=repeats, run=run, checkpoint=checkpoint).denoiser
    return Outcome(denoise(stack, denoiser, run=run, checkpoint=checkpoint), denoiser)


def expected_time(stack: Stack, settings: Settings, costs: Costs) -> Span | None:
    """Give how long `denoise_stack` takes by what is known of this machine; None if nothing is."""
    device = choose_device(settings.device)
    costs.begin(describe_device(device))
    work = expected_work([stack], for_stacks(settings, [stack]), device)
    return costs.span(total(work.values()))


def train(
    stacks: Sequence[Stack],
    settings: Settings,
    *,
    run: Run = SILENT,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    repeats: Sequence[Stack] = (),
) -> Learned:
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
    """
    started = time.monotonic()
    for stack in stacks:
        check_trainable(stack)
    check_repeats(stacks, repeats, run)
    settings = for_stacks(settings, stacks, run)
    checkpoint.claim(describe_job(stacks, settings, repeats) if checkpoint.working else {})
    task = Task(settings, choose_device(settings.device, run=run), run, checkpoint)
    seen, again, blank = without_blank(stacks, repeats, task)
    run.plan(describe_device(task.device), expected_work(seen, settings, task.device))
    method = train_as_published if settings.is_published else train_robustly
    fast = settings.precision == "auto"
    with seeded(settings.seed, run), reproducible(task.device, fast=fast):
        learned, report = method(seen, again, task)
    give_memory_back()
    seconds = checkpoint.seconds_before + time.monotonic() - started
    card = card_of(learned.denoiser, report, stacks, repeats, seconds)
    channels = with_blank(learned.denoiser.channels, blank)
    return replace(learned, denoiser=replace(learned.denoiser, card=card, channels=channels))


def train_robustly(
    stacks: Sequence[Stack], repeats: Sequence[Stack], task: Task
) -> tuple[Learned, TrainingReport]:
    """Learn a denoiser as this program does by default (METHOD 5), stage by stage."""
    final, run, checkpoint = task.settings, task.run, task.checkpoint
    # Orientations are averaged in the result alone: which round is best shows in one of them.
    settings = final.in_one_orientation
    task = replace(task, settings=settings)
    known = with_known_noise(stacks, repeats, task)
    denoiser, material, noisy = known.denoiser, known.material, known.noisy
    frames = material.sequences(denoiser.channels, most_neighbours(settings), run)
    averaging = with_neighbours(denoiser, frames, material.regions, noisy, run, checkpoint)
    denoiser, noisy = replace(denoiser, neighbours=averaging.count), list(averaging.noisy)
    risk = material.risk(noisy, task)
    trains = settings.denoiser.rounds > 0
    recorded = trains and known.turning and learns_from_recorded(denoiser, repeats, run)
    wanted = EstimateTask(settings, noisy, task.device, run, checkpoint, turns=recorded)
    first, method = make_first_estimates(wanted)
    preview = Preview(material, frames[0])
    trained = train_rounds(denoiser, noisy, first, risk, task, preview=preview, recorded=recorded)
    denoiser = replace(trained.denoiser, settings=final)
    denoiser = calibrated(denoiser, noisy, material, task)
    learned = Learned(denoiser, trained.history, method.estimator, wanted.channels)
    return learned, TrainingReport(
        trained.results,
        heavy_tails=known.tails,
        neighbours=averaging.told,
        recorded_pairs=NOISE_TURNS if recorded else "",
        turning=known.turning and not recorded,
        first_estimate=method,
        last_pass=trained.share,
        faint_spots=faint_spots_left(denoiser, noisy, material, task),
    )
