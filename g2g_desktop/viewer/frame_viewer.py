"""What every viewer of stacks has: tools, panes with a read-out, axis sliders, contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QGridLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.language import tr
from g2g_desktop.model.contrast import StackContrast
from g2g_desktop.widgets.labels import fill_choices
from g2g_desktop.widgets.tool_row import ToolRow

from .axis_slider import AxisSliders
from .contrast_bar import ContrastBar
from .image_pane import ImagePane, position_text
from .look_up_tables import NAMES, look_up_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtGui import QAction, QKeyEvent

    from g2g_desktop.model.contrast import Window
    from training_core.stack import Stack


# How far each key goes along the last axis; the ends are further than any stack is long.
STEPS: dict[int, int] = {
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_PageUp: 10,
    Qt.Key.Key_PageDown: -10,
    Qt.Key.Key_Home: -(10**9),
    Qt.Key.Key_End: 10**9,
}


class FrameViewer(QWidget):
    """Shows one frame at a time of a stack, in one or more linked panes with one contrast.

    A child class passes its panes, and says in `draw_frame` what they show.
    """

    frame_changed = Signal(int)
    levels_changed = Signal(float, float)

    def __init__(self, panes: tuple[ImagePane, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.panes = panes
        for pane in panes:
            pane.setParent(self)  # before all others, so that the keyboard comes to it first
        self.stack: Stack | None = None
        self._contrasts: StackContrast | None = None
        self._under_cursor: tuple[int, int] | None = None
        self._inverted = False
        self._linking = False
        self.tools = ToolRow(self)
        self.canvas = QGridLayout()
        self.sliders = AxisSliders(self)
        self.contrast = ContrastBar(self)
        self.zoom_text = QLabel(self)
        self._lay_out()
        self._make_tools()
        self._connect()
        self.setFocusProxy(panes[0])
        self.show_stack(None)

    def _lay_out(self) -> None:
        self.canvas.setSpacing(2)
        self.arrange(self.panes)
        self.column = column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.tools)
        column.addLayout(self.canvas, 1)
        column.addWidget(self.sliders)
        column.addWidget(self.contrast)

    def arrange(self, panes: Sequence[ImagePane]) -> None:
        """Show these panes and hide the others."""
        lay_out(self.canvas, self.panes, panes)

    def _make_tools(self) -> None:
        space = QWidget(self)
        space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._first_common = self.tools.addWidget(space)
        self.tools.addWidget(self.zoom_text)
        self.fit_tool = self.add_tool(
            "Fit", "Show the whole image (F, double click).", icon="fit", last=True
        )
        self.full_tool = self.add_tool(
            "100 %", "Show each pixel as one on screen (Z).", icon="full", last=True
        )
        tip = "Choose the colours. HiLo shows black blue and saturated red."
        self.colours, _ = self.tools.add_box("Colours", tip, None)
        fill_choices(self.colours, NAMES)
        self.invert_tool = self.add_tool(
            "Invert", "Exchange black and white (I).", icon="invert", last=True
        )
        self.invert_tool.setCheckable(True)

    def add_tool(self, text: str, tip: str, *, icon: str, last: bool = False) -> QAction:
        """Add a button to the row above the image: left, or right of those every viewer has."""
        return self.tools.add(text, tip, icon, None if last else self._first_common)

    def _connect(self) -> None:
        self.fit_tool.triggered.connect(self.fit)
        self.full_tool.triggered.connect(self.zoom_full)
        self.colours.currentIndexChanged.connect(self._recolour)
        self.invert_tool.toggled.connect(self._recolour)
        self.contrast.levels_chosen.connect(self.set_levels)
        self.contrast.auto_asked.connect(self.auto_contrast)
        self.sliders.frame_changed.connect(self._on_frame_changed)
        for pane in self.panes:
            pane.hovered.connect(self._on_hovered)
            pane.range_changed.connect(self._on_range_changed)
            pane.stepped.connect(self.sliders.step)

    def sizeHint(self) -> QSize:
        """Large, yet with room for what stands beside and below."""
        return QSize(720, 420)

    @property
    def frame_index(self) -> int:
        """The frame shown, counted over all axes but Y and X, the last one fastest."""
        return self.sliders.frame_index

    @property
    def readout(self) -> str:
        """What is said of the pixel under the cursor; empty while there is none."""
        return self.panes[0].note.text()

    @property
    def levels(self) -> Window:
        """What is shown black and white, in the units of the stack."""
        return self._contrasts.window(self._channel)[0] if self._contrasts else (0.0, 1.0)

    @property
    def _channel(self) -> int:
        return self.stack.channel_of(self.frame_index) if self.stack else 0

    def show_stack(self, stack: Stack | None) -> None:
        """Start with another stack: its sliders, its contrast, its scale, all of it in view."""
        self.stack = stack
        self._contrasts = None if stack is None else StackContrast(stack)
        self._under_cursor = None
        self.sliders.set_stack(stack)
        for pane in self.panes:
            pane.set_pixel_size(stack.pixel_size.x_um if stack else None)
        self.contrast.set_sample(None, whole_numbers=True)
        self._show_contrast()
        self.draw_frame()
        self._recolour()
        self.fit()
        self._show_zoom()
        self._show_readout()

    def draw_frame(self) -> None:
        """Put the current frame into the panes."""
        raise NotImplementedError

    def value_text(self, row: int, column: int) -> str:
        """Say what the pixel under the cursor holds."""
        raise NotImplementedError

    def set_theme(self, dark: bool) -> None:
        """Repaint what takes its colours from the palette."""
        self.contrast.update()

    @Slot(int)
    def show_frame(self, index: int) -> None:
        """Go to a frame, or to the nearest end."""
        self.sliders.show_frame(index)

    @Slot()
    def fit(self) -> None:
        """Show the whole image."""
        for pane in self.panes:
            pane.fit()

    @Slot()
    def zoom_full(self) -> None:
        """Show one image pixel per screen pixel."""
        self.panes[0].zoom(1.0)

    @Slot()
    def invert(self) -> None:
        """Exchange black and white."""
        self.invert_tool.toggle()

    @Slot()
    def auto_contrast(self) -> None:
        """Choose the contrast from the stack; each press saturates more, then nothing at all."""
        if self._contrasts is not None:
            self._contrasts.next_automatic(self._channel)
            self._apply_levels()

    @Slot(float, float)
    def set_levels(self, low: float, high: float) -> None:
        """Show `low` as black and `high` as white."""
        if self._contrasts is not None:
            self._contrasts.choose(self._channel, (low, high))
            self._apply_levels()

    def _show_contrast(self) -> None:
        """Take up the contrast of the current channel."""
        if self.stack is not None and self._contrasts is not None:
            sample = self._contrasts.sample(self._channel)
            self.contrast.set_sample(sample, self.stack.dtype.kind in "iub")
            self._apply_levels()

    def _apply_levels(self) -> None:
        if self._contrasts is None:
            return
        (low, high), how = self._contrasts.window(self._channel)
        for pane in self.panes:
            pane.set_levels((low, high))
        self.contrast.set_levels(low, high, how)
        self.levels_changed.emit(low, high)

    @Slot()
    def _recolour(self) -> None:
        table = look_up_table(self.colours.currentData(), self.invert_tool.isChecked())
        for pane in self.panes:
            pane.set_table(table)

    @Slot(int)
    def _on_frame_changed(self, index: int) -> None:
        if self.stack is not None and "C" in self.stack.axes:
            self._show_contrast()
        self.draw_frame()
        self._show_readout()
        self.frame_changed.emit(index)

    @Slot(object)
    def _on_hovered(self, position: tuple[int, int] | None) -> None:
        self._under_cursor = position
        self._show_readout()

    def _show_readout(self) -> None:
        if self.stack is None or self._under_cursor is None:
            self.panes[0].set_note("")
            return
        row, column = self._under_cursor
        where = position_text(self.stack, row, column)
        self.panes[0].set_note(f"{where} · {self.value_text(row, column)}")

    @Slot()
    def _on_range_changed(self) -> None:
        source = self.sender()
        # One that is hidden is only laid out, and nobody sees what it shows.
        if not self._linking and not (isinstance(source, ImagePane) and source.isHidden()):
            self._linking = True
            for pane in self.panes:
                if isinstance(source, ImagePane) and pane is not source and pane.isVisible():
                    pane.follow(source)
            self._linking = False
        self._show_zoom()

    def _show_zoom(self) -> None:
        shown = self.panes[0].image is not None
        self.zoom_text.setText(tr(f"{100 * self.panes[0].scale_factor:.0f} %" if shown else ""))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys of every viewer; those of the axis sliders act on the last axis."""
        key = event.key()
        commands: dict[int, Callable[[], None]] = {
            Qt.Key.Key_A: self.auto_contrast,
            Qt.Key.Key_F: self.fit,
            Qt.Key.Key_Z: self.zoom_full,
            Qt.Key.Key_I: self.invert,
        }
        bare = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if bare and key in STEPS:
            self.sliders.step(STEPS[key])
        elif bare and key in commands:
            commands[key]()
        else:
            super().keyPressEvent(event)


def lay_out(grid: QGridLayout, panes: Sequence[ImagePane], shown: Sequence[ImagePane]) -> None:
    """Lay some of the panes side by side, four of them in two rows, and hide the others."""
    across = 2 if len(shown) == 4 else max(len(shown), 1)
    for pane in panes:
        grid.removeWidget(pane)
        pane.setVisible(pane in shown)
    for number in range(4):  # else what an earlier arrangement stretched would stay open
        grid.setColumnStretch(number, int(number < across))
        grid.setRowStretch(number, int(number < -(-len(shown) // across)))
    for number, pane in enumerate(shown):
        grid.addWidget(pane, number // across, number % across)
