"""The sliders through a stack."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt

from g2g_desktop.viewer.axis_slider import AxisSliders, position_text
from training_core.stack import PixelSize, Stack


@pytest.fixture
def stack() -> Stack:
    pixels = np.zeros((3, 41, 2, 8, 8), np.uint16)
    size = PixelSize(0.1, 0.1, 0.2181818)
    return Stack(pixels, "TZCYX", size, channels=("DAPI", "GFP"), time_step_s=1.5)


@pytest.fixture
def sliders(qtbot, stack: Stack) -> AxisSliders:
    widget = AxisSliders()
    qtbot.addWidget(widget)
    widget.set_stack(stack)
    widget.show()
    return widget


def test_the_position_is_said_in_the_units_of_the_axis(stack: Stack) -> None:
    assert position_text(stack, "Z", 11) == "Z 12/41 · 2.4 µm"
    assert position_text(stack, "T", 2) == "T 3/3 · 3 s"
    assert position_text(stack, "C", 1) == "C 2/2 · GFP"
    assert position_text(Stack(stack.pixels, "TZCYX"), "Z", 11) == "Z 12/41"


def test_there_is_a_slider_per_axis_longer_than_one(qtbot) -> None:
    widget = AxisSliders()
    qtbot.addWidget(widget)
    widget.set_stack(Stack(np.zeros((1, 5, 8, 8), np.uint8), "TZYX"))
    assert [slider.axis for slider in widget.sliders] == ["Z"]
    widget.sliders[0].set_index(4)
    assert widget.frame_index == 4
    widget.set_stack(Stack(np.zeros((8, 8), np.uint8), "YX"))
    assert widget.sliders == []
    assert widget.isHidden()


def test_the_frame_is_counted_with_the_last_axis_fastest(sliders: AxisSliders) -> None:
    time, depth, channel = sliders.sliders
    time.set_index(1)
    depth.set_index(7)
    channel.set_index(1)
    assert sliders.frame_index == (1 * 41 + 7) * 2 + 1


def test_going_to_a_frame_is_announced_once(qtbot, sliders: AxisSliders) -> None:
    heard: list[int] = []
    sliders.frame_changed.connect(heard.append)
    sliders.show_frame(123)
    sliders.show_frame(123)
    assert heard == [123]
    assert [s.index for s in sliders.sliders] == list(np.unravel_index(123, (3, 41, 2)))
    sliders.show_frame(10**6)
    assert heard[-1] == 3 * 41 * 2 - 1


def test_keys_and_the_typed_number_move_along_an_axis(qtbot, sliders: AxisSliders) -> None:
    depth = sliders.sliders[1]
    depth.slider.setFocus()
    for key, index in (
        (Qt.Key.Key_Right, 1),
        (Qt.Key.Key_PageUp, 11),
        (Qt.Key.Key_PageDown, 1),
        (Qt.Key.Key_End, 40),
        (Qt.Key.Key_Home, 0),
    ):
        qtbot.keyClick(depth.slider, key)
        assert depth.index == index
        assert depth.number.value() == index + 1
    depth.number.selectAll()
    qtbot.keyClicks(depth.number, "12")
    qtbot.keyClick(depth.number, Qt.Key.Key_Return)
    assert depth.label.text() == "Z 12/41 · 2.4 µm"
    assert depth.slider.value() == 11


def test_playing_goes_through_an_axis_again_and_again(qtbot, sliders: AxisSliders) -> None:
    time = sliders.sliders[0]
    qtbot.mouseClick(time.play, Qt.MouseButton.LeftButton)
    seen = []
    time.moved.connect(lambda: seen.append(time.index))
    qtbot.waitUntil(lambda: len(seen) >= 4, timeout=10_000)
    assert seen[:4] == [1, 2, 0, 1]
    qtbot.mouseClick(time.play, Qt.MouseButton.LeftButton)
    assert not time._timer.isActive()
    assert time.play.accessibleName() == "Play Time"
