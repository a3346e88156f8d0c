"""The row of channels below a picture: lay them over each other, each in its colour, or not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QMenu, QToolButton, QWidget

from g2g_desktop.language import tr
from g2g_desktop.model.channel_overlay import (
    COLOURS,
    channel_count,
    channel_titles,
    colours_of_channels,
    is_picture,
)

if TYPE_CHECKING:
    from g2g_desktop.model.channel_overlay import Colour
    from training_core.stack import Stack

_ICON_PX = 12


class ChannelBar(QWidget):
    """Knows which channels are laid over each other; there is nothing to see with one channel.

    Signals
    -------
    changed
        Another choice or colour of channels, or none laid over each other.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.colours: list[Colour] = []
        self.buttons: list[QToolButton] = []
        self.overlay = _toggle("Overlay")
        self.overlay.setToolTip(tr("Lay the channels over each other, each in its colour."))
        self.overlay.toggled.connect(self._on_toggled)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(8, 0, 4, 0)
        self._row.addWidget(self.overlay)
        self._row.addStretch(1)
        self.hide()

    def set_stack(self, stack: Stack | None) -> None:
        """Offer the channels of a stack in the colours that its file says; nothing is emitted."""
        for button in self.buttons:
            button.setParent(None)
            button.deleteLater()
        self.colours = [] if stack is None else colours_of_channels(stack)
        titles = [] if stack is None else channel_titles(stack)
        several = channel_count(stack) > 1
        self.buttons = [self._button(*one) for one in enumerate(titles)] if several else []
        self.setVisible(several)
        blocked = self.overlay.blockSignals(True)  # nobody else knows of the stack yet
        self.overlay.setChecked(stack is not None and several and is_picture(stack))
        self.overlay.blockSignals(blocked)
        for button in self.buttons:
            button.setEnabled(self.overlay.isChecked())

    @property
    def shown(self) -> list[int]:
        """The channels that are laid over each other; none where one is shown by itself."""
        if not self.overlay.isChecked():
            return []
        return [number for number, button in enumerate(self.buttons) if button.isChecked()]

    def choose_colour(self, number: int, colour: Colour) -> None:
        """Show a channel in another colour."""
        self.colours[number] = colour
        self.buttons[number].setIcon(_square(colour))
        self.changed.emit()

    def _button(self, number: int, title: str) -> QToolButton:
        button = _toggle(title)
        button.setChecked(True)
        button.setIcon(_square(self.colours[number]))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        button.setToolTip(
            tr(
                f"Show or hide {title} in the overlay. The arrow, or Alt with Down, gives it "
                "another colour. Its contrast is set while its own slider is at it."
            )
        )
        menu = QMenu(button)
        for name, colour in COLOURS.items():
            action = menu.addAction(_square(colour), tr(name))
            action.triggered.connect(partial(self.choose_colour, number, colour))
        button.setMenu(menu)
        button.toggled.connect(self._on_button)
        self._row.insertWidget(self._row.count() - 1, button)
        return button

    @Slot(bool)
    def _on_toggled(self, on: bool) -> None:
        for button in self.buttons:
            button.setEnabled(on)
        self.changed.emit()

    @Slot()
    def _on_button(self) -> None:
        if not self.shown and self.overlay.isChecked():
            button = self.sender()
            if isinstance(button, QToolButton):
                button.setChecked(True)  # one must be left, else there is nothing to see
                return
        self.changed.emit()


def _toggle(text: str) -> QToolButton:
    button = QToolButton()
    button.setText(tr(text))
    button.setCheckable(True)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys with the picture
    return button


def _square(colour: Colour) -> QIcon:
    pixmap = QPixmap(_ICON_PX, _ICON_PX)
    pixmap.fill(QColor(*colour))
    return QIcon(pixmap)
