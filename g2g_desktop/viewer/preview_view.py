"""The live preview of a training: the watched region, noisy and as the denoiser now makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from g2g_desktop.model.contrast import SATURATED_PERCENT, IntensitySample

from .image_pane import ImagePane

if TYPE_CHECKING:
    from training_core.run import PreviewReady, ShownRegion


class PreviewView(QWidget):
    """Two linked panes with the contrast of the noisy one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.noisy, self.denoised = ImagePane(self), ImagePane(self)
        self.noisy.set_caption("Noisy")
        self.denoised.set_caption("Denoised so far")
        self.note = QLabel("The preview appears with the first estimate.", self)
        self.note.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.note.setWordWrap(True)
        self.levels = (0.0, 1.0)
        self._region: ShownRegion | None = None
        self._linking = False
        panes = QHBoxLayout()
        panes.setSpacing(2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(panes, 1)
        column.addWidget(self.note)
        column.setSpacing(4)
        for pane in (self.noisy, self.denoised):
            panes.addWidget(pane)
            pane.range_changed.connect(self._on_range_changed)

    def sizeHint(self) -> QSize:
        """Wide enough for two pictures."""
        return QSize(640, 340)

    def clear(self) -> None:
        """Show nothing, before a new training."""
        self._region = None
        for pane in (self.noisy, self.denoised):
            pane.set_image(None, self.levels)
        self.note.setText("The preview appears with the first estimate.")

    def set_pixel_size(self, um_per_px: float | None) -> None:
        """State the pixel size in micrometres, for the scale bar."""
        self.denoised.set_pixel_size(um_per_px)

    @Slot(object)
    def show_preview(self, preview: PreviewReady) -> None:
        """Show the newest preview; its contrast stays the same while the region does."""
        if preview.region != self._region:
            self._region = preview.region
            sample = IntensitySample.of_image(preview.noisy)
            self.levels = sample.window(SATURATED_PERCENT[0])
        self.noisy.set_image(preview.noisy, self.levels)
        self.denoised.set_image(preview.denoised, self.levels)
        self.note.setText(str(preview.stage))

    @Slot()
    def _on_range_changed(self) -> None:
        source = self.sender()
        other = self.denoised if source is self.noisy else self.noisy
        if not self._linking and isinstance(source, ImagePane):
            self._linking = True
            other.set_view_rect(source.view_rect)
            self._linking = False
