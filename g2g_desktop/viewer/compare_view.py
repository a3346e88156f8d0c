"""Before and after: one picture with a divider, or two side by side, always with one contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup

from .image_pane import ImagePane, value_text
from .pair_viewer import LEFT, RIGHT, PairViewer
from .preview_view import PreviewView
from .split_pane import SplitPane

if TYPE_CHECKING:
    from PySide6.QtGui import QKeyEvent
    from PySide6.QtWidgets import QWidget

    from training_core.stack import Pixels, Stack

    Mode = Literal["split", "side"]

__all__ = ["CompareView", "PreviewView"]


class CompareView(PairViewer):
    """Shows a noisy stack and what it became.

    The contrast window is that of the noisy stack and holds for both: with a window of its own
    the denoised stack would look brighter or darker than it is.
    """

    mode_changed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        self.left, self.right = SplitPane(), ImagePane()
        self._denoised: Stack | None = None
        self._mode: Mode = "split"
        self._holding = False
        super().__init__((self.left, self.right), parent)
        self._make_mode_buttons()
        self.set_mode("split")

    def _make_mode_buttons(self) -> None:
        self.split_tool = self.add_tool("Split", "One picture with a divider to drag (1)")
        self.side_tool = self.add_tool("Side by side", "Two pictures that move together (2)")
        self.add_original_tool()
        self._modes = QActionGroup(self)
        for action in (self.split_tool, self.side_tool):
            action.setCheckable(True)
            self._modes.addAction(action)
        self._modes.triggered.connect(self._on_mode_chosen)

    def set_pair(self, noisy: Stack | None, denoised: Stack | None) -> None:
        """Show two stacks of one shape from the first frame; None for nothing."""
        self._denoised = denoised
        self.show_stack(noisy)

    @property
    def mode(self) -> Mode:
        """Which arrangement is shown."""
        return self._mode

    def set_mode(self, mode: Mode) -> None:
        """Show one picture with a divider ("split") or two ("side")."""
        self._mode = mode
        (self.split_tool if mode == "split" else self.side_tool).setChecked(True)
        self.right.setVisible(mode == "side")
        self.left.scale_bar_visible = mode == "split"  # one bar is enough
        self.left.set_split(mode == "split")
        self._show_captions()
        self.fit()
        self.mode_changed.emit(mode)

    def show_original(self, show: bool) -> None:
        """Show the noisy stack everywhere, for as long as a key is held."""
        self._holding = show
        self.left.show_only_first(show)
        self._draw_right()
        self._show_captions()

    def draw_frame(self) -> None:
        """Put the current frame of both stacks into the panes."""
        self.left.set_pair(self._frame_of(self.stack), self._frame_of(self._denoised), self.levels)
        self._draw_right()

    def _draw_right(self) -> None:
        shown = self.stack if self._holding else self._denoised
        self.right.set_image(self._frame_of(shown), self.levels)

    def _frame_of(self, stack: Stack | None) -> Pixels | None:
        return None if stack is None else stack.raw_frame(self.frame_index)

    def _show_captions(self) -> None:
        split = self._mode == "split" and not self._holding
        self.left.captions = {LEFT: "Noisy", RIGHT: "Denoised" if split else ""}
        self.right.captions = {LEFT: "Noisy" if self._holding else "Denoised"}
        for pane in self.panes:
            pane.viewport().update()

    def value_text(self, row: int, column: int) -> str:
        """Say what the pixel under the cursor was and what it became."""
        if self.stack is None or self._denoised is None:
            return ""
        unit = self.stack.value_unit
        noisy = value_text(self.left.picture.image[row, column], unit)
        denoised = value_text(self.left.second.image[row, column], unit)
        return f"noisy {noisy} → denoised {denoised}"

    @Slot(QAction)
    def _on_mode_chosen(self, action: QAction) -> None:
        self.set_mode("side" if action is self.side_tool else "split")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """1 and 2 choose the mode, arrows move the divider."""
        key = event.key()
        if key in (Qt.Key.Key_1, Qt.Key.Key_2):
            self.set_mode("split" if key == Qt.Key.Key_1 else "side")
        elif self._mode == "split" and key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            far = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
            by = 0.1 if far else 0.01
            self.left.set_divider(self.left.divider + (by if key == Qt.Key.Key_Right else -by))
        else:
            super().keyPressEvent(event)
