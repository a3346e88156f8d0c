"""The contrast window, its histogram with two bars, and its numbers."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from g2g_desktop.model.contrast import MOST_VALUES, IntensitySample
from g2g_desktop.viewer.contrast_bar import ContrastBar
from g2g_desktop.viewer.look_up_tables import coverage_table, look_up_table
from training_core.stack import Stack


def ramp(count: int) -> IntensitySample:
    return IntensitySample(np.arange(count, dtype=np.float32))


def test_the_window_leaves_half_of_the_saturation_outside_at_each_end() -> None:
    sample = ramp(100_001)
    assert sample.window(0.35) == (175, 99_825)
    assert sample.window(2.0) == (1000, 99_000)
    assert sample.window(0.0) == (0, 100_000)


def test_the_few_bright_pixels_of_an_empty_picture_stay_visible() -> None:
    values = np.zeros((100, 100), np.uint16)
    values[50, 50] = 900
    assert IntensitySample.of_image(values).window(0.35) == (0, 900)


def test_a_constant_picture_has_a_window_that_can_be_drawn() -> None:
    assert IntensitySample.of_image(np.full((8, 8), 7, np.uint8)).window(0.35) == (7, 8)


def test_a_large_stack_is_sampled_over_all_its_frames() -> None:
    pixels = np.broadcast_to(np.arange(40, dtype=np.uint16)[:, None, None], (40, 1000, 1000))
    sample = IntensitySample.of(Stack(pixels, "ZYX"))
    assert 0.5 * MOST_VALUES < len(sample.values) <= 1.1 * MOST_VALUES
    assert sample.range == (0, 39)
    assert len(np.unique(sample.values)) == 16


def test_one_channel_is_sampled_alone() -> None:
    pixels = np.zeros((3, 2, 16, 16), np.uint16)
    pixels[:, 1] = 500
    stack = Stack(pixels, "TCYX")
    assert IntensitySample.of(stack, 0).range == (0, 1)
    assert IntensitySample.of(stack, 1).range == (500, 501)


def test_the_histogram_counts_every_value_once() -> None:
    counts = ramp(1000).histogram(10, (0.0, 1000.0))
    assert counts.tolist() == [100] * 10


def test_dragging_a_bar_moves_one_end_and_stops_at_the_other(qtbot) -> None:
    bar = ContrastBar()
    qtbot.addWidget(bar)
    bar.resize(600, 40)
    bar.show()
    bar.set_sample(ramp(10_001), whole_numbers=True)
    bar.set_levels(2000.0, 8000.0, "Auto")
    chosen: list[tuple[float, float]] = []
    bar.levels_chosen.connect(lambda low, high: chosen.append((low, high)))
    plot = bar.histogram
    start = QPoint(round(plot.x_of(2000)), 15)
    qtbot.mousePress(plot, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(plot, QPoint(round(plot.x_of(4000)), 15))
    assert chosen[-1] == (pytest.approx(4000, abs=40), 8000)
    qtbot.mouseMove(plot, QPoint(plot.width() - 1, 15))
    low, high = chosen[-1]
    assert 7900 < low < high == 8000
    qtbot.mouseRelease(plot, Qt.MouseButton.LeftButton, pos=start)
    before = len(chosen)
    qtbot.mouseMove(plot, start)
    assert len(chosen) == before


def test_typing_a_number_chooses_it_and_showing_one_does_not(qtbot) -> None:
    bar = ContrastBar()
    qtbot.addWidget(bar)
    bar.set_sample(ramp(101), whole_numbers=True)
    with qtbot.assertNotEmitted(bar.levels_chosen):
        bar.set_levels(10.0, 90.0, "Auto")
    assert (bar.low.text(), bar.high.text()) == ("10", "90")
    bar.low.selectAll()
    with qtbot.waitSignal(bar.levels_chosen) as chosen:
        qtbot.keyClicks(bar.low, "25")
        qtbot.keyClick(bar.low, Qt.Key.Key_Return)
    assert chosen.args == [25.0, 90.0]


def test_numbers_of_fractions_have_the_decimals_they_need(qtbot) -> None:
    bar = ContrastBar()
    qtbot.addWidget(bar)
    bar.set_sample(
        IntensitySample(np.linspace(0, 0.02, 100, dtype=np.float32)), whole_numbers=False
    )
    bar.set_levels(0.00123, 0.019, "Auto")
    assert bar.low.text() == "0.00123"


def test_colour_tables() -> None:
    assert look_up_table("Grey")[128].tolist() == [128, 128, 128]
    assert look_up_table("Grey", inverted=True)[0].tolist() == [255, 255, 255]
    viridis = look_up_table("Viridis")
    assert viridis.shape == (256, 3)
    assert viridis[0, 2] > viridis[0, 0]
    hilo = look_up_table("HiLo")
    assert hilo[0, 2] == 255
    assert hilo[255, 0] == 255
    assert hilo[255, 2] < 100
    assert coverage_table()[:3, 3].tolist() == [0, 52, 56]
