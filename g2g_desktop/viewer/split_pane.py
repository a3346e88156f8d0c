"""Two pictures in one pane, before and after, with a divider to drag between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QGraphicsItem, QGraphicsRectItem

from .image_pane import ImagePane
from .picture import Picture, drawable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PySide6.QtWidgets import QWidget

    from g2g_desktop.model.contrast import Window
    from training_core.stack import Pixels

GRAB_PX = 10.0
GRIP_RADIUS_PX = 13.0
LINE = QColor(255, 255, 255)
EDGE = QColor(0, 0, 0, 150)


class _Clip(QGraphicsRectItem):
    """Shows of its children what lies in its rectangle."""

    def __init__(self, height: float) -> None:
        super().__init__()
        self.setPen(QPen(Qt.PenStyle.NoPen))
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemClipsChildrenToShape)
        self.setZValue(height)


class SplitPane(ImagePane):
    """Shows the first image left of the divider and the second right of it.

    The divider is a fraction of the part of the image that can be seen, so it stays at hand at
    every zoom.
    """

    divider_moved = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.second = Picture()
        self._clip, self._first_clip = _Clip(1), _Clip(10)
        self.second.setParentItem(self._clip)
        for item in (self.overlay, self.outlines):  # of the first image
            item.setParentItem(self._first_clip)
        for clip in (self._clip, self._first_clip):
            self.box.addItem(clip, ignoreBounds=True)
        self._divider = 0.5
        self._split = True
        self._only_first = False
        self._dragging = False

    @property
    def divider(self) -> float:
        """Where the divider is, 0 at the left end of the visible image and 1 at the right."""
        return self._divider

    @property
    def is_split(self) -> bool:
        """Whether the divider and the second image are shown now."""
        return self._split and not self._only_first and self.image is not None

    @property
    def divider_x(self) -> float:
        """Where the divider is, in pixels of the image."""
        seen = self.visible_rect
        return seen.left() + self._divider * seen.width()

    def set_pair(self, first: Pixels | None, second: Pixels | None, levels: Window) -> None:
        """Show two images of one shape."""
        if second is None:
            self.second.clear()
        else:
            self.second.setImage(drawable(second), levels=levels)
        self.set_image(first, levels)
        self._place_divider()

    def set_levels(self, levels: Window) -> None:
        """Choose which values are black and white, in both images."""
        super().set_levels(levels)
        self.second.setLevels(levels)

    def set_table(self, table: NDArray[np.uint8]) -> None:
        """Choose the colours of both images."""
        super().set_table(table)
        self.second.setLookupTable(table)

    def set_split(self, split: bool) -> None:
        """Show both images with a divider, or the first one alone."""
        self._split = split
        self._place_divider()

    def show_only_first(self, only: bool) -> None:
        """Show the first image everywhere for a moment."""
        self._only_first = only
        self._place_divider()

    def set_divider(self, fraction: float) -> None:
        """Move the divider."""
        self._divider = min(max(fraction, 0.0), 1.0)
        self._place_divider()
        self.divider_moved.emit(self._divider)

    def _place_divider(self) -> None:
        right = QRectF(self.frame_rect)
        right.setLeft(self.divider_x)
        self._clip.setRect(right)
        first = self.frame_rect.adjusted(-1, -1, 1, 1)  # with the whole of an outline at the end
        if self.is_split:
            first.setRight(self.divider_x)
        self._first_clip.setRect(first)
        self._clip.setVisible(self.is_split)
        self._show_in_sight()
        self.viewport().update()

    def _show_in_sight(self) -> None:
        if not self.is_split:
            super()._show_in_sight()
            return
        left, right = QRectF(self.visible_rect), QRectF(self.visible_rect)
        left.setRight(self.divider_x)
        right.setLeft(self.divider_x)
        self.picture.set_in_sight(left)
        self.second.set_in_sight(right)

    def _on_range_changed(self) -> None:
        self._place_divider()
        super()._on_range_changed()

    def _grip(self) -> QPointF:
        """Give the middle of the divider in widget coordinates."""
        seen = self.visible_rect
        return self.to_widget(self.divider_x, seen.center().y())

    def _near_divider(self, point: QPointF) -> bool:
        return self.is_split and abs(point.x() - self._grip().x()) <= GRAB_PX

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Grab the divider; elsewhere, pan."""
        left = event.button() is Qt.MouseButton.LeftButton
        self._dragging = left and self._near_divider(event.position())
        if self._dragging:
            self.setFocus()
            event.accept()
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag the divider, or show that it can be."""
        if self._dragging:
            seen = self.visible_rect
            x = self.box.mapSceneToView(self.mapToScene(event.position().toPoint())).x()
            self.set_divider((x - seen.left()) / max(seen.width(), 1e-9))
            event.accept()
            return
        near = self._near_divider(event.position())
        self.viewport().setCursor(
            Qt.CursorShape.SplitHCursor if near else Qt.CursorShape.ArrowCursor
        )
        super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go of the divider."""
        if self._dragging:
            self._dragging = False
            event.accept()
        else:
            super().mouseReleaseEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Put the divider back in the middle; elsewhere, fit the image."""
        if self._near_divider(event.position()):
            self.set_divider(0.5)
            event.accept()
        else:
            super().mouseDoubleClickEvent(event)

    def paint_marks(self, painter: QPainter, area: QRectF) -> None:
        """Paint the divider between the captions, which it covers as it moves over them."""
        if not self.is_split:
            super().paint_marks(painter, area)
            return
        x = self._grip().x()
        sides = {
            Qt.AlignmentFlag.AlignLeft: QRectF(area.left(), area.top(), x, area.height()),
            Qt.AlignmentFlag.AlignRight: QRectF(x, area.top(), area.right() - x, area.height()),
        }
        captions, self.captions = self.captions, {}
        super().paint_marks(painter, area)
        self.captions = captions
        for side, text in captions.items():
            self.paint_caption(painter, sides[side], text, side)
        self._paint_divider(painter, area, self._grip())

    def _paint_divider(self, painter: QPainter, area: QRectF, grip: QPointF) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for pen in (QPen(EDGE, 4), QPen(LINE, 2)):
            painter.setPen(pen)
            painter.drawLine(QPointF(grip.x(), area.top()), QPointF(grip.x(), area.bottom()))
        painter.setPen(QPen(LINE, 2))
        painter.setBrush(QColor(30, 32, 36, 230))
        painter.drawEllipse(grip, GRIP_RADIUS_PX, GRIP_RADIUS_PX)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(LINE)
        for way in (-1, 1):
            tip = grip + QPointF(way * 9, 0)
            wing = grip + QPointF(way * 4, 0)
            painter.drawPolygon(QPolygonF([tip, wing + QPointF(0, -4), wing + QPointF(0, 4)]))
