"""How good the result is, without a reference and with one, and how it came about: three cards."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.jobs.job import Job
from g2g_desktop.widgets.theme import DARK, LIGHT, Tone
from training_core.errors import CoreError
from training_core.reporting.words import origin

from .findings import (
    Finding,
    Level,
    blind_findings,
    card_findings,
    range_sentence,
    reference_findings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training_core.quality.measures import BlindQuality, ReferenceQuality
    from training_core.run import Run
    from training_core.stack import Stack

    Point = tuple[float, float]
    Answer = tuple[BlindQuality, tuple[ReferenceQuality, ReferenceQuality] | CoreError | None]

TONES = {
    Level.GREEN: Tone.GREEN,
    Level.AMBER: Tone.AMBER,
    Level.RED: Tone.RED,
    Level.NEUTRAL: Tone.MUTED,
}
NO_REFERENCE = (
    "Have a clean or averaged image of the same field? Add it to see how close the result is."
)
MEASURING = "Measuring..."
ADD = "Add a reference image..."


class Mark(QWidget):
    """The symbol of a level: a check, an exclamation mark, a cross or a dot on a disc."""

    # Lines in a square of side 16.
    STROKES: ClassVar[dict[Level, list[tuple[Point, Point]]]] = {
        Level.GREEN: [((4.5, 8.3), (7, 10.8)), ((7, 10.8), (11.6, 5.6))],
        Level.AMBER: [((8, 4), (8, 8.8)), ((8, 11.8), (8, 11.9))],
        Level.RED: [((5.3, 5.3), (10.7, 10.7)), ((10.7, 5.3), (5.3, 10.7))],
        Level.NEUTRAL: [((8, 4.3), (8, 4.4)), ((8, 7.4), (8, 11.9))],
    }

    def __init__(self, level: Level, colour: QColor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._level, self._colour = level, colour
        self.setFixedSize(16, 16)
        self.setAccessibleName(level.value)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the disc and the strokes on it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._colour)
        painter.drawEllipse(QRectF(0.5, 0.5, 15, 15))
        surface = self.palette().color(QPalette.ColorRole.AlternateBase)
        pen = QPen(surface, 1.8)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        for start, stop in self.STROKES[self._level]:
            painter.drawLine(QPointF(*start), QPointF(*stop))


class QualityCard(QFrame):
    """A title, a note, and findings with their symbols."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "card")
        self.findings: list[Finding] = []
        self._dark = False
        self.title = QLabel(title, self)
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.note = _muted(QLabel(self))
        self._rows = QVBoxLayout()
        self._rows.setSpacing(10)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(12, 10, 12, 12)
        self.column.setSpacing(8)
        self.column.addWidget(self.title)
        self.column.addLayout(self._rows)
        self.column.addWidget(self.note)

    def say(self, findings: list[Finding], note: str) -> None:
        """Show findings, then a note below them; either may be empty."""
        self.findings = findings
        while (item := self._rows.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        for finding in findings:
            row = self._row(finding)
            self._rows.addWidget(row)
            row.show()  # the layout would do so only in the next turn of the event loop
        self.note.setText(note)
        self.note.setVisible(bool(note))

    def set_theme(self, dark: bool) -> None:
        """Take the colours of the light or the dark theme."""
        self._dark = dark
        self.say(self.findings, self.note.text())

    def _row(self, finding: Finding) -> QWidget:
        colour = QColor((DARK if self._dark else LIGHT).tones[TONES[finding.level]])
        row = QWidget(self)
        row.setAccessibleName(f"{finding.name}: {finding.value}. {finding.level.value}.")
        row.setToolTip(finding.tip)
        row.setAccessibleDescription(finding.tip)
        value = QLabel(finding.value)
        value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        head = QHBoxLayout()
        head.addWidget(QLabel(finding.name))
        head.addStretch(1)
        head.addWidget(value)
        meaning = _muted(QLabel(finding.meaning))
        if finding.level is not Level.NEUTRAL:
            word = f'<span style="color:{colour.name()}">{finding.level.value}.</span>'
            meaning.setText(f"{word} {finding.meaning}")
        foot = QHBoxLayout()
        foot.setSpacing(6)
        foot.addWidget(Mark(finding.level, colour), 0, Qt.AlignmentFlag.AlignTop)
        foot.addWidget(meaning, 1)
        both = QVBoxLayout(row)
        both.setContentsMargins(0, 0, 0, 0)
        both.setSpacing(2)
        both.addLayout(head)
        both.addLayout(foot)
        return row


class QualityPanel(QWidget):
    """Measures a result away from the window and says what the figures mean.

    A PSNR against the noisy stack is never shown: it is best where nothing was done.
    """

    reference_requested = Signal()
    assessed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._job: Job | None = None
        self._unit = ""
        self.blind = QualityCard("Without a reference", self)
        self.learned = QualityCard("What was learned and chosen", self)
        self.reference = QualityCard("With a reference", self)
        self.add_button = QPushButton(ADD, self.reference)
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
        self.show_card({})
        self.blind.say([], "Train and denoise first; then the result is measured here.")
        self.reference.say([], NO_REFERENCE)
        self.add_button.setEnabled(False)
        self.add_button.setText(ADD)

    def show_card(self, card: Mapping[str, Any], model_name: str = "") -> None:
        """Say what the denoiser of the result learned and what was chosen for it.

        `model_name` is that of the file which it was opened from, if it was.
        """
        opened = f"From the model {model_name}." if model_name else ""
        self.learned.say(card_findings(card), " ".join(filter(None, (opened, origin(card)))))
        self.learned.setVisible(bool(self.learned.findings))

    def assess(self, noisy: Stack, denoised: Stack, reference: Stack | None = None) -> None:
        """Measure `denoised` in a worker; an earlier measurement is given up."""
        self.stop()
        self._unit = noisy.value_unit
        self.blind.say([], MEASURING)
        self.reference.say([], NO_REFERENCE if reference is None else MEASURING)
        self.add_button.setEnabled(True)
        self.add_button.setText(ADD if reference is None else "Another reference image...")
        self._job = Job(partial(_measure, noisy, denoised, reference))
        self._job.succeeded.connect(self._on_succeeded)
        self._job.failed.connect(self._on_failed)
        self._job.start()

    def stop(self) -> None:
        """Give up the measurement under way, if there is one."""
        job, self._job = self._job, None
        if job is not None:
            # First no ears, then the request: no late answer may overwrite what is shown next.
            job.succeeded.disconnect(self._on_succeeded)
            job.failed.disconnect(self._on_failed)
            job.cancel()

    def set_theme(self, dark: bool) -> None:
        """Take the colours of the light or the dark theme."""
        for card in (self.blind, self.reference, self.learned):
            card.set_theme(dark)

    @Slot(object)
    def _on_succeeded(self, answer: Answer) -> None:
        blind, compared = answer
        caution = "Hounsfield units; research use, not for diagnosis." if self._unit else ""
        self.blind.say(blind_findings(blind, self._unit), caution)
        if isinstance(compared, CoreError):
            self.reference.say([], str(compared))
        elif compared is not None:
            before, after = compared
            note = " ".join(filter(None, (range_sentence(after), caution)))
            self.reference.say(reference_findings(before, after), note)
        self.assessed.emit()

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        sentence = str(error) if isinstance(error, CoreError) else f"Not measured: {error}."
        self.blind.say([], sentence)
        self.reference.say([], NO_REFERENCE)
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


def _muted(label: QLabel) -> QLabel:
    label.setWordWrap(True)
    label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
    return label
