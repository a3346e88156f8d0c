"""What a crash must not cost: keeps the training under way, and finds an interrupted one again."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from g2g_desktop.model.result import title_of
from g2g_desktop.paths import checkpoints_dir
from training_core.errors import CoreError

from .interrupted import find_interrupted, lock_of, remove, remove_unused, tell_about
from .latest_job import LatestJob

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from PySide6.QtCore import QLockFile

    from g2g_desktop.model.session import Interrupted, Session

PATIENCE_MS = 200  # another window that only looks has the lock for a moment
_LOG = logging.getLogger(__name__)


class Recovery:
    """The folder of the training under way, until its result is safe, and what lies from before."""

    def __init__(self, session: Session, on_found: Callable[[Interrupted | None], None]) -> None:
        self._session = session
        self._folder: Path | None = None
        self._lock: QLockFile | None = None
        self._search = LatestJob(on_found, _log_failure)

    def begin(self, files: Sequence[Path], series: int | None) -> Path:
        """Give the folder for a training of a stack, its files and which image of one it is.

        It is that of the interrupted one if it is the same, and a new one where another window has
        gone on with the interrupted training already.
        """
        self.discard()
        known = self._session.interrupted
        same = known is not None and known.settings == self._session.settings
        if known is not None and same and self._hold(known.folder):
            folder = known.folder
        else:
            folder = checkpoints_dir() / f"{datetime.now():%Y%m%d-%H%M%S-%f}"
            self._hold(folder)
        tell_about(folder, files, series, title_of(self._session.settings))
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
