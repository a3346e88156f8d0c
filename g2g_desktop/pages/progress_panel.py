"""How far a job is: the stages it goes through, and the bar with the time left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QGridLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from g2g_desktop.cards.step_card import GAP, ToneLabel, paragraph
from g2g_desktop.model.view_state import duration_text
from g2g_desktop.widgets.theme import Tone
from training_core.run import Note, Stage, StageFinished, StageStarted, StepsDone

if TYPE_CHECKING:
    from g2g_desktop.widgets.theme import Theme
    from training_core.run import Event

TRAINING_STAGES = (
    Stage.PATCHES,
    Stage.NOISE_MODEL,
    Stage.FIRST_ESTIMATE,
    Stage.ROUNDS,
    Stage.DENOISE,
)
_BAR_UNITS = 1000


class Stepper(QWidget):
    """The stages of training, one line each: done, in progress with its detail, or to come."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
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
            grid.addWidget(QLabel(stage.value), row, 1)
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
            self.details[event.stage].setText(event.detail)
        elif isinstance(event, StageFinished) and event.stage in self.symbols:
            self._done.add(event.stage)
            self.details[event.stage].setText(duration_text(event.seconds))
        else:
            return
        self._repaint()

    def _repaint(self) -> None:
        for stage, label in self.symbols.items():
            name, tone, says = self._look(stage)
            label.setPixmap(self._theme.pixmap(name, tone, 16))
            label.setAccessibleName(f"{stage.value}: {says}")

    def _look(self, stage: Stage) -> tuple[str, Tone, str]:
        if stage in self._done:
            return "check", Tone.GREEN, "done"
        if stage is self._now:
            return "right", Tone.ACCENT, "in progress"
        return "dot", Tone.MUTED, "to come"


class ProgressPanel(QWidget):
    """The bar of the run bar: what goes on, how far the job is, and how long it will take.

    A training and the denoising after it are one job here, and its bar never goes back.
    """

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Progress")
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
        self._started = time.monotonic()
        self._trains = False
        self._doing = ""
        self._rewind()
        self.words.setText("")
        self.note.say(Tone.MUTED, "")

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
        self.words.setText(self._doing)

    def _show_steps(self, event: StepsDone) -> None:
        left = event.seconds_left
        self.bar.setToolTip(f"{event.done} of {event.total}")
        if left is not None:
            elapsed = time.monotonic() - self._started
            self._advance(elapsed / max(elapsed + left, 1e-9))
        elif not self._trains:
            self._advance(event.done / max(event.total, 1))
        ahead = f"about {duration_text(left)} left" if left is not None else ""
        self.words.setText(_joined(self._doing, ahead))

    def _rewind(self) -> None:
        self._share = 0.0
        self.bar.setRange(0, 0)

    def _advance(self, share: float) -> None:
        self._share = max(self._share, share)  # estimates come and go; the bar only goes on
        self.bar.setRange(0, _BAR_UNITS)
        self.bar.setValue(round(_BAR_UNITS * self._share))


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)
