"""A line and regions that are drawn over a picture, and moved by their handles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pyqtgraph as pg
from PySide6.QtCore import QObject, Signal, Slot

from g2g_desktop.language import tr

if TYPE_CHECKING:
    from PySide6.QtCore import QRectF

    from g2g_desktop.viewer.image_pane import ImagePane

    Point = tuple[float, float]
    Kind = Literal["line", "rectangle", "polygon"]

LINE_INK, REGION_INK, HOVER_INK = "#ffd84d", "#ff7ad9", "#ffffff"
MOST_REGIONS = 8


class Shapes(QObject):
    """One line and up to eight regions in a pane; `changed` when one was moved, made or removed."""

    changed = Signal()

    def __init__(self, pane: ImagePane) -> None:
        super().__init__(pane)
        self._pane = pane
        self._line: pg.LineSegmentROI | None = None
        self._regions: list[pg.ROI] = []
        self._names: list[pg.TextItem] = []

    @property
    def line(self) -> tuple[Point, Point] | None:
        """The ends of the line, x and y in pixels of the image; None where there is none."""
        if self._line is None:
            return None
        first, second = self._corners(self._line)
        return first, second

    @property
    def regions(self) -> tuple[tuple[Point, ...], ...]:
        """Two opposite corners of each rectangle and all corners of each polygon, in order."""
        return tuple(self._corners(region) for region in self._regions)

    def add(self, kind: Kind) -> None:
        """Put a shape into the middle of what is in view; a line takes the place of another."""
        seen = self._pane.visible_rect
        if seen.isEmpty():
            return
        if kind == "line":
            self._remove(self._line)
            self._line = self._made(kind, seen)
        elif len(self._regions) < MOST_REGIONS:
            self._regions.append(self._made(kind, seen))
            self._name_regions()
        self.changed.emit()

    def move_to(self, number: int, corners: tuple[Point, ...]) -> None:
        """Put a region, or with number -1 the line, where its corners say."""
        shape = self._line if number < 0 else self._regions[number]
        if shape is None:
            return
        if isinstance(shape, pg.RectROI):
            (left, top), (right, bottom) = corners
            shape.setPos((left, top), update=False)
            shape.setSize((right - left, bottom - top))
        else:
            for handle, corner in zip(shape.getHandles(), corners, strict=True):
                shape.movePoint(handle, pg.Point(*corner), coords="parent")
        self._on_changed()

    def nudge(self, number: int, by_x: float, by_y: float) -> None:
        """Move a region, or with number -1 the line, by so many pixels."""
        shape = self._line if number < 0 else self._regions[number]
        if shape is not None:
            shape.translate(by_x, by_y)
            self._on_changed()

    def remove(self, number: int) -> None:
        """Take a region away, or with number -1 the line."""
        if number < 0:
            self._remove(self._line)
            self._line = None
        elif number < len(self._regions):
            self._remove(self._regions.pop(number))
            self._name_regions()
        self.changed.emit()

    def clear(self) -> None:
        """Take all away."""
        for shape in (self._line, *self._regions):
            self._remove(shape)
        self._line, self._regions = None, []
        self._name_regions()
        self.changed.emit()

    def _made(self, kind: Kind, seen: QRectF) -> pg.ROI:
        middle, width, height = seen.center(), seen.width() / 6, seen.height() / 6
        # Each further one a little lower and to the right, so that it does not hide the last.
        step = len(self._regions) * min(width, height) / 3
        x, y = middle.x() + step, middle.y() + step
        pen = pg.mkPen(LINE_INK if kind == "line" else REGION_INK, width=2)
        looks = {"pen": pen, "hoverPen": pg.mkPen(HOVER_INK, width=2), "handlePen": pen}
        if kind == "line":
            y += height  # below the grip of the divider
            shape = pg.LineSegmentROI(((x - width, y), (x + width, y)), **looks)
        elif kind == "rectangle":
            shape = pg.RectROI((x - width / 2, y - height / 2), (width, height), **looks)
        else:
            points = [
                (x, y - height / 2),
                (x + width / 2, y + height / 2),
                (x - width / 2, y + height / 2),
            ]
            shape = pg.PolyLineROI(points, closed=True, **looks)
        for handle in shape.getHandles():
            # It makes its menu without a parent, and it would outlive the window.
            handle.menu.setParent(self._pane, handle.menu.windowFlags())
            handle.menu.setTitle(tr("Handle"))
            handle.removeAction.setText(tr("Remove handle"))
        shape.setZValue(20)
        self._pane.box.addItem(shape, ignoreBounds=True)
        shape.sigRegionChanged.connect(self._on_changed)
        return shape

    def _remove(self, shape: pg.ROI | None) -> None:
        if shape is not None:
            shape.sigRegionChanged.disconnect(self._on_changed)
            self._pane.box.removeItem(shape)

    def _corners(self, shape: pg.ROI) -> tuple[Point, ...]:
        if isinstance(shape, pg.RectROI):
            (x, y), (width, height) = shape.pos(), shape.size()
            return (float(x), float(y)), (float(x + width), float(y + height))
        points = [shape.mapToParent(handle.pos()) for handle in shape.getHandles()]
        return tuple((float(p.x()), float(p.y())) for p in points)

    def _name_regions(self) -> None:
        while self._names:
            self._pane.box.removeItem(self._names.pop())
        for number, _ in enumerate(self._regions, start=1):
            name = pg.TextItem(str(number), color=REGION_INK, anchor=(1, 1), fill=(0, 0, 0, 150))
            name.setZValue(21)
            self._pane.box.addItem(name, ignoreBounds=True)
            self._names.append(name)
        self._place_names()

    def _place_names(self) -> None:
        for name, corners in zip(self._names, self.regions, strict=True):
            name.setPos(min(x for x, _ in corners), min(y for _, y in corners))

    @Slot()
    def _on_changed(self, _shape: object = None) -> None:
        self._place_names()
        self.changed.emit()
