"""The card that says how a file was understood."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from g2g_desktop.language import tr
from g2g_desktop.model.session import Step
from g2g_desktop.model.wording import pixel_size_text, pixels_text
from g2g_desktop.widgets.labels import GAP, ElidedLabel, ToneLabel, button_row, link_button
from g2g_desktop.widgets.theme import Tone
from training_core.wording import bytes_text

from .axis_chips import AxisChips
from .noise_facts import NoiseFacts
from .step_card import StepCard

if TYPE_CHECKING:
    from g2g_desktop.widgets.theme import Theme
    from training_core.stack import Stack

_ROWS = ("File", "Bit depth", "Pixel size", "Size")


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
            caption = QLabel(tr(name))
            caption.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            grid.addWidget(caption, row, 0)
            grid.addWidget(label, row, 1)
        self.axes = AxisChips(theme)
        self.problem = ToneLabel(theme)
        self.warnings = ToneLabel(theme)
        self.noise = NoiseFacts(theme)
        self.another = link_button("Open another...", "Open another stack (Ctrl+O).")
        self.size_button = link_button(
            "Set pixel size...", "Type the size of a pixel, where the file does not say it."
        )
        self.another.clicked.connect(self.open_asked)
        self.size_button.clicked.connect(self.pixel_size_asked)
        self.body.addWidget(self.axes)
        self.body.addWidget(self.table)
        self.body.addWidget(self.problem)
        self.body.addWidget(self.warnings)
        self.body.addWidget(self.noise)
        self.ways = button_row(self.another, self.size_button)
        self.body.addWidget(self.ways)

    def show_stack(self, stack: Stack | None) -> None:
        """Say how the stack was understood."""
        for part in (self.axes, self.table, self.ways):
            part.setVisible(stack is not None)
        if stack is None:
            self.show_summary("No stack yet")
        elif stack is not self._stack:
            self._fill(stack)
        self._stack = stack

    def show_problem(self, sentence: str) -> None:
        """Say why nothing can be learned from the stack; "" where something can."""
        self.problem.say(Tone.RED, sentence)

    def _fill(self, stack: Stack) -> None:
        values = (
            str(stack.source or stack.name),
            pixels_text(stack),
            pixel_size_text(stack) or "not in the file",
            bytes_text(stack.pixels.nbytes),
        )
        self.axes.show_stack(stack)
        for label, value in zip(self.facts.values(), values, strict=True):
            label.set_text(value)
        # How the axes were guessed is asked above.
        told = (warning for warning in stack.warnings if warning != stack.guess)
        self.warnings.say(Tone.AMBER, "\n".join(told))
        self.show_summary(stack.name)

    def show_allowed(self, allowed: frozenset[str]) -> None:
        """Enable what may be done now."""
        self.another.setEnabled("open" in allowed)
        self.size_button.setEnabled("pixel_size" in allowed)
        self.axes.setEnabled("pixel_size" in allowed)
