"""The strip at the foot of the window: how the stack was read, and what will compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel

from g2g_desktop.model.wording import axes_help, axes_text, pixel_size_text, pixels_text
from g2g_desktop.widgets.labels import GAP, ElidedLabel

if TYPE_CHECKING:
    from training_core.stack import Stack

_MESSAGE_MS = 8000


class StatusStrip(QFrame):
    """Chips that can be read at a glance; the tooltip of each says it in words."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("surface", "strip")
        self.axes, self.bits, self.scale, self.device = (_chip() for _ in range(4))
        self.message = ElidedLabel()
        self._fade = QTimer(self, singleShot=True, interval=_MESSAGE_MS)
        self._fade.timeout.connect(self._forget)
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * GAP, 5, 2 * GAP, 5)
        row.setSpacing(GAP)
        for chip in (self.axes, self.bits, self.scale):
            row.addWidget(chip)
        row.addWidget(self.message, 1)
        row.addWidget(self.device)
        self.show_stack(None)
        self.show_device("")

    def show_stack(self, stack: Stack | None) -> None:
        """Show how the stack was read."""
        for chip in (self.axes, self.bits, self.scale):
            chip.setVisible(stack is not None)
        if stack is None:
            return
        known = pixel_size_text(stack)
        _say(self.axes, axes_text(stack), f"Axes: {axes_help(stack)}")
        _say(self.bits, pixels_text(stack), f"Data type {stack.dtype}; the export keeps it")
        _say(self.scale, known or "Pixel size unknown", "Size of a pixel; the export keeps it")

    def show_device(self, device: str) -> None:
        """Show what computes; "" while that is being found out."""
        self.device.setVisible(bool(device))
        _say(self.device, device, f"Training runs on {device}, tested with a real calculation")

    def show_message(self, text: str) -> None:
        """Show a sentence for a while."""
        self.message.set_text(text)
        self._fade.start()

    def _forget(self) -> None:
        self.message.set_text("")


def _chip() -> QLabel:
    label = QLabel()
    label.setProperty("chip", True)
    return label


def _say(chip: QLabel, text: str, tip: str) -> None:
    chip.setText(text)
    chip.setToolTip(tip)
    chip.setAccessibleName(tip)
