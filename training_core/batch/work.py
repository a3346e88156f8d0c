"""What is done to each stack of a batch: train on it, or use a model that is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_core.run import Run
from training_core.settings import Settings
from training_core.stack import Stack, check_trainable

if TYPE_CHECKING:
    from training_core.compute.checkpoint import Checkpoint
    from training_core.denoise.denoiser import Denoiser

    from .stacks import Work
    from .targets import Input


def train_on_each(settings: Settings, run: Run) -> Work:
    """Give the work of training on each stack and denoising it."""
    from training_core.pipeline import denoise_stack

    def work(stack: Stack, checkpoint: Checkpoint) -> tuple[Stack, Mapping[str, Any]]:
        check_trainable(stack)
        outcome = denoise_stack(stack, settings, run=run, checkpoint=checkpoint)
        return outcome.denoised, outcome.denoiser.card

    return work


def use_model(trained: Denoiser, model: Path, run: Run) -> Work:
    """Give the work of denoising with a model, whose file names it in a checkpoint."""
    from training_core.compute.checkpoint import describe_denoising
    from training_core.denoise.suited import suited_to
    from training_core.denoise.tiled import denoise

    def work(stack: Stack, checkpoint: Checkpoint) -> tuple[Stack, Mapping[str, Any]]:
        denoiser = suited_to(trained, stack, run)
        checkpoint.claim(describe_denoising(stack, model))
        return denoise(stack, denoiser, run=run, checkpoint=checkpoint), denoiser.card

    return work


def train_one_model(
    inputs: Sequence[Input],
    settings: Settings,
    model: Path,
    run: Run,
    checkpoint: Checkpoint,
    axes_at: Callable[[Path], Mapping[str, str] | None] = lambda _: None,
) -> Path:
    """Learn one model from stacks that were taken alike, and write it.

    `axes_at` says of a path what is known of the axes there, as `open_stack` takes it.

    Raises
    ------
    CoreError
        If one of the stacks cannot be opened or learned from.
    """
    from training_core.denoise.model_file import save_denoiser
    from training_core.pipeline import train

    from .stacks import open_noted

    stacks = [open_noted(each.path, run, each.series, axes_at(each.path)) for each in inputs]
    for stack in stacks:
        check_trainable(stack)
    learned = train(stacks, settings, run=run, checkpoint=checkpoint)
    model.parent.mkdir(parents=True, exist_ok=True)
    return save_denoiser(learned.denoiser, model, overwrite=True)
