"""Many stacks, one after another: a bad one is named with its reason and the rest go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_core.errors import CoreError, OutputError
from training_core.io.readers import are_planes, list_images, list_inputs, open_stack
from training_core.run import Cancelled, Run
from training_core.stack import Stack, as_float32, cast_like, check_trainable, tell_flaws

from .outputs import Existing, check_outputs
from .reasons import sentence
from .targets import Input, target_paths

EVERY = "all"  # images of a file

if TYPE_CHECKING:
    from training_core.compute.checkpoint import Checkpoint

    # Gives the denoised stack and how it was made.
    Work = Callable[[Stack, Checkpoint], tuple[Stack, Mapping[str, Any]]]
    WorkFor = Callable[..., Work]  # of a run, at least


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one input; `output` is None where `error` says why.

    `made` says how, where the work was done now.
    """

    input: str
    output: str | None
    seconds: float
    error: str | None
    made: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Form:
    """How results are written."""

    as_float: bool = False  # float32 instead of the dtype of the input
    compression: str = "none"  # or "zlib", "zstd"
    names: bool = True  # names of files that the input has may be written into the result


AS_IT_CAME = Form()


@dataclass(frozen=True, slots=True)
class Batch:
    """The inputs of a command, and those that are none, with the reason."""

    inputs: tuple[Input, ...]
    refused: tuple[Result, ...]
    axes: str | None = None

    @classmethod
    def of(cls, given: Sequence[Path], series: str | None = None, axes: str | None = None) -> Batch:
        """Expand folders; a path that is nothing raises alone and is refused among others.

        `series` says which image of files that hold several: a number, a name or "all"; None for
        the largest; `axes` what the axes of all are, None for what the files say. Raises
        `InputError` when the only path given cannot be used.
        """
        inputs: list[Input] = []
        refused: list[Result] = []
        for path in given:
            try:
                inputs += [i for one in list_inputs(path) for i in _inputs(one, series)]
            except CoreError as error:
                if len(given) == 1:
                    raise
                refused.append(Result(str(path), None, 0.0, str(error)))
        # A file given twice, or with its folder, is denoised once.
        return cls(tuple(dict.fromkeys(inputs)), tuple(refused), axes)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files and folders, each once for each of its images."""
        return tuple(each.path for each in self.inputs)

    @property
    def alone(self) -> bool:
        """Whether there is one stack only, whose failure is that of the command."""
        return len(self.inputs) + len(self.refused) == 1

    def open_all(self, run: Run) -> tuple[list[Stack], list[Result]]:
        """Open every stack to learn from; also give those that cannot be used."""
        stacks: list[Stack] = []
        failed = list(self.refused)
        for each in self.inputs:
            try:
                stack = open_noted(each.path, run, each.series, self.axes)
                check_trainable(stack)
                stacks.append(stack)
            except CoreError as error:
                if self.alone:
                    raise
                failed.append(failure(each, error, 0.0, run))
        return stacks, failed

    def denoise(
        self,
        output: Path,
        work: Work,
        *,
        run: Run,
        existing: Existing,
        form: Form = AS_IT_CAME,
        beside: Sequence[Path] = (),
    ) -> list[Result]:
        """Open, denoise and write each stack.

        Raises `OutputError` if no result can be written, or one would replace an input; nothing is
        done then.

        Parameters
        ----------
        output
            A file for one stack, else a folder, made when the first result is there.
        work
            Called with each stack and the checkpoint of its output.
        existing
            What to do with outputs that are there, whole or interrupted.
        form
            How each result is written.
        beside
            What else the command reads or writes, and no result may replace.
        """
        targets, results = self.targets(output, run, beside)
        for number, (each, target) in enumerate(targets.items(), 1):
            if not self.alone:
                run.note(f"Stack {number} of {len(targets)}: {each.name}")
            results.append(self._denoised(each, target, work, run, existing, form))
        return results

    def targets(
        self, output: Path, run: Run, beside: Sequence[Path] = ()
    ) -> tuple[dict[Input, Path], list[Result]]:
        """Give where each result goes, and what cannot be made; see `denoise`."""
        named = target_paths(self.paths, output, [each.image for each in self.inputs])
        targets = dict(zip(self.inputs, named, strict=True))
        failed = [*self.refused, *self._leave_out_unwritable(targets, run)]
        check_outputs(targets.values(), [*dict.fromkeys(self.paths), *beside])
        return targets, failed

    def _denoised(
        self, each: Input, target: Path, work: Work, run: Run, existing: Existing, form: Form
    ) -> Result:
        """Denoise one stack, and say what became of it; the failure of a lone one is raised."""
        started, axes = time.monotonic(), self.axes
        try:
            made = denoise_one(each, target, work, run=run, existing=existing, form=form, axes=axes)
        except Exception as error:  # whatever it is, the other stacks go on
            if self.alone or isinstance(error, Cancelled):
                raise
            return failure(each, error, time.monotonic() - started, run)
        return Result(each.told, str(target), time.monotonic() - started, None, made)

    def _leave_out_unwritable(self, targets: dict[Input, Path], run: Run) -> list[Result]:
        """Take out those whose result cannot be written, such as for its long name; if not all."""
        errors = {}
        for each, target in list(targets.items()):
            try:
                check_outputs([target], [])
            except OutputError as error:
                errors[each] = error
                del targets[each]
        if errors and not targets:
            raise next(iter(errors.values()))
        return [failure(each, error, 0.0, run) for each, error in errors.items()]


def denoise_one(
    each: Input,
    target: Path,
    work: Work,
    *,
    run: Run,
    existing: Existing,
    form: Form,
    axes: str | Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    """Open, denoise and write a stack; `axes` as `open_stack` takes them.

    Given is how it was made; nothing where the result was there already.

    Raises
    ------
    CoreError
        If the stack cannot be opened, denoised or written.
    Cancelled
        If the run was cancelled; what was done so far is kept beside the output.
    """
    from training_core.export import writers  # loads slowly

    if existing.is_finished(target):
        run.note(f"{target.name} is finished already and kept.")
        return {}
    from training_core.denoise.model_card import without_names  # loads torch

    with existing.checkpoint(target, run) as checkpoint:
        stack = open_noted(each.path, run, each.series, axes)
        overwrite = existing.overwrite or checkpoint.exists
        meant = writers.planned(stack, as_float=form.as_float)
        if target.parent.exists():  # before the long part
            writers.check_target(meant, target, overwrite=overwrite, compression=form.compression)
            room = writers.room_for(stack, as_float=form.as_float)
            writers.check_room(target, room - checkpoint.pixel_bytes)
        lost = writers.cannot_keep(meant, target)
        if lost:
            run.note(lost)
        denoised, made = work(stack, checkpoint)
        tell_flaws(denoised, stack, run, as_float=form.as_float)
        denoised = as_float32(denoised) if form.as_float else cast_like(denoised, stack)
        told = {"input": stack.name, **made}
        target.parent.mkdir(parents=True, exist_ok=True)
        writers.write_stack(
            denoised,
            target,
            overwrite=overwrite,
            description=told if form.names else without_names(told),
            compression=form.compression,
            names=form.names,
            run=run,
        )
    return made


def _inputs(path: Path, series: str | None) -> list[Input]:
    """Give the stacks that a path stands for, where an image or all of them are asked for."""
    if series is None:
        return [Input(path)]
    images = list_images(path)
    if series.lower() == EVERY:
        if len(images) < 2:
            return [Input(path)]
        names = [image.name or str(number) for number, image in enumerate(images, 1)]
        # Several images may have one name, as channels of one field have.
        unique = [n if names.count(n) == 1 else f"{i} {n}" for i, n in enumerate(names, 1)]
        return [Input(path, str(i), name) for i, name in enumerate(unique, 1)]
    return [Input(path, series)]


def open_noted(
    path: Path,
    run: Run,
    series: str | None = None,
    axes: str | Mapping[str, str] | None = None,
) -> Stack:
    """Open a stack and pass its warnings on."""
    stack = open_stack(path, series=series, axes=axes, run=run)
    for warning in stack.warnings:
        run.note(f"{stack.name}: {warning}", warning=True)
    return stack


def stacks_below(given: Sequence[Path]) -> Iterator[Path]:
    """Name the stacks at some paths, of folders also those in the folders below.

    Files that are the planes of one volume are one stack: their folder. Of a folder in which there
    is nothing, nothing is named.
    """
    for path in given:
        if not path.is_dir():
            yield path
            continue
        if path == path.parent:
            list_inputs(path)  # which refuses a whole disk
        try:
            inside = list_inputs(path)
        except CoreError:
            inside = []
        yield from inside
        if path not in inside:
            folders = sorted(one for one in path.iterdir() if one.is_dir() and one not in inside)
            yield from stacks_below([one for one in folders if not one.name.startswith(".")])


def stacks_among(given: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Name the stacks among paths that were chosen together, each by its files.

    Several files that are numbered planes of one stack are one; all others stand for themselves.
    """
    files = [path for path in given if path.is_file()]
    if len(files) == len(given) > 1 and are_planes(files):
        return [tuple(files)]
    return [(path,) for path in dict.fromkeys(stacks_below(given))]


def failure(each: Input, error: Exception, seconds: float, run: Run) -> Result:
    """Say why a stack is left out, now and in the answer."""
    reason = sentence(error)
    run.note(f"{each.name} is left out: {reason}", warning=True)
    return Result(each.told, None, seconds, reason)
