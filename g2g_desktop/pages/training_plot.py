"""The losses of a training, as curves with plain names and one sentence on what to expect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QSize, Qt, QTimer, Slot
from PySide6.QtWidgets import QLabel, QTabBar, QVBoxLayout, QWidget

from g2g_desktop.language import tr
from g2g_desktop.widgets.theme import DARK, LIGHT, Colours, Tone, paint_plot
from training_core.run import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from PySide6.QtGui import QShowEvent

REDRAW_MS = 100
MOST_POINTS = 2000
SETTLED_AFTER = 50  # points, from which on the first tenth no longer sets the scale
PLAIN_NAMES = {
    "generator": "Made noise, taken for real",
    "critic": "Real noise told from made noise",
    "noise critic": "Real noise told from made noise",
    "image critic": "Real images told from made images",
    "cycle": "Image after the way there and back",
    "loss": "Difference from the target",
    "denoiser": "Difference from the target",
    "validation": "Difference on unseen patches",
}
FLATTENS = "The curve flattens early; that is no reason to stop."
LABEL_PX = 24  # the height of the label of a part, with some air
QUALITY = "Quality"
GAINS = "How much of the noise is gone, estimated without a clean image: the best round is kept."
COMPETES = "Two networks compete here: the curves wobble and need not fall."

# Okabe and Ito's colours, told apart by colour-blind eyes; lighter ones on dark.
INKS = {
    False: ("#0072b2", "#d55e00", "#007a5a", "#a3548a"),
    True: ("#56b4e9", "#ff9d4d", "#2fc79b", "#e39bc8"),
}


class LossCurve:
    """Keeps at most 2 000 points of a curve; when full, neighbours are averaged in pairs."""

    def __init__(self) -> None:
        self._x: list[float] = []
        self._y: list[float] = []
        self._every = 1
        self._pending: list[tuple[float, float]] = []

    def add(self, x: float, y: float) -> None:
        """Append a point; a value that is not finite is left out, as it would hide all others."""
        if not np.isfinite(y):
            return
        self._pending.append((x, y))
        if len(self._pending) < self._every:
            return
        self._x.append(float(np.mean([p[0] for p in self._pending])))
        self._y.append(float(np.mean([p[1] for p in self._pending])))
        self._pending.clear()
        if len(self._x) > MOST_POINTS:
            self._halve()

    def _halve(self) -> None:
        pairs = len(self._x) // 2 * 2
        self._x, self._y = (
            np.asarray(values[:pairs]).reshape(-1, 2).mean(axis=1).tolist()
            for values in (self._x, self._y)
        )
        self._every *= 2

    def points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give x and y, each (count,) float64."""
        return np.asarray(self._x), np.asarray(self._y)


class _Page:
    """The curves of one stage, and where its parts begin."""

    def __init__(self) -> None:
        self.curves: dict[str, LossCurve] = {}
        self.parts: list[tuple[float, str]] = []
        self.x = 0.0
        self._offset = 0.0
        self._last_step = 0

    def add(self, step: int, losses: Mapping[str, float]) -> None:
        """Append one point per loss; steps that start over continue where the last part ended."""
        if step < self._last_step:
            self._offset = self.x
        self._last_step = step
        self.x = self._offset + step
        for name, value in losses.items():
            self.curves.setdefault(name, LossCurve()).add(self.x, value)


