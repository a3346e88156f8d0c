from __future__ import annotations

from typing import TYPE_CHECKING

from g2g_desktop.model.view_state import duration_text
from g2g_desktop.widgets.stepper import Stepper
from training_core.run import (
    Stage,
    StageFinished,
    StageStarted,
)

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from g2g_desktop.widgets.theme import Theme


def test_the_stepper_follows_the_stages(theme: Theme, qtbot: QtBot) -> None:
    stepper = Stepper(theme, duration_text)
    qtbot.addWidget(stepper)
    stepper.take(StageStarted(Stage.PATCHES, 3))
    stepper.take(StageFinished(Stage.PATCHES, 41.0))
    stepper.take(StageStarted(Stage.ROUNDS, 400, "round 2 of 3"))
    said = {stage: label.accessibleName() for stage, label in stepper.symbols.items()}
    assert said[Stage.PATCHES] == "Finding smooth patches: done"
    assert said[Stage.NOISE_MODEL] == "Learning the noise: done"  # before an interruption
    assert said[Stage.DENOISE] == "Denoising: to come"
    assert said[Stage.ROUNDS] == "Training the denoiser: in progress"
    assert stepper.details[Stage.PATCHES].text() == "40 s"
    assert stepper.details[Stage.ROUNDS].text() == "round 2 of 3"
    stepper.clear()
    assert stepper.symbols[Stage.PATCHES].accessibleName().endswith("to come")
    stepper.take(StageStarted(Stage.DENOISE, 3))
    assert stepper.symbols[Stage.ROUNDS].accessibleName().endswith("to come")
