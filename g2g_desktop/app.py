"""Start-up: the application object, the log, and what happens to errors nobody expected."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import sys
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QEvent,
    QLibraryInfo,
    QLocale,
    QObject,
    QTimer,
    QtMsgType,
    QTranslator,
    Signal,
    Slot,
    qInstallMessageHandler,
)
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication

from g2g_desktop.dialogs import dialogs
from g2g_desktop.jobs.job import Job
from g2g_desktop.jobs.modules import open_torch_libraries
from g2g_desktop.model.session import Failure, Step
from g2g_desktop.widgets.theme import Theme
from training_core.compute.memory import keep_memory

from .language import LANGUAGES, choose_language
from .main_window import MainWindow
from .paths import log_file, resource
from .preferences import load_preferences
from .window_check import WindowCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtCore import QMessageLogContext

_LOG = logging.getLogger("g2g_desktop")
_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}
# A worker shares the interpreter with the window; the shorter its turn, the smoother the window.
_SWITCH_SECONDS = 0.0005
_LOCALES = {"en": "en_US", "de": "de_DE"}


def run(arguments: Sequence[str]) -> int:
    """Show the window, with the stacks or the model named in `arguments`, until it is closed."""
    options = _options(arguments)
    sys.setswitchinterval(_SWITCH_SECONDS)
    keep_memory()  # before there are threads
    _start_log()
    app = QApplication.instance() or QApplication(["g2g-desktop"])
    app.setApplicationName("g2g-desktop")
    QApplication.setApplicationDisplayName("g2g desktop")
    QApplication.setDesktopFileName("g2g-desktop")
    QApplication.setWindowIcon(QIcon(str(resource("icons/app.svg"))))
    window = make_window()
    catcher = ErrorCatcher(window)
    catcher.install()
    FirstSight(window, [Path(name) for name in options.stack])
    window.show()
    check = WindowCheck(window, options.check) if options.check else None
    code = int(app.exec()) or (check.code if check else 0)
    if Job.any_running() or not window.centre.viewer.patches.close():
        # A calculation that does not end must not turn the end of the program into a crash.
        os._exit(code)
    return code


def make_window() -> MainWindow:
    """Make the window as the preferences say, with the numbers of one language throughout."""
    preferences = load_preferences()
    speak(preferences.language)
    theme = Theme(preferences.theme)
    with theme.unstyled():
        return MainWindow(preferences, theme)


def speak(choice: str) -> None:
    """Let sentences, numbers and Qt's dialogs be in a language, or in that of the "system"."""
    code = choice if choice in LANGUAGES else language_of(QLocale.system().uiLanguages())
    choose_language(code)
    locale = QLocale(_LOCALES[code])
    locale.setNumberOptions(QLocale.NumberOption.OmitGroupSeparator)
    QLocale.setDefault(locale)
    app = QApplication.instance()
    if app is None:
        return
    for before in app.findChildren(QTranslator):
        app.removeTranslator(before)
        before.deleteLater()
    own = QTranslator(app)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    if code != "en" and own.load(locale, "qtbase", "_", folder):
        app.installTranslator(own)


def language_of(wanted: Sequence[str]) -> str:
    """Give the first language that the window speaks of those that a user wants, else English."""
    return next((name[:2] for name in wanted if name[:2] in LANGUAGES), "en")


class FirstSight(QObject):
    """Starts what is loaded beside a window, once that was painted: the two would share a core.

    The libraries of torch come first and alone. A module that is imported meanwhile would wait for
    them, and the window for the module.
    """

    def __init__(self, window: MainWindow, paths: Sequence[Path] = ()) -> None:
        super().__init__(window)
        self._window, self._paths = window, paths
        self._libraries = Job(lambda _: open_torch_libraries())
        self._libraries.finished.connect(self._on_libraries)
        window.winId()  # makes the handle, which is exposed when the window is shown
        window.windowHandle().installEventFilter(self)

    def eventFilter(self, handle: QObject, event: QEvent) -> bool:
        """Wait for the window to be in sight; the handle then paints it."""
        if event.type() is QEvent.Type.Expose:
            handle.removeEventFilter(self)
            QTimer.singleShot(0, self._libraries.start)
        return False

    @Slot()
    def _on_libraries(self) -> None:
        self._window.workflow.start_engine()
        self._window.centre.start.load_thumbnails()
        self._window.workflow.recovery.look_for_runs()
        if self._paths:
            self._window.commands.open_paths(self._paths)


class ErrorCatcher(QObject):
    """Sends what no one caught, in any thread, to the log and to a dialog."""

    caught = Signal(object)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self.caught.connect(self._on_caught)

    def install(self) -> None:
        """Catch from now on."""
        sys.excepthook = lambda _kind, error, _trace: self.take(error)
        threading.excepthook = lambda args: self.take(args.exc_value)

    def take(self, error: BaseException | None) -> None:
        """Log an error, and show it in the thread of the window."""
        if error is None or isinstance(error, KeyboardInterrupt):
            return
        _LOG.error("Nobody expected this", exc_info=error)
        self.caught.emit(error)

    def _on_caught(self, error: Exception) -> None:
        if self._window.findChild(dialogs.ErrorDialog) is not None:
            return  # one is enough; the log has them all
        failure = Failure.of(Step.DATA, error)
        dialogs.ErrorDialog(failure, self._window.theme, self._window).open()


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="g2g-desktop", description="Denoise microscopy and CT stacks, in a window."
    )
    parser.add_argument("stack", nargs="*", help="stack, folder of slices or .g2g model to open")
    parser.add_argument(
        "--check",
        type=Path,
        metavar="FOLDER",
        help="denoise a bundled sample through the window, export it into the folder, and close",
    )
    return parser.parse_args(arguments)


def _start_log() -> None:
    handler = RotatingFileHandler(
        log_file(), maxBytes=1_000_000, backupCount=2, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(capture=True)
    qInstallMessageHandler(_log_qt)
    if sys.stderr is not None:  # a windowed program on Windows has none
        faulthandler.enable()


def _log_qt(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
    logging.getLogger("qt").log(_LEVELS[kind], "%s", text)
