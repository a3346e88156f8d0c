"""A question asked in the background again and again, of which only the latest answer counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .job import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from training_core.run import Run


class LatestJob:
    """A background question of which only the latest answer counts.

    One is computed at a time: the next one begins once the one it replaces has heard that it is
    given up, and of those asked meanwhile only the last.
    """

    def __init__(
        self,
        on_result: Callable[[Any], None],
        on_failure: Callable[[Exception], None],
        on_event: Callable[[Any], None] | None = None,
    ) -> None:
        self._on_result = on_result
        self._on_failure = on_failure
        self._on_event = on_event
        self._waiting: Callable[[Run], Any] | None = None
        self.job: Job | None = None
        self.label: Any = None

    @property
    def is_running(self) -> bool:
        """Whether something is computed, be it given up."""
        return self.job is not None and self.job.is_running

    def start(self, work: Callable[[Run], Any], label: Any = None) -> None:
        """Ask, unless the same (by `label`) is being asked; an earlier answer will be dropped."""
        if self.is_running and label is not None and label == self.label:
            return
        self.label, self._waiting = label, work
        if self.job is not None and self.is_running:
            self.job.cancel()
        else:
            self._begin()

    def _begin(self) -> None:
        """Compute what is waiting, unless the program ends."""
        work, self._waiting = self._waiting, None
        if work is None or (self.job is not None and self.job.is_last):
            return
        self.job = Job(work)
        self.job.succeeded.connect(self._on_result)
        self.job.failed.connect(self._on_failure)
        self.job.finished.connect(self._begin)
        if self._on_event is not None:
            self.job.happened.connect(self._on_event)
        self.job.start()

    def cancel(self) -> None:
        """Drop the answer; the same may be asked again at once."""
        self.label = self._waiting = None
        if self.job is not None:
            self.job.cancel()
