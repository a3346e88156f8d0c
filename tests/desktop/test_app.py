from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication

from g2g_desktop import app
from g2g_desktop.app import ErrorCatcher, FirstSight, make_window
from g2g_desktop.dialogs import dialogs
from g2g_desktop.paths import resource

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from g2g_desktop.main_window import MainWindow

ROOT = Path(__file__).resolve().parents[2]

# The program itself, closed by a timer once the stack is there.
PROGRAM = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from g2g_desktop.__main__ import main
from g2g_desktop.main_window import MainWindow

def look():
    window = next(w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow))
    if window.session.stack is not None:
        print(window.session.stack.axes, sys.getswitchinterval())
        window.poll.stop()
        window.close()

shown = MainWindow.show
def show(self):
    shown(self)
    self.poll = QTimer(interval=50)
    self.poll.timeout.connect(look)
    self.poll.start()
MainWindow.show = show
sys.exit(main(sys.argv[1:]))
"""


def test_the_program_opens_what_it_is_given(stack_file: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(stack_file)],
        cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (found.returncode, found.stdout.split()) == (0, ["TYX", "0.0005"]), found.stderr


def test_calculations_are_loaded_once_the_window_was_painted(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    class Painted(QObject):
        def eventFilter(self, _: QObject, event: QEvent) -> bool:
            if event.type() is QEvent.Type.Paint:
                order.append("painted")
            return False

    watch = Painted(window)
    window.centre.start.installEventFilter(watch)
    monkeypatch.setattr(app, "open_torch_libraries", lambda: order.append("libraries"))
    monkeypatch.setattr(window.workflow, "start_engine", lambda: order.append("engine"))
    monkeypatch.setattr(window.commands, "open_paths", lambda _: order.append("stack"))
    window.hide()
    FirstSight(window, [Path("stack.tif")])
    window.show()
    assert "libraries" not in order
    qtbot.waitUntil(lambda: "stack" in order)
    assert order.index("painted") < order.index("libraries")
    assert [what for what in order if what != "painted"] == ["libraries", "engine", "stack"]
    window.hide()
    window.show()
    qtbot.wait(50)
    assert order.count("engine") == 1


@pytest.mark.usefixtures("core")
def test_the_window_is_made_with_the_style_sheet(qtbot: QtBot) -> None:
    made = make_window()
    qtbot.addWidget(made)
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    assert application.styleSheet() == resource("theme.qss").read_text(encoding="utf-8")


@pytest.mark.parametrize("thread", ["window", "other"])
def test_what_nobody_caught_is_logged_and_shown(
    thread: str, window: MainWindow, qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    catcher = ErrorCatcher(window)
    error = KeyError("nobody")
    with caplog.at_level(logging.ERROR), qtbot.waitSignal(catcher.caught):
        if thread == "window":
            catcher.take(error)
        else:
            worker = threading.Thread(target=catcher.take, args=(error,))
            worker.start()
            worker.join()
    dialog = window.findChild(dialogs.ErrorDialog)
    assert dialog.sentence.text() == "Something unexpected happened (KeyError: 'nobody')."
    assert "KeyError" in caplog.text
    dialog.close()


def test_an_interrupt_is_no_error(window: MainWindow) -> None:
    ErrorCatcher(window).take(KeyboardInterrupt())
    assert window.findChild(dialogs.ErrorDialog) is None
