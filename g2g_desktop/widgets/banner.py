"""A sentence at the top of the page that waits to be read, instead of a dialog that stops all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QToolButton

from g2g_desktop.language import tr

from .labels import GAP, ToneLabel
from .theme import Tone

if TYPE_CHECKING:
    from .theme import Theme


class Banner(QFrame):
    """Says what failed, offers the details for a report, and goes away when told to.

    `closed` is emitted when the user has read it.
    """

    closed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self._details = theme, ""
        self.setProperty("surface", "banner")
        self.words = ToneLabel(theme)
        self.words.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.copy = QPushButton(tr("Copy details"))
        self.copy.setToolTip(tr("Copy the sentence and the technical details for a report."))
        self.copy.clicked.connect(self._on_copy)
        self.close_button = QToolButton()
        self.close_button.setAutoRaise(True)
        self.close_button.setAccessibleName(tr("Close this message"))
        self.close_button.setToolTip(tr("Close this message."))
        self.close_button.clicked.connect(self.closed)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, GAP, GAP, GAP)
        row.setSpacing(GAP)
        row.addWidget(self.words, 1, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.copy, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignVCenter)
        theme.changed.connect(self._draw)
        self._draw()
        self.hide()

    def say(self, text: str, details: str = "") -> None:
        """Show what failed; "" hides the banner."""
        self._details = details or text
        self.copy.setText(tr("Copy details"))
        self.words.say(Tone.RED, text)
        self.setAccessibleName(tr(text))
        self.setVisible(bool(text))

    def _draw(self) -> None:
        self.close_button.setIcon(self._theme.icon("cross", Tone.MUTED))

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self._details)
        self.copy.setText(tr("Copied"))
