"""What the window shows while a stack is read: the outline of what will come, and Cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QElapsedTimer, QRectF, Qt, QTimer
from PySide6.QtGui import QPainter, QPalette
from PySide6.QtWidgets import QWidget

from g2g_desktop.language import tr

if TYPE_CHECKING:
    from PySide6.QtGui import QHideEvent, QPaintEvent, QShowEvent

_BREATH_MS = 1600
_FRAME_MS = 60


class LoadingPage(QWidget):
    """A grey image and grey sliders that breathe slowly."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(tr("Opening the stack"))
        self._clock = QElapsedTimer()
        self._timer = QTimer(self, interval=_FRAME_MS)
        self._timer.timeout.connect(self.update)

    def showEvent(self, event: QShowEvent) -> None:
        """Breathe only while in sight."""
        super().showEvent(event)
        self._clock.start()
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        """Rest."""
        super().hideEvent(event)
        self._timer.stop()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the outline of a viewer."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        colour = self.palette().color(QPalette.ColorRole.Mid)
        phase = self._clock.elapsed() % _BREATH_MS / _BREATH_MS if self._clock.isValid() else 0
        colour.setAlphaF(0.25 + 0.35 * abs(2 * phase - 1))
        painter.setBrush(colour)
        for block in _blocks(self.width(), self.height()):
            painter.drawRoundedRect(block, 6, 6)
        painter.end()


def _blocks(width: int, height: int) -> list[QRectF]:
    image = QRectF(0, 36, width, max(height - 36 - 96, 40))
    below = image.bottom()
    return [
        QRectF(0, 4, min(220, width * 0.3), 22),
        QRectF(width - min(260, width * 0.35), 4, min(260, width * 0.35), 22),
        image,
        QRectF(0, below + 14, width, 16),
        QRectF(0, below + 46, width * 0.4, 34),
        QRectF(width * 0.45, below + 46, width * 0.55, 34),
    ]
