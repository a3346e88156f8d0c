"""The only place where jobs meet the session: starts them, and keeps what they give."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from g2g_desktop.model.session import Activity, Failure, Session, State, Step
from training_core.run import Note

from . import tasks
from .job import Job
from .latest_job import LatestJob
from .recovery import Recovery

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from training_core.denoise.denoiser import Denoiser
    from training_core.run import Event, Run, ShownRegion
    from training_core.stack import Stack

_LOG = logging.getLogger(__name__)
_SETTLE_MS = 250  # a slider that moves asks for the whole stack once, when it has come to rest


class Workflow(QObject):
    """Verbs of the user, each of which is one job or one request to the running one.

    Signals
    -------
    happened
        Each event of the job that has the stage.
    failed
        A `Failure` to tell the user about, once the session has left the stage.
    device_known
        What the engine will compute on, in words.
    reference_read
        The stack to measure the result against.
    choice_needed
        An `ImageChoice`: the file holds several images.
    finished
        A result has arrived: a denoised stack, or a file.
    """

    happened = Signal(object)
    failed = Signal(object)
    device_known = Signal(str)
    reference_read = Signal(object)
    choice_needed = Signal(object)
    finished = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._job: Job | None = None
        self.recovery = Recovery(session)
        self._on_result: Callable[[Any], None] = _ignore
        self._region: ShownRegion | None = None
        self._warnings: list[str] = []
        self._started = 0.0
        self._closing = False
        self._engine = LatestJob(self.device_known.emit, self._on_engine_or_model_failed)
        self._patches = LatestJob(self._on_patches, self._on_patches_failed)
        self._expected = LatestJob(self._on_expected, _log_failure)
        self._reference = LatestJob(self.reference_read.emit, self._on_reference_failed)
        self._model = LatestJob(self._on_model_loaded, self._on_engine_or_model_failed)
        self._settle = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._settle.timeout.connect(self._refresh)
        session.changed.connect(self._settle.start)

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

    def open(self, paths: Sequence[Path], series: int | None = None) -> None:
        """Open files or a folder as the new stack; of a file with several images ask for one."""
        work = partial(tasks.read_or_ask, tuple(paths), series=series)
        self._stage(work, self._on_stack, Activity.LOADING, Step.DATA)

    def train(self) -> None:
        """Learn a denoiser from the stack, then denoise it."""
        self._expected.cancel()
        folder = self.recovery.begin()
        work = partial(tasks.train, self._stack(), self.session.settings, folder)
        self._stage(work, self._on_trained, Activity.TRAINING, Step.TRAIN)

    def denoise(self) -> None:
        """Denoise the stack with the model that is there."""
        work = partial(tasks.denoise, self._stack(), self._denoiser())
        self._stage(work, self._on_denoised, Activity.DENOISING, Step.TRAIN)

    def export(self, choice: tasks.ExportChoice) -> None:
        """Write the denoised stack."""
        denoised = self.session.denoised
        assert denoised is not None  # the action is allowed only then
        work = partial(tasks.export, self._stack(), denoised, self._denoiser(), choice)
        done = partial(self._on_exported, choice.dtype)
        self._stage(work, done, Activity.EXPORTING, Step.EXPORT, on_disk=True)

    def save_model(self, path: Path) -> None:
        """Write the model."""
        work = partial(tasks.save_model, self._denoiser(), path)
        self._stage(work, self._on_model_saved, Activity.EXPORTING, on_disk=True)

    def open_model(self, path: Path) -> None:
        """Open a model, and denoise the stack with it when there is one."""
        self._model.start(partial(tasks.load_model, path), path.name)

    def open_reference(self, path: Path) -> None:
        """Open a clean image of the same field, to measure the result against."""
        self._reference.start(partial(tasks.read_stack, (path,)))

    def stop_and_keep(self) -> None:
        """Ask the training to stop soon and keep what it has learned."""
        if self._job is not None:
            self._job.run.stop_and_keep()
            self.session.begin(Activity.STOPPING)

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

    def close(self) -> None:
        """Cancel everything and wait until it has ended."""
        self._closing = True
        self._settle.stop()
        Job.end_all()
        self.recovery.discard()

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
        if self._is_training:
            self.recovery.discard()
        self.session.end()

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        self._job = None
        if self._is_training:
            self.recovery.after_failure(error)
        failure = Failure.of(self.session.step, error)
        self.session.end(failure)
        self.failed.emit(failure)

    def _on_stack(self, stack: Any) -> None:
        if isinstance(stack, tasks.ImageChoice):
            self.session.end()
            self.choice_needed.emit(stack)
            return
        self.recovery.discard()
        self.session.set_stack(stack)
        self.recovery.look_for_interrupted()
        if self.session.model_name and not self.session.denoised:
            self.denoise()

    def _on_trained(self, denoiser: Any) -> None:
        self.session.set_denoiser(denoiser)
        self.denoise()

    def _on_denoised(self, denoised: Any) -> None:
        self.session.set_denoised(denoised, tuple(self._warnings))
        self.finished.emit("The denoised stack is ready.")

    def _on_exported(self, dtype: str, path: Any) -> None:
        self.recovery.discard()
        self.session.set_exported(path, dtype)
        self.finished.emit(f"Exported as {path.name}.")

    def _on_model_saved(self, path: Any) -> None:
        self.recovery.discard()
        self.session.set_model_saved()
        self.finished.emit(f"Saved the model as {path.name}.")

    def _on_model_loaded(self, denoiser: Any) -> None:
        if self.is_busy:
            return
        self.session.set_denoiser(denoiser, self._model.label)
        if self.session.stack is not None:
            self.denoise()

    def _on_reference_failed(self, error: Exception) -> None:
        self.failed.emit(Failure.of(Step.COMPARE, error))

    def _on_patches_failed(self, error: Exception) -> None:
        self.failed.emit(Failure.of(Step.PATCHES, error))

    def _on_engine_or_model_failed(self, error: Exception) -> None:
        self.failed.emit(Failure.of(Step.TRAIN, error))

    @Slot()
    def _refresh(self) -> None:
        """Find out, at rest, what the session does not know yet of its stack."""
        session = self.session
        if session.stack is None or session.state not in (State.READY, State.DONE):
            return
        if session.patches is None:
            search = partial(tasks.find_patches, session.stack, session.settings.patches)
            self._patches.start(search, _patches_label(self.session))
        if not session.expected_known:
            ask = partial(tasks.expected_time, session.stack, session.settings)
            self._expected.start(ask, _expected_label(self.session))

    def _on_patches(self, patches: Any) -> None:
        if self._patches.label == _patches_label(self.session):
            self.session.set_patches(patches)

    def _on_expected(self, expected: Any) -> None:
        if self._expected.label == _expected_label(self.session):
            self.session.set_expected_time(expected)

    def _stack(self) -> Stack:
        assert self.session.stack is not None  # the actions that need one are allowed only then
        return self.session.stack

    def _denoiser(self) -> Denoiser:
        assert self.session.denoiser is not None  # likewise
        return self.session.denoiser


def _patches_label(session: Session) -> tuple[object, ...]:
    return id(session.stack), session.settings.patches


def _expected_label(session: Session) -> tuple[object, ...]:
    settings = session.settings
    return id(session.stack), settings.noise_model, settings.denoiser, settings.device


def _log_failure(error: Exception) -> None:
    _LOG.warning("A background question failed: %s", error)


def _ignore(result: Any) -> None:
    """Drop a result."""
