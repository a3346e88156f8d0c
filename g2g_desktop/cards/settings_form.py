"""A form that builds itself from a settings dataclass: limits, unit, label, help and all."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_type_hints

from PySide6.QtCore import QEvent, QObject, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSlider,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.language import tr
from training_core.settings import Limits, limits_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_RESET_PX = 18
_FIRST_GUESS = 0.15  # of the range: where a slider starts that was automatic so far
_LEAST_LETTERS, _LEAST_SLIDER_PX, _LEAST_NUMBER_PX = (
    6,
    24,
    64,
)  # a narrow panel must not be pushed wider
_MOST = 2**31 - 1  # what a spin box can hold


class SettingsForm(QWidget):
    """Edits the named fields of a settings object.

    Forms with the same `label_characters`, the width of their labels, line up below each other.
    `changed` carries a new settings object after each edit by the user.
    """

    changed = Signal(object)

    def __init__(
        self,
        settings: Any,
        names: Sequence[str] | None = None,
        *,
        label_characters: int = 0,
        resettable: bool = False,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._calm = WheelGuard(self)
        self._labels: dict[str, QLabel] = {}
        self.resets: dict[str, QToolButton] = {}
        self._usual = settings
        hints = get_type_hints(type(settings))
        self.editors: dict[str, Any] = {}
        self._form = form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(8)
        for name in names if names is not None else _field_names(settings):
            limits = limits_of(settings, name)
            editor: Any = make_editor(limits, hints[name])
            self.editors[name] = editor
            editor.show_value(getattr(settings, name))
            editor.edited.connect(self._on_edited)
            self._labels[name] = _label(limits, editor, label_characters)
            form.addRow(self._labels[name], self._row(name, editor) if resettable else editor)
            self._calm.guard(editor)

    def _row(self, name: str, editor: QWidget) -> QWidget:
        """Put a button behind an editor that takes the usual value again, where that differs."""
        self.resets[name] = button = QToolButton()
        button.setText("\N{ANTICLOCKWISE OPEN CIRCLE ARROW}")
        button.setAutoRaise(True)
        button.setFixedWidth(_RESET_PX)
        button.clicked.connect(partial(self._on_reset, name))
        policy = button.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        button.setSizePolicy(policy)
        button.hide()
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        row.addWidget(editor, 1)
        row.addWidget(button)
        return holder

    def _on_reset(self, name: str, _checked: bool = False) -> None:
        self.editors[name].show_value(getattr(self._usual, name))
        self._on_edited()

    def say_apart(self, names: Collection[str], more: str) -> None:
        """Add a word to the labels of fields that have the name of others elsewhere."""
        for name in names:
            self._labels[name].setText(f"{self._labels[name].text()}{tr(more)}")

    def values(self) -> dict[str, Any]:
        """Give what the fields show, by their names."""
        return {name: editor.value_now() for name, editor in self.editors.items()}

    @property
    def settings(self) -> Any:
        """The settings as the form shows them."""
        return self._settings

    def show_settings(self, settings: Any) -> None:
        """Take other settings of the same class."""
        if settings == self._settings:
            return
        self._settings = settings
        for name, editor in self.editors.items():
            editor.show_value(getattr(settings, name))

    def show_only(self, text: str) -> int:
        """Show only the fields whose label or help holds a text; give how many those are."""
        wanted, found = text.strip().casefold(), 0
        for name, label in self._labels.items():
            limits = limits_of(self._settings, name)
            shown = wanted in f"{tr(limits.label)} {tr(limits.help)}".casefold()
            self._form.setRowVisible(label, shown)
            found += shown
        return found

    def mark_changed(self, usual: Any) -> int:
        """Set the labels in bold of what differs from usual settings; give how many those are."""
        changed = 0
        for name, label in self._labels.items():
            differs = getattr(self._settings, name) != getattr(usual, name)
            font = label.font()
            font.setBold(differs)
            label.setFont(font)
            label.setAccessibleDescription(tr("changed" if differs else ""))
            if name in self.resets:
                told = f"Take the usual value again: {getattr(usual, name)}"
                self.resets[name].setToolTip(tr(told))
                self.resets[name].setAccessibleName(f"{label.text()}: {tr(told)}")
                self.resets[name].setVisible(differs)
            changed += differs
        self._usual = usual
        return changed

    @Slot()
    def _on_edited(self) -> None:
        self._settings = replace(self._settings, **self.values())
        self.changed.emit(self._settings)


def make_editor(limits: Limits, kind: Any) -> QWidget:
    """Make the widget for a value of type `kind` within `limits`.

    Each has `value_now`, `show_value`, which is silent, and `edited`, for what the user does.
    """
    options = getattr(kind, "__args__", ())
    if type(None) in options:
        return OptionalEditor(limits, next(part for part in options if part is not type(None)))
    if limits.choices:
        return ChoiceEditor(limits)
    if kind is bool:
        return FlagEditor(limits)
    return IntegerEditor(limits) if kind is int else NumberEditor(limits)


class ChoiceEditor(QComboBox):
    """One of several words or numbers."""

    edited = Signal()

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        for choice in limits.choices:
            self.addItem(tr(str(choice)), choice)
        self.setSizeAdjustPolicy(self.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(_LEAST_LETTERS)
        _describe(self, limits)
        self.activated.connect(self.edited)

    def value_now(self) -> Any:
        """Give the choice."""
        return self.currentData()

    def show_value(self, value: Any) -> None:
        """Show a choice."""
        self.setCurrentIndex(self.findData(value))


class FlagEditor(QCheckBox):
    """Yes or no."""

    edited = Signal()

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        _describe(self, limits)
        self.clicked.connect(self.edited)

    def value_now(self) -> bool:
        """Give whether it is checked."""
        return self.isChecked()

    def show_value(self, value: bool) -> None:
        """Check or uncheck it."""
        self.setChecked(value)


class IntegerEditor(QSpinBox):
    """A whole number."""

    edited = Signal()

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        _describe(self, limits)
        self.setRange(round(limits.minimum or 0), round(min(limits.maximum or _MOST, _MOST)))
        self.setSingleStep(round(limits.step or 1))
        self.setSuffix(tr(f" {limits.unit}" if limits.unit else ""))
        self.setMinimumWidth(_LEAST_NUMBER_PX)
        self.setKeyboardTracking(False)
        self.valueChanged.connect(self.edited)

    def value_now(self) -> int:
        """Give the number."""
        return self.value()

    def show_value(self, value: int) -> None:
        """Take a number."""
        _silently(self, value)


class NumberEditor(QDoubleSpinBox):
    """A number with a fraction."""

    edited = Signal()

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        _describe(self, limits)
        low, high = limits.minimum or 0.0, limits.maximum or 1e9
        smallest = limits.step or low or high / 1000
        self.setDecimals(max(0, math.ceil(-math.log10(smallest))))
        self.setRange(low, high)
        self.setSingleStep(smallest)
        self.setStepType(
            QAbstractSpinBox.StepType.DefaultStepType
            if limits.step
            else QAbstractSpinBox.StepType.AdaptiveDecimalStepType
        )
        self.setSuffix(tr(f" {limits.unit}" if limits.unit else ""))
        self.setMinimumWidth(_LEAST_NUMBER_PX)
        self.setKeyboardTracking(False)
        self.valueChanged.connect(self.edited)

    def value_now(self) -> float:
        """Give the number."""
        return self.value()

    def show_value(self, value: float) -> None:
        """Take a number."""
        _silently(self, value)


class OptionalEditor(QWidget):
    """A number the program chooses, or the user with a slider."""

    edited = Signal()

    def __init__(self, limits: Limits, kind: type) -> None:
        super().__init__()
        self.automatic = QCheckBox(tr("Automatic"))
        self.automatic.setToolTip(tr(limits.help))
        self.automatic.setAccessibleName(tr(f"{limits.label}: automatic"))
        self.number = IntegerEditor(limits) if kind is int else NumberEditor(limits)
        self._step = float(limits.step or 1)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(*(round((v or 0) / self._step) for v in _ends(limits)))
        self.slider.setMinimumWidth(_LEAST_SLIDER_PX)
        _describe(self.slider, limits)
        low, high = _ends(limits)
        self.number.show_value(low + _FIRST_GUESS * (high - low))  # type: ignore[arg-type]
        row = QHBoxLayout()
        row.addWidget(self.slider, 1)
        row.addWidget(self.number)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.automatic)
        column.addLayout(row)
        self._on_number()
        self.automatic.clicked.connect(self._on_automatic)
        self.slider.valueChanged.connect(self._on_slider)
        self.number.edited.connect(self._on_number)

    def value_now(self) -> float | None:
        """Give the number, or None for automatic."""
        return None if self.automatic.isChecked() else self.number.value_now()

    def show_value(self, value: float | None) -> None:
        """Take a number, or None for automatic; the last number stays in sight."""
        self.automatic.setChecked(value is None)
        self.slider.setEnabled(value is not None)
        self.number.setEnabled(value is not None)
        if value is not None:
            self.number.show_value(value)  # type: ignore[arg-type]
            _silently(self.slider, round(value / self._step))

    @Slot()
    def _on_automatic(self) -> None:
        self.show_value(self.value_now())
        self.edited.emit()

    @Slot(int)
    def _on_slider(self, position: int) -> None:
        self.number.show_value(position * self._step)  # type: ignore[arg-type]
        self.edited.emit()

    @Slot()
    def _on_number(self) -> None:
        _silently(self.slider, round(self.number.value() / self._step))
        self.edited.emit()


class WheelGuard(QObject):
    """Keeps the wheel from changing a value that the pointer only passes while scrolling."""

    def guard(self, widget: QWidget) -> None:
        """Protect a widget and the fields inside it."""
        for part in (widget, *widget.findChildren(QWidget)):
            if isinstance(part, QAbstractSpinBox | QComboBox | QSlider):
                part.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                part.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Pass the wheel on to the scroll area, unless the field has the keyboard."""
        passing = isinstance(watched, QWidget) and not watched.hasFocus()
        if event.type() is QEvent.Type.Wheel and passing:
            event.ignore()
            return True
        return False


def _field_names(settings: Any) -> list[str]:
    return [item.name for item in fields(settings) if "limits" in item.metadata]


def _label(limits: Limits, editor: QWidget, characters: int) -> QLabel:
    label = QLabel(tr(limits.label))
    label.setToolTip(tr(limits.help))
    label.setMinimumWidth(characters * label.fontMetrics().averageCharWidth())
    label.setBuddy(editor)
    return label


def _describe(widget: QWidget, limits: Limits) -> None:
    widget.setToolTip(tr(limits.help))
    widget.setAccessibleName(tr(limits.label))
    widget.setAccessibleDescription(tr(limits.help))


def _silently(widget: Any, value: float) -> None:
    widget.blockSignals(True)
    widget.setValue(value)
    widget.blockSignals(False)


def _ends(limits: Limits) -> tuple[float, float]:
    return limits.minimum or 0.0, limits.maximum or 1.0