class TrainingPlot(QWidget):
    """Curves per loss, a tab per stage; redrawn at most ten times a second."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pages: dict[str, _Page] = {}
        self._gains: dict[int, float] = {}
        self._dark = False
        self.tabs = QTabBar(self)
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.legend = _words(self)
        self.plot = _empty_plot()
        self.sentence = _words(self)
        self.sentence.setForegroundRole(self.palette().ColorRole.PlaceholderText)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for part in (self.tabs, self.legend, self.plot, self.sentence):
            column.addWidget(part, 1 if part is self.plot else 0)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_MS)
        self._timer.timeout.connect(self.redraw)
        self.tabs.currentChanged.connect(self.redraw)
        self.set_theme(dark=False)
        self.clear()

    def sizeHint(self) -> QSize:
        """Wide, and twice as high as it likes: a full splitter gives a newcomer half of that."""
        return QSize(420, 440)

    def clear(self) -> None:
        """Forget all curves, before a new training."""
        self._pages.clear()
        self._gains.clear()
        while self.tabs.count():
            self.tabs.removeTab(0)
        self.redraw()

    def start_stage(self, stage: Stage, detail: str = "") -> None:
        """Begin a stage, or a further part of it, such as the next round; no losses, no tab."""
        page = self._pages.setdefault(str(stage), _Page())
        if detail:
            page.parts.append((page.x, detail))
        self._ask_redraw()

    def add_losses(self, stage: Stage, step: int, losses: Mapping[str, float]) -> None:
        """Append the mean losses up to `step`."""
        if not losses:
            return
        page = self._pages.setdefault(str(stage), _Page())
        if not page.curves:
            # A page is worth a look when it begins; later the user may look back at another.
            self.tabs.setCurrentIndex(self._add_tab(str(stage)))
        page.add(step, losses)
        self._ask_redraw()

    def add_quality(self, number: int, decibels: float | None) -> None:
        """Take by how many dB a round reduces the noise; a later judgement replaces it."""
        if decibels is None:
            return
        if not self._gains:
            shown = self.tabs.currentIndex()
            self._add_tab(QUALITY)
            self.tabs.setCurrentIndex(max(shown, 0))
        self._gains[number] = decibels
        self._ask_redraw()

    def set_theme(self, dark: bool) -> None:
        """Take the colours of the light or the dark theme."""
        self._dark = dark
        colours: Colours = DARK if dark else LIGHT
        paint_plot(self.plot, colours, on=colours.field)
        self.redraw()

    def showEvent(self, event: QShowEvent) -> None:
        """Draw what has come meanwhile: nothing is drawn that nobody sees."""
        super().showEvent(event)
        self.redraw()

    def _ask_redraw(self) -> None:
        if self.isVisible() and not self._timer.isActive():
            self._timer.start()

    @Slot()
    def redraw(self) -> None:
        """Draw the page of the chosen tab."""
        self._timer.stop()
        self.tabs.setVisible(self.tabs.count() > 1)
        self.plot.clear()
        name = self.tabs.tabData(self.tabs.currentIndex())
        if name == QUALITY and self._gains:
            self._draw_quality()
            return
        page = self._pages.get(name)
        for side in ("left", "bottom"):
            self.plot.getAxis(side).setVisible(page is not None and bool(page.curves))
        if page is None or not page.curves:
            self.legend.setText("")
            self.sentence.setText(tr("The curves appear when the training begins."))
            return
        self.sentence.setText(tr(COMPETES if name == Stage.NOISE_MODEL else FLATTENS))
        self._draw_parts(page)
        self._draw_curves(page)

    def _add_tab(self, name: str) -> int:
        place = self.tabs.addTab(tr(name))
        self.tabs.setTabData(place, name)
        return place

    def _draw_quality(self) -> None:
        rounds = sorted(self._gains)
        gains = [self._gains[one] for one in rounds]
        ink = INKS[self._dark][2]
        dots = {"symbol": "o", "symbolSize": 7, "symbolBrush": ink, "symbolPen": None}
        self.plot.plot(rounds, gains, pen=pg.mkPen(ink, width=2), **dots)
        for side in ("left", "bottom"):
            self.plot.getAxis(side).setVisible(True)
        reach = max(0.1 * (max(gains) - min(gains)), 0.1)
        self.plot.setYRange(min(gains) - reach, max(gains) + reach, padding=0)
        self.plot.setXRange(0, max(rounds[-1], 1), padding=0.03)
        entry = f'<span style="color:{ink}">&#9644;</span>&nbsp;Noise taken away, dB'
        self.legend.setText(tr(f"{entry}, by round; 0 is the first look"))
        self.sentence.setText(tr(GAINS))

    def _draw_curves(self, page: _Page) -> None:
        inks, entries, settled = INKS[self._dark], [], []
        for number, (name, curve) in enumerate(page.curves.items()):
            x, y = curve.points()
            ink = inks[number % len(inks)]
            self.plot.plot(x, y, pen=pg.mkPen(ink, width=2))
            entries.append(f'<span style="color:{ink}">&#9644;</span>&nbsp;{plain_name(name)}')
            settled.append(y[len(y) // 10 :] if len(y) > SETTLED_AFTER else y)
        self.legend.setText(tr(" &nbsp; ".join(entries) + ", by step"))
        # The first steps are far off; scaled to them, all later ones would look flat.
        values = np.concatenate(settled)
        if values.size:
            # From zero, where nothing is below it: a flat loss shall look flat.
            low = min(0.0, float(values.min()))
            high = float(values.max())
            reach = 0.05 * (high - low or 1.0)
            above = self._headroom(high - low + reach) if page.parts else reach
            self.plot.setYRange(low - reach * (low < 0), high + above, padding=0)
            self.plot.setXRange(0, max(page.x, 1), padding=0.01)

    def _headroom(self, span: float) -> float:
        """Give what to add above curves that need `span`, so that labels are clear of them."""
        height = float(self.plot.getViewBox().height())
        share = min(LABEL_PX / max(height, 1.0), 0.5)
        return span * share / (1 - share)

    def _draw_parts(self, page: _Page) -> None:
        colours = DARK if self._dark else LIGHT
        ink = colours.tones[Tone.MUTED]
        pen = pg.mkPen(ink, style=Qt.PenStyle.DotLine)
        # Filled, for the first steps of a curve may be higher than the plot.
        options = {"position": 1.0, "color": ink, "anchors": [(0, 0)] * 2, "fill": colours.field}
        for x, text in page.parts:
            line = pg.InfiniteLine(x, pen=pen, label=tr(text), labelOpts=options)
            line.setZValue(1)  # above the curves
            self.plot.addItem(line)


def plain_name(name: str) -> str:
    """Give the words for a loss that a reader of the plot can do without the code."""
    return PLAIN_NAMES.get(name, name.replace("_", " ").capitalize())


def _words(parent: QWidget) -> QLabel:
    label = QLabel(parent)
    label.setWordWrap(True)
    return label


def _empty_plot() -> pg.PlotWidget:
    plot = pg.PlotWidget()
    plot.setMenuEnabled(False)
    # The plot makes its menu without a parent, and it would outlive the plot.
    menu = plot.getPlotItem().ctrlMenu
    menu.setParent(plot, menu.windowFlags())
    plot.setMouseEnabled(x=False, y=False)
    plot.hideButtons()
    plot.showGrid(y=True, alpha=0.15)
    plot.getAxis("bottom").enableAutoSIPrefix(False)
    plot.getAxis("left").enableAutoSIPrefix(False)
    plot.setMinimumSize(160, 70)
    plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return plot
