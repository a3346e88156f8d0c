"""The part of the bench that shows whether the learned noise is like the real noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Slot
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from g2g_desktop.language import tr
from g2g_desktop.viewer.image_pane import ImagePane
from g2g_desktop.widgets.labels import GAP, heading, paragraph

from .curves import Curve, CurvePlot

if TYPE_CHECKING:
    from training_core.noise.likeness import NoiseLikeness

LOOKING = "Comparing real and made noise..."
NOTHING = "Train first; then the learned noise is compared with the real one here."
REAL, MADE = "Real", "Made"
REACH = (-3.0, 3.0)


class NoiseTab(QWidget):
    """Patches of real and of made noise, four plots of both, and what it means."""

    def __init__(self) -> None:
        super().__init__()
        self.words = paragraph(NOTHING)
        self.more = paragraph(muted=True)
        self.real, self.made = ImagePane(), ImagePane()
        for pane, word, name in (
            (self.real, "Real", "Real noise"),
            (self.made, "Made", "Made noise"),
        ):
            pane.set_caption(word)
            pane.setAccessibleName(tr(name))
        self.histogram = CurvePlot("Histogram of the noise", "Value, std", "Share")
        self.correlation = CurvePlot("Autocorrelation", "Distance, px", "Correlation")
        self.spectrum = CurvePlot("Power spectrum", "Cycles per pixel", "Power")
        self.strength = CurvePlot("Std against intensity", "Intensity", "Std")
        self._lay_out()
        self.clear()

    def _lay_out(self) -> None:
        telling = QVBoxLayout()
        telling.addWidget(heading("Learned noise", 0))
        telling.addWidget(self.words)
        telling.addWidget(self.more)
        telling.addStretch(1)
        plots = QGridLayout()
        plots.setSpacing(GAP)
        for number, plot in enumerate(self.plots):
            plots.addWidget(plot, number // 2, number % 2)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, GAP, 0, 0)
        row.setSpacing(GAP)
        row.addLayout(telling, 2)
        row.addWidget(self.real, 2)
        row.addWidget(self.made, 2)
        row.addLayout(plots, 5)

    @property
    def plots(self) -> tuple[CurvePlot, ...]:
        """All plots."""
        return self.histogram, self.correlation, self.spectrum, self.strength

    def set_theme(self, dark: bool) -> None:
        """Take the colours of the light or the dark theme."""
        for plot in self.plots:
            plot.set_theme(dark)

    def clear(self, text: str = NOTHING) -> None:
        """Show nothing, and say why."""
        self.words.setText(tr(text))
        self.more.setText("")
        for pane in (self.real, self.made):
            pane.set_image(None, REACH)
        for plot in self.plots:
            plot.show_curves([])

    @Slot(object)
    def show_likeness(self, found: NoiseLikeness, step: int | None = None) -> None:
        """Show a comparison, which is one of many where it is of a `step` of the training."""
        self.words.setText(tr(found.sentence))
        when = "" if step is None else f"After {step} steps. "
        self.more.setText(
            tr(
                f"{when}{len(found.levels)} smooth patches, each without its trend and of the same "
                "std; made noise beside them. Where the curves part, the denoiser learned other "
                "noise."
            )
        )
        self.real.set_image(found.real, REACH)
        self.made.set_image(found.made, REACH)
        values = found.values
        self.histogram.show_curves(
            [Curve(n, values, c) for n, c in zip((REAL, MADE), found.counts, strict=True)]
        )
        lags = np.arange(found.along_x.shape[1], dtype=np.float64)
        self.correlation.show_curves(
            [
                Curve(f"{REAL} x", lags, found.along_x[0]),
                Curve(f"{MADE} x", lags, found.along_x[1]),
                Curve(f"{REAL} y", lags, found.along_y[0]),
                Curve(f"{MADE} y", lags, found.along_y[1]),
            ]
        )
        rings = (np.arange(found.spectrum.shape[1]) + 0.5) / (2 * found.spectrum.shape[1])
        self.spectrum.show_curves(
            [Curve(n, rings, p) for n, p in zip((REAL, MADE), found.spectrum, strict=True)]
        )
        self.strength.show_curves(
            [
                Curve("Real patches", found.levels, found.sigmas, dots=True),
                Curve("Noise model", found.curve[0], found.curve[1]),
            ]
        )
