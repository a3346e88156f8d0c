"""`g2g-desktop --check FOLDER`: the window goes its whole way by itself, on a bundled sample."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtWidgets import QApplication

from g2g_desktop.jobs.tasks import ExportChoice
from g2g_desktop.model.session import State
from training_core.settings import preset

from .paths import resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from g2g_desktop.main_window import MainWindow

_LOG = logging.getLogger(__name__)
SAMPLE = "samples/fluorescence_noisy.tif"
EXPORTED, REPORT = "denoised.tif", "check.json"
_TICK_MS = 20
_PATIENCE_S = 1200.0  # for one step, on a computer that has much else to do


class WindowCheck(QObject):
    """Opens the sample, denoises it with the preset instant, exports it, and ends the program.

    What came of it is written into the folder as `check.json`: when the window stood (seconds since
    1970), the seconds of each step, and the sentence of an error or null. A window has no terminal
    on every system, so the file and the exit code are all there is.
    """

    def __init__(self, window: MainWindow, folder: Path) -> None:
        super().__init__(window)
        self._window, self._folder = window, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.code = 1
        self._facts: dict[str, Any] = {"window_at": None, "seconds": {}, "error": None}
        self._way = self._steps()
        self._reached = next(self._way)
        self._began = time.monotonic()
        self._timer = QTimer(self, interval=_TICK_MS)
        self._timer.timeout.connect(self._on_tick)
        self._timer.start()

    def _steps(self) -> Iterator[Callable[[], bool]]:
        """Do one thing after the other, each once what the one before gives has been reached."""
        window, session = self._window, self._window.session
        yield lambda: window.windowHandle() is not None and window.windowHandle().isExposed()
        self._facts["window_at"] = time.time()
        window.commands.open_paths([resource(SAMPLE)])
        yield lambda: session.patches is not None and session.state is State.READY
        self._tell("open")
        session.set_settings(preset("instant"))
        window.workflow.train()
        yield lambda: session.state is State.DONE
        self._tell("denoise")
        window.workflow.export(ExportChoice(self._folder / EXPORTED, overwrite=True))
        yield lambda: session.exported is not None
        self._tell("export")

    def _tell(self, step: str) -> None:
        now = time.monotonic()
        self._facts["seconds"][step] = round(now - self._began, 2)
        self._began = now

    @Slot()
    def _on_tick(self) -> None:
        failure = self._window.session.failure
        if failure is not None:
            self._end(failure.sentence)
        elif time.monotonic() - self._began > _PATIENCE_S:
            self._end(f"A step of the check has not ended after {_PATIENCE_S:.0f} s.")
        elif self._reached():
            following = next(self._way, None)
            if following is None:
                self._end(None)
            else:
                self._reached = following

    def _end(self, error: str | None) -> None:
        self._timer.stop()
        if error:
            _LOG.error("The check failed: %s", error)
        self._facts["error"] = error
        (self._folder / REPORT).write_text(json.dumps(self._facts, indent=2) + "\n", "utf-8")
        self.code = int(error is not None)
        self._window.workflow.close()
        QApplication.exit(self.code)  # a window that is closed might ask what nobody answers
