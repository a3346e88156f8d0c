"""The strip at the foot of the window: how the stack was read, and what will compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel

from g2g_desktop.language import tr
from g2g_desktop.model.session import Device, ExpectedTime
from g2g_desktop.model.view_state import duration_text
from g2g_desktop.model.wording import axes_help, axes_text, pixel_size_text, pixels_text
from g2g_desktop.widgets.labels import GAP, ElidedLabel
from training_core.wording import between

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from training_core.stack import Stack

_MESSAGE_MS = 8000
_WIDE = 1000


class StatusStrip(QFrame):
    """Chips that can be read at a glance; the tooltip of each says it in words."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("surface", "strip")
        self.axes, self.bits, self.scale, self.device = (_chip() for _ in range(4))
        self._long = self._short = ""
        self.message = ElidedLabel(sentence=True)
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
        self.show_device(Device(""), None)

    def show_stack(self, stack: Stack | None) -> None:
        """Show how the stack was read."""
        for chip in (self.axes, self.bits, self.scale):
            chip.setVisible(stack is not None)
        if stack is None:
            return
        known = pixel_size_text(stack)
        _say(self.axes, axes_text(stack), f"The axes of the stack are {axes_help(stack)}.")
        kept = "which the export keeps"
        _say(self.bits, pixels_text(stack), f"The data type is {stack.dtype}, {kept}.")
        size = f"The pixel size is {known}, {kept}." if known else "The file has no pixel size."
        _say(self.scale, known or "Pixel size unknown", size)

    def show_device(self, device: Device, expected: ExpectedTime | None) -> None:
        """Show what computes, why no faster device does, and what that costs of time."""
        self.device.setVisible(bool(device.name))
        if not device.name:
            return
        name = f"{device.name[:1].upper()}{device.name[1:]}"
        told = [f"Training runs on: {device.name}.", _time(expected)]
        if device.reason:
            told[0] = f"Training runs on: {device.name}, because {device.reason}."
        self._long = f"{name} · {device.reason}" if device.reason else name
        self._short = name
        _say(self.device, name, " ".join(filter(None, told)))
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Say why no faster device computes where there is room for it."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.device.setText(tr(self._long if self.width() >= _WIDE else self._short))

    def show_message(self, text: str) -> None:
        """Show a sentence for a while."""
        self.message.set_text(text)
        self._fade.start()

    def _forget(self) -> None:
        self.message.set_text("")


def _time(expected: ExpectedTime | None) -> str:
    if expected is None or expected.now is None:
        return ""
    took = between(expected.now.least, expected.now.most, duration_text)
    return f"With the settings in force it takes {took}."


def _chip() -> QLabel:
    label = QLabel()
    label.setProperty("chip", True)
    return label


def _say(chip: QLabel, text: str, tip: str) -> None:
    chip.setText(tr(text))
    chip.setToolTip(tr(tip))
    chip.setAccessibleName(tr(tip))
