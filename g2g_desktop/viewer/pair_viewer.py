"""A viewer of what a noisy picture became, with its channels apart or laid over each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QEvent, Qt, Slot
from PySide6.QtWidgets import QToolButton

from g2g_desktop.model.channel_overlay import channel_count, frames_of_channels, laid_over

from .channel_bar import ChannelBar
from .frame_viewer import FrameViewer

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PySide6.QtGui import QAction, QKeyEvent
    from PySide6.QtWidgets import QWidget

    from training_core.stack import Pixels, Stack

    from .image_pane import ImagePane
    from .picture import Blend, Picture

    Layer = tuple[Picture, Stack | None, Pixels | None]

LEFT, RIGHT = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight


class PairViewer(FrameViewer):
    """Adds a tool and a key to hold, and the overlay of channels.

    A child class says in `show_original` what holding does, and in `layers` what is laid over.
    """

    def __init__(self, panes: tuple[ImagePane, ...], parent: QWidget | None = None) -> None:
        self.channels = ChannelBar()
        super().__init__(panes, parent)
        self.column.insertWidget(self.column.indexOf(self.sliders), self.channels)
        self.channels.changed.connect(self._on_channels)

    def layers(self) -> list[Layer]:
        """Give each picture in sight, its stack (None: no overlay), and where it differs its frame.

        That frame, which may hold NaN, takes the place of the current channel.
        """
        raise NotImplementedError

    def show_stack(self, stack: Stack | None) -> None:
        """Start with another stack and its channels."""
        self.channels.set_stack(stack)
        super().show_stack(stack)
        self._on_channels()

    def lay_over(self) -> None:
        """Draw the channels over each other, where that is wanted."""
        for picture, stack, own in self.layers():
            wanted = self.channels.shown and stack is not None and channel_count(stack) > 1
            picture.set_blend(self._blend(stack, own) if wanted and stack is not None else None)

    def _blend(self, stack: Stack, own: Pixels | None) -> Blend:
        """Read the channels, which are laid over each other when they are painted."""
        assert self._contrasts is not None  # there is a stack
        contrasts, colours = self._contrasts, self.channels.colours
        frames = frames_of_channels(stack, self.frame_index)
        images = {number: stack.raw_frame(frames[number]) for number in self.channels.shown}
        if own is not None and self._channel in images:
            now = images[self._channel]
            images[self._channel] = np.where(np.isnan(own), now, own)
        layers = [(i, contrasts.window(n)[0], colours[n]) for n, i in images.items()]

        def over(rows: slice, columns: slice) -> NDArray[np.uint32]:
            return laid_over((i[rows, columns], window, colour) for i, window, colour in layers)

        return over

    @Slot()
    def _on_channels(self) -> None:
        apart = not self.channels.shown
        self.colours.setEnabled(apart)
        self.invert_tool.setEnabled(apart)
        self.lay_over()

    def _apply_levels(self) -> None:
        super()._apply_levels()
        self.lay_over()

    def show_original(self, show: bool) -> None:
        """Show the noisy picture everywhere, or both again."""
        raise NotImplementedError

    def add_original_tool(self) -> QAction:
        """Put the button to hold into the row above the image."""
        tool = self.add_tool(
            "Original", "Show the noisy picture while held (Space).", icon="original"
        )
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
