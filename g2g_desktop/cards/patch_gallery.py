"""The gallery of patches: some that were taken, and some that were refused under their reasons."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QIcon, QImage, QPixmap
from PySide6.QtWidgets import QDialog, QGridLayout, QScrollArea, QToolButton, QVBoxLayout, QWidget

from g2g_desktop.jobs import tasks
from g2g_desktop.jobs.latest_job import LatestJob
from g2g_desktop.language import tr
from g2g_desktop.model.contrast import IntensitySample, shades
from g2g_desktop.model.session import Failure, Step
from g2g_desktop.widgets.labels import GAP, heading, paragraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from g2g_desktop.model.session import Session
    from training_core.patches.gallery import SeenPatch
    from training_core.patches.smooth_patches import SmoothPatches
    from training_core.stack import Stack

SIDE_PX, ACROSS = 68, 8
LOOKING = "Looking at the patches..."
EXPLAIN = (
    "The noise is learned from patches like those taken. Rest the pointer on one for its figures; "
    "a click shows where it lies."
)
NONE = "No patches were found; the reasons are below."


class PatchGallery(QDialog):
    """Small pictures with one contrast; `shown` carries the `SeenPatch` that was clicked."""

    shown = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Patches taken and refused"))
        self.resize(self.sizeHint())
        self.words = paragraph(LOOKING)
        self._known: tuple[Stack | None, SmoothPatches | None] = (None, None)
        self.buttons: list[tuple[SeenPatch, QToolButton]] = []
        self._inner = QWidget()
        self._column = QVBoxLayout(self._inner)
        area = QScrollArea()
        area.setWidget(self._inner)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        column = QVBoxLayout(self)
        column.addWidget(self.words)
        column.addWidget(area, 1)
        self._job = LatestJob(self._on_seen, self._on_failed)

    def sizeHint(self) -> QSize:
        """Room for a row of pictures and a few rows."""
        return QSize(ACROSS * (SIDE_PX + 2 * GAP) + 10 * GAP, 640)

    def show_session(self, session: Session) -> None:
        """Look at the patches that the session knows now."""
        stack, patches = session.stack, session.patches
        if not self.isVisible() or (stack, patches) == self._known:
            return
        self._known = stack, patches
        self._clear()
        if stack is None or patches is None:
            self.words.setText(tr(LOOKING if stack is not None else ""))
            return
        self.words.setText(tr(LOOKING))
        self._job.start(partial(tasks.gallery, stack, patches, session.settings.patches))

    def reject(self) -> None:
        """Ask nothing any more."""
        self._job.cancel()
        self._known = None, None
        super().reject()

    def _clear(self) -> None:
        self.buttons.clear()
        while self._column.count():
            item = self._column.takeAt(0)
            if item is not None and (old := item.widget()) is not None:
                old.setParent(None)
                old.deleteLater()

    def _on_seen(self, seen: Sequence[SeenPatch]) -> None:
        self._clear()
        taken = sum(not one.reason for one in seen)
        self.words.setText(tr(EXPLAIN if taken else NONE))
        if not seen:
            return
        pictures = [one.picture for one in seen if one.picture is not None]
        values = np.concatenate([picture.ravel() for picture in pictures])
        window = IntensitySample.of_image(values[None]).window(1.0)
        for reason, some in groupby(seen, key=lambda one: one.reason):
            mine = list(some)
            title = f"Refused: {reason[0].lower()}{reason[1:]}" if reason else "Taken"
            self._column.addWidget(heading(title, 0))
            self._column.addWidget(self._grid(mine, window))
        self._column.addStretch(1)

    def _grid(self, seen: Sequence[SeenPatch], window: tuple[float, float]) -> QWidget:
        holder = QWidget()
        grid = QGridLayout(holder)
        grid.setContentsMargins(0, 0, 0, GAP)
        grid.setSpacing(GAP // 2)
        grid.setColumnStretch(ACROSS, 1)
        for number, one in enumerate(seen):
            button = QToolButton()
            button.setAutoRaise(True)
            button.setIcon(QIcon(_pixmap(one, window)))
            button.setIconSize(QSize(SIDE_PX, SIDE_PX))
            button.setToolTip(tr(f"{one.sentence}\nFrame {one.frame + 1}, {one.place.left}, "
                              f"{one.place.top} px"))  # fmt: skip
            button.setAccessibleName(tr(one.sentence))
            button.clicked.connect(partial(self.shown.emit, one))
            grid.addWidget(button, number // ACROSS, number % ACROSS)
            self.buttons.append((one, button))
        return holder

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        self._clear()
        self.words.setText(tr(Failure.of(Step.PATCHES, error).sentence))


def _pixmap(one: SeenPatch, window: tuple[float, float]) -> QPixmap:
    assert one.picture is not None  # a gallery is of pictures
    grey = np.ascontiguousarray(shades(one.picture, window))
    height, width = grey.shape
    image = QImage(grey.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
    kept = Qt.AspectRatioMode.KeepAspectRatio
    return QPixmap.fromImage(image.copy()).scaled(SIDE_PX, SIDE_PX, kept)
