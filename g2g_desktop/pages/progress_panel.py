"""How far a job is: what goes on, and the bar with the time left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from g2g_desktop.language import tr
from g2g_desktop.model.view_state import duration_text
from g2g_desktop.widgets.labels import GAP, ToneLabel, paragraph
from g2g_desktop.widgets.stepper import TRAINING_STAGES
from g2g_desktop.widgets.theme import Tone
from training_core.run import Note, StageStarted, StepsDone
from training_core.wording import MEASURING, between

if TYPE_CHECKING:
    from g2g_desktop.widgets.theme import Theme
    from training_core.run import Event

_BAR_UNITS = 1000


class ProgressPanel(QWidget):
    """The bar of the run bar: what goes on, how far the job is, and how long it will take.

    A training and the denoising after it are one job here, and its bar never goes back.
    """

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Progress"))
        self.words = paragraph(muted=True)
        self.note = ToneLabel(theme)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP // 2)
        column.addWidget(self.bar)
        column.addWidget(self.words)
        column.addWidget(self.note)
        self.clear()

    def clear(self) -> None:
        """Start over, with a bar that only says that something goes on."""
        self._started, self._paused = time.monotonic(), 0.0
        self._trains = False
        self._doing = ""
        self._rewind()
        self.words.setText("")
        self.note.say(Tone.MUTED, "")

    def hold(self, paused: bool) -> None:
        """Count the time of a pause as none, for the bar."""
        now = time.monotonic()
        if paused and not self._paused:
            self._paused = now
        elif self._paused and not paused:
            self._started += now - self._paused
            self._paused = 0.0

    @Slot(object)
    def take(self, event: Event) -> None:
        """Follow the events of a job."""
        if isinstance(event, StageStarted):
            self._start_stage(event)
        elif isinstance(event, StepsDone):
            self._show_steps(event)
        elif isinstance(event, Note):
            self.note.say(Tone.AMBER if event.warning else Tone.MUTED, event.text)

    def _start_stage(self, event: StageStarted) -> None:
        self._trains |= event.stage in TRAINING_STAGES[:-1]
        if self._trains:
            number, count = TRAINING_STAGES.index(event.stage) + 1, len(TRAINING_STAGES)
            self._doing = _joined(f"Step {number} of {count}", event.detail or event.stage.value)
        else:
            self._rewind()
            self._doing = _joined(event.stage.value, event.detail)
        self.words.setText(tr(self._doing))

    def _show_steps(self, event: StepsDone) -> None:
        left = event.time_left
        self.bar.setToolTip(tr(f"{event.done} of {event.total}"))
        if left is not None:
            elapsed = time.monotonic() - self._started
            self._advance(elapsed / max(elapsed + left.middle, 1e-9))
        elif not self._trains:
            self._advance(event.done / max(event.total, 1))
        ahead = MEASURING
        if left is not None:
            ahead = f"{between(left.least, left.most, duration_text)} left"
        self.words.setText(tr(_joined(self._doing, ahead)))

    def _rewind(self) -> None:
        self._share = 0.0
        self.bar.setRange(0, 0)

    def _advance(self, share: float) -> None:
        self._share = max(self._share, share)  # estimates come and go; the bar only goes on
        self.bar.setRange(0, _BAR_UNITS)
        self.bar.setValue(round(_BAR_UNITS * self._share))


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)
