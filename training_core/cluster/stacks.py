"""Many stacks over the workers of a scheduler, each with its result, and one in tiles over all."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_core.batch.outputs import Existing
from training_core.batch.stacks import Batch, Form, Result, denoise_one, failure
from training_core.batch.targets import Input
from training_core.costs import remembered
from training_core.errors import BusyError, ClusterError, CoreError
from training_core.run import Cancelled, Event, Note, Run, Stage, StepsDone

from .tiles import TilesElsewhere
from .workers import WorkerRun, Workers

if TYPE_CHECKING:
    from training_core.batch.stacks import WorkFor

PERCENT = 100
FREED_S = 60  # what a lost worker held is free again


@dataclass(frozen=True, slots=True)
class StackTask:
    """All that a worker needs to make one result; paths are those that every worker sees."""

    each: Input
    target: Path
    work_for: WorkFor
    existing: Existing
    form: Form
    axes: str | None

    def __call__(self, number: int, topic: str) -> Mapping[str, Any] | CoreError:
        """Open, denoise and write the stack on a worker; give how, or why the same fails again."""
        run = WorkerRun(number, topic)
        for second in range(FREED_S):
            try:
                with remembered(run.costs):
                    return self._made(run)
            except BusyError:
                if second == FREED_S - 1:
                    raise
                run.check()
                time.sleep(1)
            except CoreError as error:
                return error
        raise AssertionError

    def _made(self, run: Run) -> Mapping[str, Any]:
        existing = self.existing.begun(self.target)
        work, axes = self.work_for(run), self.axes
        return denoise_one(
            self.each, self.target, work, run=run, existing=existing, form=self.form, axes=axes
        )


def denoise_elsewhere(
    workers: Workers,
    batch: Batch,
    output: Path,
    work_for: WorkFor,
    *,
    tiles_on: str | None,
    run: Run,
    existing: Existing,
    form: Form,
    beside: Sequence[Path] = (),
) -> list[Result]:
    """Do what `Batch.denoise` does on the workers of a scheduler.

    Each stack is one task, for which the workers need to see its files and where its result goes;
    where there is a device to have `tiles_on`, the lone stack is read and written here, and
    `work_for` takes what makes its tiles.

    Raises
    ------
    ClusterError
        If the workers are lost with their scheduler.
    CoreError
        As `Batch.denoise` does.
    """
    if tiles_on:
        work = work_for(run, TilesElsewhere(workers, tiles_on))
        return batch.denoise(output, work, run=run, existing=existing, form=form, beside=beside)
    targets, results = batch.targets(output, run, beside)
    tasks = {}
    for each, target in targets.items():
        try:
            existing.settle(target)
        except CoreError as error:
            if batch.alone:
                raise
            results.append(failure(each, error, 0.0, run))
            continue
        seen = replace(each, path=each.path.absolute())
        task = StackTask(seen, target.absolute(), work_for, existing, form, batch.axes)
        tasks[each, target] = task
    return results + _spread(tasks, workers, batch.alone, run)


def _spread(
    tasks: Mapping[tuple[Input, Path], StackTask], workers: Workers, alone: bool, run: Run
) -> list[Result]:
    """Let workers do tasks, in any order."""
    results, started = dict[int, Result](), time.monotonic()
    futures = {workers.submit(n, task): n for n, task in enumerate(tasks.values())}
    news = _News([each for each, _ in tasks], workers, run, alone)
    try:
        for future in workers.finished(futures, news):
            number, seconds = futures[future], time.monotonic() - started
            each, target = list(tasks)[number]
            try:
                made = workers.result(future)
                if isinstance(made, CoreError):
                    raise made
            except Exception as error:  # whatever it is, the other stacks go on
                if alone or isinstance(error, Cancelled | ClusterError):
                    raise
                results[number] = failure(each, error, seconds, run)
            else:
                results[number] = Result(each.told, str(target), seconds, None, made)
            news.over(number)
    finally:
        workers.leave(futures)
    return [result for _, result in sorted(results.items())]


class _News:
    """Tells the run how far all stacks are together; of a lone one, all that its worker tells."""

    def __init__(self, stacks: Sequence[Input], workers: Workers, run: Run, alone: bool) -> None:
        self.stacks, self.run, self.alone = stacks, run, alone
        self.began: dict[int, float] = {}
        self.shares = [0.0] * len(stacks)
        if not alone:
            detail = f"{len(stacks)} stacks, {workers.count} workers"
            run.start(Stage.DENOISE, PERCENT * len(stacks), detail)

    def __call__(self, number: int, event: Event) -> None:
        """Take what a worker says of the stack of a number."""
        if self.alone:
            self.run.emit(event)
        elif isinstance(event, Note):
            self.run.note(f"{self.stacks[number].name}: {event.text}", warning=event.warning)
        elif isinstance(event, StepsDone) and event.time_left:
            now = time.monotonic()
            past = now - self.began.setdefault(number, now)
            self._tell(number, past / max(past + event.time_left.middle, 1e-9))

    def over(self, number: int) -> None:
        """Take that there is no more of a stack to do."""
        if not self.alone:
            self._tell(number, 1.0)

    def _tell(self, number: int, share: float) -> None:
        self.shares[number] = max(self.shares[number], share)
        whole = PERCENT * len(self.shares)
        self.run.progress(Stage.DENOISE, int(PERCENT * sum(self.shares) + 1e-6), whole)
