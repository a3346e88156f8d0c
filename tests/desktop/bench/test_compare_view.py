"""Before and after, driven as a user would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication

from g2g_desktop.bench.compare_view import CompareView
from g2g_desktop.jobs.job import Job
from g2g_desktop.language import choose_language
from g2g_desktop.widgets.theme import Theme
from training_core.stack import PixelSize, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PySide6.QtGui import QColor

    from g2g_desktop.viewer.image_pane import ImagePane

NOISY, DENOISED = 60, 200


def pair(shape: tuple[int, ...] = (100, 200), axes: str = "YX") -> tuple[Stack, Stack]:
    """Give a dark noisy and a bright denoised stack; two pixels fix the automatic contrast."""
    noisy, denoised = np.full(shape, NOISY, np.uint8), np.full(shape, DENOISED, np.uint8)
    noisy[..., 0, 0], noisy[..., 0, 1] = 0, 255
    size = PixelSize(0.1, 0.1)
    return Stack(noisy, axes, size), Stack(denoised, axes, size)


@pytest.fixture
def view(qtbot) -> Iterator[CompareView]:
    widget = CompareView()
    qtbot.addWidget(widget)
    widget.resize(800, 560)
    with qtbot.waitExposed(widget):
        widget.show()
    widget.set_pair(*pair())
    widget.set_levels(0, 255)
    QApplication.processEvents()
    yield widget
    qtbot.waitUntil(lambda: not Job.any_running())


def colour_at(pane: ImagePane, x: float, y: float) -> QColor:
    QApplication.processEvents()
    return pane.viewport().grab().toImage().pixelColor(pane.to_widget(x, y).toPoint())


def test_the_divider_shows_noisy_left_and_denoised_right(view: CompareView) -> None:
    view.left.set_divider(0.3)
    shown = [colour_at(view.left, x, 80).red() for x in (5, 30, 55, 65, 120, 195)]
    assert shown == [NOISY, NOISY, NOISY, DENOISED, DENOISED, DENOISED]


def test_the_divider_can_be_dragged(qtbot, view: CompareView) -> None:
    viewport = view.left.viewport()
    start = view.left.to_widget(100, 50).toPoint()
    stop = view.left.to_widget(160, 50).toPoint()
    qtbot.mouseMove(viewport, start)
    assert viewport.cursor().shape() is Qt.CursorShape.SplitHCursor
    before = view.left.view_rect
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(viewport, stop)
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=stop)
    assert view.left.divider == pytest.approx(0.8, abs=0.01)
    assert view.left.view_rect == before
    assert colour_at(view.left, 150, 80).red() == NOISY
    assert colour_at(view.left, 170, 80).red() == DENOISED
    qtbot.mouseMove(viewport, start)
    assert view.left.divider == pytest.approx(0.8, abs=0.01)


def test_a_drag_beside_the_divider_pans(qtbot, view: CompareView) -> None:
    view.left.zoom(8.0)
    QApplication.processEvents()
    middle, divider = view.left.view_rect.center().x(), view.left.divider
    viewport = view.left.viewport()
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    for x in (110, 130, 150):
        qtbot.mouseMove(viewport, QPoint(x, 100))
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=QPoint(150, 100))
    assert view.left.view_rect.center().x() < middle - 3
    assert view.left.divider == divider


def test_arrow_keys_move_the_divider(qtbot, view: CompareView) -> None:
    qtbot.keyClick(view.left, Qt.Key.Key_Right)
    assert view.left.divider == pytest.approx(0.51)
    qtbot.keyClick(view.left, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert view.left.divider == pytest.approx(0.41)
    for _ in range(6):
        qtbot.keyClick(view.left, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert view.left.divider == 0


def test_the_divider_stays_in_view_when_zoomed(view: CompareView) -> None:
    view.left.set_divider(0.25)
    view.left.zoom(20.0)
    QApplication.processEvents()
    seen = view.left.visible_rect
    assert view.left.divider_x == pytest.approx(seen.left() + 0.25 * seen.width())
    y = seen.top() + 0.7 * seen.height()
    assert colour_at(view.left, view.left.divider_x - 1, y).red() == NOISY
    assert colour_at(view.left, view.left.divider_x + 1, y).red() == DENOISED


def test_side_by_side_shows_one_stack_each(qtbot, view: CompareView) -> None:
    assert view.right.isHidden()
    qtbot.keyClick(view.left, Qt.Key.Key_2)
    QApplication.processEvents()
    assert (view.mode, view.side_tool.isChecked()) == ("side", True)
    assert view.left.width() == pytest.approx(view.right.width(), abs=1)
    assert [colour_at(view.left, x, 80).red() for x in (20, 180)] == [NOISY, NOISY]
    assert [colour_at(view.right, x, 80).red() for x in (20, 180)] == [DENOISED, DENOISED]
    qtbot.keyClick(view.left, Qt.Key.Key_1)
    assert (view.mode, view.right.isHidden()) == ("split", True)
    assert colour_at(view.left, 180, 80).red() == DENOISED


def test_panes_side_by_side_move_together(qtbot, view: CompareView) -> None:
    view.set_mode("side")
    QApplication.processEvents()
    view.left.zoom(6.0)
    assert view.right.view_rect == view.left.view_rect
    viewport = view.right.viewport()
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    for x in (110, 130, 150):
        qtbot.mouseMove(viewport, QPoint(x, 120))
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=QPoint(150, 120))
    left, right = view.left.view_rect, view.right.view_rect
    assert (left.x(), left.y()) == (pytest.approx(right.x()), pytest.approx(right.y()))
    assert left.width() == pytest.approx(right.width())
    assert view.left.scale_factor == pytest.approx(6.0, rel=0.01)


def test_contrast_is_that_of_the_noisy_stack_on_both(qtbot) -> None:
    rng = np.random.default_rng(2)
    noisy = rng.normal(500, 100, (128, 128)).astype(np.float32)
    view = CompareView()
    qtbot.addWidget(view)
    view.show()
    view.set_pair(Stack(noisy, "YX"), Stack(np.full_like(noisy, 500), "YX"))
    low, high = np.sort(noisy.ravel())[[29, 128 * 128 - 30]]
    assert view.levels == (low, high)
    for _ in range(2):
        pictures = (view.left.picture, view.left.second, view.right.picture)
        assert [tuple(p.getLevels()) for p in pictures] == [view.levels] * 3
        view.auto_contrast()
    assert view.levels[0] > low


def test_space_shows_the_original_while_held(qtbot, view: CompareView) -> None:
    view.left.set_divider(0.3)
    qtbot.keyPress(view.left, Qt.Key.Key_Space)
    assert colour_at(view.left, 150, 80).red() == NOISY
    assert view.left.captions[Qt.AlignmentFlag.AlignRight] == ""
    qtbot.keyRelease(view.left, Qt.Key.Key_Space)
    assert colour_at(view.left, 150, 80).red() == DENOISED
    view.set_mode("side")
    qtbot.mousePress(view.original_button, Qt.MouseButton.LeftButton)
    assert colour_at(view.right, 150, 80).red() == NOISY
    assert view.right.captions[Qt.AlignmentFlag.AlignLeft] == "Noisy"
    qtbot.mouseRelease(view.original_button, Qt.MouseButton.LeftButton)
    assert colour_at(view.right, 150, 80).red() == DENOISED
    assert view.right.captions[Qt.AlignmentFlag.AlignLeft] == "Denoised"


def test_a_space_let_go_elsewhere_does_not_stick(view: CompareView, monkeypatch) -> None:
    view.show_original(True)
    monkeypatch.setattr(view, "isActiveWindow", lambda: False)
    QApplication.sendEvent(view, QEvent(QEvent.Type.ActivationChange))
    assert colour_at(view.left, 150, 80).red() == DENOISED


def test_the_read_out_says_before_and_after(qtbot, view: CompareView) -> None:
    qtbot.mouseMove(view.left.viewport(), view.left.to_widget(30.5, 70.5).toPoint())
    assert view.readout == "30, 70 px (3.0, 7.0 µm) · noisy 60 → denoised 200"
    view.set_mode("side")
    QApplication.processEvents()
    qtbot.mouseMove(view.right.viewport(), view.right.to_widget(0.5, 0.5).toPoint())
    assert view.readout == "0, 0 px (0.0, 0.0 µm) · noisy 0 → denoised 200"


def test_both_stacks_change_frame_together(qtbot) -> None:
    noisy, denoised = pair((5, 40, 40), "ZYX")
    for index in range(5):
        noisy.pixels[index, 5:, :] = 10 * index
        denoised.pixels[index, 5:, :] = 10 * index + 1
    view = CompareView()
    qtbot.addWidget(view)
    view.show()
    view.set_pair(noisy, denoised)
    with qtbot.waitSignal(view.frame_changed) as heard:
        view.show_frame(3)
    assert heard.args == [3]
    images = (view.left.picture.image, view.left.second.image, view.right.image)
    assert [int(image[20, 20]) for image in images] == [30, 31, 31]
    view.set_mode("side")
    qtbot.keyClick(view.left, Qt.Key.Key_Right)
    assert view.frame_index == 4


def test_nothing_can_be_shown_too(qtbot, view: CompareView) -> None:
    view.set_pair(None, None)
    view.set_mode("side")
    QApplication.processEvents()
    assert view.left.image is None
    assert view.right.image is None
    assert view.readout == ""


@pytest.mark.shared_data
def test_a_real_pair(qtbot, shared_data) -> None:
    from PIL import Image

    folder = shared_data / "fmd" / "test_mix"
    noisy = np.asarray(Image.open(folder / "raw" / "Confocal_FISH_1.png"))
    clean = np.asarray(Image.open(folder / "gt" / "Confocal_FISH.png"))
    view = CompareView()
    qtbot.addWidget(view)
    view.resize(760, 620)
    view.show()
    view.set_pair(Stack(noisy, "YX"), Stack(clean, "YX"))
    QApplication.processEvents()
    qtbot.mouseMove(view.left.viewport(), view.left.to_widget(300.5, 200.5).toPoint())
    assert view.readout == f"300, 200 px · noisy {noisy[200, 300]} → denoised {clean[200, 300]}"


def rich_pair(lost: float = 40.0) -> tuple[Stack, Stack]:
    """Give a noisy stack and a result that has lost a bar beside the noise."""
    rng = np.random.default_rng(5)
    clean = np.full((128, 160), 100, np.float32)
    noisy = clean + rng.normal(0, 10, clean.shape).astype(np.float32)
    noisy[60:64, 20:140] += lost
    return Stack(noisy, "YX"), Stack(clean, "YX")


def mode_of(view: CompareView, qtbot, key: Qt.Key) -> str:
    qtbot.keyClick(view.left, key)
    QApplication.processEvents()
    return view.mode


def test_the_keys_1_to_5_and_the_buttons_choose_the_mode(qtbot, view: CompareView) -> None:
    keys = (Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4, Qt.Key.Key_5, Qt.Key.Key_1)
    found = [mode_of(view, qtbot, key) for key in keys]
    assert found == ["side", "blink", "residual", "changed", "split"]
    for mode, tool in view.mode_tools.items():
        qtbot.mouseClick(view.tools.widgetForAction(tool), Qt.MouseButton.LeftButton)
        assert view.mode == mode
        assert tool.isChecked()


def test_the_residual_is_symmetric_and_marks_the_structure_in_it(qtbot, view: CompareView) -> None:
    view.set_pair(*rich_pair())
    qtbot.keyClick(view.left, Qt.Key.Key_4)
    qtbot.waitUntil(lambda: view.removed.found is not None)
    assert tuple(view.left.picture.getLevels()) == (-3.0, 3.0)
    assert view.left.image[62, 80] == pytest.approx(4.0, abs=1.5)
    bar = colour_at(view.left, 80.5, 62.5)
    assert bar.red() > 200 > bar.blue()  # what was taken from the bright bar is above zero
    assert "structure in" in view.left.captions[Qt.AlignmentFlag.AlignLeft]
    points = view.left.outlines.getData()
    assert len(points[0]) > 3
    view.set_levels(0, 255)  # the contrast of the others does not touch it
    assert tuple(view.left.picture.getLevels()) == (-3.0, 3.0)
    assert view.removed.key.isVisible()
    qtbot.keyClick(view.left, Qt.Key.Key_1)
    assert tuple(view.left.picture.getLevels()) == (0.0, 255.0)
    assert not view.removed.key.isVisible()
    assert len(view.left.outlines.getData()[0]) == 0


def test_changed_pixels_are_tinted_and_counted(qtbot, view: CompareView) -> None:
    view.set_pair(*rich_pair(lost=80.0))
    view.set_levels(0, 255)
    qtbot.keyClick(view.left, Qt.Key.Key_5)
    qtbot.waitUntil(lambda: view.removed.found is not None)
    taken, calm = colour_at(view.left, 80.5, 62.5), colour_at(view.left, 80.5, 100.5)
    assert taken.blue() > taken.red() + 60  # made darker
    assert calm.red() == calm.blue() == 100
    share = float((view.removed.found.beyond != 0).mean())
    assert f"{100 * share:.2g} %" in view.left.captions[Qt.AlignmentFlag.AlignLeft]
    qtbot.keyPress(view.left, Qt.Key.Key_Space)
    assert view.left.captions[Qt.AlignmentFlag.AlignLeft] == "Noisy"
    qtbot.keyRelease(view.left, Qt.Key.Key_Space)


def test_blinking_goes_on_each_second_and_rests_out_of_sight(qtbot, view: CompareView) -> None:
    qtbot.keyClick(view.left, Qt.Key.Key_3)
    assert colour_at(view.left, 150, 80).red() == NOISY
    qtbot.waitUntil(lambda: colour_at(view.left, 150, 80).red() == DENOISED, timeout=3000)
    assert view.left.captions[Qt.AlignmentFlag.AlignLeft] == "Denoised"
    qtbot.waitUntil(lambda: colour_at(view.left, 150, 80).red() == NOISY, timeout=3000)
    view.hide()
    qtbot.wait(1200)
    assert view.left.captions[Qt.AlignmentFlag.AlignLeft] == "Noisy"
    view.show()
    qtbot.waitUntil(lambda: colour_at(view.left, 150, 80).red() == DENOISED, timeout=3000)


def test_up_to_four_pictures_stand_side_by_side_with_one_view(qtbot, view: CompareView) -> None:
    noisy, denoised = pair()
    others = {
        "Reference": Stack(np.full((100, 200), 90, np.uint8), "YX"),
        "First look": Stack(np.full((100, 200), 150, np.uint8), "YX"),
        "One more": Stack(np.full((100, 200), 10, np.uint8), "YX"),
    }
    view.set_others(others)
    qtbot.keyClick(view.left, Qt.Key.Key_2)
    QApplication.processEvents()
    assert [pane.isVisible() for pane in view.panes] == [True] * 4
    shown = [colour_at(pane, 20, 80).red() for pane in view.panes]
    assert shown == [NOISY, DENOISED, 90, 150]
    view.panes[3].zoom(6.0)
    assert [pane.scale_factor for pane in view.panes] == pytest.approx([6.0] * 4, rel=0.01)
    view.set_others({})
    assert [pane.isHidden() for pane in view.panes] == [False, False, True, True]
    assert noisy.shape == denoised.shape


def test_the_split_compares_any_two_pictures(qtbot, view: CompareView) -> None:
    view.resize(1400, 560)
    assert view.second_box.isHidden()
    view.set_others({"Reference": Stack(np.full((100, 200), 90, np.uint8), "YX")})
    qtbot.waitUntil(lambda: not view.second_box.isHidden())
    index = view.second_box.findText("Reference")
    view.second_box.setCurrentIndex(index)
    view.second_box.activated.emit(index)
    assert [colour_at(view.left, x, 80).red() for x in (20, 180)] == [NOISY, 90]
    assert view.left.captions[Qt.AlignmentFlag.AlignRight] == "Reference"
    view.choose("Denoised", "Reference")
    assert [colour_at(view.left, x, 80).red() for x in (20, 180)] == [DENOISED, 90]
    qtbot.mouseMove(view.left.viewport(), view.left.to_widget(30.5, 70.5).toPoint())
    assert view.readout.endswith("noisy 60 → denoised 200 · reference 90")


def test_another_strength_changes_neither_zoom_nor_contrast(view: CompareView) -> None:
    view.left.zoom(5.0)
    view.set_levels(10, 210)
    before = view.left.view_rect
    view.replace_denoised(Stack(np.full((100, 200), 120, np.uint8), "YX"))
    assert (view.left.view_rect, view.levels) == (before, (10, 210))
    seen = view.left.visible_rect
    assert colour_at(view.left, seen.right() - 2, seen.top() + 30).red() == 110 * 255 // 200


def test_the_loupe_shows_both_pictures_where_the_cursor_is(qtbot, view: CompareView) -> None:
    viewport = view.left.viewport()
    qtbot.mouseMove(viewport, view.left.to_widget(30.5, 70.5).toPoint())
    assert view.loupe.isHidden()
    qtbot.keyClick(view.left, Qt.Key.Key_O)
    qtbot.mouseMove(viewport, view.left.to_widget(31.5, 70.5).toPoint())
    assert view.loupe.isVisible()
    seen = view.loupe.grab().toImage()
    assert [seen.pixelColor(x, 60).red() for x in (40, 200)] == [NOISY, DENOISED]
    assert view.rect().contains(view.loupe.geometry())
    QApplication.sendEvent(view.left, QEvent(QEvent.Type.Leave))
    assert view.loupe.isHidden()


def test_a_double_click_fits(qtbot, view: CompareView) -> None:
    fitted = view.left.view_rect
    view.left.zoom(8.0)
    where = view.left.to_widget(view.left.visible_rect.left() + 3, 50).toPoint()
    qtbot.mouseDClick(view.left.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert view.left.view_rect == fitted


def test_what_is_looked_at_stays_in_view_in_every_mode(qtbot, view: CompareView) -> None:
    view.left.set_view_rect(QRectF(20, 30, 40, 25))
    middle = view.left.view_rect.center()
    for key in (Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4, Qt.Key.Key_5, Qt.Key.Key_2, Qt.Key.Key_1):
        qtbot.keyClick(view.left, key)
        QApplication.processEvents()
        for pane in view.panes:
            if pane.isVisible():
                seen = pane.view_rect.center()
                assert (seen.x(), seen.y()) == (
                    pytest.approx(middle.x(), abs=1),
                    pytest.approx(middle.y(), abs=1),
                )
    view.set_others({"Reference": Stack(np.full((100, 200), 90, np.uint8), "YX")})
    assert view.left.view_rect.center().x() == pytest.approx(middle.x(), abs=1)
    view.fit()
    qtbot.keyClick(view.left, Qt.Key.Key_2)
    QApplication.processEvents()
    assert view.right.visible_rect == view.right.frame_rect


def test_the_whole_picture_stays_whole_through_all_modes(view: CompareView) -> None:
    view.set_mode("split")
    view.fit()
    before = view.left.scale_factor
    for mode in ("side", "split", "side", "residual", "side", "split"):
        view.set_mode(mode)
        QApplication.processEvents()
    assert all(pane.is_fitted for pane in view.panes[:2])
    assert view.left.scale_factor == pytest.approx(before)


def test_a_wheel_over_a_whole_picture_takes_the_others_along(view: CompareView, qtbot) -> None:
    view.set_mode("side")
    view.fit()
    left, right = view.panes[:2]
    middle = QPointF(left.rect().center())
    turn = QWheelEvent(
        middle, left.mapToGlobal(middle), QPoint(), QPoint(0, 240), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(left.viewport(), turn)
    assert not left.is_fitted
    assert not right.is_fitted
    QApplication.processEvents()
    assert right.scale_factor == pytest.approx(left.scale_factor, rel=0.05)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(("width", "worded"), [(1200, True), (734, False)])
def test_every_tool_is_in_sight_on_a_laptop(language: str, width: int, worded: bool, qtbot) -> None:
    """The comparison is 734 px wide on a screen of 1366 px, beside the files and the cards."""
    choose_language(language)
    view = CompareView()
    choose_language("en")
    qtbot.addWidget(view)
    view.tools.draw_icons(Theme("light"))
    view.set_pair(*pair())
    view.resize(width, 500)
    view.show()
    view.set_others({"Reference": pair()[1]})
    buttons = [view.tools.widgetForAction(action) for action in view.tools.icons.values()]
    qtbot.waitUntil(lambda: all(button.isVisible() for button in buttons))
    for button in buttons:
        assert (button.toolButtonStyle() is Qt.ToolButtonStyle.ToolButtonTextOnly) is worded
        assert button.toolTip()
    assert not any(action.icon().isNull() for action in view.tools.icons.values())
