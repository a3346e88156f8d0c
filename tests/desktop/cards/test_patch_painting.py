"""Painting areas in and out, and the gallery of patches, in the real window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QPoint, Qt

from g2g_desktop.model.session import State, Step
from training_core.areas import Area
from training_core.patches.gallery import Choice

if TYPE_CHECKING:
    import numpy as np
    from pytestqt.qtbot import QtBot

    from g2g_desktop.main_window import MainWindow
    from tests.support.stand_ins import FakeCore


def drag(qtbot: QtBot, window: MainWindow, first: tuple[float, float], last: tuple[float, float]):
    pane = window.centre.viewer.stack_view.pane
    ends: list[QPoint] = [pane.to_widget(*end).toPoint() for end in (first, last)]
    qtbot.mousePress(pane.viewport(), Qt.MouseButton.LeftButton, pos=ends[0])
    qtbot.mouseMove(pane.viewport(), ends[1])
    qtbot.mouseRelease(pane.viewport(), Qt.MouseButton.LeftButton, pos=ends[1])


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
    near = [abs(one - other) for one, other in zip((area.top, area.left), (0, 0), strict=True)]
    assert max(near) <= 1
    assert abs(area.height - 48) <= 1
    places = found(painted, qtbot)
    assert len(places)
    assert not ((places[:, 1] < area.height) & (places[:, 2] < area.width)).any()
    pane = painted.centre.viewer.stack_view.pane
    assert pane.areas == (area,)
    assert painted.side.patches.painted.text() == "Clear 1 painted area"


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
