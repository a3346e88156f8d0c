"""The contrast bar: its histogram with two bars, and its numbers."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from g2g_desktop.model.contrast import IntensitySample
from g2g_desktop.viewer.contrast_bar import ContrastBar


def ramp(count: int) -> IntensitySample:
    return IntensitySample(np.arange(count, dtype=np.float32))


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


def test_numbers_the_wrong_way_round_are_exchanged(qtbot) -> None:
    bar = ContrastBar()
    qtbot.addWidget(bar)
    bar.set_sample(ramp(101), whole_numbers=True)
    bar.set_levels(10.0, 60.0, "Auto")
    bar.low.selectAll()
    with qtbot.waitSignal(bar.levels_chosen) as chosen:
        qtbot.keyClicks(bar.low, "80")
        qtbot.keyClick(bar.low, Qt.Key.Key_Return)
    assert chosen.args == [60.0, 80.0]
    bar.set_levels(60.0, 80.0, "Auto")
    bar.high.selectAll()
    with qtbot.waitSignal(bar.levels_chosen) as chosen:
        qtbot.keyClicks(bar.high, "60")
        qtbot.keyClick(bar.high, Qt.Key.Key_Return)
    assert chosen.args == [60.0, 61.0]
