"""The viewer of a stack, driven as a user would."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtWidgets import QApplication

from g2g_desktop.viewer.stack_view import StackView
from training_core.run import ShownRegion
from training_core.stack import PixelSize, Stack


def shown(qtbot, stack: Stack | None, width: int = 700, height: int = 620) -> StackView:
    view = StackView()
    qtbot.addWidget(view)
    view.resize(width, height)
    with qtbot.waitExposed(view):
        view.show()
    view.set_stack(stack)
    QApplication.processEvents()
    return view


def gradient(size: tuple[int, int] = (200, 300), **more: object) -> Stack:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return Stack((rows * 1000 + columns).astype(np.uint32), "YX", **more)


def hover(qtbot, view: StackView, x: float, y: float) -> None:
    """Move the mouse over the middle of image pixel (x, y)."""
    point = view.pane.to_widget(x + 0.5, y + 0.5).toPoint()
    qtbot.mouseMove(view.pane.viewport(), point)


def wheel(
    view: StackView, point: QPointF, clicks: int, keys=Qt.KeyboardModifier.NoModifier
) -> None:
    viewport = view.pane.viewport()
    event = QWheelEvent(
        point,
        QPointF(viewport.mapToGlobal(point.toPoint())),
        QPoint(),
        QPoint(0, 120 * clicks),
        Qt.MouseButton.NoButton,
        keys,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(viewport, event)
    QApplication.processEvents()


def colour_at(view: StackView, x: float, y: float) -> QColor:
    image = view.pane.viewport().grab().toImage()
    return image.pixelColor(view.pane.to_widget(x, y).toPoint())


def test_a_stack_is_fitted_and_a_hover_reads_it_out(qtbot) -> None:
    view = shown(qtbot, gradient(pixel_size=PixelSize(0.25, 0.25)))
    assert view.pane.view_rect.contains(view.pane.frame_rect.adjusted(1e-6, 1e-6, -1e-6, -1e-6))
    hover(qtbot, view, 120, 88)
    assert view.readout == "120, 88 px (30.0, 22.0 µm) · 88120"
    hover(qtbot, view, -8, 88)
    assert view.readout == ""


def test_the_keyboard_begins_with_the_image(qtbot) -> None:
    view = shown(qtbot, gradient())
    view.activateWindow()
    qtbot.waitUntil(lambda: view.isActiveWindow())
    assert view.focusWidget() is view.pane
    qtbot.keyClick(view.focusWidget(), Qt.Key.Key_I)
    assert view.invert_tool.isChecked()


def test_values_carry_their_unit_and_need_no_pixel_size(qtbot) -> None:
    pixels = np.full((64, 64), -73.25, np.float32)
    view = shown(qtbot, Stack(pixels, "YX", value_unit="HU"))
    hover(qtbot, view, 10, 20)
    assert view.readout == "10, 20 px · -73.25 HU"
    size = PixelSize(742.1875, 742.1875)
    view.set_stack(Stack(pixels, "YX", size, value_unit="HU"))
    hover(qtbot, view, 20, 10)
    assert view.readout == "20, 10 px (14.8, 7.4 mm) · -73.25 HU"


def test_rows_run_down_and_columns_to_the_right(qtbot) -> None:
    pixels = np.zeros((40, 80), np.uint8)
    pixels[:20, :40] = 255  # upper left
    view = shown(qtbot, Stack(pixels, "YX"))
    view.set_levels(0, 255)
    assert colour_at(view, 10, 5).red() == 255
    assert colour_at(view, 70, 5).red() == 0
    assert colour_at(view, 10, 35).red() == 0


def test_the_region_is_the_visible_part_of_the_frame(qtbot) -> None:
    view = shown(qtbot, gradient())
    assert view.region() == ShownRegion(0, 0, 0, 200, 300)
    with qtbot.waitSignal(view.region_changed):
        view.pane.set_view_rect(view.pane.frame_rect.adjusted(100, 50, -100, -50))
    region, seen = view.region(), view.pane.visible_rect
    assert region.top <= seen.top() < region.top + 1
    assert region.left <= seen.left() < region.left + 1
    assert region.top + region.height - 1 < seen.bottom() <= region.top + region.height
    assert region.left + region.width - 1 < seen.right() <= region.left + region.width
    assert (region.top + region.height / 2, region.left + region.width / 2) == (100, 150)


def test_a_large_region_is_cut_to_512_px_around_the_middle(qtbot) -> None:
    view = shown(qtbot, Stack(np.zeros((2048, 1024), np.uint8), "YX"))
    assert view.region() == ShownRegion(0, 768, 256, 512, 512)


def test_the_wheel_zooms_at_the_cursor_and_a_double_click_fits_again(qtbot) -> None:
    view = shown(qtbot, gradient())
    fitted = view.pane.view_rect
    at = view.pane.to_widget(60.5, 40.5)
    wheel(view, at, 3)
    assert view.pane.view_rect.width() < 0.9 * fitted.width()
    assert view.pane.position_at(at) == (40, 60)
    qtbot.mouseDClick(view.pane.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(200, 200))
    assert view.pane.view_rect.width() == pytest.approx(fitted.width())


def test_the_wheel_stops_where_there_is_no_more_to_see(qtbot) -> None:
    view = shown(qtbot, gradient())
    for _ in range(60):
        wheel(view, QPointF(300, 200), 5)
    assert 64 <= view.pane.scale_factor < 256  # five clicks at once may pass the limit by a factor
    for _ in range(60):
        wheel(view, QPointF(300, 200), -5)
    assert 4 <= view.pane.view_rect.width() / 300 < 16


def test_dragging_pans_by_as_much_as_the_mouse_moves(qtbot) -> None:
    view = shown(qtbot, gradient())
    view.pane.zoom(4.0)
    QApplication.processEvents()
    viewport, start, stop = view.pane.viewport(), QPoint(300, 200), QPoint(340, 220)
    before = view.pane.position_at(QPointF(start))
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=start)
    for step in (QPoint(310, 205), QPoint(325, 212), stop):
        qtbot.mouseMove(viewport, step)
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=stop)
    assert view.pane.position_at(QPointF(stop)) == before


def test_keys_fit_zoom_and_invert(qtbot) -> None:
    pixels = np.zeros((100, 100), np.uint8)
    pixels[:, :50] = 255
    view = shown(qtbot, Stack(pixels, "YX"))
    qtbot.keyClick(view.pane, Qt.Key.Key_Z)
    QApplication.processEvents()
    assert view.pane.scale_factor == pytest.approx(1.0)
    assert view.zoom_text.text() == "100 %"
    assert colour_at(view, 20, 50).red() == 255
    qtbot.keyClick(view.pane, Qt.Key.Key_I)
    assert view.invert_tool.isChecked()
    assert colour_at(view, 20, 50).red() == 0
    qtbot.keyClick(view.pane, Qt.Key.Key_F)
    assert view.pane.scale_factor > 4


def test_a_steps_through_the_automatic_windows(qtbot) -> None:
    values = np.arange(100_000, dtype=np.uint32).reshape(250, 400)
    view = shown(qtbot, Stack(values, "YX"))
    steps = [(view.levels, view.contrast.auto.text())]
    for _ in range(4):
        qtbot.keyClick(view.pane, Qt.Key.Key_A)
        steps.append((view.levels, view.contrast.auto.text()))
    assert steps == [
        ((175, 99_824), "Auto 0.35 %"),
        ((500, 99_499), "Auto 1 %"),
        ((1000, 98_999), "Auto 2 %"),
        ((0, 99_999), "Min-max"),
        ((175, 99_824), "Auto 0.35 %"),
    ]
    assert tuple(view.pane.picture.getLevels()) == (175, 99_824)


def test_contrast_is_display_only(qtbot) -> None:
    stack = gradient()
    before = stack.pixels.copy()
    view = shown(qtbot, stack)
    view.set_levels(5, 9)
    view.invert()
    QApplication.processEvents()
    np.testing.assert_array_equal(stack.pixels, before)


def test_hounsfield_units_open_in_the_soft_tissue_window(qtbot) -> None:
    pixels = np.linspace(-1000, 2000, 10_000, dtype=np.float32).reshape(100, 100)
    view = shown(qtbot, Stack(pixels, "YX", value_unit="HU"))
    assert view.levels == (-160, 240)
    assert view.contrast.auto.text() == "Soft tissue"
    names = []
    for _ in range(5):
        view.auto_contrast()
        names.append(view.contrast.auto.text())
    assert names == ["Auto 0.35 %", "Auto 1 %", "Auto 2 %", "Min-max", "Soft tissue"]
    assert view.levels == (-160, 240)


def test_each_channel_keeps_a_contrast_of_its_own(qtbot) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 100, (2, 64, 64)).astype(np.uint16)
    pixels[1] += 5000
    view = shown(qtbot, Stack(pixels, "CYX"))
    first = view.levels
    view.show_frame(1)
    assert view.levels[0] >= 5000
    view.set_levels(5010, 5050)
    view.show_frame(0)
    assert view.levels == first
    view.show_frame(1)
    assert view.levels == (5010, 5050)
    assert tuple(view.pane.picture.getLevels()) == (5010, 5050)


def test_keys_and_ctrl_wheel_go_through_the_frames(qtbot) -> None:
    pixels = np.arange(30, dtype=np.uint8)[:, None, None] * np.ones((1, 64, 64), np.uint8)
    view = shown(qtbot, Stack(pixels, "ZYX"))
    heard: list[int] = []
    view.frame_changed.connect(heard.append)
    for key in (Qt.Key.Key_Right, Qt.Key.Key_PageUp, Qt.Key.Key_Left, Qt.Key.Key_End):
        qtbot.keyClick(view.pane, key)
    assert heard == [1, 11, 10, 29]
    wheel(view, QPointF(200, 200), 1, Qt.KeyboardModifier.ControlModifier)
    assert view.frame_index == 28
    assert int(view.pane.image[0, 0]) == 28
    assert view.region().frame == 28


def test_the_overlay_covers_its_pixels_and_g_hides_it(qtbot) -> None:
    view = shown(qtbot, Stack(np.full((128, 128), 90, np.uint8), "YX"))
    coverage = np.zeros((32, 32), np.uint8)
    coverage[:16] = 1  # the upper half
    view.set_overlay(coverage, 4)
    plain, green = colour_at(view, 64, 96), colour_at(view, 64, 32)
    assert plain.red() == plain.green() == plain.blue()
    assert green.green() > green.red() + 15
    qtbot.keyClick(view.pane, Qt.Key.Key_G)
    assert not view.overlay_visible
    assert colour_at(view, 64, 32) == plain
    view.set_overlay_visible(True)
    assert colour_at(view, 64, 32) == green
    view.set_overlay(None, 1)
    assert colour_at(view, 64, 32) == plain


def test_outlines_are_drawn_where_the_patches_are(qtbot) -> None:
    view = shown(qtbot, Stack(np.zeros((100, 100), np.uint8), "YX"))
    square = np.array([[20, 20], [60, 20], [60, 60], [20, 60], [20, 20], [np.nan, np.nan]])
    view.set_outlines(square)
    edge = view.pane.to_widget(40, 20).toPoint()
    image = view.pane.viewport().grab().toImage()
    greens = [image.pixelColor(edge + QPoint(0, d)).green() for d in (-1, 0, 1)]
    assert max(greens) > 80
    assert colour_at(view, 40, 40).green() == 0


def test_the_scale_bar_needs_a_pixel_size(qtbot) -> None:
    def white_in_corner(stack: Stack) -> int:
        view = shown(qtbot, stack)
        image = view.pane.viewport().grab().toImage()
        width, height = image.width(), image.height()
        return sum(
            image.pixelColor(x, y).lightness() > 250
            for x in range(width - 160, width)
            for y in range(height - 40, height)
        )

    black = np.zeros((200, 220), np.uint8)
    assert white_in_corner(Stack(black, "YX")) == 0
    assert white_in_corner(Stack(black, "YX", PixelSize(0.1, 0.1))) > 100


def test_another_stack_forgets_the_last_one(qtbot, small_stack: Stack) -> None:
    view = shown(qtbot, small_stack)
    view.show_frame(1)
    view.set_overlay(np.ones((24, 24), np.uint8), 4)
    view.set_stack(gradient((50, 60)))
    assert view.frame_index == 0
    assert view.pane.overlay.image is None
    assert view.region() == ShownRegion(0, 0, 0, 50, 60)
    view.set_stack(None)
    assert view.pane.image is None
    assert not view.contrast.isEnabled()


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int16", "uint16", "int32", "float32", "float64"]
)
def test_every_pixel_type_can_be_shown(qtbot, dtype: str) -> None:
    pixels = np.zeros((32, 32), dtype)
    pixels[:16] = 1
    view = shown(qtbot, Stack(pixels, "YX"), 300, 300)
    assert colour_at(view, 16, 4).lightness() > 240
    assert colour_at(view, 16, 28).lightness() < 10


@pytest.mark.shared_data
def test_a_real_movie_opens_at_once(qtbot, shared_data) -> None:
    import tifffile

    pixels = tifffile.imread(shared_data / "stacks" / "two_photon_imagej_20f.tif")
    view = shown(qtbot, Stack(pixels, "TYX", time_step_s=0.25))
    qtbot.keyClick(view.pane, Qt.Key.Key_End)
    assert view.sliders.sliders[0].label.text() == "T 20/20 · 4.75 s"
    hover(qtbot, view, 200, 100)
    assert view.readout == f"200, 100 px · {pixels[19, 100, 200]}"
