"""What a crash must not cost: keeps the training under way, and finds an interrupted one again."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from training_core.errors import CoreError

from .interrupted import find_interrupted, lock_of, remove
from .latest_job import LatestJob
from .paths import checkpoints_dir

if TYPE_CHECKING:
    from pathlib import Path

    from PySide6.QtCore import QLockFile

    from .session import Session

_LOG = logging.getLogger(__name__)


class Recovery:
    """The folder of the training under way, until its result is safe, and what lies from before."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._folder: Path | None = None
        self._lock: QLockFile | None = None
        self._search = LatestJob(session.set_interrupted, _log_failure)

    def begin(self) -> Path:
        """Give the folder for a training: that of the interrupted one if it is the same."""
        self.discard()
        known = self._session.interrupted
        if known is not None and known.settings == self._session.settings:
            folder = known.folder
        else:
            folder = checkpoints_dir() / f"{datetime.now():%Y%m%d-%H%M%S-%f}"
        self._folder, self._lock = folder, lock_of(folder)
        self._lock.tryLock(0)
        return folder

    def discard(self) -> None:
        """Remove what is kept of the training under way: it is safe, or not wanted."""
        folder = self._folder
        self._let_go()
        if folder is not None:
            remove(folder)

    def after_failure(self, error: Exception) -> None:
        """Remove it where it must fail again; else offer to go on."""
        if isinstance(error, CoreError):
            self.discard()
        else:
            self._let_go()
            self.look_for_interrupted()

    def look_for_interrupted(self) -> None:
        """Find an interrupted training of the stack that is open."""
        if self._session.stack is not None:
            self._search.start(partial(find_interrupted, self._session.stack))

    def discard_interrupted(self) -> None:
        """Remove the interrupted training of the stack that is open."""
        known = self._session.interrupted
        if known is not None:
            remove(known.folder)
            self._session.set_interrupted(None)

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.unlock()
        self._folder = self._lock = None


def _log_failure(error: Exception) -> None:
    _LOG.warning("Interrupted trainings cannot be read: %s", error)
