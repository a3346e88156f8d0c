"""A line and regions that are drawn over a picture, and moved by their handles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pyqtgraph as pg
from PySide6.QtCore import QObject, Qt, Signal

from g2g_desktop.language import tr

if TYPE_CHECKING:
    from PySide6.QtCore import QRectF
    from PySide6.QtGui import QKeyEvent

    from .image_pane import ImagePane

    Point = tuple[float, float]
    Kind = Literal["line", "rectangle", "polygon"]

LINE_INK, REGION_INK, HOVER_INK = "#ffd84d", "#ff7ad9", "#ffffff"
MOST_REGIONS = 8
WAYS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
KEYS = (
    "Ctrl and the arrows move it, with Shift they size it; C takes up its next corner alone, "
    "Insert adds one, Delete takes it away"
)


class Shapes(QObject):
    """One line and some regions in a pane; `changed` when one was moved, made or removed.

    Where there can be several regions each has its number beside it.
    """

    changed = Signal()

    def __init__(self, pane: ImagePane, most: int = MOST_REGIONS) -> None:
        super().__init__(pane)
        self._pane, self._most = pane, most
        self._taken: pg.graphicsItems.ROI.Handle | None = None  # a corner that keys move alone
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
        elif len(self._regions) < self._most:
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

    def grow(self, number: int, by_x: float, by_y: float) -> None:
        """Make a region, or with number -1 the line, larger by so many pixels."""
        shape = self._line if number < 0 else self._regions[number]
        if shape is None:
            return
        axes = []
        for along, by in zip(zip(*self._corners(shape), strict=True), (by_x, by_y), strict=True):
            first, extent = min(along), max(along) - min(along)
            factor = max(extent + by, 1.0) / extent if extent else 1.0
            axes.append([first + factor * (place - first) for place in along])
        self.move_to(number, tuple(zip(*axes, strict=True)))

    def take_key(self, number: int, event: QKeyEvent) -> bool:
        """Move, size or remove a region by keys; give whether this was one of them."""
        key, modifiers = Qt.Key(event.key()), event.modifiers()
        control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
        if not 0 <= number < len(self._regions):
            return False
        if key in WAYS and modifiers & control:
            change = self.grow if modifiers & shift else self._nudge_or_corner
            change(number, *WAYS[key])
        elif key == Qt.Key.Key_Delete:
            self.remove(number)
        elif key == Qt.Key.Key_C and not modifiers:
            self._take_next_corner(self._regions[number])
        elif key == Qt.Key.Key_Insert:
            self._add_corner(self._regions[number])
        else:
            return False
        return True

    def _nudge_or_corner(self, number: int, by_x: float, by_y: float) -> None:
        shape = self._regions[number]
        taken = self._taken
        if taken is None or taken not in shape.getHandles():
            self.nudge(number, by_x, by_y)
        else:
            there = shape.mapToParent(taken.pos()) + pg.Point(by_x, by_y)
            shape.movePoint(taken, there, coords="parent")

    def _take_next_corner(self, shape: pg.ROI) -> None:
        """Take up the first corner of a polygon, then the next, after the last one none."""
        if not isinstance(shape, pg.PolyLineROI):
            return
        corners = [*shape.getHandles(), None]
        after = corners.index(self._taken) + 1 if self._taken in corners[:-1] else 0
        self._show_taken(False)
        self._taken = corners[after]
        self._show_taken(True)

    def _show_taken(self, taken: bool) -> None:
        if self._taken is not None:
            self._taken.currentPen = pg.mkPen(HOVER_INK, width=4) if taken else self._taken.pen
            self._taken.update()

    def _add_corner(self, shape: pg.ROI) -> None:
        """Add a corner to a polygon between the one taken up, or else the last, and the next."""
        if isinstance(shape, pg.PolyLineROI):
            corners = shape.getHandles()
            before = corners.index(self._taken) if self._taken in corners else len(corners) - 1
            segment = shape.segments[(before + 1) % len(corners)]  # the first leads to corner 0
            ends = [handle["item"].pos() for handle in segment.handles]
            shape.segmentClicked(segment, pos=(ends[0] + ends[1]) / 2)

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
        self._adopt_menus(shape)
        shape.setZValue(20)
        self._pane.box.addItem(shape, ignoreBounds=True)
        shape.sigRegionChanged.connect(self._on_changed)
        return shape

    def _adopt_menus(self, shape: pg.ROI) -> None:
        """Give the menus of corners a parent: without one they would outlive the window."""
        for handle in shape.getHandles():
            if handle.menu.parent() is None:
                handle.menu.setParent(self._pane, handle.menu.windowFlags())
                handle.menu.setTitle(tr("Handle"))
                handle.removeAction.setText(tr("Remove handle"))

    def _remove(self, shape: pg.ROI | None) -> None:
        if shape is not None:
            if self._taken in shape.getHandles():
                self._taken = None
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
        for number, _ in enumerate(self._regions if self._most > 1 else (), start=1):
            name = pg.TextItem(str(number), color=REGION_INK, anchor=(1, 1), fill=(0, 0, 0, 150))
            name.setZValue(21)
            self._pane.box.addItem(name, ignoreBounds=True)
            self._names.append(name)
        self._place_names()

    def _place_names(self) -> None:
        for name, corners in zip(self._names, self.regions, strict=False):
            name.setPos(min(x for x, _ in corners), min(y for _, y in corners))

    def _on_changed(self, shape: pg.ROI | None = None) -> None:
        if shape is not None:
            self._adopt_menus(shape)  # of a corner that a click has added
        self._place_names()
        self.changed.emit()
