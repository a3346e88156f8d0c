"""An image as an item of a scene: squares where it is enlarged, smooth where it is reduced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRect, QRectF
from PySide6.QtGui import QImage, QPainter, QPixmapCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Blend = Callable[[slice, slice], NDArray[np.uint32]]

    from training_core.stack import Pixels

# Two panes on a large screen; what does not fit is scaled anew with every repaint.
CACHE_KILOBYTES = 128 * 1024
AROUND_PX = 4  # what is in sight: a pixel is smoothed with its neighbours


class Picture(pg.ImageItem):  # type: ignore[misc] # pyqtgraph is untyped
    """An image that is smoothed where it is shown smaller than it is, never where larger."""

    def __init__(self) -> None:
        super().__init__(axisOrder="row-major")
        self._blend: Blend | None = None
        self._in_sight, self._made, self._painted = QRect(), QRect(), QRect()  # pixels
        self._all_wanted = True
        self._follows_sight = False
        # Scaling a large image takes most of a repaint; while only the overlay changes it is kept.
        self.setCacheMode(self.CacheMode.DeviceCoordinateCache)
        QPixmapCache.setCacheLimit(max(QPixmapCache.cacheLimit(), CACHE_KILOBYTES))

    def setImage(self, *args: object, **more: object) -> None:
        """Show another image, of which again no more is painted than is in sight."""
        self._all_wanted = not self._follows_sight
        super().setImage(*args, **more)

    def set_blend(self, blend: Blend | None) -> None:
        """Show the colours of the screen, of some rows and columns, in the place of grey values.

        They are asked for when they are painted: a change of frame and of contrast is one painting,
        and what is out of sight is none.
        """
        if blend is not None or self._blend is not None:
            self._blend = blend
            self._all_wanted = not self._follows_sight
            self._renderRequired = True
            self.update()

    def set_in_sight(self, seen: QRectF) -> None:
        """Say which part of the image can be seen; without it all is.

        No more is painted, which is enough while frames or contrast change. Once another part comes
        into sight all of it is, so that moving about takes no time.
        """
        self._follows_sight = True
        around = QRectF(seen).adjusted(-AROUND_PX, -AROUND_PX, AROUND_PX, AROUND_PX)
        self._in_sight = QRect() if seen.isEmpty() else around.toAlignedRect()
        if not (self._part.isEmpty() or self._painted.contains(self._part)):
            self._all_wanted = True
            self.update()

    @property
    def _whole(self) -> QRect:
        height, width = (0, 0) if self.image is None else self.image.shape[:2]
        return QRect(0, 0, width, height)

    @property
    def _part(self) -> QRect:
        """Give what has to be there."""
        return self._whole if self._all_wanted else self._in_sight.intersected(self._whole)

    def render(self) -> None:
        """Make what is painted."""
        if self._blend is None:
            super().render()
            self._made = self._whole
            return
        part = self._made = self._part
        rows = slice(part.top(), part.top() + part.height())
        colours = self._blend(rows, slice(part.left(), part.left() + part.width()))
        self.qimage = pg.functions.ndarray_to_qimage(colours, QImage.Format.Format_RGB32)
        self._renderRequired = self._unrenderable = False

    def paint(self, painter: QPainter, *_: object) -> None:
        """Paint with the hint that suits the zoom: enlarged pixels stay squares."""
        shrunk = abs(painter.worldTransform().m11()) < 1
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, shrunk)
        part = self._painted = self._part
        image = None if part.isEmpty() else self._holding(part)
        if image is not None:
            painter.drawImage(part, image, part.translated(-self._made.topLeft()))

    def rendered(self) -> QImage | None:
        """Give the image with its contrast and colours, unscaled; None while there is none."""
        if self.image is None:
            return None
        self._all_wanted = True
        return self._holding(self._whole)

    def _holding(self, part: QRect) -> QImage | None:
        """Give the image made, with at least this part of it; None where nothing can be made."""
        if self._renderRequired or not self._made.contains(part):
            self.render()
        return None if self._unrenderable else self.qimage


def drawable(image: Pixels) -> Pixels:
    """Give pixels in a type that can be drawn; only booleans and half floats are not."""
    if image.dtype == bool:
        return image.astype(np.uint8)
    return image.astype(np.float32) if image.dtype == np.float16 else image
