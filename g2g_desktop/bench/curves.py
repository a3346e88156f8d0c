"""A small plot of a few curves, in the colours of the theme, with a legend in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from g2g_desktop.language import tr
from g2g_desktop.widgets.plot_axis import plot_axes
from g2g_desktop.widgets.theme import DARK, LIGHT, paint_plot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QShowEvent

    from training_core.stack import Values

# Okabe and Ito's colours, told apart by colour-blind eyes; lighter ones on dark.
INKS = {
    False: ("#6b7280", "#0072b2", "#d55e00", "#007a5a"),
    True: ("#9aa3b0", "#56b4e9", "#ff9d4d", "#2fc79b"),
}


@dataclass(frozen=True, eq=False)
class Curve:
    """One line, or a cloud of `dots`; `x` and `y` are (count,) float64."""

    name: str
    x: Values
    y: Values
    dots: bool = False


class CurvePlot(QWidget):
    """Draws curves over each other; the first one is that of the noisy picture, in grey.

    The plot itself is made when it is first seen, and nothing is drawn that nobody sees.
    """

    def __init__(self, name: str, across: str, along: str) -> None:
        super().__init__()
        self._name, self._across, self._along = name, across, along
        self._dark = self._log = False
        self._plot: pg.PlotWidget | None = None
        self.curves: Sequence[Curve] = ()
        self.legend = QLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.legend)

    def _make(self) -> pg.PlotWidget:
        plot = pg.PlotWidget(self, enableMenu=False, axisItems=plot_axes())
        # The plot makes its menu without a parent, and it would outlive the plot.
        menu = plot.getPlotItem().ctrlMenu
        menu.setParent(plot, menu.windowFlags())
        plot.hideButtons()
        plot.setMouseEnabled(False, False)
        plot.setLabel("left", tr(self._along), **{"font-size": "8pt"})  # it stands upright
        plot.setAccessibleName(tr(self._name))
        plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        for side in ("left", "bottom"):
            plot.getAxis(side).enableAutoSIPrefix(False)
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout)  # made above
        layout.addWidget(plot, 1)
        return plot

    def sizeHint(self) -> QSize:
        """Room for a curve and its numbers."""
        return QSize(300, 160)

    def minimumSizeHint(self) -> QSize:
        """Still readable."""
        return QSize(180, 110)

    def show_curves(self, curves: Sequence[Curve], *, log: bool = False, across: str = "") -> None:
        """Draw other curves, over something else if `across` is given; none empties the plot."""
        self.curves, self._log = curves, log
        self._across = across or self._across
        self._draw()

    def set_theme(self, dark: bool) -> None:
        """Take the colours of the light or the dark theme."""
        self._dark = dark
        self._draw()

    def showEvent(self, event: QShowEvent) -> None:
        """Draw what has come meanwhile."""
        super().showEvent(event)
        self._draw()

    def _draw(self) -> None:
        if not self.isVisible():
            return
        plot = self._plot = self._plot or self._make()
        colours = DARK if self._dark else LIGHT
        paint_plot(plot, colours, on=colours.card)
        plot.setLabel("bottom", tr(self._across))
        plot.setLogMode(False, self._log)
        plot.clear()
        inks = INKS[self._dark]
        names = []
        for number, curve in enumerate(self.curves):
            ink = inks[number % len(inks)]
            if curve.dots:
                brush = pg.mkBrush(pg.mkColor(ink))
                plot.plot(
                    curve.x, curve.y, pen=None, symbol="o", symbolSize=3, symbolBrush=brush,
                    symbolPen=None,
                )  # fmt: skip
            else:
                plot.plot(curve.x, np.asarray(curve.y), pen=pg.mkPen(ink, width=2))
            name = tr(curve.name).replace(" ", "&nbsp;")
            names.append(f'<span style="color:{ink}">\N{BLACK SQUARE}</span>&nbsp;{name}')
        self.legend.setText(" &nbsp;".join(names))
        self.legend.setVisible(bool(names))
