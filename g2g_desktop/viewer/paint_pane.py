"""A pane on which areas are painted in and out of the search for patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QMouseEvent, QPainter, QPen

from training_core.areas import FREE, IN, OUT, Area

from .look_up_tables import BRIGHTER, PATCH_GREEN
from .split_pane import SplitPane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtWidgets import QWidget

LEAST_PX = 2  # of the image: less is a slip of the hand
LOOKS = {  # told apart by the pattern as well
    IN: (QColor(*PATCH_GREEN), Qt.BrushStyle.NoBrush, Qt.PenStyle.SolidLine),
    OUT: (QColor(*BRIGHTER), Qt.BrushStyle.BDiagPattern, Qt.PenStyle.SolidLine),
    FREE: (QColor(255, 255, 255), Qt.BrushStyle.NoBrush, Qt.PenStyle.DashLine),
}


class PaintPane(SplitPane):
    """Draws the painted areas, and while a kind of area is chosen, another one by dragging.

    Signals
    -------
    painted
        The new `Area`, inside the image.
    """

    painted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.areas: Sequence[Area] = ()
        self.kind = ""  # of what is painted; "": nothing is
        self._from: QPointF | None = None
        self._now = QRectF()

    def show_areas(self, areas: Sequence[Area]) -> None:
        """Draw the areas that are painted already."""
        if areas != self.areas:
            self.areas = areas
            self.viewport().update()

    def paint_with(self, kind: str) -> None:
        """Paint "in", "out" or "free" areas from now on; "" ends that."""
        self.kind, self._from = kind, None
        if kind:
            self.viewport().setCursor(Qt.CursorShape.CrossCursor)
        else:
            self.viewport().unsetCursor()
        self.viewport().update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin an area."""
        left = event.button() is Qt.MouseButton.LeftButton
        if self.kind and left and self.image is not None:
            self._from, self._now = self._at(event), QRectF()
            event.accept()
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Draw it."""
        if self._from is not None:
            self._now = QRectF(self._from, self._at(event)).normalized() & self.frame_rect
            self.viewport().update()
            event.accept()
        elif not self.kind:
            super().mouseMoveEvent(event)
        else:
            self.hovered.emit(self.position_at(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End it."""
        if self._from is None:
            super().mouseReleaseEvent(event)
            return
        area = (QRectF(self._from, self._at(event)).normalized() & self.frame_rect).toRect()
        self._from = None
        self.viewport().update()
        event.accept()
        if min(area.width(), area.height()) >= LEAST_PX:
            self.painted.emit(Area(self.kind, area.top(), area.left(), area.height(), area.width()))

    def _at(self, event: QMouseEvent) -> QPointF:
        return QPointF(self.box.mapSceneToView(self.mapToScene(event.position().toPoint())))

    def paint_marks(self, painter: QPainter, area: QRectF) -> None:
        """Paint the areas below the captions."""
        if self.overlay.isVisible() or self.kind:
            for one in self.areas:
                self._paint(painter, one.kind, QRectF(one.left, one.top, one.width, one.height))
        if self._from is not None:
            self._paint(painter, self.kind, self._now)
        super().paint_marks(painter, area)

    def _paint(self, painter: QPainter, kind: str, place: QRectF) -> None:
        ink, pattern, line = LOOKS[kind]
        painter.setPen(QPen(ink, 2, line))
        painter.setBrush(QBrush(ink, pattern))
        ends = (
            self.to_widget(place.left(), place.top()),
            self.to_widget(place.right(), place.bottom()),
        )
        painter.drawRect(QRectF(*ends))
