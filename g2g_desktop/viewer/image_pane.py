"""One picture on a dark canvas: zoom, pan, captions, scale bar and patch overlay."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPen,
    QResizeEvent,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QLabel

from g2g_desktop.language import tr
from training_core.wording import pixel_value

from .look_up_tables import PATCH_GREEN, coverage_table
from .picture import Picture, drawable
from .scale_bar import paint_scale_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PySide6.QtWidgets import QWidget

    from g2g_desktop.model.contrast import Window
    from training_core.stack import Pixels, Stack

CANVAS = "#15171a"
CLOSEST = 64.0  # screen pixels per image pixel
CAPTION_INK = QColor(255, 255, 255)
CAPTION_BACKING = QColor(0, 0, 0, 150)
NOTE_STYLE = "color: white; background: rgba(0, 0, 0, 150); border-radius: 5px; padding: 3px 8px;"


class ImagePane(pg.GraphicsView):  # type: ignore[misc] # pyqtgraph is untyped
    """Shows one image; knows nothing of stacks."""

    hovered = Signal(object)  # (row, column) under the cursor, or None
    range_changed = Signal()
    stepped = Signal(int)  # Ctrl and the wheel: so many frames on

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=CANVAS)
        # Captions and the scale bar stand still while the scene moves: repaint the whole of it.
        self.setViewportUpdateMode(self.ViewportUpdateMode.FullViewportUpdate)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(96, 80)
        self.setAccessibleName(tr("Image"))
        self.box = pg.ViewBox(lockAspect=True, invertY=True, enableMenu=False, defaultPadding=0)
        self.setCentralItem(self.box)
        self.picture = Picture()
        self.overlay = Picture()
        self.overlay.setLookupTable(coverage_table())
        self.overlay.setZValue(10)
        self.outlines = pg.PlotCurveItem(connect="finite", pen=patch_pen(), antialias=False)
        self.outlines.setZValue(11)
        for item in (self.picture, self.overlay, self.outlines):
            self.box.addItem(item, ignoreBounds=True)
        self.captions: dict[Qt.AlignmentFlag, str] = {}
        self.scale_bar_visible = True
        self._um_per_px: float | None = None
        self.note = note_over(self.viewport())
        self._fitted = True
        self.box.sigRangeChanged.connect(self._on_range_changed)
        self.box.sigRangeChangedManually.connect(self._on_moved_by_hand)

    @property
    def image(self) -> Pixels | None:
        """The (height, width) image shown, None while there is none."""
        image: Pixels | None = self.picture.image
        return image

    @property
    def frame_rect(self) -> QRectF:
        """The extent of the image in pixels."""
        height, width = (0, 0) if self.image is None else self.image.shape
        return QRectF(0, 0, width, height)

    @property
    def view_rect(self) -> QRectF:
        """What can be seen, in pixels of the image; may reach beyond it."""
        return QRectF(self.box.viewRect())

    @property
    def visible_rect(self) -> QRectF:
        """The part of the image that can be seen."""
        return self.view_rect.intersected(self.frame_rect)

    @property
    def scale_factor(self) -> float:
        """Screen pixels per image pixel; 1 is 100 %."""
        return float(self.box.width() * self.devicePixelRatioF() / self.view_rect.width())

    def set_image(self, image: Pixels | None, levels: Window) -> None:
        """Show an image; the zoom stays unless the size is another."""
        before = self.frame_rect
        if image is None:
            self.picture.clear()
        else:
            self.picture.setImage(drawable(image), levels=levels)
        if self.frame_rect != before:
            self.fit()
        self._show_in_sight()
        self.viewport().update()

    def set_levels(self, levels: Window) -> None:
        """Choose which values are black and white."""
        self.picture.setLevels(levels)

    def set_table(self, table: NDArray[np.uint8]) -> None:
        """Choose the colours, (256, 3) uint8."""
        self.picture.setLookupTable(table)

    def set_pixel_size(self, um_per_px: float | None) -> None:
        """State the pixel size in micrometres; without it there is no scale bar."""
        self._um_per_px = um_per_px
        self.viewport().update()

    def set_caption(self, text: str, side: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft) -> None:
        """Write `text` on the upper left or right of the image."""
        self.captions[side] = text
        self.viewport().update()

    def set_note(self, text: str) -> None:
        """Write `text` on the lower left of the image."""
        self.note.setText(tr(text))
        self.note.setVisible(bool(text))
        self._place_note()

    def _place_note(self) -> None:
        room = self.viewport().width() - 16
        self.note.setWordWrap(False)
        width = min(self.note.sizeHint().width(), room)
        self.note.setWordWrap(width == room)
        self.note.resize(width, self.note.heightForWidth(width))
        self.note.move(8, self.viewport().height() - self.note.height() - 8)

    def set_overlay(self, coverage: NDArray[np.uint8] | None, shrink: int = 1) -> None:
        """Lay a coverage map over the image; one of its pixels covers `shrink` pixels each way."""
        if coverage is None:
            self.overlay.clear()
            return
        self.overlay.setImage(coverage, levels=(0, 255))
        height, width = coverage.shape
        self.overlay.setRect(QRectF(0, 0, width * shrink, height * shrink))

    def set_outlines(self, corners: NDArray[np.float64] | None) -> None:
        """Draw closed outlines, (points, 2) x, y with rows of NaN between them."""
        points = np.empty((0, 2)) if corners is None else corners
        self.outlines.setData(points[:, 0], points[:, 1])

    @property
    def is_fitted(self) -> bool:
        """Whether the whole image is shown, and will be when the window changes size."""
        return self._fitted

    def fit(self) -> None:
        """Show the whole image, and keep doing so when the window changes size."""
        self._fitted = True
        if not self.frame_rect.isEmpty():
            self.box.setRange(self.frame_rect, padding=0)

    def zoom(self, scale: float) -> None:
        """Show `scale` screen pixels per image pixel around the middle of the view."""
        self._fitted = False
        self.box.scaleBy([self.scale_factor / scale] * 2, center=self.view_rect.center())

    def set_view_rect(self, rect: QRectF) -> None:
        """Look at a part of the image."""
        self._fitted = False
        self.box.setRange(rect, padding=0)

    def follow(self, other: ImagePane) -> None:
        """Look at the same part as another pane, at the whole where that does."""
        self.fit() if other.is_fitted else self.set_view_rect(other.view_rect)

    def position_at(self, point: QPointF) -> tuple[int, int] | None:
        """Give (row, column) of the image pixel at a point of the widget, None outside."""
        there = self.box.mapSceneToView(self.mapToScene(point.toPoint()))
        column, row = math.floor(there.x()), math.floor(there.y())
        inside = 0 <= row < self.frame_rect.height() and 0 <= column < self.frame_rect.width()
        return (row, column) if inside else None

    def to_widget(self, x: float, y: float) -> QPointF:
        """Give the point of the widget where image position (x, y) is shown."""
        return QPointF(self.mapFromScene(self.box.mapViewToScene(QPointF(x, y))))

    def _show_in_sight(self) -> None:
        self.picture.set_in_sight(self.visible_rect)

    @Slot()
    def _on_range_changed(self) -> None:
        self._show_in_sight()
        self.range_changed.emit()

    @Slot()
    def _on_moved_by_hand(self) -> None:
        if self._fitted:  # said only after the range has changed, so those that follow look again
            self._fitted = False
            self.range_changed.emit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep a fitted image fitted."""
        super().resizeEvent(event)
        if getattr(self, "_fitted", False):  # the base class resizes before this object is complete
            self.fit()
            self._place_note()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say what is under the cursor."""
        super().mouseMoveEvent(event)
        self.hovered.emit(self.position_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is under the cursor any more."""
        super().leaveEvent(event)
        self.hovered.emit(None)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Fit the image."""
        self.fit()
        event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the cursor; with Ctrl, go through the frames."""
        closer = event.angleDelta().y() > 0
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.stepped.emit(-1 if closer else 1)
        elif self.image is not None and self._may_zoom(closer):
            super().wheelEvent(event)
        event.accept()

    def _may_zoom(self, closer: bool) -> bool:
        """Tell whether there is anything more to see that way."""
        if closer:
            return self.scale_factor < CLOSEST
        frame, seen = self.frame_rect, self.view_rect
        return seen.width() < 4 * frame.width() or seen.height() < 4 * frame.height()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave keys to the viewer around it."""
        event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Leave keys to the viewer around it."""
        event.ignore()

    def drawForeground(self, painter: QPainter, rect: QRectF) -> None:
        """Paint captions and the scale bar, which neither move nor grow with the image."""
        if self.image is None:
            return
        painter.save()
        painter.setWorldTransform(QTransform())
        self.paint_marks(painter, QRectF(self.viewport().rect()))
        painter.restore()

    def paint_marks(self, painter: QPainter, area: QRectF) -> None:
        """Paint what lies on top of the image, in widget coordinates."""
        for side, text in self.captions.items():
            self.paint_caption(painter, area, text, side)
        if self._um_per_px and self.scale_bar_visible:
            um = self._um_per_px * self.devicePixelRatioF() / self.scale_factor
            paint_scale_bar(painter, area, um, self.font())

    def paint_caption(
        self, painter: QPainter, area: QRectF, text: str, side: Qt.AlignmentFlag
    ) -> None:
        """Paint one caption into an upper corner of `area`, where it fits."""
        text, metrics = tr(text), QFontMetricsF(self.font())
        wide, height = metrics.horizontalAdvance(text), metrics.height() + 6
        around = 8 if wide + 32 <= area.width() else 4
        width = wide + 2 * around
        if not text or width + 2 * around > area.width():
            return
        is_left = side == Qt.AlignmentFlag.AlignLeft
        left = area.left() + around if is_left else area.right() - around - width
        pill = QRectF(left, area.top() + 8, width, height)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(CAPTION_BACKING)
        painter.drawRoundedRect(pill, 5, 5)
        painter.setPen(CAPTION_INK)
        painter.setFont(self.font())
        painter.drawText(pill, Qt.AlignmentFlag.AlignCenter, text)


def note_over(viewport: QWidget) -> QLabel:
    """Give a label for what changes with every move of the mouse, when the image need not."""
    note = QLabel(viewport)
    note.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    note.setStyleSheet(NOTE_STYLE)
    note.hide()
    return note


def patch_pen() -> QPen:
    """Give the line around smooth patches."""
    pen: QPen = pg.mkPen(QColor(*PATCH_GREEN, 130), width=1)
    return pen


def position_text(stack: Stack, row: int, column: int) -> str:
    """Write where a pixel is, in pixels and, where the size is known, in a physical unit."""
    size = stack.pixel_size
    if not size.x_um or not size.y_um:
        return f"{column}, {row} px"
    unit, per_unit = ("mm", 1000) if size.x_um >= 100 else ("µm", 1)
    step = size.x_um / per_unit
    decimals = 3 if step < 0.01 else 2 if step < 0.1 else 1
    x, y = column * step, row * size.y_um / per_unit
    return f"{column}, {row} px ({x:.{decimals}f}, {y:.{decimals}f} {unit})"


def value_text(value: float, unit: str = "") -> str:
    """Write one pixel value with its unit."""
    return f"{pixel_value(value)} {unit}" if unit else pixel_value(value)
