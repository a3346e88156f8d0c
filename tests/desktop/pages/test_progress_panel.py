from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from g2g_desktop.pages import progress_panel
from g2g_desktop.pages.progress_panel import ProgressPanel
from training_core.costs import Span
from training_core.run import (
    Note,
    Stage,
    StageStarted,
    StepsDone,
)

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from g2g_desktop.widgets.theme import Theme


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand for the clock of the progress panel."""
    made = SimpleNamespace(now=1000.0)
    made.monotonic = lambda: made.now
    monkeypatch.setattr(progress_panel, "time", made)
    return made


def test_the_bar_of_a_training_is_that_of_the_whole_job(
    theme: Theme, qtbot: QtBot, clock: SimpleNamespace
) -> None:
    panel = ProgressPanel(theme)
    qtbot.addWidget(panel)
    panel.take(StageStarted(Stage.PATCHES, 3))
    panel.take(StepsDone(Stage.PATCHES, 2, 3))
    assert panel.bar.maximum() == 0
    clock.now += 83.0
    panel.take(StageStarted(Stage.ROUNDS, 400, "round 1 of 3"))
    panel.take(StepsDone(Stage.ROUNDS, 100, 400, {}, Span(249.0, 249.0)))
    assert (panel.bar.value(), panel.bar.maximum()) == (250, 1000)
    assert panel.words.text() == "Step 4 of 5 · round 1 of 3 · about 4 min left"
    assert panel.bar.toolTip() == "100 of 400"
    panel.take(StepsDone(Stage.ROUNDS, 101, 400, {}, Span(600.0, 600.0)))
    panel.take(StageStarted(Stage.DENOISE, 1))
    panel.take(StepsDone(Stage.DENOISE, 0, 1))
    assert panel.bar.value() == 250
    assert panel.words.text() == "Step 5 of 5 · Denoising · measuring"
    panel.take(Note("Fewer patches than asked for.", warning=True))
    assert panel.note.text() == "Fewer patches than asked for."
    panel.clear()
    assert panel.bar.maximum() == 0


def test_other_jobs_have_a_bar_per_stage(
    theme: Theme, qtbot: QtBot, clock: SimpleNamespace
) -> None:
    panel = ProgressPanel(theme)
    qtbot.addWidget(panel)
    panel.take(StageStarted(Stage.DENOISE, 4))
    panel.take(StepsDone(Stage.DENOISE, 3, 4))
    assert panel.bar.value() == 750
    assert panel.words.text() == "Denoising · measuring"
    panel.take(StageStarted(Stage.WRITE, 4))
    assert panel.bar.maximum() == 0
    panel.take(StepsDone(Stage.WRITE, 1, 4))
    assert panel.bar.value() == 250
