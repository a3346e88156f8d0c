"""The card after the training: how good the result is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from g2g_desktop.model.session import Step
from g2g_desktop.widgets.labels import paragraph

from .findings import verdict, warns
from .quality_panel import QualityPanel
from .step_card import StepCard

if TYPE_CHECKING:
    from g2g_desktop.model.session import Session
    from g2g_desktop.widgets.theme import Theme
    from training_core.stack import Stack

    from .findings import Finding


class CompareCard(StepCard):
    """Numbers on the result, with and without a reference; `judged` says whether any warns."""

    judged = Signal(bool)

    def __init__(self, theme: Theme) -> None:
        super().__init__(Step.COMPARE, "compare", theme)
        self.quality = QualityPanel()
        self.waiting = paragraph(
            "After the training, noisy and denoised are compared here.", muted=True
        )
        self.body.addWidget(self.waiting)
        self.body.addWidget(self.quality)
        self._stack: Stack | None = None
        self._denoised: Stack | None = None
        self._reference: Stack | None = None
        self.show_summary("After training")
        theme.changed.connect(self.quality.set_theme)
        self.quality.set_theme(theme.dark)
        self.quality.assessed.connect(self._sum_up)

    def show_session(self, session: Session) -> None:
        """Measure a new result; forget one that is gone."""
        denoised = session.denoised
        self.waiting.setVisible(denoised is None)
        self.quality.setVisible(denoised is not None)
        if denoised is self._denoised:
            return
        # Another strength of the same result is measured against the same reference.
        if session.stack is not self._stack:
            self._reference = None
        self._stack, self._denoised = session.stack, denoised
        self.quality.clear()
        if denoised is not None and session.denoiser is not None:
            self.quality.show_card(session.denoiser.card, session.model_name)
        self.take_reference(self._reference)
        self._sum_up()

    def findings(self) -> list[Finding]:
        """Give all that is said of the result."""
        return self.quality.findings

    @Slot(object)
    def take_reference(self, reference: Stack | None) -> None:
        """Measure the result again, against a clean image of the same field."""
        self._reference = reference
        if self._stack is not None and self._denoised is not None:
            self.quality.assess(self._stack, self._denoised, reference)

    @Slot()
    def _sum_up(self) -> None:
        findings = self.quality.findings
        # The figures on the result take a moment; until they are there, nothing is summed up.
        found = verdict(findings) if self.quality.blind.findings else ""
        waiting = "Noisy against denoised" if self._denoised is not None else "After training"
        self.show_summary(found or waiting)
        self.judged.emit(warns(findings))
