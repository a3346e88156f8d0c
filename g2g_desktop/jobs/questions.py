"""What the window finds out by itself of the stack that is open, beside the jobs of the user."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Slot

from g2g_desktop.model.session import Failure, Session, State, Step
from training_core.errors import InputError

from . import tasks
from .latest_job import LatestJob

if TYPE_CHECKING:
    from collections.abc import Hashable

_LOG = logging.getLogger(__name__)
_SETTLE_MS = 250  # a slider that moves asks for the whole stack once, when it has come to rest


class Questions(QObject):
    """Asks, at rest, for what the session does not know yet: patches, time, how a model suits."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._patches = LatestJob(self.take_patches, self._on_patches_failed)
        self.expected = LatestJob(self._on_expected, _log_failure)
        self.alike = LatestJob(self._on_compared, _log_failure)
        self._settle = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._settle.timeout.connect(self._ask)
        session.changed.connect(self._settle.start)

    def close(self) -> None:
        """Ask nothing any more."""
        self._settle.stop()

    @Slot()
    def _ask(self) -> None:
        session, stack = self._session, self._session.stack
        if stack is None or session.state not in (State.READY, State.DONE):
            return
        if session.patches is None and not session.problem:
            search = partial(tasks.find_patches, stack, session.settings.patches)
            self._patches.start(search, self._patches_label())
        if session.expected is None and not session.problem:
            ask = partial(tasks.expected_time, stack, session.settings)
            self.expected.start(ask, self._expected_label())
        if session.model_waits and session.alike is None and session.denoiser is not None:
            compare = partial(tasks.compare_model, session.denoiser, stack)
            self.alike.start(compare, self._alike_label())

    def take_patches(self, patches: Any) -> None:
        """Take the answer, unless another question was asked since."""
        if self._patches.label == self._patches_label():
            self._session.set_patches(patches)

    def _on_patches_failed(self, error: Exception) -> None:
        if self._patches.label != self._patches_label():
            return
        if isinstance(error, InputError):
            self._session.set_problem(str(error))
        else:
            self._session.tell(Failure.of(Step.PATCHES, error))

    def _on_expected(self, expected: Any) -> None:
        if self.expected.label == self._expected_label():
            self._session.set_expected_time(expected)

    def _on_compared(self, alike: Any) -> None:
        if self.alike.label == self._alike_label():
            self._session.set_alike(alike)

    def _patches_label(self) -> Hashable:
        return id(self._session.stack), self._session.settings.patches

    def _expected_label(self) -> Hashable:
        settings = self._session.settings
        return id(self._session.stack), settings.noise_model, settings.denoiser, settings.device

    def _alike_label(self) -> Hashable:
        return id(self._session.stack), id(self._session.denoiser)


def _log_failure(error: Exception) -> None:
    _LOG.warning("A background question failed: %s", error)
