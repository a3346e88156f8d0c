"""The part of the bench that asks how far to trust the result: copies, and planted dots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.language import tr
from g2g_desktop.viewer.image_pane import ImagePane
from g2g_desktop.viewer.look_up_tables import diverging_table, look_up_table
from g2g_desktop.widgets.labels import GAP, heading, paragraph
from training_core.wording import figure

if TYPE_CHECKING:
    from g2g_desktop.model.contrast import Window
    from training_core.stack import Values
    from training_core.trust.planted import PlantedDot
    from training_core.trust.trust_map import TrustMap

COPIES = (8, 12, 16)
ASK = "Make the map"
STOP = "Stop"
EXPLAIN = (
    "The result is made noisy again with the learned noise and denoised again: what changes is "
    "not certain. Looks at the middle 512 × 512 px of what is in view."
)
PLANT = "Plant a dot"
PLANT_TIP = "Click into the picture: dots of five contrasts are planted there and denoised."
THUMB_PX = 36  # so that five pairs fit beside the trust map in a window of 1366 px


class TrustTab(QWidget):
    """Asks for a trust map and shows its parts; asks for planted dots and says what became of them.

    Signals
    -------
    map_asked
        With so many copies; 0 stops.
    planting
        Whether the next click plants a dot.
    """

    map_asked = Signal(int)
    planting = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.map_button = QPushButton(tr(ASK))
        self.map_button.setToolTip(tr(EXPLAIN))
        self.copies = QComboBox()
        self.copies.addItems([tr(f"{count} copies") for count in COPIES])
        self.copies.setAccessibleName(tr("Copies"))
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.words = paragraph(EXPLAIN, muted=True)
        self.bias, self.spread, self.band = ImagePane(), ImagePane(), ImagePane()
        for pane, name in ((self.bias, "Bias"), (self.spread, "Spread"), (self.band, "Band")):
            pane.set_caption(name)
            pane.setAccessibleName(tr(name))
            pane.setMinimumSize(110, 90)
        self.plant_button = QPushButton(tr(PLANT))
        self.plant_button.setCheckable(True)
        self.plant_button.setToolTip(tr(PLANT_TIP))
        self.dot_size = QDoubleSpinBox()
        self.dot_size.setRange(1.2, 14.0)
        self.dot_size.setValue(3.1)
        self.dot_size.setSingleStep(0.5)
        self.dot_size.setDecimals(1)
        self.dot_size.setSuffix(" px")
        self.dot_size.setAccessibleName(tr("Width of the dot"))
        self.dot_size.setToolTip(tr("How wide the dot is at half of its height."))
        self.dot_words = paragraph(PLANT_TIP, muted=True)
        self.thumbs = [(QLabel(), QLabel()) for _ in range(5)]
        self._running = False
        self._lay_out()
        self.map_button.clicked.connect(self._on_map)
        self.plant_button.toggled.connect(self.planting)
        self.clear()

    def _lay_out(self) -> None:
        first, second = QVBoxLayout(), QVBoxLayout()
        for column in (first, second):
            column.setSpacing(GAP)
        first.addWidget(heading("Trust map", 0))
        first.addWidget(self.map_button)
        first.addWidget(self.copies)
        first.addWidget(self.progress)
        first.addWidget(self.words)
        first.addStretch(1)
        second.addWidget(heading("Faint spots", 0))
        second.addWidget(self.plant_button)
        second.addWidget(self.dot_size)
        second.addWidget(self.dot_words)
        pictures = QHBoxLayout()
        pictures.setSpacing(3)
        for noisy, denoised in self.thumbs:
            pair = QVBoxLayout()
            pair.setSpacing(3)
            pair.addWidget(noisy)
            pair.addWidget(denoised)
            pictures.addLayout(pair)
        pictures.addStretch(1)
        second.addLayout(pictures)
        second.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, GAP, 0, 0)
        row.setSpacing(2 * GAP)
        row.addLayout(first, 3)
        for pane in (self.bias, self.spread, self.band):
            row.addWidget(pane, 2)
        row.addLayout(second, 3)

    @property
    def dot_std_px(self) -> float:
        """The std of the dot that is to be planted."""
        return float(self.dot_size.value()) / 2.355

    def clear(self) -> None:
        """Show nothing, of another result."""
        self.show_running(False)
        self.words.setText(tr(EXPLAIN))
        self.dot_words.setText(tr(PLANT_TIP))
        self.plant_button.setChecked(False)
        for pane in (self.bias, self.spread, self.band):
            pane.set_image(None, (0, 1))
            pane.setVisible(False)
        for pair in self.thumbs:
            for picture in pair:
                picture.setVisible(False)

    def show_running(self, running: bool, done: int = 0, total: int = 0) -> None:
        """Show how far the copies are."""
        self._running = running
        self.map_button.setText(tr(STOP if running else ASK))
        self.copies.setEnabled(not running)
        self.progress.setVisible(running)
        self.progress.setRange(0, total)
        self.progress.setValue(done)

    def show_map(self, found: TrustMap, unit: str, caution: str = "") -> None:
        """Show the parts of a trust map and say what they mean, after a caution."""
        self.show_running(False)
        reach, most, widest = (
            float(np.quantile(np.abs(values), 0.995)) or 1.0
            for values in (found.bias, found.spread, found.half_band)
        )
        parts: tuple[tuple[ImagePane, Values, Window, str], ...] = (
            (self.bias, found.bias, (-reach, reach), f"Bias ±{figure(reach)}"),
            (self.spread, found.spread, (0.0, most), f"Spread ≤ {figure(most)}"),
            (self.band, found.half_band, (0.0, widest), f"Band ≤ {figure(widest)}"),
        )
        for pane, values, levels, caption in parts:
            pane.set_image(values.astype(np.float32), levels)
            colours = diverging_table() if pane is self.bias else look_up_table("Viridis")
            pane.set_table(colours)
            pane.set_caption(caption)
            pane.setVisible(True)
            pane.fit()
        unit = unit or "grey values"
        share = 100 * found.unsupported_share
        told = (
            f"90 % of the true values lie within ±{figure(found.half_width)} {unit} of the result "
            f"(median). "
        )
        if share < 0.5:
            told += "All detail that shows comes back when the noise is another."
        else:
            told += (
                f"Hatched: {share:.0f} % of the detail that shows does not come back when the "
                "noise is another; do not measure there."
            )
        self.words.setText(tr(caution + told))

    def show_failure(self, sentence: str) -> None:
        """Say why there is no trust map."""
        self.show_running(False)
        self.words.setText(tr(sentence))

    def show_dot(self, dot: PlantedDot | None, levels: Window, sentence: str) -> None:
        """Show what became of planted dots, with the contrast of the picture."""
        self.dot_words.setText(tr(sentence))
        for number, pair in enumerate(self.thumbs):
            for picture in pair:
                picture.setVisible(dot is not None)
            if dot is not None:
                pair[0].setPixmap(_thumb(dot.noisy[number], levels))
                pair[1].setPixmap(_thumb(dot.denoised[number], levels))

    @Slot()
    def _on_map(self) -> None:
        self.map_asked.emit(0 if self._running else COPIES[self.copies.currentIndex()])


def sentence_of(dot: PlantedDot, unit: str) -> str:
    """Say at which contrast a dot survives here."""
    spots, unit = dot.spots, unit or "grey values"
    if not np.isfinite(spots.half):
        return "Such a dot is mostly lost here even where it is 8 times as high as the noise."
    if spots.half <= 0.5:
        return "Such a dot keeps half of its height here even at half of the noise's std."
    height = spots.half * spots.sigma
    return (
        f"Such a dot keeps half of its height here from {spots.half:.1f} times the noise on, "
        f"{figure(height)} {unit}. Shown: 0.5, 1, 2, 4 and 8 times the noise, noisy above denoised."
    )


def _thumb(image: Values, levels: Window) -> QPixmap:
    low, high = levels
    grey = np.clip((image - low) * (255 / max(high - low, 1e-12)), 0, 255).astype(np.uint8)
    grey = np.ascontiguousarray(grey)
    height, width = grey.shape
    made = QImage(grey.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
    size = QSize(THUMB_PX, THUMB_PX)
    return QPixmap.fromImage(made).scaled(size, Qt.AspectRatioMode.KeepAspectRatio)
