"""One long computation in a thread of its own, as signals."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, ClassVar

from PySide6.QtCore import QObject, QThread, Signal, Slot

from training_core.errors import CoreError
from training_core.run import Cancelled, Run

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = logging.getLogger(__name__)

# Image codecs and torch overflow the small default stack of a thread on macOS.
STACK_BYTES = 64 * 2**20
NICENESS = 5
WRITER_SECONDS, OTHERS_SECONDS = 10.0, 1.5  # to hear, at the end, that a job is given up


class Job(QObject):
    """Run one function away from the window.

    `start` begins; then come any number of `happened`, one per event of the run, exactly one of
    `succeeded`, `cancelled` and `failed`, and last `finished`; all are emitted in the thread that
    made the job. After `cancel` no event arrives any more, and a result on its way is dropped.

    Parameters
    ----------
    work
        Called with the `Run` of this job, in the new thread; what it returns is the result.
    keep_late_result
        Whether a result that was complete when the cancel arrived counts, as a written file does.
    """

    happened = Signal(object)
    succeeded = Signal(object)
    cancelled = Signal()
    failed = Signal(object)
    finished = Signal()

    _alive: ClassVar[set[Job]] = set()  # a running thread must not lose its owner

    def __init__(self, work: Callable[[Run], object], *, keep_late_result: bool = False) -> None:
        super().__init__()
        self._keep_late_result = keep_late_result
        self._cancel_asked = False
        self.is_last = False  # the program ends
        self._thread = QThread()
        self._thread.setStackSize(STACK_BYTES)
        self._worker = _Worker(work)
        self.run = self._worker.run
        self._worker.moveToThread(self._thread)
        self._worker.happened.connect(self._on_happened)
        self._worker.succeeded.connect(self._on_succeeded)
        self._worker.cancelled.connect(self.cancelled)
        self._worker.failed.connect(self._on_failed)
        self._thread.started.connect(self._worker.work)
        self._thread.finished.connect(self._on_thread_finished)

    @property
    def is_running(self) -> bool:
        """Whether `finished` is still to come."""
        return self in Job._alive

    def start(self) -> Job:
        """Begin, and give the job itself."""
        Job._alive.add(self)
        self._thread.start()
        return self

    def cancel(self) -> None:
        """Ask the computation to stop and discard; the answer is `cancelled`, then `finished`."""
        self._cancel_asked = True
        self.run.cancel()

    def wait(self, milliseconds: int = 10_000) -> bool:
        """Block until the thread has ended; False when it did not in time."""
        return self._thread.wait(milliseconds)

    @classmethod
    def any_running(cls) -> bool:
        """Whether any job of the program still runs."""
        return bool(cls._alive)

    @classmethod
    def end_all(cls) -> None:
        """Cancel every job and wait a moment for their threads, before the window goes.

        Longer for one that writes a file: a write may be nearly done, and what is only computed
        and does not hear is of no use any more.
        """
        jobs, began = tuple(cls._alive), time.monotonic()
        for job in jobs:
            job.is_last = True
            job.cancel()
        for job in jobs:
            seconds = WRITER_SECONDS if job._keep_late_result else OTHERS_SECONDS
            job.wait(max(0, int(1000 * (began + seconds - time.monotonic()))))

    @Slot(object)
    def _on_happened(self, event: object) -> None:
        if not self._cancel_asked:
            self.happened.emit(event)

    @Slot(object)
    def _on_succeeded(self, result: object) -> None:
        if self._cancel_asked and not self._keep_late_result:
            self.cancelled.emit()
        else:
            self.succeeded.emit(result)

    @Slot(object)
    def _on_failed(self, error: object) -> None:
        # What breaks after the user said stop is no news to them; the log has it.
        if self._cancel_asked:
            self.cancelled.emit()
        else:
            self.failed.emit(error)

    @Slot()
    def _on_thread_finished(self) -> None:
        self._thread.wait()  # the signal comes a moment before the thread is gone
        Job._alive.discard(self)
        self.finished.emit()


class _Worker(QObject):
    """The side of a job that lives in its thread."""

    happened = Signal(object)
    succeeded = Signal(object)
    cancelled = Signal()
    failed = Signal(object)

    def __init__(self, work: Callable[[Run], object]) -> None:
        super().__init__()
        self._work = work
        self.run = Run(self.happened.emit)

    @Slot()
    def work(self) -> None:
        """Compute, report how it ended, and end the thread."""
        _yield_to_the_window()
        try:
            self.succeeded.emit(self._work(self.run))
        except Cancelled:
            self.cancelled.emit()
        except Exception as error:  # noqa: BLE001 - the one place where any failure becomes a signal
            if not isinstance(error, CoreError):
                _LOG.exception("A job failed")
            self.failed.emit(error)
        QThread.currentThread().quit()


def _yield_to_the_window() -> None:
    """Lower the priority of this thread and those it starts (threads have one on Linux only)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
