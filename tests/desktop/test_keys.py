"""Every key that the window promises does what it says, pressed where the user would press it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QLineEdit

from g2g_desktop.dialogs import dialogs
from g2g_desktop.model.session import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot

    from g2g_desktop.bench.compare_view import CompareView
    from g2g_desktop.main_window import MainWindow
    from tests.support.stand_ins import FakeCore


def press(keys: str) -> None:
    """Press a combination of keys in whatever has the focus."""
    if QApplication.activeWindow() is None:  # on a screen without a window manager
        window = next(w for w in QApplication.topLevelWidgets() if w.isVisible())
        window.activateWindow()
        assert QTest.qWaitForWindowActive(window)
    combination = QKeySequence(keys)[0]
    where = QApplication.focusWidget() or QApplication.activeWindow()
    QTest.keyClick(where, combination.key(), combination.keyboardModifiers())
    QApplication.processEvents()


@pytest.fixture
def done(loaded: MainWindow, qtbot: QtBot) -> MainWindow:
    """Give the window with a result, the picture of which has the keys."""
    loaded.activateWindow()
    loaded.commands.do("train")
    qtbot.waitUntil(lambda: loaded.session.state is State.DONE)
    loaded.centre.compare.setFocus()
    return loaded


@pytest.mark.parametrize(
    ("key", "mode"),
    [("1", "split"), ("2", "side"), ("3", "blink"), ("4", "residual"), ("5", "changed")],
)
def test_the_numbers_choose_how_to_compare(key: str, mode: str, done: MainWindow) -> None:
    done.centre.compare.set_mode("side" if mode == "split" else "split")
    press(key)
    assert done.centre.compare.mode == mode
    assert done.centre.compare.mode_tools[mode].isChecked()
    assert done.menus.actions[mode].isChecked()


@pytest.mark.parametrize(("key", "kind"), [("L", "line"), ("R", "rectangle"), ("Y", "polygon")])
def test_letters_measure(key: str, kind: str, done: MainWindow) -> None:
    panel = done.centre.bench.panel
    press(key)
    assert panel.current == "Measure"
    shapes = panel.measure.shapes
    assert bool(shapes.line) is (kind == "line")
    assert [len(region) for region in shapes.regions] == {"rectangle": [2], "polygon": [3]}.get(
        kind, []
    )


SEEN: dict[str, Callable[[CompareView], object]] = {
    "Z": lambda view: round(view.left.scale_factor, 2),
    "A": lambda view: view.levels,
    "I": lambda view: view.invert_tool.isChecked(),
    "O": lambda view: view.loupe_tool.isChecked(),
}


@pytest.mark.parametrize("key", SEEN)
def test_letters_change_what_is_seen(key: str, done: MainWindow) -> None:
    view = done.centre.compare
    before = SEEN[key](view)
    press(key)
    assert SEEN[key](view) != before


def test_z_is_pixel_for_pixel_and_f_the_whole_image(done: MainWindow) -> None:
    view = done.centre.compare
    press("Z")
    assert view.left.scale_factor == pytest.approx(1.0)
    assert view.zoom_text.text() == "100 %"
    press("F")
    assert view.left.is_fitted


def test_space_shows_the_noisy_image_while_it_is_held(done: MainWindow) -> None:
    view = done.centre.compare
    QTest.keyPress(QApplication.focusWidget(), Qt.Key.Key_Space)
    assert not view.left.is_split
    QTest.keyRelease(QApplication.focusWidget(), Qt.Key.Key_Space)
    assert view.left.is_split


def test_arrows_and_page_keys_go_through_the_frames(loaded: MainWindow) -> None:
    view = loaded.centre.viewer.stack_view
    loaded.activateWindow()
    view.setFocus()
    for key, frame in (("Right", 1), ("Left", 0), ("End", 1), ("Home", 0), ("PgUp", 1)):
        press(key)
        assert view.frame_index == frame, key


def test_g_shows_the_patches_and_p_the_preview(loaded: MainWindow) -> None:
    loaded.activateWindow()
    view = loaded.centre.viewer.stack_view
    view.setFocus()
    before = view.overlay_visible
    press("G")
    assert view.overlay_visible is not before
    looked = loaded.session.first_look
    press("P")
    assert loaded.session.first_look is not looked


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ("Ctrl+O", "ask_files"),
        ("Ctrl+Shift+O", "ask_folder"),
        ("Ctrl+Shift+M", "ask_model"),
        ("Ctrl+S", "ask_model_target"),
    ],
)
def test_keys_that_ask_for_a_file(
    keys: str, name: str, done: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(dialogs, name, lambda *_: asked.append(name))
    monkeypatch.setattr(done.commands, "open_paths", lambda _: None)
    press(keys)
    assert asked == [name]


def test_ctrl_r_trains_and_esc_asks_to_end_it(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    loaded.activateWindow()
    core.may_end.clear()
    loaded.centre.view.setFocus()
    press("Ctrl+R")
    assert loaded.session.state is State.TRAINING
    press("Esc")
    qtbot.waitUntil(lambda: loaded.session.state is State.READY)


def test_ctrl_shift_e_shows_the_queue_and_the_picture_again(done: MainWindow) -> None:
    press("Ctrl+Shift+E")
    assert done.desk.pages.currentWidget() is done.desk.queue_page
    press("Ctrl+Shift+E")
    assert done.desk.pages.currentWidget() is done.desk.work


@pytest.mark.parametrize(
    ("keys", "title"), [("?", "Keyboard shortcuts"), ("M", "Model information"), ("F1", "Guide")]
)
def test_keys_that_show_a_window(keys: str, title: str, done: MainWindow) -> None:
    press(keys)
    shown = [d for d in done.findChildren(QDialog) if d.isVisible()]
    assert [dialog.windowTitle() for dialog in shown] == [title]
    shown[0].close()


def test_letters_that_are_typed_stay_in_the_field(loaded: MainWindow) -> None:
    loaded.commands.do("batch")
    loaded.activateWindow()
    field = loaded.desk.queue_page.options.suffix
    assert isinstance(field, QLineEdit)
    field.setFocus()
    field.clear()
    before = loaded.centre.viewer.stack_view.overlay_visible
    QTest.keyClicks(field, "_g1?")
    assert field.text() == "_g1?"
    assert loaded.centre.viewer.stack_view.overlay_visible is before
