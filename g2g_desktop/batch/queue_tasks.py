"""What the queue asks of the core, as functions for a `Job`.

Readers and writers are imported in them, so that the window is there before they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from g2g_desktop.preferences import load_preferences
from training_core.batch.outputs import Existing, check_outputs
from training_core.batch.targets import Input, Pattern
from training_core.batch.work import train_on_each, train_one_model, use_model
from training_core.costs import remembered
from training_core.errors import InputError
from training_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from training_core.batch.stacks import Work
    from training_core.run import Run


@dataclass(frozen=True, slots=True)
class Plan:
    """How the files of a queue are denoised.

    Attributes
    ----------
    model
        The model for all of them, as a file; None: each is trained on by itself.
    train_on
        The stacks that `model` is first learned from; empty where it is there already.
    settings
        Those of each training.
    pattern
        Where the results go.
    overwrite
        Whether results that are there already are replaced; else they are kept.
    as_float
        Whether results are float32 instead of the data type of the input.
    """

    settings: Settings = field(default_factory=Settings)
    model: Path | None = None
    train_on: tuple[Input, ...] = ()
    pattern: Pattern = field(default_factory=Pattern)
    overwrite: bool = False
    as_float: bool = False


def train_model(plan: Plan, run: Run) -> Path:
    """Learn the one model of a plan, going on from where it was interrupted."""
    assert plan.model is not None  # it is what the plan is about
    from training_core.compute.device import limit_threads

    limit_threads()
    with remembered(run.costs):
        existing = Existing(resume=True)
        if existing.is_finished(plan.model):
            return plan.model
        check_outputs([plan.model], [each.path for each in plan.train_on])
        with existing.checkpoint(plan.model, run) as checkpoint:
            known = load_preferences().axes_at
            given = plan.train_on, plan.settings, plan.model
            return train_one_model(*given, run, checkpoint, known)


def denoise_file(
    paths: Sequence[Path],
    target: Path,
    plan: Plan,
    again: bool,
    run: Run,
    image: int | None = None,
) -> Mapping[str, Any] | None:
    """Denoise one file of a plan; give how it was made, None where its result was there already.

    `again` says that it was begun before, and is gone on with; `image` which one of a file that
    holds several, from 1 on.

    Raises
    ------
    CoreError
        If the file cannot be opened, denoised or written.
    """
    from training_core.batch.stacks import Form, denoise_one
    from training_core.compute.device import limit_threads

    limit_threads()
    path = _one_path(paths)
    replace = plan.overwrite and not again
    existing = Existing(overwrite=replace, resume=not replace)
    with remembered(run.costs):
        run.note(f"{path} → {target}")
        if existing.is_finished(target):
            run.note(f"{target.name} is finished already and kept.")
            return None
        check_outputs([target], [path, *([plan.model] if plan.model else [])])
        work, form = _work(plan, run), Form(as_float=plan.as_float)
        each, axes = input_of(path, image), load_preferences().axes_at(path)
        return denoise_one(each, target, work, run=run, existing=existing, form=form, axes=axes)


def input_of(path: Path, image: int | None) -> Input:
    """Name a stack to the core, by the number of its image where a file holds several."""
    return Input(path, None if image is None else str(image))


def _one_path(paths: Sequence[Path]) -> Path:
    if len(paths) == 1:
        return paths[0]
    from training_core.io.readers import list_inputs

    folder = paths[0].parent
    if list_inputs(folder) == [folder]:
        return folder
    raise InputError(
        f"The {len(paths)} planes of this stack lie among other files of {folder.name}; put them "
        "into a folder of their own."
    )


def _work(plan: Plan, run: Run) -> Work:
    if plan.model is None:
        return train_on_each(plan.settings, run)
    return use_model(plan.model, plan.settings.device, run)
