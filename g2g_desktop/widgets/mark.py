"""The symbol of a judgement: a check, an exclamation mark, a cross or a dot on a disc."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QWidget

from g2g_desktop.language import tr

from .theme import Tone

if TYPE_CHECKING:
    Point = tuple[float, float]


class Mark(QWidget):
    """The symbol of a tone on a disc of its colour; `says` is the same in words."""

    # Lines in a square of side 16.
    STROKES: ClassVar[dict[Tone, list[tuple[Point, Point]]]] = {
        Tone.GREEN: [((4.5, 8.3), (7, 10.8)), ((7, 10.8), (11.6, 5.6))],
        Tone.AMBER: [((8, 4), (8, 8.8)), ((8, 11.8), (8, 11.9))],
        Tone.RED: [((5.3, 5.3), (10.7, 10.7)), ((10.7, 5.3), (5.3, 10.7))],
        Tone.MUTED: [((8, 4.3), (8, 4.4)), ((8, 7.4), (8, 11.9))],
    }

    def __init__(self, tone: Tone, colour: QColor, says: str) -> None:
        super().__init__()
        self._tone, self._colour = tone, colour
        self.setFixedSize(16, 16)
        self.setAccessibleName(tr(says))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the disc and the strokes on it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._colour)
        painter.drawEllipse(QRectF(0.5, 0.5, 15, 15))
        surface = self.palette().color(QPalette.ColorRole.AlternateBase)
        pen = QPen(surface, 1.8)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        for start, stop in self.STROKES[self._tone]:
            painter.drawLine(QPointF(*start), QPointF(*stop))
