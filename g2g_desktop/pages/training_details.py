"""What stands behind a training for who asks: curves, noise, speed and memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from g2g_desktop.bench.noise_tab import NoiseTab
from g2g_desktop.language import tr
from g2g_desktop.widgets.labels import paragraph
from training_core.compute.memory import free_memory, used_memory
from training_core.run import NoiseReady, RoundJudged, StageStarted, StepsDone
from training_core.wording import bytes_text

from .training_plot import TrainingPlot

if TYPE_CHECKING:
    from g2g_desktop.widgets.theme import Theme
    from training_core.run import Event, Stage

HEIGHT_PX = 270
NOT_YET = "Speed and memory are measured once the training begins."
NO_NOISE = "Real and imitated noise are compared here while the noise is learned."
REST_SECONDS = 0.5  # between two looks at the memory


class TrainingDetails(QTabWidget):
    """Curves of what falls and of what is gained, the noise live, and what it costs."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.plot, self.noise, self.costs = TrainingPlot(), NoiseTab(), paragraph(NOT_YET)
        holder = QWidget()
        column = QVBoxLayout(holder)
        column.addWidget(self.costs)
        column.addStretch(1)
        self.addTab(self.plot, tr("Curves"))
        self.addTab(self.noise, tr("Noise"))
        self.addTab(holder, tr("Speed and memory"))
        self.setDocumentMode(True)
        self.setFixedHeight(HEIGHT_PX)
        self.set_theme(theme.dark)
        self.clear()

    def clear(self) -> None:
        """Forget the last training."""
        self.plot.clear()
        self.noise.clear(NO_NOISE)
        self.costs.setText(tr(NOT_YET))
        self._stage: Stage | None = None
        self._since, self._first = 0.0, 0
        self._looked = 0.0

    def set_theme(self, dark: bool) -> None:
        """Take the colours of the light or the dark theme."""
        self.plot.set_theme(dark)
        self.noise.set_theme(dark)

    @Slot(object)
    def take(self, event: Event) -> None:
        """Follow the events of a training."""
        if isinstance(event, StageStarted):
            self.plot.start_stage(event.stage, event.detail)
            self._stage = None
        elif isinstance(event, NoiseReady):
            self.noise.show_likeness(event.likeness, event.step)
        elif isinstance(event, RoundJudged):
            self.plot.add_quality(event.round, event.decibels)
        elif isinstance(event, StepsDone):
            self.plot.add_losses(event.stage, event.done, event.losses)
            self._measure(event)

    def _measure(self, event: StepsDone) -> None:
        now = time.monotonic()
        if event.stage is not self._stage:
            self._stage, self._since, self._first = event.stage, now, event.done
        if now - self._looked < REST_SECONDS:
            return
        self._looked = now
        lines = [f"{event.stage}: {event.done} of {event.total} steps"]
        if now > self._since and event.done > self._first:
            lines[0] += f", {(event.done - self._first) / (now - self._since):.3g} per second"
        used = used_memory()
        told = f"{bytes_text(used)} in use by this program, " if used else ""
        lines.append(f"Memory: {told}{bytes_text(free_memory())} free")
        self.costs.setText(tr("\n".join(lines)))
