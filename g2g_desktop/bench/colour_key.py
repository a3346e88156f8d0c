"""What the colours of a picture mean: a scale between two ends, or two colours with words."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from g2g_desktop.language import tr
from g2g_desktop.viewer.look_up_tables import BRIGHTER, DARKER, diverging_table

BACK, INK = QColor(0, 0, 0, 150), QColor(255, 255, 255)
SCALE_PX, BAR_PX, PAD_PX = 120, 10, 8


class ColourKey(QWidget):
    """Lies in the upper right corner of its parent, and leaves the mouse to it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._pane = parent
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._words = ("", "")
        self._scale = True
        table = diverging_table()
        data = table.tobytes()
        self._ramp = QImage(data, 256, 1, 768, QImage.Format.Format_RGB888).copy()
        self.hide()

    def show_scale(self, low: str, high: str) -> None:
        """Show the diverging colours between two ends."""
        self._show((low, high), scale=True)

    def show_pair(self, darker: str, brighter: str) -> None:
        """Show the two colours of changed pixels."""
        self._show((darker, brighter), scale=False)

    def _show(self, words: tuple[str, str], *, scale: bool) -> None:
        self._words, self._scale = (tr(words[0]), tr(words[1])), scale
        self.setAccessibleName(tr(f"Colours: {words[0]} to {words[1]}"))
        self.resize(self.sizeHint())
        self.move(self._pane.width() - self.width() - PAD_PX, PAD_PX)
        self.show()
        self.update()

    def sizeHint(self) -> QSize:
        """As wide as scale and words."""
        metrics = self.fontMetrics()
        words = sum(metrics.horizontalAdvance(word) for word in self._words)
        bars = SCALE_PX if self._scale else 2 * BAR_PX + PAD_PX
        return QSize(words + bars + 4 * PAD_PX, metrics.height() + 6)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint it as the captions are."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(BACK)
        painter.drawRoundedRect(QRectF(self.rect()), 5, 5)
        low, high = self._words
        metrics, middle = self.fontMetrics(), self.height() / 2
        x = float(PAD_PX)
        if not self._scale:
            x = self._patch(painter, x, DARKER)
        x = self._word(painter, x, low, metrics.horizontalAdvance(low))
        if self._scale:
            painter.drawImage(QRectF(x, middle - BAR_PX / 2, SCALE_PX, BAR_PX), self._ramp)
            x += SCALE_PX + PAD_PX
        else:
            x = self._patch(painter, x, BRIGHTER)
        self._word(painter, x, high, metrics.horizontalAdvance(high))

    def _patch(self, painter: QPainter, x: float, colour: tuple[int, int, int]) -> float:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*colour))
        painter.drawRect(QRectF(x, self.height() / 2 - BAR_PX / 2, BAR_PX, BAR_PX))
        return x + BAR_PX + PAD_PX / 2

    def _word(self, painter: QPainter, x: float, word: str, width: int) -> float:
        painter.setPen(INK)
        painter.drawText(
            QRectF(x, 0, width + 1, self.height()), Qt.AlignmentFlag.AlignVCenter, word
        )
        return x + width + PAD_PX
