"""What a crash must not cost: keeps the training under way, and finds an interrupted one again."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from g2g_desktop.model.result import title_of
from g2g_desktop.model.session import Failure
from g2g_desktop.paths import checkpoints_dir
from training_core.errors import CoreError

from .interrupted import (
    find_interrupted,
    kept_runs,
    lock_of,
    remove,
    remove_unused,
    tell_about,
)
from .latest_job import LatestJob

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PySide6.QtCore import QLockFile

    from g2g_desktop.model.session import Interrupted, Session

PATIENCE_MS = 200  # another window that only looks has the lock for a moment
CHANGED = "The images have changed since this training, so it cannot go on with them."
_LOG = logging.getLogger(__name__)


class Recovery(QObject):
    """The folder of the training under way, until its result is safe, and what lies from before.

    Signals
    -------
    runs_found
        The interrupted trainings of all stacks, a `KeptRun` each.
    resume_asked
        The stack of the run that was chosen to go on with is open now.
    """

    runs_found = Signal(object)
    resume_asked = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._files: Sequence[Path] = ()
        self._series: int | None = None
        self._wanted: Path | None = None
        self._folder: Path | None = None
        self._lock: QLockFile | None = None
        self._search = LatestJob(self._on_found, _log_failure)
        self._runs = LatestJob(self.runs_found.emit, _log_failure)

    def look_for_runs(self) -> None:
        """Find the interrupted trainings; `runs_found` tells."""
        self._runs.start(kept_runs)

    def take_stack(self, files: Sequence[Path], series: int | None, wanted: Path | None) -> None:
        """Look for a training of the stack that was opened, and go on with the one `wanted`."""
        self._files, self._series, self._wanted = files, series, wanted
        self.look_for_interrupted(wanted)

    def begin(self) -> Path:
        """Give the folder for a training: that of the interrupted one if it is the same.

        It is a new one where another window has gone on with the interrupted training already.
        """
        self.discard()
        known = self._session.interrupted
        same = known is not None and known.settings == self._session.settings
        if known is not None and same and self._hold(known.folder):
            folder = known.folder
        else:
            folder = checkpoints_dir() / f"{datetime.now():%Y%m%d-%H%M%S-%f}"
            self._hold(folder)
        tell_about(folder, self._files, self._series, title_of(self._session.settings))
        return folder

    def discard(self) -> None:
        """Remove what is kept of the training under way: it is safe, or not wanted."""
        if self._folder is not None:
            remove(self._folder)
        self._let_go()

    def after_failure(self, error: Exception) -> None:
        """Remove it where it must fail again; else offer to go on."""
        if isinstance(error, CoreError):
            self.discard()
        else:
            self._let_go()
            self.look_for_interrupted()

    def leave(self) -> None:
        """Keep what is there of the training under way for the next start of the program."""
        self._let_go()

    def look_for_interrupted(self, wanted: Path | None = None) -> None:
        """Find an interrupted training of the stack that is open, of several the one `wanted`."""
        if self._session.stack is not None:
            self._search.start(
                partial(find_interrupted, self._session.stack, wanted=wanted), wanted
            )

    def discard_interrupted(self) -> None:
        """Remove the interrupted training of the stack that is open."""
        known = self._session.interrupted
        if known is not None:
            remove_unused(known.folder)
            self._session.set_interrupted(None)

    def _on_found(self, found: Interrupted | None) -> None:
        wanted, self._wanted = self._wanted, None
        self._session.set_interrupted(found)
        if wanted is None:
            return
        if found is None or found.folder != wanted:
            self._session.tell(Failure(None, CHANGED))
        else:
            self.resume_asked.emit()

    def _hold(self, folder: Path) -> bool:
        """Take a folder for this window alone; False if another one has it."""
        lock = lock_of(folder)
        if not lock.tryLock(PATIENCE_MS):
            return False
        self._folder, self._lock = folder, lock
        return True

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.unlock()
        self._folder = self._lock = None


def _log_failure(error: Exception) -> None:
    _LOG.warning("Interrupted trainings cannot be read: %s", error)
