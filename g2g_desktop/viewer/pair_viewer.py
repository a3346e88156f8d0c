"""A viewer that can show what a noisy picture became, and the noisy one while Space is held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt, Slot
from PySide6.QtWidgets import QToolButton

from .frame_viewer import FrameViewer

if TYPE_CHECKING:
    from PySide6.QtGui import QAction, QKeyEvent

LEFT, RIGHT = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight


class PairViewer(FrameViewer):
    """Adds a tool and a key to hold; a child class says in `show_original` what they do."""

    def show_original(self, show: bool) -> None:
        """Show the noisy picture everywhere, or both again."""
        raise NotImplementedError

    def add_original_tool(self) -> QAction:
        """Put the button to hold into the row above the image."""
        tool = self.add_tool("Hold for original", "Show the noisy picture while held (Space)")
        self.original_button = self.tools.widgetForAction(tool)
        if isinstance(self.original_button, QToolButton):
            self.original_button.pressed.connect(self._hold)
            self.original_button.released.connect(self._release)
        return tool

    @Slot()
    def _hold(self) -> None:
        self.show_original(True)

    @Slot()
    def _release(self) -> None:
        self.show_original(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space shows the original."""
        if event.key() != Qt.Key.Key_Space:
            super().keyPressEvent(event)
        elif not event.isAutoRepeat():
            self._hold()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Letting go of Space brings back what it became."""
        if event.key() != Qt.Key.Key_Space:
            super().keyReleaseEvent(event)
        elif not event.isAutoRepeat():
            self._release()

    def changeEvent(self, event: QEvent) -> None:
        """Bring back what it became: a Space let go in another window is never heard of."""
        super().changeEvent(event)
        if event.type() is QEvent.Type.ActivationChange and not self.isActiveWindow():
            self._release()
