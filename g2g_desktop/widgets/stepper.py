"""The stages of a training, one below the other, and how far each of them is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from g2g_desktop.language import tr
from training_core.run import Stage, StageFinished, StageStarted

from .labels import GAP, paragraph
from .theme import Tone

if TYPE_CHECKING:
    from collections.abc import Callable

    from training_core.run import Event

    from .theme import Theme

TRAINING_STAGES = (
    Stage.PATCHES,
    Stage.NOISE_MODEL,
    Stage.FIRST_ESTIMATE,
    Stage.ROUNDS,
    Stage.DENOISE,
)


class Stepper(QWidget):
    """The stages of training, one line each: done, in progress with its detail, or to come.

    `duration_text` says in words how many seconds a stage took.
    """

    def __init__(self, theme: Theme, duration_text: Callable[[float], str]) -> None:
        super().__init__()
        self._theme, self._duration_text = theme, duration_text
        self._now: Stage | None = None
        self._done: set[Stage] = set()
        self.symbols = {stage: QLabel() for stage in TRAINING_STAGES}
        self.details = {stage: paragraph(muted=True) for stage in TRAINING_STAGES}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(GAP)
        grid.setColumnStretch(2, 1)
        for row, stage in enumerate(TRAINING_STAGES):
            grid.addWidget(self.symbols[stage], row, 0)
            grid.addWidget(QLabel(tr(stage.value)), row, 1)
            grid.addWidget(self.details[stage], row, 2)
        theme.changed.connect(self._repaint)
        self.clear()

    def clear(self) -> None:
        """Start over."""
        self._now = None
        self._done.clear()
        for label in self.details.values():
            label.setText("")
        self._repaint()

    def take(self, event: Event) -> None:
        """Follow the events of a job."""
        if isinstance(event, StageStarted) and event.stage in self.symbols:
            self._now = event.stage
            self._done.discard(event.stage)
            if event.stage is not Stage.DENOISE:  # which a model file does without them
                # What was done before an interruption does not start again.
                self._done.update(TRAINING_STAGES[: TRAINING_STAGES.index(event.stage)])
            self.details[event.stage].setText(tr(event.detail))
        elif isinstance(event, StageFinished) and event.stage in self.symbols:
            self._done.add(event.stage)
            self.details[event.stage].setText(tr(self._duration_text(event.seconds)))
        else:
            return
        self._repaint()

    def _repaint(self) -> None:
        for stage, label in self.symbols.items():
            name, tone, says = self._look(stage)
            label.setPixmap(self._theme.pixmap(name, tone, 16))
            label.setAccessibleName(tr(f"{stage.value}: {says}"))

    def _look(self, stage: Stage) -> tuple[str, Tone, str]:
        if stage in self._done:
            return "check", Tone.GREEN, "done"
        if stage is self._now:
            return "right", Tone.ACCENT, "in progress"
        return "dot", Tone.MUTED, "to come"
