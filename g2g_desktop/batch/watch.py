"""A folder that is watched: files are queued as the microscope writes them, once they are whole."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from g2g_desktop.jobs.latest_job import LatestJob
from training_core.errors import CoreError

if TYPE_CHECKING:
    from pathlib import Path

    from training_core.run import Run

    Seen = dict[Path, tuple[int, int]]  # bytes and time of the last change

LOOK_MS = 2000
_LOG = logging.getLogger(__name__)


class FolderWatch(QObject):
    """Looks into a folder, and those below it, every two seconds.

    A file is whole once it has not changed from one look to the next and can be opened.

    Signals
    -------
    found
        The paths of files that are new and whole, the oldest first.
    """

    found = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.folder: Path | None = None
        self._told: set[Path] = set()
        self._seen: Seen = {}
        self._look = LatestJob(self._on_looked, self._on_failed)
        self._timer = QTimer(self, interval=LOOK_MS)
        self._timer.timeout.connect(self.look)

    def start(self, folder: Path, known: set[Path]) -> None:
        """Watch a folder; files that are `known`, such as results, are left alone."""
        self.folder, self._told, self._seen = folder, set(known), {}
        self._timer.start()
        self.look()

    def stop(self) -> None:
        """Watch no longer."""
        self.folder = None
        self._timer.stop()
        self._look.cancel()

    def leave_alone(self, path: Path) -> None:
        """Take a file that is written here for no new one."""
        self._told.add(path)

    def look(self) -> None:
        """Look now."""
        if self.folder is not None:
            work = partial(whole_files, self.folder, frozenset(self._told), dict(self._seen))
            self._look.start(work, "look")

    def _on_looked(self, answer: tuple[Seen, list[Path]]) -> None:
        self._seen, whole = answer
        new = [path for path in whole if path not in self._told]
        self._told.update(new)
        if new and self.folder is not None:
            self.found.emit(new)

    def _on_failed(self, error: Exception) -> None:
        _LOG.warning("The watched folder cannot be read: %s", error)


def whole_files(
    folder: Path, known: frozenset[Path], before: Seen, run: Run
) -> tuple[Seen, list[Path]]:
    """Give the new files of a folder as they are now, and those that are whole, the oldest first.

    One that is being written changes from one look to the next, or cannot be opened yet.
    """
    from training_core.batch.stacks import stacks_below

    seen: Seen = {}
    whole: list[Path] = []
    for path in stacks_below([folder]):
        run.check()
        if path in known:
            continue
        seen[path] = _as_it_is(path)
        if seen[path] == before.get(path) and _opens(path, run):
            whole.append(path)
    return seen, sorted(whole, key=lambda path: seen[path][1])


def _as_it_is(path: Path) -> tuple[int, int]:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    about = [file.stat() for file in files]
    changed = max((one.st_mtime_ns for one in about), default=0)
    return sum(one.st_size for one in about), changed


def _opens(path: Path, run: Run) -> bool:
    from training_core.io.readers import open_stack

    try:
        open_stack(path, run=run)
    except CoreError:
        return False
    return True
