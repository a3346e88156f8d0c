"""The page of a training by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtWidgets import QApplication

from g2g_desktop.model.session import Activity, Session
from g2g_desktop.pages.training_page import TrainingPage
from training_core.costs import Span
from training_core.run import PreviewReady, ShownRegion, Stage, StageStarted, StepsDone

if TYPE_CHECKING:
    from training_core.stack import Stack


def preview(frame: int, level: float) -> PreviewReady:
    rng = np.random.default_rng(3)
    noisy = rng.normal(level, 10, (64, 64)).astype(np.float32)
    denoised = np.full((64, 64), level, np.float32)
    return PreviewReady(Stage.ROUNDS, ShownRegion(frame, 0, 0, 64, 64), noisy, denoised)


def test_the_split_has_the_contrast_of_its_noisy_half(qtbot, theme) -> None:
    page = TrainingPage(theme)
    qtbot.addWidget(page)
    page.show()
    page.take(preview(0, 100.0))
    first = tuple(page.split.picture.getLevels())
    assert 60 < first[0] < 80
    assert 120 < first[1] < 140
    assert tuple(page.split.second.getLevels()) == first
    page.take(preview(0, 105.0))
    assert tuple(page.split.picture.getLevels()) == first, "it must not flicker"
    page.take(preview(1, 500.0))
    assert page.split.picture.getLevels()[0] > 450
    narrow = np.ptp(page.split.picture.getLevels())
    page.auto_contrast()
    assert np.ptp(page.split.picture.getLevels()) < narrow
    QApplication.processEvents()
    page.zoom_full()
    QApplication.processEvents()
    assert page.split.scale_factor == 1.0
    page.invert()
    assert page.split.picture.lut[0].tolist() == [255, 255, 255]
    page.clear()
    assert page.split.image is None
    assert not page.sentence.text()


def test_the_time_left_and_the_sentence_are_plain(qtbot, theme) -> None:
    page = TrainingPage(theme)
    qtbot.addWidget(page)
    page.take(StageStarted(Stage.ROUNDS, 10, "round 2 of 3"))
    page.take(StepsDone(Stage.ROUNDS, 4, 10, {"denoiser": 0.1}, Span(170.0, 190.0)))
    assert page.left.text() == "About 3 min left"
    assert page.sentence.text().endswith("learning to take it away (round 2 of 3).")
    assert page.details.costs.text().startswith("Training the denoiser: 4 of 10 steps")
    assert " free" in page.details.costs.text()


def test_another_stack_is_not_shown_as_the_last_one(qtbot, theme, small_stack: Stack) -> None:
    session = Session()
    page = TrainingPage(theme)
    qtbot.addWidget(page)
    page.take(preview(0, 100.0))
    page.take(StageStarted(Stage.ROUNDS, 10, "round 2 of 3"))
    session.set_stack(small_stack)
    page.show_session(session)
    assert page.split.image is None
    assert not page.sentence.text()
    session.begin(Activity.DENOISING)
    page.show_session(session)
    assert np.array_equal(page.split.image, small_stack.raw_frame(0))
    assert not page.split.is_split


def test_a_narrow_page_leaves_the_room_to_the_split(qtbot, theme, small_stack: Stack) -> None:
    session = Session()
    session.set_stack(small_stack)
    session.begin(Activity.TRAINING)
    page = TrainingPage(theme)
    qtbot.addWidget(page)
    page.resize(800, 600)
    page.show()
    page.show_session(session)
    page.begin(session, ShownRegion(1, 8, 8, 32, 40))
    assert page.picker.isVisible()
    assert page.split.image.shape == (32, 40)
    assert np.array_equal(page.split.image, small_stack.raw_frame(1)[8:40, 8:48])
    page.resize(500, 500)
    assert not page.picker.isVisible()
