"""The viewer of a noisy stack, with the smooth patches drawn over it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot

from training_core.run import Region

from .frame_viewer import FrameViewer
from .image_pane import ImagePane
from .readout import value_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PySide6.QtGui import QKeyEvent
    from PySide6.QtWidgets import QWidget

    from training_core.stack import Stack

MOST_REGION_PX = 512


class StackView(FrameViewer):
    """Shows a stack frame by frame; the visible part is what a live preview is made of."""

    region_changed = Signal()
    overlay_toggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        self.pane = ImagePane()
        self._last_region: Region | None = None
        super().__init__((self.pane,), parent)
        self.patches_tool = self.add_tool("Patches", "Show the smooth patches over the image (G)")
        self.patches_tool.setCheckable(True)
        self.patches_tool.setChecked(True)
        self.patches_tool.toggled.connect(self._on_overlay_toggled)
        self.pane.range_changed.connect(self._announce_region)
        self.frame_changed.connect(self._announce_region)

    def set_stack(self, stack: Stack | None) -> None:
        """Show another stack from its first frame, or nothing."""
        self.set_overlay(None, 1)
        self.set_outlines(None)
        self.show_stack(stack)
        self._announce_region()

    def draw_frame(self) -> None:
        """Put the current frame into the pane."""
        frame = None if self.stack is None else self.stack.raw_frame(self.frame_index)
        self.pane.set_image(frame, self.levels)

    def value_text(self, row: int, column: int) -> str:
        """Say what the pixel under the cursor holds."""
        if self.stack is None or self.pane.image is None:
            return ""
        return value_text(self.pane.image[row, column], self.stack.value_unit)

    def region(self) -> Region:
        """Give the visible part of the frame, its middle 512 x 512 pixels if it is larger."""
        seen = self.pane.visible_rect
        top, height = _whole_pixels(seen.top(), seen.bottom())
        left, width = _whole_pixels(seen.left(), seen.right())
        return Region(self.frame_index, top, left, height, width)

    def set_overlay(self, coverage: NDArray[np.uint8] | None, shrink: int) -> None:
        """Lay a coverage map of the current frame over it; one of its pixels is `shrink` wide."""
        self.pane.set_overlay(coverage, shrink)

    def set_outlines(self, corners: NDArray[np.float64] | None) -> None:
        """Outline the patches: (points, 2) x, y with rows of NaN between them."""
        self.pane.set_outlines(corners)

    @property
    def overlay_visible(self) -> bool:
        """Whether smooth patches are shown."""
        return self.patches_tool.isChecked()

    @Slot(bool)
    def set_overlay_visible(self, visible: bool) -> None:
        """Show or hide the smooth patches."""
        self.patches_tool.setChecked(visible)

    @Slot(bool)
    def _on_overlay_toggled(self, visible: bool) -> None:
        self.pane.overlay.setVisible(visible)
        self.pane.outlines.setVisible(visible)
        self.overlay_toggled.emit(visible)

    @Slot()
    def _announce_region(self) -> None:
        if self.region() != self._last_region:
            self._last_region = self.region()
            self.region_changed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """G shows and hides the patches."""
        if event.key() == Qt.Key.Key_G and not event.modifiers():
            self.patches_tool.toggle()
        else:
            super().keyPressEvent(event)


def _whole_pixels(low: float, high: float) -> tuple[int, int]:
    """Give start and length of the whole pixels touched, the middle 512 of them at most."""
    # View ranges carry rounding errors; without the tolerance a fitted image gains or loses a row.
    start, stop = math.floor(low + 1e-3), math.ceil(high - 1e-3)
    if stop - start > MOST_REGION_PX:
        start = (start + stop - MOST_REGION_PX) // 2
        stop = start + MOST_REGION_PX
    return start, max(stop - start, 0)
