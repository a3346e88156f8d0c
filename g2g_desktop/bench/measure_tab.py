"""The part of the bench that measures: profile, regions and histograms, in figures and curves."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.jobs.latest_job import LatestJob
from g2g_desktop.language import tr
from g2g_desktop.viewer.shapes import KEYS, Shapes
from g2g_desktop.widgets.labels import GAP, paragraph

from . import bench_tasks as tasks
from .compare_view import DENOISED, NOISY
from .curves import Curve, CurvePlot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from g2g_desktop.viewer.shapes import Kind
    from training_core.denoise.denoiser import Denoiser
    from training_core.quality.measuring import RegionFigures
    from training_core.stack import Stack

    from .compare_view import CompareView

SETTLE_MS = 40
REFERENCE, EARLIER = "Reference", "Earlier result"
MEASURED = (NOISY, DENOISED, REFERENCE, EARLIER)
ERRORS = (3, 6)  # columns that stand beside the figure before them
COLUMNS = (
    "Region", "Pixels", "Mean raw", "± noise", "Mean denoised", "Sum raw", "± noise",
    "Std raw", "Std denoised", "SNR raw", "SNR denoised", "CNR raw", "CNR denoised",
)  # fmt: skip
ERROR = "± is what the noise makes of it: one standard deviation, correlation included."
TIPS = {
    "Mean raw": ERROR,
    "Sum raw": ERROR,
    "SNR raw": "Mean over the standard deviation of the noise in one raw pixel.",
    "SNR denoised": "Mean over the standard deviation of the denoised pixels, structure included.",
    "CNR raw": "Difference from region 1 over the standard deviation of both.",
    "CNR denoised": "Difference from region 1 over the standard deviation of both.",
}
HOW = (
    "Sums and means come from the raw pixels, with the error that noise causes; denoised figures "
    "stand beside them."
)
EMPTY = "Press L for a line, R for a rectangle, Y for a polygon; drag them and their handles."


class MeasureTab(QWidget):
    """Tools, a table of regions, and a plot; everything can be copied as a table.

    Signals
    -------
    save_asked
        The text of a table that is to be written into a file.
    """

    save_asked = Signal(str)

    def __init__(self, view: CompareView) -> None:
        super().__init__()
        self._view = view
        self._denoiser: Denoiser | None = None
        self.shapes = Shapes(view.left)
        self.measured: tasks.Measured | None = None
        self._job = LatestJob(self._on_measured, self._on_failed)
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._measure)
        self.table = self._make_table()
        self.profile = CurvePlot("Profile along the line", "Distance", "Value")
        self.histogram = CurvePlot("Histograms", "Value", "Pixels")
        self.note = paragraph(EMPTY, muted=True)
        self._lay_out()
        self.shapes.changed.connect(self._settle.start)
        view.frame_changed.connect(self._settle.start)

    def _make_table(self) -> QTableWidget:
        shown = [name for number, name in enumerate(COLUMNS) if number not in ERRORS]
        table = QTableWidget(0, len(shown))
        table.setHorizontalHeaderLabels([tr(name) for name in shown])
        for number, name in enumerate(shown):
            header = table.horizontalHeaderItem(number)
            if header is not None and name in TIPS:
                header.setToolTip(tr(TIPS[name]))
        table.verticalHeader().hide()
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setAccessibleName(tr("Regions"))
        table.setMinimumHeight(70)
        table.setToolTip(tr(f"With a region chosen, {KEYS[:1].lower()}{KEYS[1:]}."))
        table.installEventFilter(self)
        return table

    def _lay_out(self) -> None:
        self.line_button = _button("Line", "Put a line into the picture (L).")
        self.rectangle_button = _button("Rectangle", "Put a rectangle into the picture (R).")
        self.polygon_button = _button("Polygon", "Put a polygon into the picture (Y).")
        self.clear_button = _button("Clear", "Take line and regions away.")
        self.copy_button = _button("Copy", "Copy the figures and the profile as a table.")
        self.save_button = _button("Save CSV...", "Write the figures and the profile into a file.")
        for kind, button in (
            ("line", self.line_button),
            ("rectangle", self.rectangle_button),
            ("polygon", self.polygon_button),
        ):
            button.clicked.connect(partial(self.add, kind))  # type: ignore[arg-type]
        self.clear_button.clicked.connect(self.shapes.clear)
        self.copy_button.clicked.connect(self._copy)
        self.save_button.clicked.connect(self._save)
        self.width_box = QSpinBox()
        self.width_box.setRange(1, 99)
        self.width_box.setSuffix(" px")
        self.width_box.setAccessibleName(tr("Width of the band"))
        self.width_box.setToolTip(tr("The profile is the mean over a band of this width."))
        self.width_box.valueChanged.connect(self._settle.start)
        self.plots = QComboBox()
        self.plots.addItems([tr("Profile"), tr("Histogram")])
        self.plots.setAccessibleName(tr("Plot"))
        self.plots.currentIndexChanged.connect(self._show_plot)
        tools = QHBoxLayout()
        tools.setSpacing(GAP)
        for part in (
            self.line_button, QLabel(tr("Band")), self.width_box, self.rectangle_button,
            self.polygon_button, self.clear_button, self.copy_button, self.save_button,
        ):  # fmt: skip
            tools.addWidget(part)
        tools.addStretch(1)
        tools.addWidget(self.plots)
        left = QVBoxLayout()
        left.addWidget(self.table, 1)
        left.addWidget(self.note)
        both = QHBoxLayout()
        both.setSpacing(GAP)
        both.addLayout(left, 3)
        both.addWidget(self.profile, 2)
        both.addWidget(self.histogram, 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, GAP, 0, 0)
        column.addLayout(tools)
        column.addLayout(both, 1)
        self._show_plot()

    def set_theme(self, dark: bool) -> None:
        """Take the colours of the light or the dark theme."""
        for plot in (self.profile, self.histogram):
            plot.set_theme(dark)

    def show_result(self, denoiser: Denoiser | None, *, other_stack: bool) -> None:
        """Measure with what is known of the noise; shapes of another stack go."""
        self._denoiser = denoiser
        if other_stack:
            self.shapes.clear()
        self._settle.start()

    @Slot()
    def _show_plot(self) -> None:
        profile = self.plots.currentIndex() == 0
        self.profile.setVisible(profile)
        self.histogram.setVisible(not profile)

    def add(self, kind: Kind, _checked: bool = False) -> None:
        """Put a shape into the picture, and show the plot that is of it."""
        self.plots.setCurrentIndex(0 if kind == "line" else 1)
        self.shapes.add(kind)

    @property
    def _pictures(self) -> dict[str, Stack]:
        """What is measured, by name: not what the bench made to be looked at only."""
        shown = self._view.sources
        return {n: s for n, s in shown.items() if n in MEASURED and s is not None}

    @Slot()
    def _measure(self) -> None:
        pictures = self._pictures
        if len(pictures) < 2 or not self.isVisible():
            return
        shapes = self.shapes
        asked = tasks.Measuring(
            pictures, self._view.frame_index, self._denoiser, shapes.line,
            self.width_box.value(), shapes.regions,
        )  # fmt: skip
        self._job.start(partial(tasks.measure, asked))

    def showEvent(self, event: object) -> None:
        """Measure what changed while the tab was out of sight."""
        super().showEvent(event)  # type: ignore[arg-type]
        self._settle.start()

    def _on_measured(self, measured: tasks.Measured) -> None:
        self.measured = measured
        names = list(self._pictures)
        self._fill_table(measured.regions)
        told = measured.profile if isinstance(measured.profile, str) else ""
        self.note.setText(tr(told or (HOW if measured.regions else EMPTY)))
        self._draw_profile(measured, names)
        edges = measured.histograms.edges
        middles = (edges[:-1] + edges[1:]) / 2
        counts = zip(names, measured.histograms.counts, strict=False)
        self.histogram.show_curves([Curve(n, middles, np.asarray(c, float)) for n, c in counts])

    def _draw_profile(self, measured: tasks.Measured, names: Sequence[str]) -> None:
        profile = measured.profile
        if profile is None or isinstance(profile, str):
            self.profile.show_curves([])
            return
        um = self._view.stack.pixel_size.x_um if self._view.stack is not None else None
        x = profile.distances * (um or 1.0)
        curves = [Curve(n, x, y) for n, y in zip(names, profile.values, strict=False)]
        self.profile.show_curves(curves, across="Distance, µm" if um else "Distance, px")

    def _on_failed(self, error: Exception) -> None:
        self.note.setText(tr(f"It could not be measured: {error}"))

    def _fill_table(self, regions: Sequence[RegionFigures | str]) -> None:
        self.table.setRowCount(len(regions))
        for row, cells in enumerate(self._rows(regions)):
            for column, text in enumerate(_joined(cells)):
                item = QTableWidgetItem(tr(text))
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(row, column, item)

    def _rows(self, regions: Sequence[RegionFigures | str]) -> list[list[object]]:
        first = next((r for r in regions if not isinstance(r, str)), None)
        rows: list[list[object]] = []
        for number, one in enumerate(regions, start=1):
            if isinstance(one, str):
                rows.append([number, one])
                continue
            cnr = one.cnr(first) if first is not None and one is not first else ("", "")
            rows.append(
                [number, one.pixels, one.raw_mean, one.mean_error, one.mean, one.raw_sum,
                 one.sum_error, one.raw_std, one.std, one.raw_snr, one.snr, *cnr]
            )  # fmt: skip
        return rows

    def text(self, separator: str) -> str:
        """Give figures and profile as lines for a spreadsheet; "" while there is nothing."""
        from training_core.quality.measuring import table

        if self.measured is None:
            return ""
        rows: list[Sequence[object]] = []
        if self.measured.regions:
            rows += [COLUMNS, *self._rows(self.measured.regions)]
        profile = self.measured.profile
        if profile is not None and not isinstance(profile, str):
            names = list(self._pictures)[: len(profile.values)]
            columns = zip(profile.distances.tolist(), *profile.values.tolist(), strict=True)
            rows += [["Distance, px", *names], *columns]
        return table(rows, separator) if rows else ""

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text("\t"))

    @Slot()
    def _save(self) -> None:
        if text := self.text(","):
            self.save_asked.emit(text)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Move, size and remove the chosen region by keys."""
        if isinstance(event, QKeyEvent) and event.type() is QEvent.Type.KeyPress:
            return self.shapes.take_key(self.table.currentRow(), event)
        return super().eventFilter(watched, event)


def _joined(cells: Sequence[object]) -> list[str]:
    """Write the cells of a row, errors beside the figures that they are of."""
    written = [
        _figure(cell, 2 if place in ERRORS else 4) if isinstance(cell, float) else str(cell)
        for place, cell in enumerate(cells)
    ]
    for error in reversed(ERRORS):
        if error < len(written):
            written[error - 1] += f" ± {written.pop(error)}"
    return written


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(tr(text))
    button.setToolTip(tr(tip))
    return button


def _figure(value: float, digits: int) -> str:
    """Write a figure with so many digits, and never an exponent."""
    if not np.isfinite(value):
        return "\N{INFINITY}"
    return (
        f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
        if abs(value) >= 10 ** (digits - 1)
        else f"{value:.{digits}g}"
    )
