"""Before and after in five ways, always with one contrast, one zoom and one frame."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup

from g2g_desktop.viewer.image_pane import ImagePane, value_text
from g2g_desktop.viewer.loupe import Loupe
from g2g_desktop.viewer.pair_viewer import LEFT, RIGHT, PairViewer
from g2g_desktop.viewer.split_pane import SplitPane
from g2g_desktop.widgets.labels import GAP, fill_choices

from .removed_layer import RemovedLayer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PySide6.QtGui import QKeyEvent
    from PySide6.QtWidgets import QComboBox, QWidget

    from g2g_desktop.viewer.pair_viewer import Layer
    from g2g_desktop.viewer.picture import Picture
    from training_core.stack import Pixels, Stack

Mode = Literal["split", "side", "blink", "residual", "changed"]
MODES: tuple[Mode, ...] = get_args(Mode)
TOOLS = {
    "split": ("Split", "Show one picture with a divider to drag (1)."),
    "side": ("Side by side", "Show two to four pictures that move together (2)."),
    "blink": ("Blink", "Show one picture in turn with the other, each for a second (3)."),
    "residual": ("Residual", "Show what was removed, in its own standard deviations (4)."),
    "changed": ("Changed", "Show which pixels changed by more than noise explains (5)."),
    "loupe": ("Loupe", "Enlarge what is under the cursor (O)."),
}
NOISY, DENOISED = "Noisy", "Denoised"
BLINK_MS = 1000
MOST_PANES = 4


class CompareView(PairViewer):
    """Shows a noisy stack, what it became, and other pictures of the same scene.

    The contrast window is that of the noisy stack and holds for all: with a window of its own the
    denoised stack would look brighter or darker than it is.

    Signals
    -------
    mode_changed
        Another arrangement is shown.
    """

    mode_changed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        self.left, self.right = SplitPane(), ImagePane()
        self._denoised: Stack | None = None
        self._others: dict[str, Stack] = {}
        self._pair = [NOISY, DENOISED]  # what the split and the blink show
        self._first = NOISY  # which of them the left picture is
        self._mode: Mode = "split"
        self._holding = self._second_turn = False
        self.removed = RemovedLayer(self.left)
        more = (ImagePane(), ImagePane())
        super().__init__((self.left, self.right, *more), parent)
        self.loupe = Loupe(self)
        for pane in self.panes:
            pane.hovered.connect(partial(self._enlarge, pane))
        self._blink = QTimer(self, interval=BLINK_MS)
        self._blink.timeout.connect(self._on_blink)
        self._make_mode_buttons()
        self.set_mode("split")

    def _make_mode_buttons(self) -> None:
        self.mode_tools = {mode: self.add_tool(*TOOLS[mode], icon=mode) for mode in MODES}
        self.split_tool, self.side_tool = self.mode_tools["split"], self.mode_tools["side"]
        self._box_actions: list[QAction] = []
        self.first_box, self.second_box = self._box("Left picture"), self._box("Right picture")
        self.add_original_tool()
        self.loupe_tool = self.add_tool(*TOOLS["loupe"], icon="loupe")
        self.loupe_tool.setCheckable(True)
        self.loupe_tool.toggled.connect(self.loupe.hide)
        self._modes = QActionGroup(self)
        for mode, action in self.mode_tools.items():
            action.setCheckable(True)
            action.setData(mode)
            self._modes.addAction(action)
        self._modes.triggered.connect(self._on_mode_chosen)
        self._fill_boxes()

    def _box(self, name: str) -> QComboBox:
        tip = f"Choose the {name.lower()} of the split and of the blink."
        box, in_row = self.tools.add_box(name, tip, self._first_common)
        box.activated.connect(self._on_chosen)
        self._box_actions.append(in_row)
        return box

    def set_pair(self, noisy: Stack | None, denoised: Stack | None) -> None:
        """Show two stacks of one shape from the first frame; None for nothing."""
        self._denoised = denoised
        self._others = {}
        self.removed.forget()
        self._fill_boxes()
        self.show_stack(noisy)

    def replace_denoised(self, denoised: Stack) -> None:
        """Show another result of the same stack, without moving or changing anything else."""
        self._denoised = denoised
        self.draw_frame()
        self._show_readout()

    def set_others(self, others: Mapping[str, Stack]) -> None:
        """Offer more pictures of the scene by their names, each with as many frames, or one."""
        self._others = dict(others)
        self._fill_boxes()
        self.set_mode(self._mode)

    def choose(self, first: str, second: str) -> None:
        """Choose which two pictures the split and the blink show, by name."""
        self._pair = [first, second]
        self._fill_boxes()
        self.draw_frame()

    def _fill_boxes(self) -> None:
        names = list(self.sources)
        for number, box in enumerate((self.first_box, self.second_box)):
            if self._pair[number] not in names:
                self._pair[number] = names[number]
            box.clear()
            fill_choices(box, names)
            box.view().setMinimumWidth(box.view().sizeHintForColumn(0) + 2 * GAP)
            box.setCurrentIndex(names.index(self._pair[number]))
            self._box_actions[number].setVisible(bool(self._others))
        self.tools.fit()

    @property
    def sources(self) -> dict[str, Stack | None]:
        """All pictures that can be shown, by name, the noisy one first."""
        return {NOISY: self.stack, DENOISED: self._denoised, **self._others}

    @property
    def mode(self) -> Mode:
        """Which arrangement is shown."""
        return self._mode

    def set_mode(self, mode: Mode) -> None:
        """Choose the arrangement, one of `MODES`."""
        self._mode = mode
        seen = None if self.left.is_fitted else self.left.view_rect
        self.mode_tools[mode].setChecked(True)
        shown = len(self._side_names) if mode == "side" else 1
        self.arrange(self.panes[:shown])
        for number, pane in enumerate(self.panes):  # one bar is enough
            pane.scale_bar_visible = number == shown - 1
        self._second_turn = False
        self._blink.start() if mode == "blink" else self._blink.stop()
        self.left.set_split(mode == "split")
        self.draw_frame()
        self._recolour()
        for pane in self.panes[:shown]:  # the detail that is looked at stays in view
            pane.fit() if seen is None else pane.set_view_rect(seen)
        self.mode_changed.emit(mode)

    @property
    def _side_names(self) -> list[str]:
        return list(self.sources)[:MOST_PANES]

    def show_original(self, show: bool) -> None:
        """Show the noisy stack everywhere, for as long as a key is held."""
        self._holding = show
        self.left.show_only_first(show)
        self.draw_frame()

    def draw_frame(self) -> None:
        """Put the current frame of all stacks into the panes."""
        first, second = self._pair
        if self._holding or self._mode == "side":
            first = NOISY
        elif self._mode == "changed" or (self._mode == "blink" and self._second_turn):
            first = second if self._mode == "blink" else DENOISED
        self.left.set_pair(self._frame_of(first), self._frame_of(second), self.levels)
        for pane, name in zip(self.panes[1:], self._side_names[1:], strict=False):
            shown = NOISY if self._holding else name
            pane.set_image(self._frame_of(shown), self.levels)
        self._first = first
        self._show_captions(first)
        self._draw_removed()
        self.lay_over()

    def layers(self) -> list[Layer]:
        """Give the pictures in sight with their stacks; what was removed is of one channel."""
        names = {self.left.picture: self._first, self.left.second: self._pair[1]}
        if self._mode in ("residual", "changed") and not self._holding:
            names = dict.fromkeys(names, "")
        for pane, name in zip(self.panes[1:], self._side_names[1:], strict=False):
            names[pane.picture] = NOISY if self._holding else name
        shape = self.stack.shape if self.stack is not None else ()
        stacks = ((picture, self.sources.get(name)) for picture, name in names.items())
        return [(p, s if s is not None and s.shape == shape else None, None) for p, s in stacks]

    def _frame_of(self, name: str) -> Pixels | None:
        stack = self.sources.get(name)
        if stack is None or self._denoised is None:
            return None
        return stack.raw_frame(self.frame_index if stack.frame_count > 1 else 0)

    def _draw_removed(self) -> None:
        """Lay what was removed over the picture, where that is asked for."""
        wanted = self._mode if self._mode in ("residual", "changed") else None
        if wanted is None or self._holding or self.stack is None or self._denoised is None:
            if self.removed.kind is not None:
                self.removed.hide()
                self._recolour()
        else:
            self.removed.show(wanted, self.stack, self._denoised, self.frame_index)

    def _apply_levels(self) -> None:
        super()._apply_levels()
        self._draw_removed()

    @Slot()
    def _recolour(self) -> None:
        super()._recolour()
        self._draw_removed()

    def _show_captions(self, first: str) -> None:
        split = self._mode == "split" and not self._holding
        self.left.captions = {LEFT: first, RIGHT: self._pair[1] if split else ""}
        for pane, name in zip(self.panes[1:], self._side_names[1:], strict=False):
            pane.captions = {LEFT: NOISY if self._holding else name}
        for pane in self.panes:
            pane.viewport().update()

    def value_text(self, row: int, column: int) -> str:
        """Say what the pixel under the cursor is in each picture, first what it was and became."""
        if self.stack is None or self._denoised is None:
            return ""
        unit = self.stack.value_unit
        told = {name: value_text(self._frame_of(name)[row, column], unit) for name in self.sources}  # type: ignore[index]
        rest = [f"{name.lower()} {told[name]}" for name in self._others]
        return " · ".join([f"noisy {told[NOISY]} → denoised {told[DENOISED]}", *rest])

    @Slot(QAction)
    def _on_mode_chosen(self, action: QAction) -> None:
        self.set_mode(action.data())

    @Slot()
    def _on_chosen(self) -> None:
        self._pair = [self.first_box.currentData(), self.second_box.currentData()]
        self.draw_frame()

    @Slot()
    def _on_blink(self) -> None:
        if self.isVisible():
            self._second_turn = not self._second_turn
            self.draw_frame()

    def _enlarge(self, pane: ImagePane, position: tuple[int, int] | None) -> None:
        if position is None or not self.loupe_tool.isChecked():
            self.loupe.hide()
            return
        there = pane.to_widget(position[1] + 0.5, position[0] + 0.5).toPoint()
        cursor = pane.viewport().mapTo(self, there)
        self.loupe.show_at(self._enlarged, position, cursor, pane.scale_factor)

    @property
    def _enlarged(self) -> list[tuple[str, Picture]]:
        """What the loupe shows: the pictures of the pair, or of all panes."""
        if self._mode == "side":
            shown = zip(self._side_names, self.panes, strict=False)
            return [(name, pane.picture) for name, pane in shown]
        if self._mode == "residual":
            return [("Residual", self.left.picture), (self._pair[1], self.left.second)]
        first, second = self._pair
        return [(first, self.left.picture), (second, self.left.second)]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """1 to 5 choose the mode, O the loupe, arrows move the divider."""
        key, plain = event.key(), not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if plain and Qt.Key.Key_1 <= key <= Qt.Key.Key_5:
            self.set_mode(MODES[key - Qt.Key.Key_1])
        elif plain and key == Qt.Key.Key_O:
            self.loupe_tool.toggle()
        elif self._mode == "split" and key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            far = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
            by = 0.1 if far else 0.01
            self.left.set_divider(self.left.divider + (by if key == Qt.Key.Key_Right else -by))
        else:
            super().keyPressEvent(event)
