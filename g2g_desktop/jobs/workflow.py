"""The only place where jobs meet the session: starts them, and keeps what they give."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal, Slot

from g2g_desktop.model.result import Results, StackResult, Story
from g2g_desktop.model.session import Activity, Failure, Session, State, Step
from training_core.run import Note, Run

from . import tasks
from .job import Job
from .latest_job import LatestJob
from .questions import Questions
from .recovery import Recovery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from training_core.run import Event, ShownRegion
    from training_core.settings import Settings
    from training_core.stack import Stack


_TURNS = ((Run.pause, Activity.PAUSED), (Run.go_on, Activity.TRAINING))  # of a training


@dataclass(frozen=True, eq=False)
class Before:
    """What a stack had when it was shown last: its results, or the file of one.

    `tag` is whatever the caller knows it by; `card` and `model` tell how the file was made;
    `series` is the number of the image, of a file that holds several; `run` the folder of the
    interrupted training of it that is to go on.
    """

    tag: object = None
    results: Results = field(default_factory=Results)
    settings: Settings | None = None
    output: Path | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    series: int | None = None
    run: Path | None = None

    def results_for(self, stack: Stack, written: Stack | None, settings: Settings) -> Results:
        """Give the results that still fit, or the one that was `written`, of these settings."""
        results = self.results.that_fit(stack)
        if results.every or written is None:
            return results
        story = Story(self.card, self.settings or settings)
        return results.and_then(StackResult(written, story, self.model, exported=self.output))


class Workflow(QObject):
    """Verbs of the user, each of which is one job or one request to the running one.

    Signals
    -------
    happened
        Each event of the job that has the stage.
    device_known
        The `Device` that the engine will compute on.
    reference_read
        The stack to measure the result against.
    choice_needed
        An `ImageChoice`, for the file holds several images, and the tag of what was to be opened.
    finished
        A result has arrived: a denoised stack, or a file.
    stacks_found
        The files of each stack that `find` has found.
    opened, not_opened
        The tag of what was to be opened; and why it could not be.
    """

    happened = Signal(object)
    device_known = Signal(object)
    reference_read = Signal(object)
    choice_needed = Signal(object, object)
    finished = Signal(str)
    stacks_found = Signal(object)
    opened = Signal(object)
    not_opened = Signal(object, str)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._job: Job | None = None
        self.recovery = Recovery(session)
        self._on_result: Callable[[Any], None] = _ignore
        self._region: ShownRegion | None = None
        self._before = Before()
        self._warnings: list[str] = []
        self._started, self._closing = 0.0, False
        self._engine = LatestJob(self.device_known.emit, self._on_failed_beside)
        self.questions = Questions(session)
        self._reference = LatestJob(self.reference_read.emit, self._on_failed_beside)
        self._model = LatestJob(self._on_model_loaded, self._on_failed_beside)

    @property
    def is_busy(self) -> bool:
        """Whether a job has the stage."""
        return self._job is not None

    @property
    def _is_training(self) -> bool:
        return bool(self._on_result == self._on_trained)

    @property
    def seconds(self) -> float:
        """How long the job that has the stage has been running."""
        return time.monotonic() - self._started

    def start_engine(self) -> None:
        """Load torch behind the user's back, so that the first training starts at once."""
        self._engine.start(tasks.start_engine)

    def find(self, paths: Sequence[Path]) -> None:
        """Name the stacks among files and folders; `stacks_found` tells."""
        work, self._before = partial(tasks.find_stacks, tuple(paths)), Before()
        self._stage(work, self._on_found, Activity.LOADING, Step.DATA)

    def open(self, paths: Sequence[Path], before: Before = Before()) -> None:
        """Open a stack, with what it had when shown last; of several images ask for one."""
        work = partial(tasks.read_with_result, tuple(paths), before.output, series=before.series)
        self._before = before
        self._stage(work, partial(self._on_stack, paths), Activity.LOADING, Step.DATA)

    def train(self) -> None:
        """Learn a denoiser from the stack, then denoise it."""
        self.questions.expected.cancel()
        folder = self.recovery.begin()
        work = partial(tasks.train, self.session.needed_stack, self.session.settings, folder)
        self._stage(work, self._on_trained, Activity.TRAINING, Step.TRAIN)

    def denoise(self) -> None:
        """Denoise the stack with the model that is there."""
        self.questions.alike.cancel()
        given = self.session.needed_stack, self.session.needed_model, self.session.alike
        work = partial(tasks.apply_model, *given)
        self._stage(work, self._on_applied, Activity.DENOISING, Step.TRAIN)

    def export(self, choice: tasks.ExportChoice) -> None:
        """Write the denoised stack."""
        result = self.session.result
        assert result is not None  # the action is allowed only then
        given = self.session.needed_stack, result.denoised, result.denoiser, choice
        work, done = partial(tasks.export, *given), partial(self._on_exported, choice.dtype)
        self._stage(work, done, Activity.EXPORTING, Step.EXPORT, on_disk=True)

    def save_model(self, path: Path) -> None:
        """Write the model."""
        work = partial(tasks.save_model, self.session.needed_model, path)
        self._stage(work, self._on_model_saved, Activity.EXPORTING, on_disk=True)

    def close_stack(self) -> None:
        """Let the stack go, with its results."""
        self.recovery.discard()
        self.session.set_stack(None)
        self.recovery.look_for_runs()

    def open_model(self, path: Path) -> None:
        """Open a model; what to do with it on the stack that is there, the user is asked."""
        self._model.start(partial(tasks.load_model, path), path)

    def open_reference(self, path: Path) -> None:
        """Open a clean image of the same field, to measure the result against."""
        self._reference.start(partial(tasks.read_stack, (path,)))

    def pause(self) -> None:
        """Let the training wait, or go on with it."""
        self._tell(*_TURNS[self.session.state is State.PAUSED])

    def stop_and_keep(self) -> None:
        """Ask the training to stop soon and keep what it has learned."""
        self._tell(Run.stop_and_keep, Activity.STOPPING)

    def _tell(self, verb: Callable[[Run], None], activity: Activity) -> None:
        if self._job is not None:
            verb(self._job.run)
            self.session.begin(activity)

    def cancel(self) -> None:
        """Ask the job to stop and discard."""
        if self._job is not None:
            self._job.cancel()
            self.session.begin(Activity.CANCELLING)

    def watch(self, region: ShownRegion | None) -> None:
        """Choose the region that previews show."""
        self._region = region
        if self._job is not None:
            self._job.run.watch(region)

    def close(self, *, keep_training: bool = False) -> None:
        """Cancel everything and wait until it has ended; a training can be left for later."""
        self._closing = True
        self.questions.close()
        Job.end_all()
        self.recovery.leave() if keep_training else self.recovery.discard()

    def _stage(
        self,
        work: Callable[[Run], Any],
        on_result: Callable[[Any], None],
        activity: Activity,
        step: Step | None = None,
        *,
        on_disk: bool = False,
    ) -> None:
        if self._job is not None:
            raise RuntimeError("a job has the stage already")
        self._job = job = Job(work, keep_late_result=on_disk)
        self._on_result = on_result
        job.run.watch(self._region)
        self._warnings.clear()
        self._started = time.monotonic()
        job.happened.connect(self._on_happened)
        job.succeeded.connect(self._on_succeeded)
        job.cancelled.connect(self._on_cancelled)
        job.failed.connect(self._on_failed)
        self.session.begin(activity, step)
        job.start()

    @Slot(object)
    def _on_happened(self, event: Event) -> None:
        if isinstance(event, Note) and event.warning:
            self._warnings.append(event.text)
        self.happened.emit(event)

    @Slot(object)
    def _on_succeeded(self, result: Any) -> None:
        self._job = None
        if not self._closing:
            self._on_result(result)

    @Slot()
    def _on_cancelled(self) -> None:
        self._job = None
        if self._is_training and not self._closing:  # which says what becomes of it
            self.recovery.discard()
        self.session.end()

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        self._job = None
        if self._is_training:
            self.recovery.after_failure(error)
        opening = self.session.activity is Activity.LOADING  # which the stack there has no part in
        failure = Failure.of(None if opening else self.session.step, error)
        self.session.end(failure)
        if opening:
            self.not_opened.emit(self._before.tag, failure.sentence)

    def _on_found(self, stacks: Any) -> None:
        self.session.end()
        self.stacks_found.emit(stacks)

    def _on_stack(self, files: Sequence[Path], answer: Any) -> None:
        before = self._before
        if isinstance(answer, tasks.ImageChoice):
            self.session.end()
            self.choice_needed.emit(answer, before.tag)
            return
        stack, written = answer
        self.recovery.discard()
        self.opened.emit(before.tag)
        results = before.results_for(stack, written, self.session.settings)
        self.session.set_stack(stack, results, before.settings)
        self.recovery.take_stack(files, before.series, before.run)

    def _on_trained(self, denoiser: Any) -> None:
        self.session.set_denoiser(denoiser)
        work = partial(tasks.denoise, self.session.needed_stack, denoiser)
        self._stage(work, self._on_denoised, Activity.DENOISING, Step.TRAIN)

    def _on_applied(self, answer: Any) -> None:
        denoised, alike = answer
        if not alike.own:
            self.session.set_alike(alike)
        self._on_denoised(denoised)

    def _on_denoised(self, denoised: Any) -> None:
        self.session.set_denoised(denoised, tuple(self._warnings))
        self.finished.emit("The denoised stack is ready.")

    def _on_exported(self, dtype: str, path: Any) -> None:
        self.recovery.discard()
        self.session.set_exported(path, dtype)
        self.finished.emit(f"Exported as {path.name}.")

    def _on_model_saved(self, path: Any) -> None:
        self.recovery.discard()
        self.session.set_model_saved(path)
        self.finished.emit(f"Saved the model as {path.name}.")

    def _on_model_loaded(self, denoiser: Any) -> None:
        if self.is_busy:
            return
        path = self._model.label
        self.session.set_denoiser(denoiser, path.name, path)

    def _on_failed_beside(self, error: Exception) -> None:
        self.session.tell(Failure.of(None, error))


def _ignore(result: Any) -> None:
    """Drop a result."""
