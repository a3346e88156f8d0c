"""A line that opens and closes what lies below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QToolButton, QVBoxLayout, QWidget

from g2g_desktop.language import tr

from .labels import GAP

if TYPE_CHECKING:
    from .theme import Theme


class Fold(QWidget):
    """A title to click or to press Space on, and a widget that it shows or hides."""

    def __init__(self, title: str, inner: QWidget, theme: Theme) -> None:
        super().__init__()
        self._theme, self.inner = theme, inner
        self.button = QToolButton()
        self.button.setText(tr(title))
        self.button.setCheckable(True)
        self.button.setAutoRaise(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.toggled.connect(self._on_folded)
        theme.changed.connect(self._on_folded)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP)
        column.addWidget(self.button)
        column.addWidget(inner)
        self._on_folded()

    def _on_folded(self) -> None:
        is_open = self.button.isChecked()
        self.inner.setVisible(is_open)
        self.button.setIcon(self._theme.icon("down" if is_open else "right"))
