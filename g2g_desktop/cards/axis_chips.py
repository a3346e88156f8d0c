"""The axes of a stack as chips over pictures of it, each corrected with a click."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPalette, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QToolButton, QVBoxLayout, QWidget

from g2g_desktop.jobs import tasks
from g2g_desktop.jobs.latest_job import LatestJob
from g2g_desktop.language import tr
from g2g_desktop.model.wording import AXIS_NAMES, axes_question
from g2g_desktop.widgets.labels import GAP, ToneLabel, button_row
from g2g_desktop.widgets.theme import Tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QImage

    from g2g_desktop.widgets.theme import Theme
    from training_core.stack import Stack

_NARROW = GAP // 2
_MEANINGS = {"Z": "Depth", "T": "Time", "C": "Channels", "I": "Separate"}


class AxisChips(QWidget):
    """Shows how the axes were read; where nobody said what they are, it asks.

    `axes_chosen` carries the letters that they have by the word of the user.
    """

    axes_chosen = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._stack: Stack | None = None
        self.chips: list[QToolButton] = []
        self.answers: list[QToolButton] = []
        self.pictures: list[QLabel] = []
        self._drawn = LatestJob(self._on_drawn, lambda _error: None)  # the picture shows as much
        self.question = ToneLabel(theme)
        self._rows = {name: QWidget() for name in ("chips", "strip", "answers")}
        self._column = column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP)
        for part in (*list(self._rows.values())[:2], self.question, self._rows["answers"]):
            column.addWidget(part)

    def show_stack(self, stack: Stack | None) -> None:
        """Show the axes of a stack."""
        before, self._stack = self._stack, stack
        if stack is None:
            return
        self._show_chips(stack)
        self._ask(stack)
        if before is None or (before.source, before.series, before.axes) != (
            stack.source, stack.series, stack.axes
        ):  # fmt: skip
            self._fill("strip", [])
            if stack.frame_count > 1:
                self._drawn.start(partial(tasks.strip_of, stack))

    def _show_chips(self, stack: Stack) -> None:
        self.chips = []
        plain: list[QWidget] = []
        for place, (axis, length) in enumerate(zip(stack.axes, stack.shape, strict=True)):
            if axis in "YX":
                plain.append(_still(f"{axis} {length}"))
                continue
            chip = _chip(f"{axis} {length}")
            chip.setAccessibleName(tr(f"Axis {place + 1}: {AXIS_NAMES[axis]}, {length}"))
            chip.setToolTip(tr(f"{_MEANINGS[axis]}. Click where it is something else."))
            chip.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
            chip.setMenu(self._meanings(stack, place, chip))
            self.chips.append(chip)
        self._fill("chips", [*self.chips, *plain])

    def _meanings(self, stack: Stack, place: int, parent: QWidget) -> QMenu:
        """Make the menu of what an axis may be instead."""
        menu = QMenu(parent)
        for axis, name in _MEANINGS.items():
            action = menu.addAction(f"{axis}   {tr(name)}")
            action.setCheckable(True)
            action.setChecked(stack.axes[place] == axis)
            action.triggered.connect(partial(self._choose, place, axis))
        return menu

    def _ask(self, stack: Stack) -> None:
        """Ask what nobody has said; one click answers."""
        self.question.say(Tone.AMBER, axes_question(stack) if stack.doubtful else "")
        self.answers = []
        if stack.doubtful and stack.axes[1:] == "YX":
            for axis, name in _MEANINGS.items():
                answer = _chip(name)
                answer.clicked.connect(partial(self._choose, 0, axis))
                self.answers.append(answer)
        elif stack.doubtful:
            answer = _chip("That is right")
            answer.clicked.connect(partial(self.axes_chosen.emit, stack.axes))
            self.answers.append(answer)
        self._fill("answers", self.answers)

    def _choose(self, place: int, axis: str, _checked: bool = False) -> None:
        """Let an axis be another one; the one that was it becomes what this one was."""
        assert self._stack is not None  # the chips are those of one
        letters = list(self._stack.axes)
        if axis in letters:
            letters[letters.index(axis)] = letters[place]
        letters[place] = axis
        chosen = "".join(letters)
        if chosen != self._stack.axes or self._stack.doubtful:
            self.axes_chosen.emit(chosen)

    def _on_drawn(self, drawn: list[tuple[int, QImage]]) -> None:
        self.pictures = []
        parts: list[QWidget] = []
        for number, image in drawn:
            picture, words = QLabel(), QLabel(str(number + 1))
            picture.setPixmap(QPixmap.fromImage(image))
            picture.setAccessibleName(tr(f"Image {number + 1}"))
            words.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            words.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            both = QWidget()
            column = QVBoxLayout(both)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(1)
            column.addWidget(picture)
            column.addWidget(words)
            self.pictures.append(picture)
            parts.append(both)
        self._fill("strip", parts)

    def _fill(self, row: str, parts: Sequence[QWidget]) -> None:
        """Put other widgets into a row; an empty one takes no place."""
        new = button_row(*parts)
        layout = new.layout()
        assert isinstance(layout, QHBoxLayout)  # as `button_row` makes it
        layout.setSpacing(_NARROW)
        old = self._rows[row]
        self._column.replaceWidget(old, new)
        old.setParent(None)
        old.deleteLater()
        self._rows[row] = new
        new.setVisible(bool(parts))


def _chip(text: str) -> QToolButton:
    chip = QToolButton()
    chip.setText(tr(text))
    chip.setProperty("chip", True)
    chip.setCursor(Qt.CursorShape.PointingHandCursor)
    return chip


def _still(text: str) -> QLabel:
    label = QLabel(tr(text))
    label.setProperty("chip", True)
    return label
