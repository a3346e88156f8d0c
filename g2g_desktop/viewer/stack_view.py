"""The viewer of a noisy stack: its smooth patches drawn over it, and a first look beside it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal, Slot

from training_core.place import PatchLocation
from training_core.run import ShownRegion

from .image_pane import value_text
from .look_up_tables import PATCH_GREEN
from .paint_pane import PaintPane
from .pair_viewer import LEFT, RIGHT, PairViewer

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from PySide6.QtGui import QKeyEvent
    from PySide6.QtWidgets import QWidget

    from training_core.patches.gallery import SeenPatch
    from training_core.stack import Pixels, Stack

    from .pair_viewer import Layer

MOST_REGION_PX = 512  # of a preview each way, unless another part is chosen


class StackView(PairViewer):
    """Shows a stack frame by frame; the visible part is what a live preview is made of.

    A first look is the frame as it would be without its noise, right of a divider.

    Signals
    -------
    region_changed
        Another part of a frame is visible.
    """

    region_changed = Signal()
    overlay_toggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        self.pane = PaintPane()
        self.pane.set_split(False)
        self._last_seen: tuple[int, PatchLocation] | None = None
        self._look: tuple[int, Pixels] | None = None
        self._captions: dict[Qt.AlignmentFlag, str] = {}
        self._original_held = False
        # What is known of the patch at a pixel; see `PatchPreview.attach`.
        self.patch_at: Callable[[int, int], SeenPatch | None] = _nothing
        self.patch_box = pg.PlotCurveItem(pen=pg.mkPen(*PATCH_GREEN, width=2))
        super().__init__((self.pane,), parent)
        self.patch_box.setZValue(12)
        self.pane.box.addItem(self.patch_box, ignoreBounds=True)
        self.pane.hovered.connect(self._show_patch)
        self._original_tool = self.add_original_tool()
        self._original_tool.setVisible(False)
        self.patches_tool = self.add_tool(
            "Patches", "Show the smooth patches over the image (G).", icon="patches"
        )
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
        self.pane.set_pair(frame, self._looked, self.levels)
        self.lay_over()

    def layers(self) -> list[Layer]:
        """Give the stack, and beside it the channel that was looked at among the others."""
        looked = None if self._looked is None else self.stack
        return [(self.pane.picture, self.stack, None), (self.pane.second, looked, self._looked)]

    @property
    def _looked(self) -> Pixels | None:
        """The first look at the current frame, if there is one."""
        return self._look[1] if self._look and self._look[0] == self.frame_index else None

    def show_look(self, frame: int, image: Pixels | None, caption: str) -> None:
        """Show a first look at a frame right of the divider; None while it is not there yet.

        Where it holds NaN the noisy frame is seen.
        """
        self._look = None if image is None else (frame, image)
        self._captions = {LEFT: "Noisy", RIGHT: caption}
        self._split(True)

    def end_look(self) -> None:
        """Show the stack alone again."""
        self._look, self._captions, self._original_held = None, {}, False
        self._split(False)

    def _split(self, split: bool) -> None:
        self.pane.set_split(split)
        self._original_tool.setVisible(split)
        self.tools.fit()
        self.show_original(self._original_held)
        self.draw_frame()
        self._show_readout()

    def show_original(self, show: bool) -> None:
        """Show the noisy frame everywhere, for as long as a key is held."""
        self._original_held = show
        self.pane.show_only_first(show)
        self.pane.captions = {**self._captions, RIGHT: ""} if show else self._captions

    def value_text(self, row: int, column: int) -> str:
        """Say what the pixel under the cursor holds."""
        if self.stack is None or self.pane.image is None:
            return ""
        text = value_text(self.pane.image[row, column], self.stack.value_unit)
        seen = np.nan if self._looked is None else self._looked[row, column]
        if not np.isnan(seen):
            text = f"noisy {text} → preview {value_text(seen, self.stack.value_unit)}"
        patch = self._patch(row, column)
        return f"{text}\n{patch.sentence}" if patch is not None else text

    def _patch(self, row: int, column: int) -> SeenPatch | None:
        """Give the patch at a pixel, while patches are shown."""
        return self.patch_at(row, column) if self.overlay_visible else None

    @Slot(object)
    def _show_patch(self, position: tuple[int, int] | None) -> None:
        """Draw the box of the patch under the pointer, of one that was taken."""
        patch = None if position is None else self._patch(*position)
        if patch is None or patch.reason:
            self.patch_box.setData([], [])
            return
        place = patch.place
        left, right = place.left, place.left + place.width
        top, bottom = place.top, place.top + place.height
        self.patch_box.setData([left, right, right, left, left], [top, top, bottom, bottom, top])

    def seen(self) -> PatchLocation:
        """Give the visible part of the frame."""
        seen = self.pane.visible_rect
        top, height = _whole_pixels(seen.top(), seen.bottom())
        left, width = _whole_pixels(seen.left(), seen.right())
        return PatchLocation(top, left, height, width)

    def region(self) -> ShownRegion:
        """Give the visible part of the frame, its middle 512 x 512 pixels if it is larger."""
        seen = self.seen()
        top, height = _middle(seen.top, seen.height)
        left, width = _middle(seen.left, seen.width)
        return ShownRegion(self.frame_index, top, left, height, width)

    def set_overlay(self, coverage: NDArray[np.uint8] | None, shrink: int) -> None:
        """Lay a coverage map of the current frame over it; one of its pixels is `shrink` wide."""
        self.pane.set_overlay(coverage, shrink)

    def set_outlines(self, corners: NDArray[np.float64] | None) -> None:
        """Outline what patches cover: (points, 2) x, y with rows of NaN between them."""
        self.pane.set_outlines(corners)
        self.patch_box.setData([], [])

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
        self._show_overlay()
        self.overlay_toggled.emit(visible)

    def _show_overlay(self) -> None:
        self.pane.overlay.setVisible(self.overlay_visible)
        self.pane.outlines.setVisible(self.overlay_visible)

    @Slot()
    def _announce_region(self) -> None:
        now = self.frame_index, self.seen()
        if now != self._last_seen:
            self._last_seen = now
            self.region_changed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """G shows and hides the patches."""
        if event.key() == Qt.Key.Key_G and not event.modifiers():
            self.patches_tool.toggle()
        else:
            super().keyPressEvent(event)


def _nothing(row: int, column: int) -> None:
    """Know of no patch."""


def _whole_pixels(low: float, high: float) -> tuple[int, int]:
    """Give start and length of the whole pixels touched."""
    # View ranges carry rounding errors; without the tolerance a fitted image gains or loses a row.
    start, stop = math.floor(low + 1e-3), math.ceil(high - 1e-3)
    return start, max(stop - start, 0)


def _middle(start: int, length: int) -> tuple[int, int]:
    """Give start and length of the middle of so many pixels, 512 of them at most."""
    kept = min(length, MOST_REGION_PX)
    return (2 * start + length - kept) // 2, kept
