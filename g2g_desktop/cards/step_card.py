"""The card of one step: a header that always says how far it is, and a body to open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.language import tr
from g2g_desktop.model.view_state import Badge
from g2g_desktop.widgets.labels import GAP, ElidedLabel, heading
from g2g_desktop.widgets.theme import Tone

if TYPE_CHECKING:
    from g2g_desktop.model.session import Step
    from g2g_desktop.widgets.theme import Theme

_ICON = {
    Badge.DONE: ("check", Tone.GREEN),
    Badge.ATTENTION: ("warning", Tone.AMBER),
    Badge.FAILED: ("cross", Tone.RED),
}

_SAID = {
    Badge.WAITING: "waits for those before it",
    Badge.NEXT: "is next",
    Badge.RUNNING: "is in progress",
    Badge.DONE: "is done",
    Badge.ATTENTION: "needs attention",
    Badge.FAILED: "has failed",
}


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
        self.setAccessibleName(tr(f"{self._step.value}: {badge.value}"))
        self.setToolTip(tr(f"Show the step {self._step.value}, which {_SAID[badge]}."))
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
