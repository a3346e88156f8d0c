"""The card of one step: a header that always says how far it is, and a body to open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QFont, QPalette
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.model.view_state import Badge
from g2g_desktop.widgets.theme import Tone

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from g2g_desktop.model.session import Step
    from g2g_desktop.widgets.theme import Theme

_ICON = {
    Badge.DONE: ("check", Tone.GREEN),
    Badge.ATTENTION: ("warning", Tone.AMBER),
    Badge.FAILED: ("cross", Tone.RED),
}
GAP = 8


class StepCard(QFrame):
    """One step; children put their widgets into `body`.

    `asked` says that the user wants this card open.
    """

    asked = Signal(object)

    def __init__(self, step: Step, icon: str, theme: Theme) -> None:
        super().__init__()
        self.step, self.theme = step, theme
        self.setProperty("surface", "card")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.header = _Header(step, icon, theme)
        self.header.clicked.connect(self._on_clicked)
        self._holder = QWidget()
        self.body = QVBoxLayout(self._holder)
        self.body.setContentsMargins(2 * GAP, 0, 2 * GAP, 2 * GAP)
        self.body.setSpacing(GAP)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.header)
        column.addWidget(self._holder)

    @property
    def is_open(self) -> bool:
        """Whether the body is shown."""
        return not self._holder.isHidden()

    def show_badge(self, badge: Badge, *, is_open: bool) -> None:
        """Show how far the step is, and open or close the card."""
        self._holder.setVisible(is_open)
        self.header.show_badge(badge, is_open=is_open)
        if self.property("current") != is_open:
            self.setProperty("current", is_open)
            self.style().polish(self)

    def show_summary(self, text: str) -> None:
        """Say in a few words what the step holds; read in the header of a closed card."""
        self.header.summary.set_text(text)

    def _on_clicked(self) -> None:
        self.asked.emit(self.step)


class _Header(QToolButton):
    """Symbol, title and summary of a card, as one button."""

    def __init__(self, step: Step, icon: str, theme: Theme) -> None:
        super().__init__()
        self._icon, self._theme, self._step = icon, theme, step
        self._badge: Badge | None = None
        self._open = False
        self.setProperty("header", True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.symbol, self.chevron = QLabel(), QLabel()
        self.title = heading(step.value)
        self.summary = ElidedLabel()
        self.summary.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(self.title)
        words.addWidget(self.summary)
        self._row = row = QHBoxLayout(self)
        row.setContentsMargins(2 * GAP, GAP, 12, GAP)
        row.setSpacing(12)
        row.addWidget(self.symbol)
        row.addLayout(words, 1)
        row.addWidget(self.chevron)
        for label in (self.symbol, self.title, self.summary, self.chevron):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        theme.changed.connect(self._repaint_symbols)

    def sizeHint(self) -> QSize:
        """As high as its two lines need."""
        return QSize(200, self._row.sizeHint().height())

    def show_badge(self, badge: Badge, *, is_open: bool) -> None:
        """Show the symbol of a badge, and which way the card can be turned."""
        if (badge, is_open) == (self._badge, self._open):
            return
        self._badge, self._open = badge, is_open
        self.setAccessibleName(f"{self._step.value}: {badge.value}")
        self.setToolTip(f"{self._step.value}: {badge.value}")
        self._repaint_symbols()

    def _repaint_symbols(self) -> None:
        idle = Tone.MUTED if self._badge is Badge.WAITING else Tone.ACCENT
        name, tone = (
            (self._icon, idle)
            if self._badge is None
            else _ICON.get(self._badge, (self._icon, idle))
        )
        self.symbol.setPixmap(self._theme.pixmap(name, tone, 20))
        self.chevron.setPixmap(
            self._theme.pixmap("down" if self._open else "right", Tone.MUTED, 12)
        )


class ElidedLabel(QLabel):
    """One line that is cut with an ellipsis where it does not fit; the tooltip has all of it."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._full = ""
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.set_text(text)

    def set_text(self, text: str) -> None:
        """Take another text."""
        if text == self._full:
            return
        self._full = text
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
        shown = self.fontMetrics().elidedText(
            self._full, Qt.TextElideMode.ElideMiddle, max(self.width(), 1)
        )
        self.setText(shown)
        self.setToolTip(self._full if shown != self._full else "")


def heading(text: str, points: float = 1.5) -> QLabel:
    """Make a label that leads: `points` larger than the running text, and semi-bold."""
    label = QLabel(text)
    font = QFont(label.font())
    font.setPointSizeF(font.pointSizeF() + points)
    font.setWeight(QFont.Weight.DemiBold)
    label.setFont(font)
    return label


def paragraph(text: str = "", *, muted: bool = False) -> QLabel:
    """Make a label that wraps."""
    label = QLabel(text)
    label.setWordWrap(True)
    if muted:
        label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
    return label


def link_button(text: str, tip: str = "") -> QPushButton:
    """Make a quiet button for a side way."""
    button = QPushButton(text)
    button.setProperty("flat-link", True)
    button.setToolTip(tip)
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
        if (tone, text) == (self._tone, self.words.text()):
            return
        self._tone = tone
        self.words.setText(text)
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
