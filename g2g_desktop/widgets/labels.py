"""Labels and the gap between them: headings, paragraphs, rows of buttons, and words with a tone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QPalette
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from g2g_desktop.language import tr

from .theme import Tone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PySide6.QtGui import QResizeEvent

    from .theme import Theme

GAP = 8


class ElidedLabel(QLabel):
    """One line that is cut with an ellipsis where it does not fit; the tooltip has all of it.

    A name loses its middle, since names differ at their ends, and a sentence its end.
    """

    def __init__(self, text: str = "", *, sentence: bool = False) -> None:
        super().__init__()
        self._full = ""
        mode = Qt.TextElideMode
        self._mode = mode.ElideRight if sentence else mode.ElideMiddle
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.set_text(text)

    def set_text(self, text: str) -> None:
        """Take another text."""
        if tr(text) == self._full:
            return
        self._full = text = tr(text)
        self.setAccessibleName(text)
        self._cut()

    def full_text(self) -> str:
        """Give the whole text."""
        return self._full

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Cut again."""
        super().resizeEvent(event)
        self._cut()

    def _cut(self) -> None:
        shown = self.fontMetrics().elidedText(self._full, self._mode, max(self.width(), 1))
        self.setText(shown)
        self.setToolTip(self._full if shown != self._full else "")


class ToneLabel(QWidget):
    """A sentence with the colour of its tone, and the symbol of a green, amber or red one."""

    _SYMBOL = {Tone.GREEN: "check", Tone.AMBER: "warning", Tone.RED: "cross"}  # noqa: RUF012

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self._tone = theme, Tone.MUTED
        self.symbol, self.words = QLabel(), paragraph()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GAP)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        row.addWidget(self.symbol, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.words, 1)
        self.hide()  # until it has something to say
        theme.changed.connect(self._repaint)

    def say(self, tone: Tone, text: str) -> None:
        """Show a sentence; an empty one hides the label."""
        if (tone, tr(text)) == (self._tone, self.words.text()):
            return
        self._tone = tone
        self.words.setText(tr(text))
        self.setVisible(bool(text))
        self._repaint()

    def text(self) -> str:
        """Give the sentence."""
        return self.words.text()

    def _repaint(self) -> None:
        palette = QPalette()
        palette.setColor(QPalette.ColorRole.WindowText, self._theme.colour(self._tone))
        self.words.setPalette(palette)
        name = self._SYMBOL.get(self._tone, "")
        self.symbol.setVisible(bool(name))
        if name:
            self.symbol.setPixmap(self._theme.pixmap(name, self._tone, 16))


def heading(text: str, points: float = 1.5) -> QLabel:
    """Make a label that leads: `points` larger than the running text, and semi-bold."""
    label = QLabel(tr(text))
    font = QFont(label.font())
    font.setPointSizeF(font.pointSizeF() + points)
    font.setWeight(QFont.Weight.DemiBold)
    label.setFont(font)
    return label


def paragraph(text: str = "", *, muted: bool = False) -> QLabel:
    """Make a label that wraps."""
    label = QLabel(tr(text))
    label.setWordWrap(True)
    if muted:
        label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
    return label


def fill_choices(box: QComboBox, names: Iterable[str]) -> None:
    """Offer names in a box, in the language of the window; its data are the names themselves."""
    for name in names:
        box.addItem(tr(name), name)


def link_button(text: str, tip: str = "") -> QPushButton:
    """Make a quiet button for a side way."""
    button = QPushButton(tr(text))
    button.setProperty("flat-link", True)
    button.setToolTip(tr(tip))
    button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
    return button


def button_row(*widgets: QWidget) -> QWidget:
    """Put buttons side by side, from the left."""
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(GAP)
    for widget in widgets:
        row.addWidget(widget, 0, Qt.AlignmentFlag.AlignLeft)
    row.addStretch(1)
    return holder
