"""A small picture of a whole frame, in which the part that a training shows is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QVBoxLayout, QWidget

from g2g_desktop.language import tr
from g2g_desktop.model.contrast import StackContrast
from g2g_desktop.viewer.axis_slider import AxisSliders
from g2g_desktop.viewer.image_pane import ImagePane
from training_core.run import ShownRegion

if TYPE_CHECKING:
    from training_core.stack import Stack

LEAST_PX, MOST_PX = 16, 512  # sides of what is shown
CLICK_PX = 4  # of the screen: less is no drag
FRAME, SHADE = QColor(255, 255, 255), QColor(0, 0, 0, 110)
TIP = (
    "Drag a rectangle over what you want to watch, or click to move it there; with the keyboard, "
    "the arrows move it."
)
MOVES = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}


class FramePane(ImagePane):
    """The frame, dark but for a rectangle; `chosen` carries the rectangle that was dragged."""

    chosen = Signal(QRectF)

    def __init__(self) -> None:
        super().__init__()
        self.scale_bar_visible = False
        self.place = QRectF()
        self._from: QPointF | None = None
        self.setAccessibleName(tr("The whole frame"))
        self.setAccessibleDescription(tr(TIP))
        self.setToolTip(tr(TIP))
        self.setCursor(Qt.CursorShape.CrossCursor)

    def show_place(self, place: QRectF) -> None:
        """Mark a rectangle, in pixels of the image."""
        self.place = place
        self.viewport().update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin a rectangle."""
        if event.button() is Qt.MouseButton.LeftButton and self.image is not None:
            self._from = event.position()
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Draw it."""
        if self._from is not None:
            self.show_place(self._dragged(event.position()))
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Choose it; a click moves the one that is there."""
        if self._from is not None:
            self.chosen.emit(self._dragged(event.position()))
        self._from = None
        event.accept()

    def _dragged(self, to: QPointF) -> QRectF:
        assert self._from is not None  # a button is held
        ends = [self.box.mapSceneToView(self.mapToScene(p.toPoint())) for p in (self._from, to)]
        if (to - self._from).manhattanLength() < CLICK_PX:
            moved = QRectF(self.place)
            moved.moveCenter(ends[0])
            return moved
        return QRectF(*ends).normalized()

    def paint_marks(self, painter: QPainter, area: QRectF) -> None:
        """Darken all but the rectangle."""
        super().paint_marks(painter, area)
        shown = QRectF(
            self.to_widget(self.place.left(), self.place.top()),
            self.to_widget(self.place.right(), self.place.bottom()),
        )
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(SHADE)
        above, below = area.adjusted(0, 0, 0, 0), QRectF(area)
        above.setBottom(shown.top())
        below.setTop(shown.bottom())
        left = QRectF(area.left(), shown.top(), shown.left() - area.left(), shown.height())
        right = QRectF(shown.right(), shown.top(), area.right() - shown.right(), shown.height())
        for dark in (above, below, left, right):
            painter.drawRect(dark)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(FRAME, 1.5))
        painter.drawRect(shown)


class RegionPicker(QWidget):
    """The frame with its rectangle, and the sliders of the stack; `chosen` carries a region."""

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.pane, self.sliders = FramePane(), AxisSliders(self)
        self.region = ShownRegion(0, 0, 0, 0, 0)
        self._stack: Stack | None = None
        self._contrasts: StackContrast | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.pane, 1)
        column.addWidget(self.sliders)
        self.pane.chosen.connect(self._on_dragged)
        self.sliders.frame_changed.connect(self._on_frame)
        self.setFocusProxy(self.pane)

    def sizeHint(self) -> QSize:
        """Small: it only says where."""
        return QSize(220, 240)

    def show_region(self, stack: Stack, region: ShownRegion) -> None:
        """Show which part of a stack is watched."""
        if stack is not self._stack:
            self._stack, self._contrasts = stack, StackContrast(stack)
            self.sliders.set_stack(stack)
            for axis in self.sliders.sliders:  # else nothing would be left of a slider
                axis.number.hide()
                axis.play.hide()
        self.region = region
        self.sliders.show_frame(region.frame)
        self._draw()

    def clear(self) -> None:
        """Let the stack go."""
        self._stack = self._contrasts = None
        self.sliders.set_stack(None)
        self.pane.set_image(None, (0, 1))

    def _draw(self) -> None:
        if self._stack is None or self._contrasts is None:
            return
        frame = self.region.frame
        levels = self._contrasts.window(self._stack.channel_of(frame))[0]
        self.pane.set_image(self._stack.raw_frame(frame), levels)
        place = self.region
        self.pane.show_place(QRectF(place.left, place.top, place.width, place.height))

    def choose(self, frame: int, place: QRectF) -> None:
        """Watch a part of a frame, which is brought inside it and to a size that can be shown."""
        if self._stack is None:
            return
        high, wide = self._stack.frame_shape
        height, top = _fitted(place.height(), place.center().y(), high)
        width, left = _fitted(place.width(), place.center().x(), wide)
        self.region = ShownRegion(frame, top, left, height, width)
        self._draw()
        self.chosen.emit(self.region)

    @Slot(QRectF)
    def _on_dragged(self, place: QRectF) -> None:
        self.choose(self.region.frame, place)

    @Slot(int)
    def _on_frame(self, frame: int) -> None:
        if frame != self.region.frame:
            self.choose(frame, self.pane.place)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move the rectangle by a quarter of itself."""
        if event.key() not in MOVES:
            super().keyPressEvent(event)
            return
        down, across = MOVES[event.key()]  # type: ignore[index]
        place = QRectF(self.pane.place)
        place.translate(across * place.width() / 4, down * place.height() / 4)
        self.choose(self.region.frame, place)


def _fitted(length: float, middle: float, whole: int) -> tuple[int, int]:
    """Give length and start, in whole pixels, of what fits into so many of them."""
    kept = min(max(round(length), LEAST_PX), MOST_PX, whole)
    return kept, min(max(round(middle - kept / 2), 0), whole - kept)
