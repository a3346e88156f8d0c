"""The scale bar: a round length that fits the zoom."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter

from g2g_desktop.language import tr

LONGEST_PX = 140.0
THICKNESS_PX = 4.0
MARGIN_PX = 14.0
INK = QColor(255, 255, 255)
BACKING = QColor(0, 0, 0, 140)


def round_length_um(um_per_px: float, longest_px: float = LONGEST_PX) -> float:
    """Give the largest 1, 2 or 5 times a power of ten that is at most `longest_px` wide."""
    longest_um = um_per_px * longest_px
    power = 10.0 ** math.floor(math.log10(longest_um))
    # The tolerance keeps an exact fit, such as 5.0 of 4.999..., from becoming 2.
    factor = next(f for f in (5, 2, 1) if f * power <= longest_um * (1 + 1e-9))
    return factor * power


def length_text(length_um: float) -> str:
    """Write a length with the unit that needs the fewest digits."""
    if length_um >= 1000:
        return f"{length_um / 1000:.6g} mm"
    return f"{length_um:.6g} µm" if length_um >= 1 else f"{length_um * 1000:.6g} nm"


def paint_scale_bar(painter: QPainter, area: QRectF, um_per_px: float, font: QFont) -> None:
    """Paint the bar into the bottom right corner of `area`; one pixel of it spans `um_per_px`."""
    length_um = round_length_um(um_per_px, min(LONGEST_PX, area.width() / 3))
    text, width = tr(length_text(length_um)), length_um / um_per_px
    metrics = QFontMetricsF(font)
    wide = max(width, metrics.horizontalAdvance(text))
    corner = area.bottomRight() - QPointF(MARGIN_PX, MARGIN_PX)
    height = metrics.height() + THICKNESS_PX + 4
    box = QRectF(corner.x() - wide, corner.y() - height, wide, height)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(BACKING)
    painter.drawRoundedRect(box.adjusted(-8, -4, 8, 7), 5, 5)
    painter.setBrush(INK)
    left = box.center().x() - width / 2
    painter.drawRect(QRectF(left, box.bottom() - THICKNESS_PX, width, THICKNESS_PX))
    painter.setPen(INK)
    painter.setFont(font)
    painter.drawText(box, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop, text)
