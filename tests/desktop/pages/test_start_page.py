from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt

from g2g_desktop.jobs.job import Job
from g2g_desktop.pages.start_page import SAMPLES, StartPage
from g2g_desktop.preferences import Preferences
from g2g_desktop.widgets.theme import Theme

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from g2g_desktop.main_window import MainWindow


@pytest.fixture
def page(qtbot: QtBot) -> StartPage:
    made = StartPage(Theme("light"))
    qtbot.addWidget(made)
    made.resize(1000, 700)
    made.show()
    return made


@pytest.mark.parametrize("number", range(len(SAMPLES)))
def test_a_click_on_a_sample_opens_it(number: int, page: StartPage, qtbot: QtBot) -> None:
    assert SAMPLES[number].path.is_file()
    with qtbot.waitSignal(page.paths_chosen) as heard:
        qtbot.mouseClick(page.samples[number], Qt.MouseButton.LeftButton)
    assert heard.args == [[SAMPLES[number].path]]


def test_the_samples_are_drawn_in_the_background(page: StartPage, qtbot: QtBot) -> None:
    before = [card.picture.grab().toImage() for card in page.samples]
    page.load_thumbnails()
    qtbot.waitUntil(lambda: not Job.any_running(), timeout=30_000)
    for card, blank in zip(page.samples, before, strict=True):
        assert card.picture.grab().toImage() != blank


def test_recent_files_open_again(page: StartPage, tmp_path: Path, qtbot: QtBot) -> None:
    assert not page.recent.isVisible()
    page.show_recent(Preferences(tuple(str(tmp_path / f"{n}.tif") for n in range(9))))
    assert page.recent.isVisible()
    assert len(page.recent.buttons) == 4
    with qtbot.waitSignal(page.paths_chosen) as heard:
        page.recent.buttons[2].click()
    assert heard.args == [[tmp_path / "2.tif"]]


def test_the_drop_target_lights_up_while_something_hovers(page: StartPage) -> None:
    calm = page.drop.grab().toImage()
    page.show_hot(True)
    assert page.drop.grab().toImage() != calm
    page.show_hot(False)
    assert page.drop.grab().toImage() == calm


def test_recent_models_open_again(page: StartPage, tmp_path: Path, qtbot: QtBot) -> None:
    page.show_recent(Preferences(models=(str(tmp_path / "cells.g2g"),)))
    assert not page.recent.isVisible()
    with qtbot.waitSignal(page.paths_chosen) as heard:
        qtbot.mouseClick(page.models.buttons[0], Qt.MouseButton.LeftButton)
    assert heard.args == [[tmp_path / "cells.g2g"]]


@pytest.mark.parametrize("choice", ["light", "dark"])
def test_samples_stay_whole_in_a_low_window(choice: str, window: MainWindow) -> None:
    window.resize(683, 384)  # 1366 x 768 at 200 %
    window.theme.choose(choice)
    window.show()
    for card in window.centre.start.samples:
        assert card.minimumHeight() >= card.sizeHint().height()
