"""The comparison with its bench: wires the tabs to the pictures and to the core."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from g2g_desktop.widgets.labels import GAP
from training_core.place import PatchLocation
from training_core.run import PreviewReady, Stage, StageStarted

from . import bench_tasks as tasks
from .bench_files import BenchFiles
from .bench_panel import BenchPanel
from .compare_view import DENOISED, MODES, NOISY, CompareView
from .judging import Judging
from .measure_tab import EARLIER, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QResizeEvent

    from g2g_desktop.model.session import Session
    from g2g_desktop.viewer.shapes import Kind
    from training_core.run import Event
    from training_core.stack import Stack


TRAINING = "In training"
FIRST_LOOK, BEGINNING = "First look, before training", "Where the training began"


class BenchPage(QWidget):
    """Fills the comparison from the session and answers what its tabs ask."""

    def __init__(self) -> None:
        super().__init__()
        self.compare = CompareView()
        self.panel = BenchPanel(self.compare)
        self._session: Session | None = None
        self._noisy: Stack | None = None
        self._made: Stack | None = None  # the result as it is in the session
        self._others: dict[str, Stack] = {}
        self._rounds: dict[str, PreviewReady] = {}
        self._detail = ""
        self._strength_moves = False
        self.judging = Judging(self.compare, self.panel)
        self.files = BenchFiles(self, self.compare, self.panel.measure)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP // 2)
        column.addWidget(self.compare, 1)
        column.addWidget(self.panel)
        self._connect()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave room to the picture."""
        super().resizeEvent(event)
        self.panel.fit_to(self.height())

    def _connect(self) -> None:
        panel = self.panel
        panel.result.strength_moved.connect(self._on_strength_moved)
        panel.result.strength_chosen.connect(self._on_strength_chosen)
        panel.result.round_chosen.connect(self._on_round_chosen)
        panel.measure.save_asked.connect(self.files.save_table)
        panel.report_button.clicked.connect(self.files.report)
        self.judging.offered.connect(self._offer)

    @property
    def commands(self) -> dict[str, Callable[[], object]]:
        """What the actions of the bench do, by their ids."""
        kinds: tuple[Kind, ...] = ("line", "rectangle", "polygon")
        return {
            **{mode: partial(self.compare.set_mode, mode) for mode in MODES},
            **{f"measure_{kind}": partial(self.measure, kind) for kind in kinds},
            "loupe": self.compare.loupe_tool.toggle,
            "report": self.files.report,
            "copy_command": self.files.copy_command,
            "copy_methods": self.files.copy_methods,
        }

    def set_theme(self, dark: bool) -> None:
        """Pass the theme on to what paints itself."""
        self.compare.set_theme(dark)
        self.panel.set_theme(dark)

    def show_session(self, session: Session, frame: int) -> None:
        """Show noisy and denoised of the session, `frame` first where they are new."""
        self._session = self.files.session = session
        noisy, made = session.stack, session.denoised
        if noisy is self._noisy and made is self._made:
            return
        same = noisy is self._noisy and noisy is not None and made is not None
        before = self._made if same else None
        if noisy is None or self._noisy is None or noisy.pixels is not self._noisy.pixels:
            self._rounds.clear()  # those are of another stack
        self._noisy, self._made = noisy, made
        if before is not None and made is not None and self._strength_moves:
            self.compare.replace_denoised(made)
        else:
            self._show_pair(before, frame)
        self._strength_moves = False
        self._show_strength()
        self.panel.result.show_rounds([*self._rounds, "The result"] if self._rounds else [])
        self.judging.show_session(session)

    def _show_pair(self, before: Stack | None, frame: int) -> None:
        made = self._made
        kept = {REFERENCE} if before is not None else set()
        self._others = {name: s for name, s in self._others.items() if name in kept}
        if before is not None:
            self._others[EARLIER] = before
        self.compare.set_pair(*((self._noisy, made) if made is not None else (None, None)))
        self.compare.set_others(self._others)
        self.compare.show_frame(frame)
        deep = made is not None and "Z" in made.axes and made.shape[made.axes.index("Z")] > 1
        self.panel.buttons["Slices"].setVisible(deep)
        self.panel.slices.show_stack(made)
        denoiser = self._session.made_by if self._session is not None else None
        self.panel.measure.show_result(denoiser, other_stack=before is None)

    def _show_strength(self) -> None:
        session = self._session
        if session is None or session.denoised is None or session.made_by is None:
            self.panel.result.show_strength(None)
            return
        from training_core.denoise.strength import kept_of

        assert session.stack is not None  # there is a result
        self.panel.result.show_strength(1 - kept_of(session.made_by, session.stack))

    def take_reference(self, reference: Stack) -> None:
        """Show a clean stack of the same scene beside the others, where it has their size."""
        stack = self._noisy
        fits = stack is not None and reference.frame_shape == stack.frame_shape
        if fits and stack is not None and reference.frame_count in (1, stack.frame_count):
            self._offer({REFERENCE: reference})

    @Slot(object)
    def _offer(self, more: dict[str, Stack]) -> None:
        # The newest first: of many, four stand side by side.
        self._others = {**more, **{n: s for n, s in self._others.items() if n not in more}}
        self.compare.set_others(self._others)
        self.panel.measure.show_result(
            self._session.made_by if self._session else None, other_stack=False
        )

    @Slot(object)
    def take(self, event: Event) -> None:
        """Keep the last picture of each round of a training."""
        if isinstance(event, StageStarted):
            if event.stage is Stage.PATCHES:  # a training begins
                self._rounds.clear()
            self._detail = event.detail
        elif isinstance(event, PreviewReady):
            first = event.stage is Stage.FIRST_ESTIMATE
            if not self._rounds and not first:
                self._rounds[BEGINNING] = event
            self._rounds[FIRST_LOOK if first else self._detail.capitalize()] = event

    def measure(self, kind: Kind) -> None:
        """Put a line or a region into the picture, and show what it measures."""
        self.panel.open("Measure")
        self.panel.measure.add(kind)

    @Slot(float)
    def _on_strength_moved(self, strength: float) -> None:
        blended = self._blended(strength)
        if blended is not None:
            self.compare.replace_denoised(blended)

    @Slot(float)
    def _on_strength_chosen(self, strength: float) -> None:
        blended, session = self._blended(strength), self._session
        if blended is None or session is None or session.made_by is None:
            return
        from training_core.denoise.strength import keeping

        self._strength_moves = True
        session.set_strength(blended, keeping(session.made_by, round(1 - strength, 2)))

    def _blended(self, strength: float) -> Stack | None:
        """Give the result with this strength; None while there is none."""
        session = self._session
        if session is None or session.stack is None or session.result is None:
            return None
        from training_core.denoise.strength import kept_again

        if session.result.as_made is None:
            return None
        result, denoiser = session.result.as_made
        return kept_again(result, session.stack, denoiser, round(1 - strength, 2))

    @Slot(int)
    def _on_round_chosen(self, number: int) -> None:
        if self._noisy is None:
            return
        if number < 0:
            self._others.pop(TRAINING, None)
            self.compare.set_others(self._others)
            self.compare.choose(NOISY, DENOISED)
            return
        shown = list(self._rounds.values())[number]
        place = shown.region
        where = PatchLocation(place.top, place.left, place.height, place.width)
        self._offer({TRAINING: tasks.in_frame(self._noisy, where, shown.denoised)})
        self.compare.show_frame(place.frame)
        self.compare.choose(TRAINING, DENOISED)
