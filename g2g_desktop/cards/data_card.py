"""The card that says how a file was understood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from g2g_desktop.model.session import Step
from g2g_desktop.widgets.theme import Tone

from .noise_facts import NoiseFacts
from .step_card import GAP, ElidedLabel, StepCard, ToneLabel, button_row, link_button

if TYPE_CHECKING:
    import numpy as np

    from g2g_desktop.widgets.theme import Theme
    from training_core.stack import Stack

_ROWS = ("File", "Axes", "Bit depth", "Pixel size", "Size")
_AXIS_NAMES = {"T": "time", "Z": "depth", "C": "channels", "I": "images"}


class DataCard(StepCard):
    """Facts about the stack; `open_asked` and `pixel_size_asked` are its two side ways."""

    open_asked = Signal()
    pixel_size_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__(Step.DATA, "data", theme)
        self._stack: Stack | None = None
        self.facts = {name: ElidedLabel() for name in _ROWS}
        self.table = QWidget()
        grid = QGridLayout(self.table)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(2 * GAP)
        grid.setVerticalSpacing(GAP // 2)
        grid.setColumnStretch(1, 1)
        for row, (name, label) in enumerate(self.facts.items()):
            caption = QLabel(name)
            caption.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            grid.addWidget(caption, row, 0)
            grid.addWidget(label, row, 1)
        self.warnings = ToneLabel(theme)
        self.noise = NoiseFacts(theme)
        self.another = link_button("Open another...", "Open another stack (Ctrl+O)")
        self.size_button = link_button("Set pixel size...", "Type the size of a pixel")
        self.another.clicked.connect(self.open_asked)
        self.size_button.clicked.connect(self.pixel_size_asked)
        self.body.addWidget(self.table)
        self.body.addWidget(self.warnings)
        self.body.addWidget(self.noise)
        self.ways = button_row(self.another, self.size_button)
        self.body.addWidget(self.ways)

    def show_stack(self, stack: Stack | None) -> None:
        """Say how the stack was understood."""
        for part in (self.table, self.ways):
            part.setVisible(stack is not None)
        if stack is None:
            self.show_summary("No stack yet")
        elif stack is not self._stack:
            self._fill(stack)
        self._stack = stack

    def _fill(self, stack: Stack) -> None:
        values = (
            str(stack.source or stack.name),
            axes_text(stack),
            pixels_text(stack),
            pixel_size_text(stack) or "not in the file",
            bytes_text(stack.pixels.nbytes),
        )
        for label, value in zip(self.facts.values(), values, strict=True):
            label.set_text(value)
        self.warnings.say(Tone.AMBER, "\n".join(stack.warnings))
        self.show_summary(stack.name)

    def show_allowed(self, allowed: frozenset[str]) -> None:
        """Enable what may be done now."""
        self.another.setEnabled("open" in allowed)
        self.size_button.setEnabled("pixel_size" in allowed)


def axes_text(stack: Stack) -> str:
    """Write the axes, such as "Z 41 · C 2 · Y 512 · X 512"."""
    return " · ".join(f"{a} {n}" for a, n in zip(stack.axes, stack.shape, strict=True))


def axes_help(stack: Stack) -> str:
    """Write what the letters of the axes mean."""
    named = [f"{_AXIS_NAMES[a]} {n}" for a, n in zip(stack.axes, stack.shape, strict=True)
             if a in _AXIS_NAMES]  # fmt: skip
    height, width = stack.frame_shape
    return ", ".join([*named, f"{width} pixels wide, {height} high"])


def pixels_text(stack: Stack, dtype: np.dtype[Any] | None = None) -> str:
    """Write the data type as microscopists say it, such as "16 bit" or "32-bit float"."""
    dtype = dtype or stack.dtype
    bits = 8 * dtype.itemsize
    kind = {"f": f"{bits}-bit float", "i": f"{bits} bit, signed"}.get(dtype.kind)
    return (kind or f"{bits} bit") + (f", {stack.value_unit}" if stack.value_unit else "")


def pixel_size_text(stack: Stack) -> str:
    """Write the pixel size, such as "0.108 µm · Z 0.3 µm"; "" where unknown."""
    size = stack.pixel_size
    if not size.x_um:
        return ""
    same = size.y_um is None or abs(size.x_um - size.y_um) < 1e-6 * size.x_um
    plane = _length(size.x_um) if same else f"{_length(size.x_um)} x {_length(size.y_um or 0.0)}"
    return f"{plane} · Z {_length(size.z_um)}" if size.z_um and "Z" in stack.axes else plane


def file_text(stack: Stack, dtype: np.dtype[Any]) -> str:
    """Write what a file holds, such as "Z 3 · 256 × 256 · 0.108 µm · Z 0.3 µm · 16 bit"."""
    height, width = stack.frame_shape
    axes = [f"{a} {n}" for a, n in zip(stack.axes, stack.shape, strict=True)
            if a not in "YX" and n > 1]  # fmt: skip
    parts = (*axes, f"{width} \N{MULTIPLICATION SIGN} {height}", pixel_size_text(stack))
    return " · ".join(part for part in (*parts, pixels_text(stack, dtype)) if part)


def bytes_text(count: float) -> str:
    """Write a size in memory or on disk, such as "12.4 MB"."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def _length(um: float) -> str:
    return f"{um / 1000:.4g} mm" if um >= 100 else f"{um:.4g} µm"
