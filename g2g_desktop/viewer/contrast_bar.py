"""The contrast control: a histogram with two bars to drag, two numbers to type, and Auto."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from g2g_desktop.language import tr

if TYPE_CHECKING:
    from g2g_desktop.model.contrast import IntensitySample, Window

BINS = 128
GRAB_PX = 9
PAD_PX = 6
DISPLAY_ONLY = "Display only: the data stay as they are."


class Histogram(QWidget):
    """How often each grey value occurs, with a bar at black and a bar at white."""

    dragged = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        self.setToolTip(
            tr(f"Drag the bars to choose what is black and what is white. {DISPLAY_ONLY}")
        )
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._sample: IntensitySample | None = None
        self._heights = np.zeros(BINS)
        self._shown: Window = (0.0, 1.0)
        self._levels: Window = (0.0, 1.0)
        self._grabbed: int | None = None

    def sizeHint(self) -> QSize:
        """Low and wide."""
        return QSize(200, 38)

    def minimumSizeHint(self) -> QSize:
        """Still wide enough to drag."""
        return QSize(40, 38)

    def set_sample(self, sample: IntensitySample | None) -> None:
        """Show the values of `sample`."""
        self._sample = sample
        if sample is not None:
            # A few hot pixels would squeeze everything else into the first bin.
            low, high = sample.window(0.02)
            reach = 0.1 * (high - low)
            self._shown = (max(low - reach, sample.range[0]), min(high + reach, sample.range[1]))
            # The square root keeps rare bright values visible beside a large background.
            self._heights = np.sqrt(sample.histogram(BINS, self._shown))
        self.update()

    def set_levels(self, low: float, high: float) -> None:
        """Move the two bars."""
        self._levels = (low, high)
        self.update()

    def x_of(self, value: float) -> float:
        """Give where a grey value lies, in pixels from the left."""
        low, high = self._shown
        share = (value - low) / (high - low)
        return PAD_PX + min(max(share, 0.0), 1.0) * (self.width() - 2 * PAD_PX)

    def _value_at(self, x: float) -> float:
        low, high = self._shown
        share = (x - PAD_PX) / max(self.width() - 2 * PAD_PX, 1)
        return low + min(max(share, 0.0), 1.0) * (high - low)

    def _bar_at(self, x: float) -> int | None:
        distances = [abs(self.x_of(level) - x) for level in self._levels]
        nearest = 0 if distances[0] < distances[1] else 1
        if distances[0] == distances[1]:
            nearest = int(x > self.x_of(self._levels[0]))
        return nearest if distances[nearest] <= GRAB_PX else None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Grab the bar under the cursor."""
        self._grabbed = self._bar_at(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self._grabbed = None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag the grabbed bar; it stops at the other one."""
        x = event.position().x()
        if self._grabbed is None:
            near = self._bar_at(x) is not None
            self.setCursor(Qt.CursorShape.SplitHCursor if near else Qt.CursorShape.ArrowCursor)
            return
        low, high = self._levels
        least = (self._shown[1] - self._shown[0]) / 256
        value = self._value_at(x)
        moved = (
            (min(value, high - least), high)
            if self._grabbed == 0
            else (low, max(value, low + least))
        )
        self.set_levels(*moved)
        self.dragged.emit(*moved)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the counts, the ramp from black to white and the two bars."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(PAD_PX, 2, -PAD_PX, -8)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.palette().color(QPalette.ColorRole.Base))
        painter.drawRoundedRect(area.adjusted(-2, -1, 2, 1), 3, 3)
        self._paint_counts(painter, area)
        for level in self._levels:
            self._paint_bar(painter, area, self.x_of(level))

    def _paint_counts(self, painter: QPainter, area: QRectF) -> None:
        peak = self._heights.max()
        if peak <= 0:
            return
        # The background of a sparse picture is one huge bin; it may leave the top.
        tall = min(peak, 3 * float(np.percentile(self._heights[self._heights > 0], 90)))
        xs = np.linspace(area.left(), area.right(), BINS)
        ys = area.bottom() - np.minimum(self._heights / tall, 1.0) * (area.height() - 2)
        points = [QPointF(x, y) for x, y in zip(xs, ys, strict=True)]
        outline = QPolygonF([area.bottomLeft(), *points, area.bottomRight()])
        ink = QColor(self.palette().color(QPalette.ColorRole.Text))
        ink.setAlpha(60)
        painter.setBrush(ink)
        painter.drawPolygon(outline)
        ink.setAlpha(150)
        painter.setBrush(ink)
        painter.save()
        left, right = (self.x_of(level) for level in self._levels)
        painter.setClipRect(QRectF(left, area.top(), right - left, area.height()))
        painter.drawPolygon(outline)
        painter.restore()

    def _paint_bar(self, painter: QPainter, area: QRectF, x: float) -> None:
        accent = self.palette().color(QPalette.ColorRole.Highlight)
        painter.setPen(QPen(accent, 2))
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom() + 2))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(accent)
        foot = area.bottom() + 1
        painter.drawPolygon(
            [QPointF(x, foot - 2), QPointF(x - 5, foot + 6), QPointF(x + 5, foot + 6)]
        )


class ContrastBar(QWidget):
    """Histogram, two numbers and Auto in one row; only says what the user asks for."""

    levels_chosen = Signal(float, float)
    auto_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.histogram = Histogram(self)
        self.low, self.high = self._number("Black at"), self._number("White at")
        self.auto = QToolButton(self)
        self.auto.setAutoRaise(True)
        self.auto.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.auto.setToolTip(
            tr(
                "Choose the contrast from the picture (A). Press again to go further. "
                f"{DISPLAY_ONLY}"
            )
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 0, 4, 2)
        row.setSpacing(4)
        for part in (self.low, self.histogram, self.high, self.auto):
            row.addWidget(part, 1 if part is self.histogram else 0)
        self.low.valueChanged.connect(self._on_number)
        self.high.valueChanged.connect(self._on_number)
        self.histogram.dragged.connect(self.levels_chosen)
        self.auto.clicked.connect(self.auto_asked)

    def _number(self, name: str) -> QDoubleSpinBox:
        box = QDoubleSpinBox(self)
        box.setRange(-1e12, 1e12)
        box.setKeyboardTracking(False)
        box.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        box.setAccessibleName(tr(name))
        box.setToolTip(
            tr(f"{name} this value. Two that are the wrong way round are exchanged. {DISPLAY_ONLY}")
        )
        box.setFixedWidth(box.fontMetrics().horizontalAdvance("-000000") + 14)
        box.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        return box

    def set_sample(self, sample: IntensitySample | None, whole_numbers: bool) -> None:
        """Show the histogram of `sample`; the numbers get as many decimals as they need."""
        self.setEnabled(sample is not None)
        self.histogram.set_sample(sample)
        if sample is not None:
            low, high = sample.range
            decimals = (
                0 if whole_numbers else int(np.clip(3 - np.floor(np.log10(high - low)), 0, 9))
            )
            for box in (self.low, self.high):
                box.setDecimals(decimals)
                box.setSingleStep(10.0**-decimals)

    def set_levels(self, low: float, high: float, how: str) -> None:
        """Show the window in force and, on the button, how it was chosen."""
        for box, value in ((self.low, low), (self.high, high)):
            blocked = box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(blocked)
        self.histogram.set_levels(low, high)
        self.auto.setText(tr(how))

    @Slot(float)
    def _on_number(self, _value: float) -> None:
        low, high = self.low.value(), self.high.value()
        if low > high:  # typed the wrong way round
            low, high = high, low
        elif low == high:  # what is asked for is an edge, and the next number makes one
            high = low + max(self.high.singleStep(), 1e-9 * abs(low))
        self.levels_chosen.emit(low, high)
