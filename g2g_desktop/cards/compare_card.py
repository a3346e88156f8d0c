"""The card after the training: what the result may be used for, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QComboBox

from g2g_desktop.language import tr
from g2g_desktop.model.session import Step
from g2g_desktop.widgets.fold import Fold
from g2g_desktop.widgets.labels import ToneLabel, heading, paragraph
from g2g_desktop.widgets.theme import Tone
from training_core.reporting.findings import Judgement, Trust, judge, verdict

from .quality_panel import MEASURING, QualityPanel
from .step_card import StepCard

if TYPE_CHECKING:
    from g2g_desktop.model.result import StackResult
    from g2g_desktop.model.session import Session
    from g2g_desktop.widgets.theme import Theme
    from training_core.reporting.findings import Finding
    from training_core.stack import Stack

UNTOLD = "How this result was made is not known any more; denoise the stack again to know."
_TONES = {Trust.SAFE: Tone.GREEN, Trust.LOOK: Tone.AMBER, Trust.NO: Tone.RED}


class CompareCard(StepCard):
    """One verdict on the result, and below it, folded, the checks that led to it.

    `judged` carries the `Judgement`, None while it is being measured, and `result_asked` the number
    of the result that the user wants to see.
    """

    judged = Signal(object)
    result_asked = Signal(int)

    def __init__(self, theme: Theme) -> None:
        super().__init__(Step.COMPARE, "compare", theme)
        self.quality = QualityPanel()
        self.waiting = paragraph(
            "After the training, noisy and denoised are compared here.", muted=True
        )
        self.results = QComboBox()
        self.results.setAccessibleName(tr("Result that is shown"))
        self.results.setToolTip(
            tr("Choose which of the results of this stack is shown (N: the next).")
        )
        self.results.activated.connect(self.result_asked)
        self.verdict = heading("", 2)
        self.reason = ToneLabel(theme)
        self.checks = Fold("All checks", self.quality, theme)
        for part in (self.waiting, self.results, self.verdict, self.reason, self.checks):
            self.body.addWidget(part)
        self._stack: Stack | None = None
        self._result: StackResult | None = None
        self._reference: Stack | None = None
        self.show_summary("After training")
        theme.changed.connect(self.quality.set_theme)
        self.quality.set_theme(theme.dark)
        self.quality.assessed.connect(self._sum_up)

    def show_session(self, session: Session) -> None:
        """Measure a new result; forget one that is gone."""
        result = session.result
        for part in (self.verdict, self.reason, self.checks):
            part.setVisible(result is not None)
        self.waiting.setVisible(result is None)
        self._show_results(session)
        same = self._result is not None and result is not None
        if (same and result.denoised is self._result.denoised) or result is self._result:  # type: ignore[union-attr]
            return
        # Another strength of the same result is measured against the same reference.
        if session.stack is not self._stack:
            self._reference = None
        self._stack, self._result = session.stack, result
        self.quality.clear()
        if result is not None:
            self.quality.show_card(result.denoiser.card, result.model_name)
        self.take_reference(self._reference)
        self._sum_up()

    def _show_results(self, session: Session) -> None:
        self.results.setVisible(session.several)
        titles = [tr(one.title) for one in session.results.every]
        if titles != [self.results.itemText(n) for n in range(self.results.count())]:
            self.results.clear()
            self.results.addItems(titles)
        self.results.setCurrentIndex(session.results.chosen)

    def findings(self) -> list[Finding]:
        """Give all that is said of the result."""
        return self.quality.findings

    @Slot(object)
    def take_reference(self, reference: Stack | None) -> None:
        """Measure the result again, against a clean image of the same field."""
        self._reference = reference
        if self._stack is not None and self._result is not None:
            foreign = self._result.is_foreign
            self.quality.assess(self._stack, self._result.denoised, reference, foreign=foreign)

    @Slot()
    def _sum_up(self) -> None:
        judgement = self._judgement()
        if judgement is None:
            self.verdict.setText(tr(MEASURING if self._result is not None else ""))
            self.reason.say(Tone.MUTED, "")
            waiting = "Noisy against denoised" if self._result is not None else "After training"
            self.show_summary(waiting)
        else:
            self.verdict.setText(tr(judgement.trust.value))
            self.reason.say(_TONES[judgement.trust], judgement.reason)
            self.checks.button.setText(tr(f"All checks: {verdict(self.quality.findings)}"))
            self.show_summary(judgement.trust.value)
        self.judged.emit(judgement)

    def _judgement(self) -> Judgement | None:
        # The figures on the result take a moment; until they are there, nothing is summed up.
        if self._result is None or not self.quality.is_measured:
            return None
        alike = self._result.alike.whole if self._result.alike is not None else None
        found = judge(self.quality.findings, alike)
        if found.trust is Trust.SAFE and not self._result.denoiser.card:
            return Judgement(Trust.LOOK, UNTOLD)  # what the training doubted is not known
        return found
