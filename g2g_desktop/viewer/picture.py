"""An image as an item of a scene: squares where it is enlarged, smooth where it is reduced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtGui import QImage, QPainter, QPixmapCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from training_core.stack import Pixels

# Two panes on a large screen; what does not fit is scaled anew with every repaint.
CACHE_KILOBYTES = 128 * 1024


class Picture(pg.ImageItem):  # type: ignore[misc] # pyqtgraph is untyped
    """An image that is smoothed where it is shown smaller than it is, never where larger."""

    def __init__(self) -> None:
        super().__init__(axisOrder="row-major")
        # Scaling a large image takes most of a repaint; while only the overlay changes it is kept.
        self._blend: Callable[[], NDArray[np.uint32]] | None = None
        self.setCacheMode(self.CacheMode.DeviceCoordinateCache)
        QPixmapCache.setCacheLimit(max(QPixmapCache.cacheLimit(), CACHE_KILOBYTES))

    def set_blend(self, blend: Callable[[], NDArray[np.uint32]] | None) -> None:
        """Show these colours, (height, width) of the screen, in the place of grey values.

        They are asked for when they are painted: a change of frame and of contrast is one painting,
        and what is out of sight is none.
        """
        if blend is not None or self._blend is not None:
            self._blend = blend
            self._renderRequired = True
            self.update()

    def render(self) -> None:
        """Make what is painted."""
        if self._blend is None:
            super().render()
            return
        self.qimage = pg.functions.ndarray_to_qimage(self._blend(), QImage.Format.Format_RGB32)
        self._renderRequired = self._unrenderable = False

    def paint(self, painter: QPainter, *args: object) -> None:
        """Paint with the hint that suits the zoom: enlarged pixels stay squares."""
        shrunk = abs(painter.worldTransform().m11()) < 1
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, shrunk)
        super().paint(painter, *args)

    def rendered(self) -> QImage | None:
        """Give the image with its contrast and colours, unscaled; None while there is none."""
        if self.image is None:
            return None
        if self._renderRequired:
            self.render()
        made: QImage | None = self.qimage
        return made


def drawable(image: Pixels) -> Pixels:
    """Give pixels in a type that can be drawn; only booleans and half floats are not."""
    if image.dtype == bool:
        return image.astype(np.uint8)
    return image.astype(np.float32) if image.dtype == np.float16 else image
