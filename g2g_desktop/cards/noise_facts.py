"""What the noise of the opened stack is like, in plain words, measured away from the window."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from g2g_desktop.jobs.latest_job import LatestJob
from g2g_desktop.language import tr
from g2g_desktop.widgets.labels import GAP, ToneLabel, heading, paragraph
from g2g_desktop.widgets.theme import Tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from g2g_desktop.widgets.theme import Theme
    from training_core.reporting.noise_analysis import NoiseAnalysis
    from training_core.run import Run
    from training_core.stack import Stack

_LOG = logging.getLogger(__name__)
MEASURING = "Measuring the noise..."


class NoiseFacts(QWidget):
    """A paragraph on the noise, what is wrong with it, and what training will do because of it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._stack: Stack | None = None
        self._job = LatestJob(self._on_measured, self._on_failed)
        self.analyses: Sequence[NoiseAnalysis] = ()
        self.words = paragraph()
        self.warnings = ToneLabel(theme)
        self.route = paragraph(muted=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP // 2)
        for part in (heading("Noise", 0), self.words, self.warnings, self.route):
            column.addWidget(part)
        self.show_stack(None)

    def show_stack(self, stack: Stack | None) -> None:
        """Measure another stack, unless it is the one being shown; None shows nothing."""
        self.setVisible(stack is not None)
        if stack is self._stack:
            return
        self._stack = stack
        self._show(())
        self.words.setText(tr(MEASURING))
        if stack is None:
            self._job.cancel()
        else:
            self._job.start(partial(_analyse, stack))

    @Slot(object)
    def _on_measured(self, analyses: Sequence[NoiseAnalysis]) -> None:
        self._show(analyses)

    def _on_failed(self, error: Exception) -> None:
        _LOG.warning("The noise could not be analysed: %s", error)
        self._show(())
        self.words.setText(tr("The noise could not be measured."))

    def _show(self, analyses: Sequence[NoiseAnalysis]) -> None:
        self.analyses = analyses
        self.words.setText(tr("\n".join(_named(one, one.sentence) for one in analyses)))
        told = [_named(one, text) for one in analyses for text in one.warnings]
        self.warnings.say(Tone.AMBER, "\n".join(told))
        # Each sentence once: the channels of a stack mostly go the same way.
        route = dict.fromkeys(text for one in analyses for text in one.route.sentences)
        self.route.setText(tr(" ".join(route)))
        self.route.setVisible(bool(route))


def _named(analysis: NoiseAnalysis, text: str) -> str:
    return f"{analysis.channel}: {text}" if analysis.channel else text


def _analyse(stack: Stack, run: Run) -> list[NoiseAnalysis]:
    from training_core.reporting.noise_analysis import analyse_noise

    return analyse_noise(stack, run=run)
