"""The loss curves of a training."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
import pytest

from g2g_desktop.pages.training_plot import MOST_POINTS, LossCurve, TrainingPlot
from training_core.run import Stage


@pytest.fixture
def plot(qtbot) -> TrainingPlot:
    widget = TrainingPlot()
    qtbot.addWidget(widget)
    widget.show()
    return widget


def drawn(plot: TrainingPlot) -> list[tuple[list[float], list[float]]]:
    curves = plot.plot.getPlotItem().listDataItems()
    return [(list(curve.xData), list(curve.yData)) for curve in curves]


def test_losses_are_drawn_under_plain_names(qtbot, plot: TrainingPlot) -> None:
    plot.start_stage(Stage.NOISE_MODEL)
    plot.add_losses(Stage.NOISE_MODEL, 10, {"generator": 1.0, "critic": -2.0})
    plot.add_losses(Stage.NOISE_MODEL, 20, {"generator": 0.5, "critic": -1.0})
    qtbot.waitUntil(lambda: len(drawn(plot)) == 2)
    assert drawn(plot) == [([10, 20], [1.0, 0.5]), ([10, 20], [-2.0, -1.0])]
    assert "Made noise, taken for real" in plot.legend.text()
    assert "generator" not in plot.legend.text()
    assert plot.sentence.text() == "Two networks compete here: the curves wobble and need not fall."


def test_rounds_follow_one_another_on_one_axis(qtbot, plot: TrainingPlot) -> None:
    for number in (1, 2):
        plot.start_stage(Stage.ROUNDS, f"Round {number} of 2")
        for step in (1, 50, 100):
            plot.add_losses(Stage.ROUNDS, step, {"loss": 1.0 / number})
    plot.redraw()
    assert drawn(plot)[0][0] == [1, 50, 100, 101, 150, 200]
    lines = [i for i in plot.plot.getPlotItem().items if isinstance(i, pg.InfiniteLine)]
    assert [(line.value(), line.label.format) for line in lines] == [
        (0, "Round 1 of 2"),
        (100, "Round 2 of 2"),
    ]
    assert plot.sentence.text() == "The curve flattens early; that is no reason to stop."


def test_the_label_of_a_part_is_clear_of_the_curve(qtbot, plot: TrainingPlot) -> None:
    plot.resize(600, 160)
    plot.start_stage(Stage.ROUNDS, "round 1 of 2")
    for step in range(1, 40):
        plot.add_losses(Stage.ROUNDS, step, {"loss": 1.0})
    qtbot.wait(20)
    plot.redraw()
    qtbot.wait(20)
    item = plot.plot.getPlotItem()
    (line,) = (i for i in item.items if isinstance(i, pg.InfiniteLine))
    label = line.label.sceneBoundingRect()
    assert label.height() > 8
    assert label.top() >= item.vb.sceneBoundingRect().top() - 1
    assert label.bottom() <= item.vb.mapViewToScene(pg.Point(1, 1.0)).y()


def test_each_stage_has_a_tab_that_can_be_looked_back_at(qtbot, plot: TrainingPlot) -> None:
    plot.start_stage(Stage.READ)
    plot.add_losses(Stage.NOISE_MODEL, 1, {"generator": 3.0})
    plot.redraw()
    assert plot.tabs.isHidden()
    plot.add_losses(Stage.ROUNDS, 1, {"loss": 7.0})
    plot.redraw()
    assert plot.tabs.isVisible()
    assert drawn(plot) == [([1], [7.0])]
    plot.tabs.setCurrentIndex(0)
    plot.add_losses(Stage.ROUNDS, 2, {"loss": 6.0})
    plot.redraw()
    assert drawn(plot) == [([1], [3.0])]
    plot.clear()
    assert plot.tabs.count() == 0
    assert drawn(plot) == []


def test_it_is_redrawn_ten_times_a_second_at_most(qtbot, plot: TrainingPlot) -> None:
    draws: list[int] = []
    plot.plot.getPlotItem().sigRangeChanged.connect(lambda: draws.append(1))
    for step in range(1, 301):
        plot.add_losses(Stage.ROUNDS, step, {"loss": float(step)})
        if step % 30 == 0:
            qtbot.wait(20)
    qtbot.waitUntil(lambda: len(drawn(plot)) == 1 and len(drawn(plot)[0][0]) == 300)
    assert len(draws) <= 10


def test_the_first_steps_do_not_set_the_scale(plot: TrainingPlot) -> None:
    for step in range(200):
        plot.add_losses(Stage.ROUNDS, step, {"loss": 1000.0 if step < 5 else 1 + step / 200})
    plot.redraw()
    low, high = plot.plot.getPlotItem().viewRange()[1]
    assert low == 0
    assert 1.9 < high < 2.2
    plot.add_losses(Stage.ROUNDS, 200, {"loss": -1.0})
    plot.redraw()
    assert -1.3 < plot.plot.getPlotItem().viewRange()[1][0] < -1.0


def test_the_curve_keeps_its_shape_in_few_points() -> None:
    curve = LossCurve()
    for step in range(100_000):
        curve.add(step, step / 1000)
    curve.add(100_000, float("nan"))
    x, y = curve.points()
    assert MOST_POINTS / 2 <= len(x) <= MOST_POINTS
    np.testing.assert_allclose(y, x / 1000, rtol=1e-12)
    assert x[-1] > 99_800


def test_the_theme_reaches_the_plot(plot: TrainingPlot) -> None:
    plot.add_losses(Stage.ROUNDS, 1, {"loss": 1.0})
    shades = []
    for dark in (False, True):
        plot.set_theme(dark)
        shades.append(plot.plot.backgroundBrush().color().lightness())
        assert ("#56b4e9" in plot.legend.text()) is dark
    assert shades[0] > 240
    assert shades[1] < 60
