"""A loupe that follows the cursor and shows the same place of several pictures, enlarged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from g2g_desktop.language import tr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .picture import Picture

SIDE_PX = 150  # of each picture in it
SEEN_PX = 30  # image pixels across
LEAST_GAIN = 2.0  # times larger than in the pane
GAP_PX, AWAY_PX, WORDS_PX = 4, 28, 20
FRAME, BACK, INK = QColor(255, 255, 255, 190), QColor(18, 20, 23), QColor(255, 255, 255)


class Loupe(QWidget):
    """Lies over a pane, and leaves the mouse to it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._view = parent
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName(tr("Loupe"))
        self._pictures: Sequence[tuple[str, Picture]] = ()
        self._at = (0, 0)
        self._seen = float(SEEN_PX)
        self.hide()

    def show_at(
        self,
        pictures: Sequence[tuple[str, Picture]],
        position: tuple[int, int],
        cursor: QPoint,
        scale: float,
    ) -> None:
        """Enlarge what lies around (row, column) of each picture; `scale` is that of the pane."""
        self._pictures, self._at = pictures, position
        self._seen = min(SEEN_PX, SIDE_PX / (LEAST_GAIN * max(scale, 1e-3)))
        self._seen = max(self._seen, 6.0)
        width = len(pictures) * (SIDE_PX + GAP_PX) + GAP_PX
        self.resize(width, SIDE_PX + 2 * GAP_PX + WORDS_PX)
        self.move(self._beside(cursor))
        self.show()
        self.raise_()
        self.update()

    def _beside(self, cursor: QPoint) -> QPoint:
        """Give a place near the cursor that hides neither it nor what is under it."""
        room = self._view.rect()
        x = cursor.x() + AWAY_PX
        x = x if x + self.width() <= room.width() else cursor.x() - AWAY_PX - self.width()
        y = cursor.y() + AWAY_PX
        y = y if y + self.height() <= room.height() else cursor.y() - AWAY_PX - self.height()
        return QPoint(max(x, 0), max(y, 0))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the places beside each other, each with its name and a mark on the pixel."""
        painter = QPainter(self)
        painter.setPen(QPen(FRAME, 1))
        painter.setBrush(BACK)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
        row, column = self._at
        half = self._seen / 2
        source = QRectF(column + 0.5 - half, row + 0.5 - half, self._seen, self._seen)
        for number, (name, picture) in enumerate(self._pictures):
            left = GAP_PX + number * (SIDE_PX + GAP_PX)
            target = QRectF(left, GAP_PX + WORDS_PX, SIDE_PX, SIDE_PX)
            shown = picture.rendered()
            if shown is not None:
                painter.save()
                painter.setClipRect(target)
                painter.drawImage(target, shown, source)
                painter.restore()
            painter.setPen(INK)
            words = QRectF(left, GAP_PX - 2, SIDE_PX, WORDS_PX)
            painter.drawText(words, Qt.AlignmentFlag.AlignCenter, tr(name))
            self._mark(painter, target)

    def _mark(self, painter: QPainter, target: QRectF) -> None:
        size = SIDE_PX / self._seen
        pixel = QRectF(0, 0, size, size)
        pixel.moveCenter(target.center())
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(FRAME, 1))
        painter.drawRect(pixel)
