"""Sliders through the axes of a stack: which slice, time point or channel is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QSlider,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.language import tr

if TYPE_CHECKING:
    from training_core.stack import Stack

PER_SECOND = 10
NAMES = {"T": "Time", "Z": "Depth", "C": "Channel", "I": "Image"}


def position_text(stack: Stack, axis: str, index: int) -> str:
    """Write where `index` is along `axis`, such as "Z 12/41 · 2.4 µm"."""
    length = stack.shape[stack.axes.index(axis)]
    text = f"{axis} {index + 1}/{length}"
    extra = _physical(stack, axis, index)
    return f"{text} · {extra}" if extra else text


def _physical(stack: Stack, axis: str, index: int) -> str:
    if axis == "Z" and stack.pixel_size.z_um:
        return f"{index * stack.pixel_size.z_um:.4g} µm"
    if axis == "T" and stack.time_step_s:
        return f"{index * stack.time_step_s:.4g} s"
    if axis == "C" and index < len(stack.channels):
        return stack.channels[index]
    return ""


class AxisSlider(QWidget):
    """One axis: its position in words, a slider, and the number to type."""

    moved = Signal()  # the user, or `set_index`, chose another position

    def __init__(self, stack: Stack, axis: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stack, self.axis = stack, axis
        length = stack.shape[stack.axes.index(axis)]
        self.label = QLabel(self)
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setMaximum(length - 1)
        self.slider.setPageStep(10)
        self.slider.setAccessibleName(tr(NAMES.get(axis, axis)))
        self.number = QSpinBox(self)
        self.number.setRange(1, length)
        self.number.setKeyboardTracking(False)
        self.number.setAccessibleName(tr(f"{NAMES.get(axis, axis)} number"))
        self.play = self._play_button()
        self._timer = QTimer(self, interval=1000 // PER_SECOND)
        self._timer.timeout.connect(self._on_tick)
        self._lay_out(position_text(stack, axis, length - 1))
        self.slider.valueChanged.connect(self._on_slider)
        self.number.valueChanged.connect(self._on_number)
        self._show_position()

    def _lay_out(self, longest: str) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 0, 4, 0)
        row.addWidget(self.label)
        row.addWidget(self.slider, 1)
        row.addWidget(self.number)
        row.addWidget(self.play)
        # A label as wide as its longest text keeps the slider still while it is dragged.
        self.label.setMinimumWidth(self.label.fontMetrics().horizontalAdvance(longest + "0"))

    def _play_button(self) -> QToolButton:
        button = QToolButton(self)
        button.setText("\N{BLACK RIGHT-POINTING TRIANGLE}")
        button.setCheckable(True)
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        name = NAMES.get(self.axis, self.axis)
        button.setAccessibleName(tr(f"Play {name}"))
        button.setToolTip(tr(f"Show one after the other, {PER_SECOND} a second, over and over."))
        button.toggled.connect(self._on_play)
        return button

    @property
    def index(self) -> int:
        """Position along the axis, from 0."""
        return int(self.slider.value())

    def set_index(self, index: int) -> None:
        """Move to `index`, or to the nearest end."""
        self.slider.setValue(index)

    @Slot(bool)
    def _on_play(self, on: bool) -> None:
        self.play.setText("\N{BLACK SQUARE}" if on else "\N{BLACK RIGHT-POINTING TRIANGLE}")
        self._timer.start() if on else self._timer.stop()

    @Slot()
    def _on_tick(self) -> None:
        if self.isVisible():
            self.slider.setValue((self.index + 1) % (self.slider.maximum() + 1))

    @Slot(int)
    def _on_slider(self, _value: int) -> None:
        self._show_position()
        self.moved.emit()

    @Slot(int)
    def _on_number(self, value: int) -> None:
        self.slider.setValue(value - 1)

    def _show_position(self) -> None:
        self.label.setText(tr(position_text(self._stack, self.axis, self.index)))
        self.number.setValue(self.index + 1)


class AxisSliders(QWidget):
    """A slider for every axis of a stack but Y and X that is longer than one."""

    frame_changed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sliders: list[AxisSlider] = []
        self._stack: Stack | None = None
        self._last_emitted = 0
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)

    def set_stack(self, stack: Stack | None) -> None:
        """Make the sliders of `stack` and go to its first frame; nothing is emitted."""
        for old in self.sliders:
            old.setParent(None)
            old.deleteLater()
        self._stack, self._last_emitted = stack, 0
        axes = (
            []
            if stack is None
            else [a for a, n in zip(stack.axes[:-2], stack.shape, strict=False) if n > 1]
        )
        self.sliders = [AxisSlider(stack, axis, self) for axis in axes if stack is not None]
        for slider in self.sliders:
            self._column.addWidget(slider)
            slider.moved.connect(self._on_moved)
        self.setVisible(bool(self.sliders))

    @property
    def frame_index(self) -> int:
        """The frame shown, counted over all axes but Y and X, the last one fastest."""
        if self._stack is None or not self.sliders:
            return 0
        positions = {slider.axis: slider.index for slider in self.sliders}
        indices = [positions.get(axis, 0) for axis in self._stack.axes[:-2]]
        return int(np.ravel_multi_index(indices, self._stack.shape[:-2]))

    def show_frame(self, index: int) -> None:
        """Move every slider to frame `index`, or to the nearest end."""
        if self._stack is None or not self.sliders:
            return
        kept = min(max(index, 0), self._stack.frame_count - 1)
        indices = [int(i) for i in np.unravel_index(kept, self._stack.shape[:-2])]
        self._set_positions(dict(zip(self._stack.axes[:-2], indices, strict=True)))

    def _set_positions(self, positions: dict[str, int]) -> None:
        # All sliders move before anyone hears of it: no frame in between is ever shown.
        for slider in self.sliders:
            blocked = slider.blockSignals(True)
            slider.set_index(positions[slider.axis])
            slider.blockSignals(blocked)
        self._on_moved()

    def step(self, by: int) -> None:
        """Move the last, fastest axis by `by` positions."""
        if self.sliders:
            self.sliders[-1].set_index(self.sliders[-1].index + by)

    @Slot()
    def _on_moved(self) -> None:
        if self.frame_index != self._last_emitted:
            self._last_emitted = self.frame_index
            self.frame_changed.emit(self._last_emitted)
