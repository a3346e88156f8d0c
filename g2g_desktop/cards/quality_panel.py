"""How good the result is, without a reference and with one, and how it came about: three cards."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSize, Signal, Slot
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from g2g_desktop.jobs.latest_job import LatestJob
from g2g_desktop.language import tr
from training_core.errors import CoreError
from training_core.reporting.findings import (
    UNKNOWN,
    Finding,
    Level,
    blind_findings,
    card_findings,
    range_sentence,
    reference_findings,
)
from training_core.reporting.words import origin

from .quality_card import QualityCard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training_core.quality.measures import BlindQuality, ReferenceQuality
    from training_core.run import Run
    from training_core.stack import Stack

    Answer = tuple[BlindQuality, tuple[ReferenceQuality, ReferenceQuality] | CoreError | None]

NO_REFERENCE = (
    "Have a clean or averaged image of the same field? Add it to see how close the result is."
)
MEASURING = "Measuring..."
ADD = "Add a reference image..."


class QualityPanel(QWidget):
    """Measures a result away from the window and says what the figures mean.

    A PSNR against the noisy stack is never shown: it is best where nothing was done.
    """

    reference_requested = Signal()
    assessed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._job = LatestJob(self._on_succeeded, self._on_failed)
        self._unit = ""
        self._foreign = self.is_measured = False
        self._card: Mapping[str, Any] = {}
        self.blind = QualityCard("Without a reference", self)
        self.learned = QualityCard("What was learned and chosen", self)
        self.reference = QualityCard("With a reference", self)
        self.add_button = QPushButton(tr(ADD), self.reference)
        self.add_button.clicked.connect(self.reference_requested)
        self.reference.column.addWidget(self.add_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(self.blind)
        column.addWidget(self.reference)
        column.addWidget(self.learned)
        column.addStretch(1)
        self.clear()

    def sizeHint(self) -> QSize:
        """Narrow: it stands beside the picture."""
        return QSize(320, super().sizeHint().height())

    @property
    def findings(self) -> list[Finding]:
        """All that is shown."""
        return [*self.blind.findings, *self.reference.findings, *self.learned.findings]

    def clear(self) -> None:
        """Show no figures, and stop measuring."""
        self.stop()
        self.is_measured = False
        self.show_card({})
        self.blind.say([], "Train and denoise first; then the result is measured here.")
        self.reference.say([], NO_REFERENCE)
        self.add_button.setEnabled(False)
        self.add_button.setText(tr(ADD))

    def show_card(self, card: Mapping[str, Any], model_name: str = "") -> None:
        """Say what the denoiser of the result learned and what was chosen for it.

        `model_name` is that of the file which it was opened from, if it was.
        """
        self._card = card
        opened = f"From the model {model_name}." if model_name else ""
        self.learned.say(card_findings(card), " ".join(filter(None, (opened, origin(card)))))
        self.learned.setVisible(bool(self.learned.findings))

    def assess(
        self,
        noisy: Stack,
        denoised: Stack,
        reference: Stack | None = None,
        *,
        foreign: bool = False,
    ) -> None:
        """Measure `denoised` in a worker; an earlier measurement is given up.

        `foreign` says that the model was trained on another stack.
        """
        self.stop()
        self._foreign, self.is_measured = foreign, False
        self._unit = noisy.value_unit
        self.blind.say([], MEASURING)
        self.reference.say([], NO_REFERENCE if reference is None else MEASURING)
        self.add_button.setEnabled(True)
        self.add_button.setText(tr(ADD if reference is None else "Another reference image..."))
        self._job.start(partial(_measure, noisy, denoised, reference))

    def stop(self) -> None:
        """Give up the measurement under way, if there is one."""
        self._job.cancel()

    def set_theme(self, dark: bool) -> None:
        """Take the colours of the light or the dark theme."""
        for card in (self.blind, self.reference, self.learned):
            card.set_theme(dark)

    @Slot(object)
    def _on_succeeded(self, answer: Answer) -> None:
        blind, compared = answer
        caution = "Hounsfield units; research use, not for diagnosis." if self._unit else ""
        found = blind_findings(blind, self._unit, self._card, foreign=self._foreign)
        self.blind.say(found, caution)
        if isinstance(compared, CoreError):
            self.reference.say([], str(compared))
        elif compared is not None:
            before, after = compared
            note = " ".join(filter(None, (range_sentence(after), caution)))
            self.reference.say(reference_findings(before, after), note)
        self.is_measured = True
        self.assessed.emit()

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        sentence = str(error) if isinstance(error, CoreError) else f"Not measured: {error}."
        # No figure is no reason to trust it.
        self.blind.say([Finding("Result", UNKNOWN, Level.AMBER, sentence)], "")
        self.reference.say([], NO_REFERENCE)
        self.is_measured = True
        self.assessed.emit()


def _measure(noisy: Stack, denoised: Stack, reference: Stack | None, run: Run) -> Answer:
    """Take all figures; a reference that does not fit leaves those without one standing."""
    from training_core.quality import measures as quality

    blind = quality.assess(noisy, denoised)
    run.check()
    if reference is None:
        return blind, None
    try:
        before = quality.compare_with_reference(noisy, reference, run=run)
        return blind, (before, quality.compare_with_reference(denoised, reference, run=run))
    except CoreError as error:
        return blind, error
