"""The tabs under the comparison in a window of 1366 px, where sentences take several lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication

from g2g_desktop.bench.bench_panel import BenchPanel
from g2g_desktop.bench.compare_view import CompareView
from g2g_desktop.bench.trust_tab import sentence_of
from g2g_desktop.language import choose_language
from g2g_desktop.paths import resource
from training_core.selection.faint_spots import FaintSpots
from training_core.trust.planted import PlantedDot
from training_core.trust.trust_map import TrustMap

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 734  # of the panel in such a window
DOT = PlantedDot(
    FaintSpots((0.4, 0.6, 0.8, 0.9, 1.0), 15.0), np.zeros((5, 31, 31)), np.ones((5, 31, 31))
)
ONES = np.ones((40, 40))
MARKED = np.zeros((40, 40), bool)
MARKED[10:30, 10:30] = True


@pytest.fixture(params=["en", "de"])
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    choose_language(request.param)
    yield request.param
    choose_language("en")


def opened(qtbot) -> BenchPanel:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    app.setStyleSheet(resource("theme.qss").read_text(encoding="utf-8"))  # it makes buttons wider
    view = CompareView()
    qtbot.addWidget(view)
    panel = BenchPanel(view)
    qtbot.addWidget(panel)
    panel.resize(WIDTH, 300)
    panel.show()
    panel.open("Trust")
    return panel


@pytest.mark.usefixtures("language")
def test_no_sentence_of_the_trust_tab_is_cut(qtbot) -> None:
    panel = opened(qtbot)
    panel.trust.show_dot(DOT, (0.0, 1.0), sentence_of(DOT, ""))
    panel.trust.show_map(TrustMap(ONES, ONES, 2 * ONES, 3 * ONES, MARKED, MARKED), "")

    for words in (panel.trust.words, panel.trust.dot_words):
        assert words.text().count(" ") > 20
        qtbot.waitUntil(lambda words=words: words.height() >= words.heightForWidth(words.width()))
    area = panel.pages.currentWidget()
    assert area.horizontalScrollBar().maximum() == 0
    buttons = (panel.trust.map_button, panel.trust.plant_button)
    assert all(button.width() >= button.minimumSizeHint().width() for button in buttons)


@pytest.mark.usefixtures("language")
def test_the_maps_say_what_they_are_in_a_narrow_window(qtbot) -> None:
    trust = opened(qtbot).trust
    trust.show_map(TrustMap(ONES, ONES, 2 * ONES, 3 * ONES, MARKED, MARKED), "")
    for pane in (trust.bias, trust.spread, trust.band):
        qtbot.waitUntil(lambda pane=pane: pane.width() >= 110)
        captions, pane.captions = pane.captions, {}
        bare = pane.viewport().grab().toImage()
        pane.captions = captions
        assert pane.viewport().grab().toImage() != bare
