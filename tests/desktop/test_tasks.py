"""The five tasks of the guide, each done in the real window in at most five clicks.

To drop something counts as a click, and so does a double click on a file in a dialog of the system.
What the calculations give are stand-ins.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import tifffile
import torch
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QMessageBox, QPushButton, QWidget

from g2g_desktop.batch import queue_tasks
from g2g_desktop.batch.file_list import FileState
from g2g_desktop.batch.queue_options import ONE
from g2g_desktop.dialogs import dialogs
from g2g_desktop.dialogs.export_dialog import ExportDialog
from g2g_desktop.jobs.interrupted import tell_about
from g2g_desktop.model.session import State
from g2g_desktop.paths import checkpoints_dir, guide
from g2g_desktop.viewer.pair_viewer import LEFT
from training_core.compute.checkpoint import Checkpoint, describe_job
from training_core.settings import preset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from g2g_desktop.main_window import MainWindow
    from tests.support.stand_ins import FakeCore
    from training_core.batch.targets import Input
    from training_core.stack import Stack

MOST_CLICKS, PATIENCE_MS = 5, 60_000


@dataclass
class User:
    """Clicks with the mouse on what can be seen, and counts."""

    window: MainWindow
    monkeypatch: pytest.MonkeyPatch
    clicks: list[str] = field(default_factory=list)

    def click(self, widget: QWidget, what: str) -> None:
        """Click in the middle of a control."""
        assert widget.isVisible(), what
        assert widget.isEnabled(), what
        self.clicks.append(what)
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton)
        QApplication.processEvents()

    def choose(self, box: QComboBox, data: object) -> None:
        """Open a list and click on an entry."""
        self.click(box, "open the list")
        QTest.qWait(QApplication.doubleClickInterval() + 50)  # a list that opens takes no release
        row = box.findData(data)
        self.clicks.append(box.itemText(row))
        place = box.view().visualRect(box.model().index(row, 0)).center()
        QTest.mouseClick(box.view().viewport(), Qt.MouseButton.LeftButton, pos=place)

    def will_choose(self, name: str, answer: object) -> None:
        """Answer the next dialog of the system, with a double click."""

        def ask(*_: object) -> object:
            self.clicks.append("double click on the file")
            return answer

        self.monkeypatch.setattr(dialogs, name, ask)

    def drop(self, path: Path) -> None:
        """Drag a file or a folder from elsewhere onto the window."""
        self.clicks.append(f"drop {path.name}")
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(path))])
        more = Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton
        none = Qt.KeyboardModifier.NoModifier
        for event in (
            QDragEnterEvent(QPoint(300, 300), *more, none),
            QDropEvent(QPointF(300, 300), *more, none),
        ):
            QApplication.sendEvent(self.window, event)

    def answers(self, kind: type, button: str) -> None:
        """Click on a button of the dialog that comes next."""

        def answer() -> None:
            dialog = QApplication.activeModalWidget()
            if not isinstance(dialog, kind):
                QTimer.singleShot(50, answer)
                return
            self.click(next(b for b in buttons_of(dialog) if b.text() == button), button)

        QTimer.singleShot(50, answer)


def buttons_of(dialog: QWidget) -> list[QWidget]:
    return [b for b in dialog.findChildren(QPushButton) if b.isVisible()]


@pytest.fixture
def user(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> User:
    window.activateWindow()
    return User(window, monkeypatch)


def test_denoise_one_image(user: User, stack_file: Path, qtbot: QtBot) -> None:
    window = user.window
    user.will_choose("ask_files", [stack_file])
    user.click(window.centre.start.drop.open_button, "Open files...")
    qtbot.waitUntil(lambda: window.session.patches is not None, timeout=PATIENCE_MS)
    user.click(window.run_bar.next_button, "Train and denoise")
    qtbot.waitUntil(lambda: window.session.state is State.DONE, timeout=PATIENCE_MS)
    user.answers(ExportDialog, "Export")
    user.click(window.run_bar.next_button, "Export...")
    qtbot.waitUntil(lambda: window.session.exported is not None, timeout=PATIENCE_MS)
    assert window.session.exported.is_file()
    assert len(user.clicks) <= MOST_CLICKS, user.clicks


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)  # a list that opens
def test_denoise_a_folder_with_one_model(
    user: User, tmp_path: Path, write_small_stack: Callable[[Path], Path], qtbot: QtBot
) -> None:
    window, folder = user.window, tmp_path / "day 1"
    folder.mkdir()
    for name in ("a.tif", "b.tif", "c.tif"):
        write_small_stack(folder / name)
    learned: list[str] = []

    def train_one(paths: list[Input], _settings: object, model: Path, *_: object) -> Path:
        learned.extend(one.path.name for one in paths)
        model.touch()
        return model

    halved = lambda stack, _: (stack.with_pixels(stack.pixels // 2), {"patches": 12})  # noqa: E731
    user.monkeypatch.setattr(queue_tasks, "train_one_model", train_one)
    user.monkeypatch.setattr(queue_tasks, "_work", lambda *_: halved)
    user.drop(folder)
    qtbot.waitUntil(lambda: window.session.patches is not None, timeout=PATIENCE_MS)
    user.click(window.desk.panel.queue_button, "Denoise all...")
    user.choose(window.desk.queue_page.options.how, ONE)
    user.click(window.desk.queue_page.start, "Denoise all files")
    qtbot.waitUntil(lambda: not window.queue.is_busy, timeout=PATIENCE_MS)
    states = [item.state for item in window.files.items]
    assert states == [FileState.DONE] * 3, [item.reason for item in window.files.items]
    written = {path.name for path in folder.iterdir()}
    assert written >= {"a.g2g", "a_denoised.tif", "b_denoised.tif", "c_denoised.tif"}
    assert learned == ["a.tif"]
    assert len(user.clicks) <= MOST_CLICKS, user.clicks


def test_compare_with_a_reference(
    user: User, stack_file: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    window = user.window
    clean = tmp_path / "clean.tif"
    tifffile.imwrite(clean, tifffile.imread(stack_file) // 2, imagej=True, metadata={"axes": "TYX"})
    window.commands.open_paths([stack_file])
    qtbot.waitUntil(lambda: window.session.patches is not None, timeout=PATIENCE_MS)
    window.commands.do("train")
    qtbot.waitUntil(lambda: window.session.state is State.DONE, timeout=PATIENCE_MS)
    user.answers(QMessageBox, "As reference")
    user.drop(clean)
    qtbot.waitUntil(lambda: "Reference" in window.centre.compare.sources)
    user.click(tool(window, "side"), "Side by side")
    shown = [pane for pane in window.centre.compare.panes if pane.isVisible()]
    assert [pane.captions[LEFT] for pane in shown] == ["Noisy", "Denoised", "Reference"]
    assert len(user.clicks) <= MOST_CLICKS, user.clicks


def tool(window: MainWindow, mode: str) -> QWidget:
    view = window.centre.compare
    return view.tools.widgetForAction(view.mode_tools[mode])


def test_find_out_why_a_file_does_not_work(
    user: User, stack_file: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    window = user.window
    window.commands.open_paths([stack_file])
    qtbot.waitUntil(lambda: window.session.patches is not None, timeout=PATIENCE_MS)
    bad = tmp_path / "bad.tif"
    bad.write_bytes(stack_file.read_bytes()[:300])
    user.drop(bad)
    qtbot.waitUntil(lambda: window.banner.isVisible(), timeout=PATIENCE_MS)
    assert QApplication.activeModalWidget() is None
    assert "bad.tif" in window.banner.words.text()
    user.click(window.banner.copy, "Copy details")
    assert "bad.tif" in QApplication.clipboard().text()
    user.click(window.banner.close_button, "Close this message")
    assert not window.banner.isVisible()
    assert window.session.stack.name == "cells.tif"  # which is there as before
    assert [item.state for item in window.files.items][-1] is FileState.FAILED
    assert len(user.clicks) <= MOST_CLICKS, user.clicks


def test_resume_yesterdays_run(
    user: User, stack_file: Path, small_stack: Stack, core: FakeCore, qtbot: QtBot
) -> None:
    window, settings = user.window, preset("quick", seed=4)
    kept = Checkpoint(checkpoints_dir() / "yesterday")
    kept.claim(describe_job([small_stack], settings))
    kept.part("patches").save({"weights": torch.ones(3)})
    tell_about(kept.folder, [stack_file], None, "Quick")
    for path in kept.folder.iterdir():
        os.utime(path, (time.time() - 86_400,) * 2)
    window.workflow.recovery.look_for_runs()
    qtbot.waitUntil(lambda: bool(window.centre.start.runs.buttons))
    user.click(window.centre.start.runs.buttons[0], "Continue training")
    qtbot.waitUntil(lambda: window.session.state is State.DONE, timeout=PATIENCE_MS)
    assert (core.trained, core.kept_in) == ([settings], [kept.folder])
    assert len(user.clicks) <= MOST_CLICKS, user.clicks


def test_the_guide_tells_of_each_task_with_a_picture() -> None:
    text = (guide() / "tasks.md").read_text("utf-8")
    sections = text.split("\n## ")[1:]
    assert len(sections) == 5
    for section in sections:
        steps = re.findall(r"^\d\. ", section, re.MULTILINE)
        assert 1 <= len(steps) <= MOST_CLICKS, section
        (picture,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", section)
        assert (guide() / picture).is_file()
