"""Painting areas in and out, and the gallery of patches, in the real window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

from g2g_desktop.model.session import State, Step
from training_core.areas import Area
from training_core.patches.gallery import Choice

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from g2g_desktop.main_window import MainWindow
    from g2g_desktop.viewer.paint_pane import PaintPane
    from tests.support.stand_ins import FakeCore


def drag(qtbot: QtBot, window: MainWindow, first: tuple[float, float], last: tuple[float, float]):
    pane = window.centre.viewer.stack_view.pane
    ends: list[QPoint] = [pane.to_widget(*end).toPoint() for end in (first, last)]
    qtbot.mousePress(pane.viewport(), Qt.MouseButton.LeftButton, pos=ends[0])
    qtbot.mouseMove(pane.viewport(), ends[1])
    qtbot.mouseRelease(pane.viewport(), Qt.MouseButton.LeftButton, pos=ends[1])


def at(pane: PaintPane, x: float, y: float) -> QPoint:
    return pane.to_widget(x, y).toPoint()


def click(qtbot: QtBot, pane: PaintPane, x: float, y: float) -> None:
    qtbot.mouseMove(pane.viewport(), at(pane, x, y))
    qtbot.mouseClick(pane.viewport(), Qt.MouseButton.LeftButton, pos=at(pane, x, y))


def move_pressed(pane: PaintPane, point: QPoint) -> None:
    """Move the mouse with its left button held, which `qtbot.mouseMove` cannot say."""
    there, held = QPointF(point), Qt.MouseButton.LeftButton
    move = QMouseEvent(
        QMouseEvent.Type.MouseMove, there, there, held, held, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(pane.viewport(), move)


def found(window: MainWindow, qtbot: QtBot) -> np.ndarray:
    qtbot.waitUntil(lambda: window.session.patches is not None, timeout=20_000)
    return window.session.patches.locations


@pytest.fixture
def painted(loaded: MainWindow, qtbot: QtBot) -> MainWindow:
    """Give the window with the upper left quarter painted out."""
    loaded.session.set_first_look(False)
    loaded.session.show(Step.PATCHES)
    qtbot.mouseClick(loaded.side.patches.brushes["out"], Qt.MouseButton.LeftButton)
    drag(qtbot, loaded, (0, 0), (48, 48))
    return loaded


def test_an_area_that_is_painted_out_holds_no_patches(painted: MainWindow, qtbot: QtBot) -> None:
    (area,) = painted.session.settings.patches.areas
    assert area.kind == "out"
    (top, left), (bottom, right) = area.corners
    assert max(top, left, abs(bottom - 48), abs(right - 48)) <= 1
    places = found(painted, qtbot)
    assert len(places)
    assert not ((places[:, 1] < bottom) & (places[:, 2] < right)).any()
    pane = painted.centre.viewer.stack_view.pane
    assert pane.areas == (area,)
    assert painted.side.patches.painted.text() == "Clear 1 painted area"


def areas(window: MainWindow) -> tuple[Area, ...]:
    return window.session.settings.patches.areas


def pane_of(window: MainWindow) -> PaintPane:
    return window.centre.viewer.stack_view.pane


@pytest.fixture
def outlining(painted: MainWindow, qtbot: QtBot) -> MainWindow:
    """Give the same with the mouse drawing outlines."""
    qtbot.mouseClick(painted.side.patches.forms[True], Qt.MouseButton.LeftButton)
    return painted


def test_an_outline_is_drawn_in_one_go(outlining: MainWindow, qtbot: QtBot) -> None:
    pane = pane_of(outlining)
    turns = np.linspace(0, 2 * np.pi, 60)
    way = [pane.to_widget(70 + 20 * np.cos(a), 40 + 20 * np.sin(a)).toPoint() for a in turns]
    qtbot.mousePress(pane.viewport(), Qt.MouseButton.LeftButton, pos=way[0])
    for point in way[1:]:
        move_pressed(pane, point)
    qtbot.mouseRelease(pane.viewport(), Qt.MouseButton.LeftButton, pos=way[-1])
    assert len(areas(outlining)) == 2
    corners = np.array(areas(outlining)[1].corners)
    assert 6 < len(corners) < 60
    assert np.abs(np.hypot(*(corners - (40, 70)).T) - 20).max() < 1.5
    outlining.menus.actions["undo"].trigger()
    assert len(areas(outlining)) == 1


@pytest.mark.parametrize("close", ["double click", "first corner", "Enter"])
def test_an_outline_is_clicked_corner_by_corner(
    outlining: MainWindow, qtbot: QtBot, close: str
) -> None:
    pane = pane_of(outlining)
    for x, y in ((55, 5), (90, 5), (80, 80), (90, 30)):
        click(qtbot, pane, x, y)
        assert len(areas(outlining)) == 1
    qtbot.keyClick(pane, Qt.Key.Key_Backspace)  # the third corner was a mistake
    if close == "double click":
        qtbot.mouseDClick(pane.viewport(), Qt.MouseButton.LeftButton, pos=at(pane, 80, 80))
    elif close == "first corner":
        click(qtbot, pane, 55, 5)
    else:
        qtbot.mouseMove(pane.viewport(), at(pane, 80, 80))
        qtbot.keyClick(pane, Qt.Key.Key_Return)
    corners = areas(outlining)[1].corners
    assert np.abs(np.array(corners[:3]) - [(5, 55), (5, 90), (80, 80)]).max() <= 1


def test_an_outline_that_was_begun_is_given_up_with_esc(
    outlining: MainWindow, qtbot: QtBot
) -> None:
    pane = pane_of(outlining)
    for x, y in ((55, 5), (90, 5), (90, 30)):
        click(qtbot, pane, x, y)
    qtbot.keyClick(pane, Qt.Key.Key_Escape)
    qtbot.keyClick(pane, Qt.Key.Key_Return)
    assert len(areas(outlining)) == 1
    assert pane.kind == "out"
    qtbot.keyClick(pane, Qt.Key.Key_Escape)
    assert pane.kind == ""
    assert not outlining.side.patches.brushes["out"].isChecked()
    assert not outlining.side.patches.drawing.isVisible()


def test_a_rectangle_is_painted_by_keys_alone(loaded: MainWindow, qtbot: QtBot) -> None:
    loaded.session.set_first_look(False)
    loaded.session.show(Step.PATCHES)
    brush = loaded.side.patches.brushes["in"]
    with qtbot.waitActive(loaded):
        loaded.activateWindow()
    brush.setFocus()
    qtbot.keyClick(brush, Qt.Key.Key_Space)
    pane = pane_of(loaded)
    assert pane.hasFocus()
    qtbot.keyClick(pane, Qt.Key.Key_R)
    (box,) = pane.draft.regions
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    for _ in range(3):
        qtbot.keyClick(pane, Qt.Key.Key_Left, control)
    qtbot.keyClick(pane, Qt.Key.Key_Down, control | shift)
    assert areas(loaded) == ()
    qtbot.keyClick(pane, Qt.Key.Key_Return)
    assert not pane.draft.regions
    (area,) = areas(loaded)
    (left, top), (right, bottom) = box
    expected = [(top, left - 3), (bottom + 1, right - 3)]
    assert np.abs(np.array(area.corners) - expected).max() <= 0.51
    assert area.kind == "in"


def test_what_is_pressed_stays_under_the_mouse_while_patches_are_looked_for(
    painted: MainWindow, qtbot: QtBot
) -> None:
    card = painted.side.patches
    found(painted, qtbot)
    QApplication.processEvents()
    assert card.verdict.isVisible()
    before = card.brushes["in"].mapTo(card, QPoint(0, 0))
    card.show_patches(None)
    QApplication.processEvents()
    assert not card.verdict.isVisible()
    assert card.brushes["in"].mapTo(card, QPoint(0, 0)) == before


def test_a_polygon_is_painted_by_keys_corner_by_corner(painted: MainWindow, qtbot: QtBot) -> None:
    pane = pane_of(painted)
    qtbot.keyClick(pane, Qt.Key.Key_Y)
    before = pane.draft.regions[0]
    assert len(before) == 3
    qtbot.keyClick(pane, Qt.Key.Key_C)  # takes up the first corner
    for _ in range(4):
        qtbot.keyClick(pane, Qt.Key.Key_Up, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(pane, Qt.Key.Key_Insert)
    after = pane.draft.regions[0]
    assert len(after) == 4
    assert after[0] == pytest.approx((before[0][0], before[0][1] - 4))
    middle = [(a + b) / 2 for a, b in zip(after[0], before[1], strict=True)]
    assert after[1] == pytest.approx(middle)
    assert after[2:] == (pytest.approx(before[1]), pytest.approx(before[2]))
    qtbot.keyClick(pane, Qt.Key.Key_Enter)
    assert len(areas(painted)) == 2
    assert len(areas(painted)[1].corners) in (3, 4)  # the new corner lies on the way
    qtbot.keyClick(pane, Qt.Key.Key_Y)
    qtbot.keyClick(pane, Qt.Key.Key_Delete)
    assert not pane.draft.regions


def test_the_mouse_moves_a_shape_that_was_put_into_the_view(
    painted: MainWindow, qtbot: QtBot
) -> None:
    pane = pane_of(painted)
    qtbot.keyClick(pane, Qt.Key.Key_R)
    (left, top), (right, bottom) = pane.draft.regions[0]
    middle = (left + right) / 2, (top + bottom) / 2
    drag(qtbot, painted, middle, (middle[0] - 20, middle[1]))
    assert len(areas(painted)) == 1  # nothing was drawn


def test_each_stroke_is_taken_back_by_itself(painted: MainWindow, qtbot: QtBot) -> None:
    brushes = painted.side.patches.brushes
    qtbot.mouseClick(brushes["in"], Qt.MouseButton.LeftButton)
    assert not brushes["out"].isChecked()
    drag(qtbot, painted, (50, 50), (90, 90))
    assert [one.kind for one in painted.session.settings.patches.areas] == ["out", "in"]
    painted.menus.actions["undo"].trigger()
    assert [one.kind for one in painted.session.settings.patches.areas] == ["out"]
    painted.menus.actions["undo"].trigger()
    assert painted.session.settings.patches.areas == ()
    painted.menus.actions["redo"].trigger()
    assert len(painted.session.settings.patches.areas) == 1
    painted.side.patches.painted.click()
    assert painted.session.settings.patches.areas == ()
    assert not painted.side.patches.painted.isVisible()


def test_other_settings_keep_what_was_painted(painted: MainWindow) -> None:
    card = painted.side.patches
    card.form.editors["stride_px"].setValue(16)
    assert len(painted.session.settings.patches.areas) == 1
    painted.side.train.presets.buttons["quick"].click()
    assert len(painted.session.settings.patches.areas) == 1


def test_a_slip_of_the_hand_paints_nothing_and_without_a_brush_the_picture_moves(
    painted: MainWindow, qtbot: QtBot
) -> None:
    drag(qtbot, painted, (70, 70), (70, 70))
    pane = painted.centre.viewer.stack_view.pane
    assert len(painted.session.settings.patches.areas) == 1
    qtbot.mouseClick(painted.side.patches.brushes["out"], Qt.MouseButton.LeftButton)
    assert pane.kind == ""
    drag(qtbot, painted, (60, 60), (80, 80))
    assert len(painted.session.settings.patches.areas) == 1


def test_nothing_is_painted_while_something_is_going_on(
    painted: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    found(painted, qtbot)
    pane = painted.centre.viewer.stack_view.pane
    assert pane.kind == "out"
    core.may_end.clear()
    painted.commands.do("train")
    assert pane.kind == ""
    assert not painted.side.patches.brushes["in"].isEnabled()
    core.may_end.set()
    qtbot.waitUntil(lambda: painted.session.state is State.DONE)
    assert core.trained[0].patches.areas == painted.session.settings.patches.areas


def test_the_gallery_shows_patches_and_goes_to_them(painted: MainWindow, qtbot: QtBot) -> None:
    found(painted, qtbot)
    painted.side.patches.gallery.click()
    gallery = painted.side.gallery
    qtbot.waitUntil(lambda: bool(gallery.buttons), timeout=20_000)
    choices = [one.choice for one, _ in gallery.buttons]
    assert Choice.TAKEN in choices
    assert Choice.PAINTED in choices
    one, button = next((o, b) for o, b in gallery.buttons if o.choice is Choice.PAINTED)
    assert button.toolTip().startswith("Not taken: painted out; mean ")
    button.click()
    view = painted.centre.viewer.stack_view
    assert view.frame_index == one.frame
    shown = view.pane.visible_rect
    assert shown.contains(one.place.left + 1, one.place.top + 1)
    assert not view.pane.is_fitted
    painted.session.set_patch_settings(painted.session.settings.patches.__class__())
    assert not gallery.buttons  # until the patches of these settings are known
    qtbot.waitUntil(lambda: bool(gallery.buttons), timeout=20_000)
    assert Choice.PAINTED not in [one.choice for one, _ in gallery.buttons]
    gallery.close()


def test_other_files_of_the_queue_are_not_painted(painted: MainWindow) -> None:
    painted.desk.show_queue()
    plan = painted.desk.queue_page.options.plan([])
    assert plan.settings.patches.areas == ()
    assert len(painted.session.settings.patches.areas) == 1


def test_the_areas_are_those_of_the_command_line(painted: MainWindow) -> None:
    (area,) = painted.session.settings.patches.areas
    assert Area.of(str(area)) == area
