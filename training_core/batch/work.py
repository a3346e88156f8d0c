"""What is done to each stack of a batch: train on it, or use a model that is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_core.run import Run
from training_core.settings import Settings
from training_core.stack import Stack, check_trainable

from .outputs import refuse_existing

if TYPE_CHECKING:
    from training_core.compute.checkpoint import Checkpoint
    from training_core.denoise.denoiser import Denoiser
    from training_core.denoise.tile import TileMaker

    from .stacks import Work
    from .targets import Input


def train_on_each(
    settings: Settings,
    run: Run,
    *,
    repeats: Sequence[Path] = (),
    axes: str | None = None,
    model: Path | None = None,
    overwrite: bool = False,
    names: bool = True,
) -> Work:
    """Give the work of training on each stack and denoising it.

    Of a lone stack the `repeats`, whose axes may be given, choose the best weights, and the
    denoiser is kept as `model`: over an older one only with `overwrite`, and without the names of
    stacks unless `names`.
    """
    from training_core.pipeline import denoise_stack

    from .stacks import open_noted

    def work(stack: Stack, checkpoint: Checkpoint) -> tuple[Stack, Mapping[str, Any]]:
        check_trainable(stack)
        replaced = overwrite or checkpoint.exists
        if model:
            refuse_existing(model, overwrite=replaced)
        again = [open_noted(path, run, None, axes) for path in repeats]
        outcome = denoise_stack(stack, settings, run=run, checkpoint=checkpoint, repeats=again)
        if model:
            keep_model(outcome.denoiser, model, overwrite=replaced, names=names)
        return outcome.denoised, outcome.denoiser.card

    return work


def keep_model(denoiser: Denoiser, model: Path, *, overwrite: bool, names: bool = True) -> Path:
    """Write a denoiser, with the names of its stacks only if asked for."""
    from training_core.denoise.model_card import without_names
    from training_core.denoise.model_file import save_denoiser

    if not names:
        denoiser = replace(denoiser, card=without_names(denoiser.card))
    return save_denoiser(denoiser, model, overwrite=overwrite)


def use_model(model: Path, device: str, run: Run, maker: TileMaker | None = None) -> Work:
    """Give the work of denoising with a model, whose tiles a `maker` makes; None: as usual.

    Raises `ModelError` if the file is none.
    """
    from training_core.compute.checkpoint import describe_denoising
    from training_core.denoise.model_file import load_denoiser
    from training_core.denoise.suited import suited_to
    from training_core.denoise.tile import HERE
    from training_core.denoise.tiled import denoise

    trained = load_denoiser(model, device=device)

    def work(stack: Stack, checkpoint: Checkpoint) -> tuple[Stack, Mapping[str, Any]]:
        denoiser = suited_to(trained, stack, run)
        checkpoint.claim(describe_denoising(stack, model))
        made = denoise(stack, denoiser, run=run, checkpoint=checkpoint, maker=maker or HERE)
        return made, denoiser.card

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
