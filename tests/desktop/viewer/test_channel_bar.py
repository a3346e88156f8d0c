"""Channels laid over each other, in the viewer and in the comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor

from g2g_desktop.bench.compare_view import CompareView
from g2g_desktop.viewer.stack_view import StackView
from training_core.stack import Stack

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


def two_channels(**more: object) -> Stack:
    pixels = np.zeros((2, 64, 64), np.uint16)
    pixels[0, :, :32], pixels[1, :32] = 1000, 1000
    return Stack(pixels, "CYX", channels=("DAPI", "GFP"), **more)


@pytest.fixture
def view(qtbot: QtBot) -> StackView:
    made = StackView()
    qtbot.addWidget(made)
    made.resize(640, 560)
    made.show()
    made.set_stack(two_channels())
    return made


def colour_at(view: StackView, row: int, column: int) -> str:
    return QColor(view.pane.picture.rendered().pixel(column, row)).name()


def test_the_row_is_there_only_where_there_are_channels(view: StackView) -> None:
    assert view.channels.isVisible()
    assert [button.text() for button in view.channels.buttons] == ["DAPI", "GFP"]
    view.set_stack(Stack(np.zeros((3, 64, 64), np.uint16), "ZYX"))
    assert not view.channels.isVisible()
    view.set_stack(None)
    assert not view.channels.isVisible()


def test_overlay_shows_all_channels_in_their_colours(view: StackView, qtbot: QtBot) -> None:
    assert colour_at(view, 50, 10) == "#ffffff"  # the first channel alone, in grey
    qtbot.mouseClick(view.channels.overlay, Qt.MouseButton.LeftButton)
    assert colour_at(view, 10, 10) == "#ffffff"
    assert colour_at(view, 50, 10) == "#ff00ff"
    assert colour_at(view, 10, 50) == "#00ff00"
    assert colour_at(view, 50, 50) == "#000000"
    assert not view.colours.isEnabled()  # which are those of one channel
    view.channels.overlay.click()
    assert colour_at(view, 50, 10) == "#ffffff"


def test_a_channel_can_be_left_out_and_coloured_but_one_stays(view: StackView) -> None:
    bar = view.channels
    bar.overlay.click()
    bar.buttons[1].click()
    assert colour_at(view, 10, 50) == "#000000"
    bar.buttons[0].click()
    assert bar.shown == [0]
    yellow = next(a for a in bar.buttons[0].menu().actions() if a.text() == "Yellow")
    yellow.trigger()
    assert colour_at(view, 10, 10) == "#ffff00"


def test_contrast_is_that_of_the_channel_the_slider_is_at(view: StackView) -> None:
    view.channels.overlay.click()
    view.show_frame(1)
    view.set_levels(0, 2000)
    assert colour_at(view, 50, 10) == "#ff00ff"
    assert colour_at(view, 10, 50) == "#007f00"


def test_a_colour_picture_is_shown_as_one(view: StackView) -> None:
    view.set_stack(Stack(np.full((3, 64, 64), 9, np.uint8), "CYX", metadata={"colours": "RGB"}))
    assert view.channels.overlay.isChecked()


def test_a_first_look_takes_the_place_of_its_channel(view: StackView) -> None:
    view.channels.overlay.click()
    look = np.full((64, 64), np.nan, np.float32)
    look[:, :32] = 0
    view.show_look(0, look, "Preview")
    second = view.pane.second.rendered()
    assert QColor(second.pixel(10, 50)).name() == "#000000"
    assert QColor(second.pixel(10, 10)).name() == "#00ff00"


def test_both_sides_of_the_comparison_are_laid_over(qtbot: QtBot) -> None:
    view = CompareView()
    qtbot.addWidget(view)
    view.resize(640, 560)
    view.show()
    noisy = two_channels()
    view.set_pair(noisy, noisy.with_pixels(noisy.pixels // 2))
    view.set_others({"Reference": Stack(noisy.pixels[0], "YX")})
    view.channels.overlay.click()
    for picture, expected in ((view.left.picture, "#ff00ff"), (view.left.second, "#7f007f")):
        assert QColor(picture.rendered().pixel(10, 50)).name() == expected
    view.set_mode("side")
    shown = [QColor(pane.picture.rendered().pixel(10, 50)).name() for pane in view.panes[:3]]
    assert shown == ["#ff00ff", "#7f007f", "#ffffff"]  # the reference has one channel
    view.set_mode("residual")
    qtbot.waitUntil(lambda: view.removed.found is not None)
    assert view.left.picture._blend is None
    view.set_mode("split")
    assert QColor(view.left.picture.rendered().pixel(10, 50)).name() == "#ff00ff"


@pytest.mark.parametrize("over", [True, False], ids=["laid over", "one channel"])
def test_whatever_comes_into_sight_is_painted(over: bool, qtbot: QtBot) -> None:
    view = CompareView()
    qtbot.addWidget(view)
    view.resize(640, 560)
    view.show()
    noisy = Stack(np.full((2, 256, 256), 1000, np.uint16), "CYX")
    view.set_pair(noisy, noisy.with_pixels(noisy.pixels // 2))
    view.set_levels(0, 1000)
    if over:
        view.show_frame(1)
        view.set_levels(0, 1000)
        view.channels.overlay.click()
    pane = view.left

    def seen(column: float) -> int:
        there = pane.to_widget(column, 64.0).toPoint()
        return QColor(pane.viewport().grab().toImage().pixel(there)).green()

    assert [seen(column) for column in (2, 100, 156, 253)] == pytest.approx(
        [255, 255, 127, 127], abs=1
    )
    pane.set_divider(0.2)
    assert [seen(column) for column in (30, 100, 253)] == pytest.approx([255, 127, 127], abs=1)
    pane.set_divider(0.9)
    assert [seen(column) for column in (30, 200, 253)] == pytest.approx([255, 255, 127], abs=1)
    view.replace_denoised(noisy.with_pixels(noisy.pixels // 4))  # painted as far as it is seen
    pane.set_divider(0.1)
    assert [seen(column) for column in (10, 100, 253)] == pytest.approx([255, 63, 63], abs=1)
    pane.set_view_rect(QRectF(100, 32, 64, 64))
    view.replace_denoised(noisy.with_pixels(noisy.pixels // 2))
    assert seen(140) == pytest.approx(127, abs=1)
    pane.box.translateBy(x=60)
    assert seen(200) == pytest.approx(127, abs=1)
    view.fit()
    view.show_original(True)
    assert [seen(column) for column in (2, 128, 253)] == [255, 255, 255]
