"""The tabs under the comparison: one open at a time, or none so that the picture has the room."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.language import tr

from .measure_tab import MeasureTab
from .noise_tab import NoiseTab
from .result_tab import ResultTab
from .slices_tab import SlicesTab
from .trust_tab import TrustTab

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from .compare_view import CompareView

NAMES = ("Strength", "Measure", "Trust", "Noise", "Slices")
TIPS = {
    "Strength": "Choose how much is denoised, and see what each round and noise alone became.",
    "Measure": "Measure along lines and in regions, and see histograms (L, R, Y).",
    "Trust": "See where the result can be believed, and how faint a spot may be.",
    "Noise": "Compare the learned noise with the real noise.",
    "Slices": "Cut through the volume along XZ and YZ.",
}
HEIGHT, LOW, LEAST = 250, 126, 110
SHARE = 0.4  # of the height, at most


class BenchPanel(QWidget):
    """A row of tabs; a click on the open one folds it.

    Signals
    -------
    opened
        The name of the tab that is open now; "" for none.
    """

    opened = Signal(str)

    def __init__(self, view: CompareView) -> None:
        super().__init__()
        self.result, self.measure = ResultTab(), MeasureTab(view)
        self.trust, self.noise, self.slices = TrustTab(), NoiseTab(), SlicesTab(view)
        self.buttons: dict[str, QToolButton] = {}
        self.pages = QStackedWidget()
        self.pages.setFixedHeight(HEIGHT)
        for name, page in zip(
            NAMES, (self.result, self.measure, self.trust, self.noise, self.slices), strict=True
        ):
            self.buttons[name] = self._button(name)
            self.pages.addWidget(_scrolling(page))
        self.report_button = QToolButton()
        self.report_button.setText(tr("Report..."))
        self.report_button.setAutoRaise(True)
        self.report_button.setToolTip(tr("Write a page with pictures, figures and methods."))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self._rows = QHBoxLayout(), QHBoxLayout()
        for row in self._rows:
            row.setSpacing(0)
            row.addStretch(1)
            column.addLayout(row)
        column.addWidget(self.pages)
        self._flow(10**6)
        self._open, self._most = "", HEIGHT
        self.pages.setVisible(False)

    def _button(self, name: str) -> QToolButton:
        button = QToolButton()
        button.setText(tr(name))
        button.setAutoRaise(True)
        button.setCheckable(True)
        button.setToolTip(tr(TIPS[name]))
        button.clicked.connect(partial(self._on_clicked, name))
        return button

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave every name whole."""
        super().resizeEvent(event)
        self._flow(event.size().width())

    def fit_to(self, height: int) -> None:
        """Leave more than half of so many pixels to the picture; what does not fit is scrolled."""
        self._most = max(LEAST, int(SHARE * height))
        self._fit_height()

    def _fit_height(self) -> None:
        self.pages.setFixedHeight(min(LOW if self._open == "Strength" else HEIGHT, self._most))

    def _flow(self, room: int) -> None:
        """Put what does not fit into so many pixels into a second row."""
        used, placed = 0, dict.fromkeys(self._rows, 0)
        for button in (*self.buttons.values(), self.report_button):
            for row in self._rows:
                row.removeWidget(button)
            used += button.sizeHint().width()
            row = self._rows[used > room]
            # Left of the stretch, but for the report, which ends its row.
            row.insertWidget(-1 if button is self.report_button else placed[row], button)
            placed[row] += 1

    @property
    def current(self) -> str:
        """The name of the tab that is open; "" for none."""
        return self._open

    def open(self, name: str) -> None:
        """Open a tab; "" folds them all."""
        self._open = name
        for mine, button in self.buttons.items():
            button.setChecked(mine == name)
        if name:
            self.pages.setCurrentIndex(NAMES.index(name))
            self._fit_height()
        self.pages.setVisible(bool(name))
        self.opened.emit(name)

    def set_theme(self, dark: bool) -> None:
        """Pass the theme on to what paints itself."""
        self.measure.set_theme(dark)
        self.noise.set_theme(dark)

    def _on_clicked(self, name: str, _checked: bool = False) -> None:
        self.open("" if name == self._open else name)


class _Sheet(QWidget):
    """Holds a page as small as it can be; a scroll area would ask for all it likes to have."""

    def __init__(self, page: QWidget) -> None:
        super().__init__()
        self._page = page
        page.setParent(self)
        page.installEventFilter(self)

    def minimumSizeHint(self) -> QSize:
        """As the page says."""
        return self._page.minimumSizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give it all."""
        super().resizeEvent(event)
        self._page.resize(event.size())
        self._fit_words()

    def eventFilter(self, page: QObject, event: QEvent) -> bool:
        """Hear that the page tells something else now."""
        if event.type() is QEvent.Type.LayoutRequest:
            self._fit_words()
        return super().eventFilter(page, event)

    def _fit_words(self) -> None:
        """Be as high as the sentences of the page are at its width, so that none is cut."""
        layout = self._page.layout()
        if layout is not None and layout.hasHeightForWidth():
            self.setMinimumHeight(layout.totalMinimumHeightForWidth(self.width()))


def _scrolling(page: QWidget) -> QScrollArea:
    """Let a page be scrolled where it would be squeezed, as on a small screen at 200 %."""
    area = QScrollArea()
    area.setWidget(_Sheet(page))
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return area
