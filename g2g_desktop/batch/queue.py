"""The queue: denoises the files of the list one after another, and goes on whatever one holds."""

from __future__ import annotations

import time
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal, Slot

from g2g_desktop.jobs.job import Job
from g2g_desktop.model.result import Results
from g2g_desktop.paths import queue_log
from training_core.batch.reasons import sentence
from training_core.cli.terminal import Terminal
from training_core.costs import Span
from training_core.run import Note, StepsDone

from . import queue_tasks
from .file_list import FileItem, FileList, FileState
from .journal import Journal
from .queue_tasks import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from training_core.run import Event

_DOUBT = 1.25  # times more or less: files differ by more than their size


class QueueState(StrEnum):
    """What the queue is doing; the value is what the user reads."""

    RESTING = "Nothing is queued."
    RUNNING = "Working through the files."
    HELD = "Waiting until the training in the window is done."
    PAUSING = "Pausing, and keeping what is done of this file..."
    PAUSED = "Paused. What was done of the file at work is kept."


class Queue(QObject):
    """Works on one file at a time, each in a job of its own.

    A pause gives the file at work up; its checkpoint lies beside its result, so that it is gone on
    with. What is left is written down at each step, and found again after a crash.

    Signals
    -------
    changed
        Something is new: the state, or a file of the list.
    happened
        Each event of the job at work.
    finished
        A sentence on how it ended, when no file is left.
    """

    changed = Signal()
    happened = Signal(object)
    finished = Signal(str)

    def __init__(self, files: FileList) -> None:
        super().__init__()
        self.files = files
        self.plan = Plan()
        self.state = QueueState.RESTING
        self.current: FileItem | None = None
        self._journal = Journal()
        self._job: Job | None = None
        self._trained = False
        self._skips = self.held = False
        self._closing = False
        self._began = 0.0
        self._left: Span | None = None
        self._log = _Log()

    @property
    def waiting(self) -> list[FileItem]:
        """The files that are still to be worked on."""
        return [item for item in self.files.items if item.state is FileState.WAITING]

    @property
    def failed(self) -> list[FileItem]:
        """The files that could not be denoised."""
        return [item for item in self.files.items if item.state is FileState.FAILED]

    @property
    def is_busy(self) -> bool:
        """Whether a file is being worked on."""
        return self._job is not None

    def start(self, plan: Plan) -> None:
        """Begin with all files that are not denoised yet.

        Raises
        ------
        OutputError
            If two results would have one name; nothing is begun then.
        """
        todo = [item for item in self.files.items if item.state not in _OVER]
        targets = _targets(plan, todo)
        self.take(plan)
        for item, target in zip(todo, targets, strict=True):
            item.output, item.reason, item.begun = target, "", False
            item.model = plan.model.name if plan.model is not None else "its own"
            self._set(item, FileState.WAITING)
        self.go_on()

    def take(self, plan: Plan) -> None:
        """Take how files are denoised from now on."""
        self.plan, self._trained = plan, not plan.train_on

    def add(self, items: list[FileItem]) -> None:
        """Queue files that came later, such as from a folder that is watched."""
        taken = [item for item in self.files.items if item.output is not None]
        for item in items:
            item.output = _targets(self.plan, [*taken, item])[-1]
            item.model = self.plan.model.name if self.plan.model is not None else "its own"
            self._set(item, FileState.WAITING)
        if self.state in (QueueState.RESTING, QueueState.RUNNING):
            self.go_on()

    def go_on(self) -> None:
        """Work on, after a pause or a crash."""
        if self._job is None:
            self.state = QueueState.HELD if self.held else QueueState.RUNNING
            if self.held:
                self.changed.emit()
            else:
                self._next()

    def hold(self, held: bool) -> None:
        """Begin nothing while the window itself trains; what comes meanwhile waits for its end."""
        if held != self.held:
            self.held = held
            if self.state is QueueState.HELD:
                self.go_on()
            self.changed.emit()

    def pause(self) -> None:
        """Give the file at work up for now, and keep what is done of it."""
        if self._job is not None and self.state is QueueState.RUNNING:
            self.state = QueueState.PAUSING
            self._job.cancel()
            self.changed.emit()

    def skip(self, item: FileItem) -> None:
        """Leave a file out; the one at work is given up."""
        if item is self.current and self._job is not None:
            self._skips = True
            self._job.cancel()
        elif item.state is FileState.WAITING:
            self._set(item, FileState.SKIPPED)

    def retry_failed(self) -> None:
        """Try the files again that failed or were left out."""
        for item in self.files.items:
            if item.state in (FileState.FAILED, FileState.SKIPPED) and item.output is not None:
                item.reason = ""
                self._set(item, FileState.WAITING)
        self.go_on()

    def restore(self) -> int:
        """Put what a crash left back into the list, paused; give how many files are left."""
        found = self._journal.find()
        if found is None:
            return 0
        self.plan, items = found
        listed = self.files.add([item.paths for item in items], [item.image for item in items])
        for old, item in zip(items, listed, strict=True):
            for name in ("state", "reason", "output", "model", "seconds", "begun"):
                setattr(item, name, getattr(old, name))
            self.files.tell(item)
        self._trained = not self.plan.train_on
        self.state = QueueState.PAUSED if self.waiting else QueueState.RESTING
        if not self.waiting:
            self._journal.remove()
        self.changed.emit()
        return len(self.waiting)

    def close(self) -> None:
        """Let go of what is at work; it is found again at the next start."""
        self._closing = True
        self._log.close()
        self._journal.let_go()

    def time_left(self) -> Span | None:
        """Give how long the rest takes, by what the files so far took; None while nobody knows."""
        spent = time.monotonic() - self._began
        return _time_left(self.files.items, self.current, spent, self._left)

    def _next(self) -> None:
        item = next(iter(self.waiting), None)
        if item is None:
            self._end()
        elif not self._trained:
            self._run(partial(queue_tasks.train_model, self.plan), self._on_trained)
        else:
            assert item.output is not None  # a file that waits has a place for its result
            self.current = item
            given = item.paths, item.output, self.plan, item.begun
            work = partial(queue_tasks.denoise_file, *given, image=item.image)
            item.begun = True
            self._set(item, FileState.RUNNING)
            self._run(work, self._on_denoised)

    def _run(self, work: Any, on_result: Any) -> None:
        self._began, self._left = time.monotonic(), None
        self._job = job = Job(work, keep_late_result=True)
        job.happened.connect(self._on_happened)
        job.succeeded.connect(on_result)
        job.failed.connect(self._on_failed)
        job.cancelled.connect(self._on_cancelled)
        job.finished.connect(self._on_job_over)
        self._journal.write(self.plan, self.files.items)
        self.changed.emit()
        job.start()

    @Slot(object)
    def _on_happened(self, event: Event) -> None:
        self._log.write(event)
        if isinstance(event, StepsDone):
            self._left = event.time_left
        if isinstance(event, Note) and event.warning and self.current is not None:
            self.current.reason = event.text
        self.happened.emit(event)

    @Slot(object)
    def _on_trained(self, _model: object) -> None:
        self._trained = True

    @Slot(object)
    def _on_denoised(self, card: Mapping[str, Any] | None) -> None:
        item = self.current
        if item is not None:
            item.seconds = time.monotonic() - self._began
            item.card, item.results = card or {}, Results()
            self._set(item, FileState.KEPT if card is None else FileState.DONE)

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        said = sentence(error)
        if self.current is not None:
            self.current.seconds = time.monotonic() - self._began
            self.current.reason, self.current.begun = said, False
            self._set(self.current, FileState.FAILED)
        else:  # without the model nothing can be denoised
            for item in self.waiting:
                item.reason = f"There is no model for it: {said}"
                self._set(item, FileState.FAILED)

    @Slot()
    def _on_cancelled(self) -> None:
        if self.current is not None:
            self._set(self.current, FileState.SKIPPED if self._skips else FileState.WAITING)
        elif self._skips:
            self.state = QueueState.PAUSING
        self._skips = False

    @Slot()
    def _on_job_over(self) -> None:
        self._job = self.current = None
        self._left, self._skips = None, False
        if self._closing:
            self._log.close()
            return
        if self.state is QueueState.PAUSING:
            self.state = QueueState.PAUSED
            self._log.close()
            self._journal.write(self.plan, self.files.items)
            self.changed.emit()
        else:
            self._next()

    def _end(self) -> None:
        was_running, self.state = self.state is QueueState.RUNNING, QueueState.RESTING
        self._journal.remove()
        self._log.close()
        self.changed.emit()
        if was_running:
            self.finished.emit(summary(self.files.items))

    def _set(self, item: FileItem, state: FileState) -> None:
        item.state = state
        self.files.tell(item)
        self.changed.emit()


