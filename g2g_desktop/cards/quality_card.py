"""One card of figures on the result: a title, findings with their symbols, and a note."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from g2g_desktop.language import tr
from g2g_desktop.widgets.mark import Mark
from g2g_desktop.widgets.theme import DARK, LIGHT, Tone
from training_core.reporting.findings import Finding, Level

TONES = {
    Level.GREEN: Tone.GREEN,
    Level.AMBER: Tone.AMBER,
    Level.RED: Tone.RED,
    Level.NEUTRAL: Tone.MUTED,
}


class QualityCard(QFrame):
    """A title, a note, and findings with their symbols."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "card")
        self.findings: list[Finding] = []
        self._dark = False
        self.title = QLabel(tr(title), self)
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
        self.note.setText(tr(note))
        self.note.setVisible(bool(note))

    def set_theme(self, dark: bool) -> None:
        """Take the colours of the light or the dark theme."""
        self._dark = dark
        self.say(self.findings, self.note.text())

    def _row(self, finding: Finding) -> QWidget:
        tone = TONES[finding.level]
        colour = QColor((DARK if self._dark else LIGHT).tones[tone])
        row = QWidget(self)
        row.setAccessibleName(tr(f"{finding.name}: {finding.value}. {finding.level.value}."))
        row.setToolTip(tr(finding.tip))
        row.setAccessibleDescription(tr(finding.tip))
        value = QLabel(tr(finding.value))
        value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        value.setAlignment(Qt.AlignmentFlag.AlignRight)
        value.setWordWrap(True)  # else two long ones make the card wider than its panel
        head = QHBoxLayout()
        head.addWidget(QLabel(tr(finding.name)), 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(value, 1)
        meaning = _muted(QLabel(tr(finding.meaning)))
        if finding.level is not Level.NEUTRAL:
            word = f'<span style="color:{colour.name()}">{tr(finding.level.value)}.</span>'
            meaning.setText(f"{word} {tr(finding.meaning)}")
        foot = QHBoxLayout()
        foot.setSpacing(6)
        mark = Mark(tone, colour, finding.level.value)
        foot.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
        foot.addWidget(meaning, 1)
        both = QVBoxLayout(row)
        both.setContentsMargins(0, 0, 0, 0)
        both.setSpacing(2)
        both.addLayout(head)
        both.addLayout(foot)
        return row


def _muted(label: QLabel) -> QLabel:
    label.setWordWrap(True)
    label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
    return label
