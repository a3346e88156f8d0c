"""A pane on which areas are painted in and out of the search for patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QKeyEvent, QMouseEvent, QPainter, QPen, QPolygonF

from training_core.areas import FREE, IN, OUT, Area
from training_core.patches.painted import drawn_area

from .look_up_tables import BRIGHTER, PATCH_GREEN
from .shapes import Shapes
from .split_pane import SplitPane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtCore import QRectF
    from PySide6.QtWidgets import QWidget

    from .shapes import Point

LEAST_PX = 2  # of the image: less is a slip of the hand
NEAR_PX = 8  # on screen: a click so near the first corner closes an outline
LOOKS = {  # told apart by the pattern as well
    IN: (QColor(*PATCH_GREEN), Qt.BrushStyle.NoBrush, Qt.PenStyle.SolidLine),
    OUT: (QColor(*BRIGHTER), Qt.BrushStyle.BDiagPattern, Qt.PenStyle.SolidLine),
    FREE: (QColor(255, 255, 255), Qt.BrushStyle.NoBrush, Qt.PenStyle.DashLine),
}


class PaintPane(SplitPane):
    """Draws the painted areas, and while a kind of area is chosen, another one.

    With the mouse a rectangle is dragged; or an outline, in one go or corner by corner. With the
    keys a shape is put into the view, moved, and painted with Enter.

    Signals
    -------
    painted
        The new `Area`, inside the image.
    painting_ended
        Esc was pressed while nothing was begun.
    """

    painted = Signal(object)
    painting_ended = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.areas: Sequence[Area] = ()
        self.kind = ""  # of what is painted; "": nothing is
        self.freely = False  # outlines instead of rectangles
        self.draft = Shapes(self, most=1)
        self._points: list[Point] = []  # of what is being drawn, with where the mouse is at the end
        self._pressed_at: QPointF | None = None
        self._dragged = False

    def show_areas(self, areas: Sequence[Area]) -> None:
        """Draw the areas that are painted already."""
        if areas != self.areas:
            self.areas = areas
            self.viewport().update()

    def paint_with(self, kind: str) -> None:
        """Paint "in", "out" or "free" areas from now on; "" ends that."""
        self.kind = kind
        self._give_up()
        if kind:
            self.setFocus()

    def draw_freely(self, freely: bool) -> None:
        """Draw outlines with the mouse from now on, or rectangles."""
        self.freely = freely
        self._give_up()
        self.setFocus()

    @property
    def _draws(self) -> bool:
        """Whether the mouse draws; it moves a shape while there is one, else the picture."""
        return bool(self.kind) and not self.draft.regions and self.image is not None

    def _give_up(self) -> None:
        self._points, self._pressed_at = [], None
        if self.draft.regions:
            self.draft.clear()
        if self.kind:
            self.viewport().setCursor(Qt.CursorShape.CrossCursor)
        else:
            self.viewport().unsetCursor()
        self.viewport().update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin an area, or set its next corner."""
        if not self._draws or event.button() is not Qt.MouseButton.LeftButton:
            super().mousePressEvent(event)
            return
        event.accept()
        self._dragged = False
        self._pressed_at = event.position()
        if len(self._points) > 3 and self._is_near_start(event.position()):
            self._finish(self._points[:-1])
        else:
            self._points = [*self._points[:-1], self._at(event), self._at(event)]

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Draw it."""
        if not self._draws or event.buttons() & ~Qt.MouseButton.LeftButton:
            super().mouseMoveEvent(event)
            return
        if self._points:
            away = event.position() - (self._pressed_at or event.position())
            self._dragged |= away.manhattanLength() > NEAR_PX
            if self._pressed_at is not None and self._dragged and self.freely:
                self._points.append(self._at(event))
            else:
                self._points[-1] = self._at(event)
            self.viewport().update()
        self.hovered.emit(self.position_at(event.position()))
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End what was dragged in one go; what was clicked waits for more corners."""
        if self._pressed_at is None:
            super().mouseReleaseEvent(event)
            return
        event.accept()
        began = self._points and self._points[0] == self._at_point(self._pressed_at)
        self._pressed_at = None
        if not self.freely:
            self._finish([self._points[0], self._at(event)])
        elif began and self._dragged:
            self._finish(self._points)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Close an outline of which corners were clicked; else as without a brush."""
        if not self._draws:
            super().mouseDoubleClickEvent(event)
        elif self._points:
            self._finish(self._points)
            event.accept()
        else:  # one area begun soon after another
            self.mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Put a shape into the view (R, Y) and work on it; Enter paints, Esc gives up."""
        if not (self.kind and self._took(event)):
            super().keyPressEvent(event)

    def _took(self, event: QKeyEvent) -> bool:
        key, bare = event.key(), not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if bare and key in (Qt.Key.Key_R, Qt.Key.Key_Y):
            self._give_up()
            self.draft.add("rectangle" if key == Qt.Key.Key_R else "polygon")
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and (self.draft.regions or self._points):
            self._finish(self.draft.regions[0] if self.draft.regions else self._points)
        elif key == Qt.Key.Key_Backspace and len(self._points) > 2:
            del self._points[-2]
            self.viewport().update()
        elif key == Qt.Key.Key_Escape and (self.draft.regions or self._points):
            self._give_up()
        elif key == Qt.Key.Key_Escape:
            self.painting_ended.emit()
        else:
            return self.draft.take_key(0, event)
        return True

    def _finish(self, points: Sequence[Point]) -> None:
        two_corners = len(points) == 2 and points is self._points and self.freely
        self._give_up()
        extents = [max(along) - min(along) for along in zip(*points, strict=True)]
        if two_corners or min(extents) < LEAST_PX or self.image is None:
            return
        area = drawn_area(self.kind, points, self.image.shape)
        if area is not None:
            self.painted.emit(area)

    def _is_near_start(self, point: QPointF) -> bool:
        away = self.to_widget(*self._points[0]) - point
        return self.freely and away.manhattanLength() <= NEAR_PX

    def _at(self, event: QMouseEvent) -> Point:
        return self._at_point(event.position())

    def _at_point(self, point: QPointF) -> Point:
        there = self.box.mapSceneToView(self.mapToScene(point.toPoint()))
        return float(there.x()), float(there.y())

    def paint_marks(self, painter: QPainter, area: QRectF) -> None:
        """Paint the areas below the captions."""
        if self.overlay.isVisible() or self.kind:
            for one in self.areas:
                self._paint(painter, one.kind, [(x, y) for y, x in one.corners])
        if self._points:
            self._paint(painter, self.kind, self._points, boxed=not self.freely)
        super().paint_marks(painter, area)

    def _paint(
        self, painter: QPainter, kind: str, points: Sequence[Point], *, boxed: bool = True
    ) -> None:
        """Paint an area; two points are those of a rectangle if it is `boxed`."""
        ink, pattern, line = LOOKS[kind]
        painter.setPen(QPen(ink, 2, line))
        painter.setBrush(QBrush(ink, pattern))
        if boxed and len(points) == 2:
            (left, top), (right, bottom) = points
            points = [(left, top), (right, top), (right, bottom), (left, bottom)]
        painter.drawPolygon(QPolygonF([self.to_widget(*point) for point in points]))
