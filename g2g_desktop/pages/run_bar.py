"""The bar that is always in sight: what goes on, and the one obvious next button."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout

from g2g_desktop.cards.train_card import LOOK_TIP
from g2g_desktop.language import tr
from g2g_desktop.model.session import State
from g2g_desktop.widgets.labels import GAP, ToneLabel
from g2g_desktop.widgets.theme import Tone
from training_core.reporting.findings import Level

from .progress_panel import ProgressPanel

if TYPE_CHECKING:
    from PySide6.QtGui import QAction

    from g2g_desktop.model.view_state import ViewState
    from g2g_desktop.widgets.theme import Theme

_TEXT = {
    "open": "Open another stack...",
    "train": "Train and denoise",
    "apply_remedy": "Use the advised patches",
    "denoise": "Use the model",
    "first_look": "Preview",
    "pause": "Pause",
    "stop_and_keep": "Stop and keep",
    "cancel": "Cancel",
    "export": "Export...",
    "save_model": "Save model...",
}
_TIP = {
    "open": "Choose another noisy stack to open.",
    "train": "Learn the noise of this stack from the stack itself, then denoise it.",
    "denoise": "Denoise this stack with the model that is open, without training.",
    "first_look": LOOK_TIP,
    "apply_remedy": "Take the patch settings that the verdict advises; Ctrl+Z takes them back.",
    "pause": "Let the training wait, so that the computer is free, or go on with it.",
    "stop_and_keep": "End the training soon, and keep and use what it has learned.",
    "cancel": "End what is going on, and discard what it has done.",
    "export": "Write the denoised stack into a TIFF with the axes and pixel size of the input.",
    "save_model": "Keep the model in a file, to denoise other stacks with it.",
}
_TONES = {
    Level.GREEN: Tone.GREEN,
    Level.AMBER: Tone.AMBER,
    Level.RED: Tone.RED,
    Level.NEUTRAL: Tone.TEXT,
}
_NATIVE = QKeySequence.SequenceFormat.NativeText
_ENDINGS = ("stop_and_keep", "cancel")  # ways out are offered, not urged


class RunBar(QFrame):
    """A sentence, the progress, and one or two buttons; `asked` carries the id of an action."""

    asked = Signal(str)

    def __init__(self, actions: dict[str, QAction], theme: Theme) -> None:
        super().__init__()
        self._actions, self._theme = actions, theme
        self.setProperty("surface", "bar")
        self.headline = ToneLabel(theme)
        self.progress = ProgressPanel(theme)
        self.first_button, self.next_button = QPushButton(), QPushButton()
        self.other_button = QPushButton()
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(GAP)
        for button in (self.first_button, self.next_button, self.other_button):
            button.clicked.connect(self._on_clicked)
            self._buttons.addWidget(button)
        self._urge(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GAP, 12, 2 * GAP, 2 * GAP)
        column.setSpacing(GAP)
        column.addWidget(self.headline)
        column.addWidget(self.progress)
        column.addLayout(self._buttons)

    def show_view(self, view: ViewState) -> None:
        """Show the buttons and the sentence of a view state."""
        self.headline.say(_TONES[view.level], view.headline)
        self.progress.setVisible(view.busy)
        self.progress.hold(view.state is State.PAUSED)
        self._urge(view.next_action not in _ENDINGS)
        self._show_button(self.first_button, view.first_action, view)
        self._show_button(self.next_button, view.next_action, view)
        self._show_button(self.other_button, view.other_action, view)

    def _show_button(self, button: QPushButton, action: str, view: ViewState) -> None:
        button.setVisible(bool(action))
        if not action:
            return
        closes = action == "first_look" and view.first_look
        button.setObjectName(action)
        text = view.texts.get(action, _TEXT[action])
        button.setText(tr("Close preview" if closes else text))
        button.setEnabled(action in view.allowed)
        keys = self._actions[action].shortcut().toString(_NATIVE)
        tip = f"{_TIP[action]}{f' ({keys})' if keys else ''}"
        button.setToolTip(tr(view.blocked.get(action, tip)))

    def _urge(self, primary: bool) -> None:
        """Make the first button the obvious one, or one of two alike."""
        if self.next_button.property("primary") == primary:
            return
        self.next_button.setProperty("primary", primary)
        self.next_button.style().polish(self.next_button)
        for index, stretch in enumerate((1, 3, 2) if primary else (1, 1, 1)):
            self._buttons.setStretch(index, stretch)

    def _on_clicked(self) -> None:
        button = self.sender()
        if isinstance(button, QPushButton):
            self.asked.emit(button.objectName())
