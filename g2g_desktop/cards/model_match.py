"""The question what to do with a model on another stack: what differs, in green, amber and red."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QVBoxLayout, QWidget

from g2g_desktop.language import tr
from g2g_desktop.widgets.labels import GAP, ToneLabel, heading, paragraph
from g2g_desktop.widgets.mark import Mark
from training_core.reporting.findings import Level

from .quality_card import TONES

if TYPE_CHECKING:
    from g2g_desktop.widgets.theme import Theme
    from training_core.reporting.findings import Finding
    from training_core.reporting.likeness import Likeness

COMPARING = "Comparing the noise of this stack with that of the model..."


class ModelMatch(QFrame):
    """What a model was trained for beside what the stack is; the buttons are in the bar below."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._shown: Likeness | None = None
        self.setProperty("surface", "notice")
        self.title = heading("", 0)
        self.title.setWordWrap(True)
        self.words = ToneLabel(theme)
        self.waiting = paragraph(COMPARING, muted=True)
        self.table = QWidget()
        self._grid = QGridLayout(self.table)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(GAP)
        self._grid.setColumnStretch(2, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, GAP, 12, 12)
        column.setSpacing(GAP)
        for part in (self.title, self.waiting, self.table, self.words):
            column.addWidget(part)
        theme.changed.connect(self._fill)
        self.hide()

    def ask(self, model: str, alike: Likeness | None) -> None:
        """Ask about a model by its name; "" takes the question back."""
        self.setVisible(bool(model))
        self.title.setText(tr(f"Use {model}, or train on this stack?") if model else "")
        self.waiting.setVisible(alike is None)
        if alike is not self._shown:
            self._shown = alike
            self._fill()

    def _fill(self) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        alike = self._shown
        self.table.setVisible(alike is not None and bool(alike.facts))
        for row, fact in enumerate(alike.facts if alike is not None else ()):
            self._add(row, fact)
        whole = alike.whole if alike is not None else None
        own = alike is not None and alike.own
        told = "The model was trained on this stack." if own else ""
        level = Level.GREEN if whole is None else whole.level
        self.words.say(TONES[level], told if whole is None else whole.meaning)

    def _add(self, row: int, fact: Finding) -> None:
        tone = TONES[fact.level]
        mark = Mark(tone, self._theme.colour(tone), fact.level.value)
        name, value = QLabel(tr(fact.name)), QLabel(tr(fact.value))
        name.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        said = f"{fact.name}, model → stack: {fact.value}. {fact.level.value}. {fact.meaning}"
        value.setAccessibleName(tr(said))
        for place, part in enumerate((mark, name, value)):
            part.setToolTip(tr(fact.meaning))
            self._grid.addWidget(part, row, place)
            part.show()
