"""The part of the bench that cuts a volume along its depth: XZ and YZ with the true scale of Z."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt, QTimer, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSpinBox, QVBoxLayout, QWidget

from g2g_desktop.jobs.latest_job import LatestJob
from g2g_desktop.language import tr
from g2g_desktop.viewer.image_pane import ImagePane
from g2g_desktop.viewer.look_up_tables import look_up_table
from g2g_desktop.widgets.labels import GAP, fill_choices, heading, paragraph

from . import bench_tasks as tasks
from .compare_view import DENOISED, NOISY

if TYPE_CHECKING:
    from training_core.stack import Stack, Values

    from .compare_view import CompareView

SETTLE_MS = 60
HOW = "Click into the picture to choose where it is cut."
LINE = "#f2c14e"  # is seen on grey, and on all tables of colours


class Cross:
    """Two thin lines over a picture, where the others are cut."""

    def __init__(self, pane: ImagePane) -> None:
        pen = pg.mkPen(LINE, width=1, style=Qt.PenStyle.DashLine)
        self.upright, self.level = (pg.InfiniteLine(angle=angle, pen=pen) for angle in (90, 0))
        for line in (self.upright, self.level):
            line.setZValue(12)
            line.hide()
            pane.box.addItem(line, ignoreBounds=True)

    def show_at(self, x: float, y: float) -> None:
        """Cross at a point, in pixels of the picture."""
        self.upright.setPos(x)
        self.level.setPos(y)
        self.set_visible(True)

    def set_visible(self, visible: bool) -> None:
        """Show or hide both lines."""
        self.upright.setVisible(visible)
        self.level.setVisible(visible)


class StretchedPane(ImagePane):
    """Shows an image whose rows are farther apart than its columns."""

    def __init__(self) -> None:
        super().__init__()
        self.stretch = 1.0

    @property
    def frame_rect(self) -> QRectF:
        """The extent of the image, in widths of a column."""
        flat = super().frame_rect
        return QRectF(0, 0, flat.width(), flat.height() * self.stretch)

    def show_stretched(self, image: Values, stretch: float, levels: tuple[float, float]) -> None:
        """Show (depth, length) with rows that are `stretch` columns apart."""
        self.stretch = stretch
        self.set_image(image, levels)
        self.picture.setRect(self.frame_rect)
        self.fit()


class SlicesTab(QWidget):
    """Two slices, noisy or denoised, through a pixel of the frame that is shown."""

    def __init__(self, view: CompareView) -> None:
        super().__init__()
        self._view = view
        self._job = LatestJob(self._on_cut, self._on_failed)
        self.xz, self.yz = StretchedPane(), StretchedPane()
        for pane, name in ((self.xz, "XZ"), (self.yz, "YZ")):
            pane.set_caption(name)
            pane.setAccessibleName(tr(f"Slice {name}"))
        self.crosses = {pane: Cross(pane) for pane in (*view.panes, self.xz, self.yz)}
        self.at_x, self.at_y = self._place("X"), self._place("Y")
        self.which = QComboBox()
        fill_choices(self.which, (DENOISED, NOISY))
        self.which.setAccessibleName(tr("Which stack is cut"))
        self.words = paragraph(HOW, muted=True)
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._cut)
        self._lay_out()
        self.which.currentIndexChanged.connect(self._settle.start)
        view.levels_changed.connect(self._settle.start)
        view.frame_changed.connect(self._settle.start)

    def _place(self, axis: str) -> QSpinBox:
        box = QSpinBox()
        box.setPrefix(tr(f"{axis} "))
        box.setSuffix(" px")
        box.setKeyboardTracking(False)
        box.setAccessibleName(tr(f"{axis} of the slices"))
        box.valueChanged.connect(lambda _value: self._settle.start())
        return box

    def _lay_out(self) -> None:
        column = QVBoxLayout()
        column.addWidget(heading("Slices", 0))
        for part in (self.which, self.at_x, self.at_y, self.words):
            column.addWidget(part)
        column.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, GAP, 0, 0)
        row.setSpacing(GAP)
        row.addLayout(column, 1)
        row.addWidget(self.xz, 4)
        row.addWidget(self.yz, 4)

    def show_stack(self, stack: Stack | None) -> None:
        """Cut through the middle of another stack."""
        height, width = (1, 1) if stack is None else stack.frame_shape
        for box, length in ((self.at_x, width), (self.at_y, height)):
            box.setRange(0, length - 1)
            box.setValue(length // 2)
        self._settle.start()

    def cut_at(self, row: int, column: int) -> None:
        """Cut through another pixel."""
        self.at_x.setValue(column)
        self.at_y.setValue(row)

    @property
    def _stack(self) -> Stack | None:
        return self._view.sources[self.which.currentData()]

    @Slot()
    def _cut(self) -> None:
        stack = self._stack
        if stack is None or "Z" not in stack.axes or not self.isVisible():
            return
        at = self._view.frame_index, self.at_y.value(), self.at_x.value()
        self._job.start(partial(tasks.slices, [stack], *at))

    def showEvent(self, event: object) -> None:
        """Cut where it was chosen while the tab was out of sight."""
        super().showEvent(event)  # type: ignore[arg-type]
        self._settle.start()

    def hideEvent(self, event: object) -> None:
        """Leave the pictures alone."""
        super().hideEvent(event)  # type: ignore[arg-type]
        for cross in self.crosses.values():
            cross.set_visible(False)

    def _on_cut(self, cut: list[Values]) -> None:
        stack = self._stack
        if stack is None:
            return
        size = stack.pixel_size
        known = size.z_um and size.x_um and size.y_um
        levels = self._view.levels
        table = look_up_table(self._view.colours.currentData(), self._view.invert_tool.isChecked())
        for pane, image, across in ((self.xz, cut[0], size.x_um), (self.yz, cut[1], size.y_um)):
            pane.set_table(table)
            pane.set_pixel_size(across if known else None)
            stretch = size.z_um / across if known and size.z_um and across else 1.0
            pane.show_stretched(image, stretch, levels)
        self._mark(stack)
        told = "Z is drawn to scale." if known else "Z is not known: a slice counts as a pixel."
        self.words.setText(tr(f"{told} {HOW}"))

    def _mark(self, stack: Stack) -> None:
        """Show in each picture where the others lie."""
        if not self.isVisible():
            return
        x, y = self.at_x.value() + 0.5, self.at_y.value() + 0.5
        place = np.unravel_index(self._view.frame_index, stack.shape[:-2])
        z = float(place[stack.axes.index("Z")]) + 0.5
        for pane in self._view.panes:
            self.crosses[pane].show_at(x, y)
        self.crosses[self.xz].show_at(x, z * self.xz.stretch)
        self.crosses[self.yz].show_at(y, z * self.yz.stretch)

    def _on_failed(self, error: Exception) -> None:
        self.words.setText(tr(f"The stack could not be cut: {error}"))