_OVER = (FileState.DONE, FileState.KEPT)


class _Log:
    """The file that tells what the queue has done, as the command g2g tells it."""

    def __init__(self) -> None:
        self._file: TextIO | None = None
        self._terminal: Terminal | None = None

    def write(self, event: Event) -> None:
        if self._file is None or self._terminal is None:
            self._file = queue_log().open("a", encoding="utf-8")
            self._terminal = Terminal(self._file)
        self._terminal(event)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._terminal = None


def _targets(plan: Plan, items: list[FileItem]) -> list[Path]:
    """Name the results of files."""
    return plan.pattern.targets([one.path for one in items], [one.image_name for one in items])


def _time_left(
    items: Sequence[FileItem], current: FileItem | None, spent: float, now: Span | None
) -> Span | None:
    """Give the time for the files that wait and the one at work, on which so much was `spent`.

    `now` is what the job at work says that it still takes.
    """
    done = [item for item in items if item.state is FileState.DONE and item.seconds > 0]
    size, took = sum(one.size_bytes for one in done), sum(one.seconds for one in done)
    if not size and now is not None and current is not None:
        size, took = current.size_bytes, spent + now.middle
    if not size:
        return None
    rest = took * sum(one.size_bytes for one in items if one.state is FileState.WAITING) / size
    if now is None and current is not None:
        rest += max(took * current.size_bytes / size - spent, 0.0)
    least, most = (now.least, now.most) if now is not None else (0.0, 0.0)
    return Span(least + rest / _DOUBT, most + rest * _DOUBT)


def summary(items: list[FileItem]) -> str:
    """Say how a queue ended: "9 files denoised, 1 failed."."""
    done = sum(item.state in _OVER for item in items)
    failed = sum(item.state is FileState.FAILED for item in items)
    told = f"{done} file{'s' * (done != 1)} denoised"
    return f"{told}, {failed} failed." if failed else f"{told}."
