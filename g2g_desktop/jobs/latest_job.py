"""A question asked in the background again and again, of which only the latest answer counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .job import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from training_core.run import Run


class LatestJob:
    """A background question of which only the latest answer counts."""

    def __init__(
        self,
        on_result: Callable[[Any], None],
        on_failure: Callable[[Exception], None],
        on_event: Callable[[Any], None] | None = None,
    ) -> None:
        self._on_result = on_result
        self._on_failure = on_failure
        self._on_event = on_event
        self.job: Job | None = None
        self.label: Any = None

    def start(self, work: Callable[[Run], Any], label: Any = None) -> None:
        """Ask, unless the same (by `label`) is being asked; an earlier answer will be dropped."""
        if self.job is not None and self.job.is_running:
            if label is not None and label == self.label:
                return
            self.job.cancel()
        self.label = label
        self.job = Job(work)
        self.job.succeeded.connect(self._on_result)
        self.job.failed.connect(self._on_failure)
        if self._on_event is not None:
            self.job.happened.connect(self._on_event)
        self.job.start()

    def cancel(self) -> None:
        """Drop the answer; the same may be asked again at once."""
        self.label = None
        if self.job is not None:
            self.job.cancel()
