from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QDoubleSpinBox, QMessageBox, QWidget

from g2g_desktop.dialogs import dialogs
from g2g_desktop.model.session import Failure, Step
from g2g_desktop.widgets.theme import Theme
from training_core.stack import PixelSize

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot


@pytest.fixture
def parent(qtbot: QtBot) -> QWidget:
    made = QWidget()
    qtbot.addWidget(made)
    return made


def soon(parent: QWidget, kind: type, act: Callable[[object], None]) -> None:
    """Act on the dialog that is about to open."""
    QTimer.singleShot(50, parent, lambda: act(parent.findChild(kind)))


def press(text: str) -> Callable[[object], None]:
    return lambda box: next(b for b in box.buttons() if b.text() == text).click()


@pytest.mark.parametrize("answer", dialogs.Running)
def test_closing_while_training_has_three_answers(answer: dialogs.Running, parent: QWidget) -> None:
    soon(parent, QMessageBox, press(answer.value))
    assert dialogs.ask_closing(parent, training=True) is answer


def test_other_jobs_cannot_be_stopped_and_kept(parent: QWidget) -> None:
    shown: list[str] = []

    def look(box: QMessageBox) -> None:
        shown.extend(button.text() for button in box.buttons())
        box.reject()

    soon(parent, QMessageBox, look)
    assert dialogs.ask_closing(parent, training=False) is dialogs.Running.KEEP_RUNNING
    assert set(shown) == {"Keep running", "Discard"}


@pytest.mark.parametrize(("button", "answer"), [("Lose it", True), ("Cancel", False)])
def test_only_the_named_button_means_yes(button: str, answer: bool, parent: QWidget) -> None:
    soon(parent, QMessageBox, lambda box: press(button)(box))
    assert dialogs.confirm(parent, "Sure?", "It would be lost.", "Lose it") is answer


def test_the_pixel_size_is_asked_in_micrometres(parent: QWidget) -> None:
    def fill(dialog: QDialog) -> None:
        plane, depth = dialog.findChildren(QDoubleSpinBox)
        assert plane.value() == pytest.approx(0.1)
        plane.setValue(0.25)
        depth.setValue(0.0)
        dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok).click()

    soon(parent, QDialog, fill)
    size = dialogs.ask_pixel_size(parent, PixelSize(0.1, 0.1, 0.5), with_z=True)
    assert size == PixelSize(0.25, 0.25, None)


def test_an_error_is_a_sentence_with_details_to_copy(parent: QWidget) -> None:
    failure = Failure(Step.EXPORT, "The disk is full.", "Traceback: all of it")
    dialog = dialogs.ErrorDialog(failure, Theme("light"), parent)
    dialog.open()
    assert dialog.windowTitle() == "Export did not work"
    assert dialog.sentence.text() == "The disk is full."
    dialog.copy.click()
    assert QGuiApplication.clipboard().text() == "Traceback: all of it"
    dialog.close()
