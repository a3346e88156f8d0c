"""The preview without training: one frame at a time, by the bundled network, plainly labelled."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout

from g2g_desktop.jobs import tasks
from g2g_desktop.jobs.latest_job import LatestJob
from g2g_desktop.model.session import Failure, Step
from g2g_desktop.widgets.labels import GAP, ToneLabel, paragraph
from g2g_desktop.widgets.theme import Tone
from training_core.run import Note, StepsDone

if TYPE_CHECKING:
    from g2g_desktop.widgets.theme import Theme
    from training_core.first_look import Fits
    from training_core.stack import Pixels, Stack

    from .stack_view import StackView

SETTLE_MS = 120  # a slider that moves asks for the frame where it comes to rest
LABEL = (
    "Preview: bundled DnCNN-B, has seen photographs and white noise only. Train for your own noise."
)


class LookStrip(QFrame):
    """Says what the picture is and is not, and what went wrong; `close_asked` by cross or Esc."""

    close_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setProperty("surface", "notice")
        self.symbol, self.label = QLabel(), paragraph(LABEL)
        self.more = ToneLabel(theme)
        self.cross = QToolButton()
        self.cross.setAutoRaise(True)
        self.cross.setAccessibleName("Close the preview")
        self.cross.setToolTip("Close the preview (Esc)")
        self.cross.clicked.connect(self.close_asked)
        # Only while the strip is in sight; then "cancel", which has the same key, is not allowed.
        QShortcut(QKeySequence(Qt.Key.Key_Escape), self).activated.connect(self.close_asked)
        words = QVBoxLayout()
        words.setSpacing(GAP // 2)
        words.addWidget(self.label)
        words.addWidget(self.more)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 6, 4)
        row.setSpacing(GAP)
        # The first line stands level with the cross, however many follow.
        height = self.cross.sizeHint().height()
        spare = max(height - self.label.fontMetrics().height(), 0) // 2
        self.label.setContentsMargins(0, spare, 0, spare)
        self.symbol.setFixedHeight(height)
        row.addWidget(self.symbol, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        row.addWidget(self.cross, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()
        theme.changed.connect(self._draw_symbols)
        self._draw_symbols()

    def _draw_symbols(self) -> None:
        self.symbol.setPixmap(self._theme.pixmap("info", Tone.ACCENT, 16))
        self.cross.setIcon(self._theme.icon("cross", Tone.MUTED))


class FirstLook(QObject):
    """Keeps the first look at the frame in view up to date, for as long as it is wanted."""

    def __init__(self, view: StackView, theme: Theme) -> None:
        super().__init__(view)
        self.strip = LookStrip(theme)
        self._view = view
        self._stack: Stack | None = None
        self._fits: Fits = {}  # of this stack: only its first frame has to wait for them
        self._wanted = self._failed = False
        self._device = "auto"
        self._notes: list[str] = []
        self._last: tuple[int, Pixels, str] | None = None
        self._job = LatestJob(self._on_look, self._on_failed, self._on_event)
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._ask)
        view.frame_changed.connect(self._on_frame_changed)

    @property
    def is_shown(self) -> bool:
        """Whether the frame in view is shown without its noise now."""
        seen = self._last is not None and self._last[0] == self._view.frame_index
        return self._wanted and seen

    def show(self, stack: Stack | None, device: str, *, wanted: bool) -> None:
        """Look at the frames of a stack from now on, or no longer."""
        self._device = device
        if stack is self._stack and wanted == self._wanted:
            return
        if stack is not self._stack:
            self._stack, self._fits, self._last = stack, {}, None
        self._wanted = wanted
        self._stop()
        self.strip.more.say(Tone.MUTED, "")
        self.strip.setVisible(wanted)
        if wanted:
            self._ask()
        else:
            self._view.end_look()

    def close(self) -> None:
        """Ask nothing any more."""
        self._wanted = False
        self._stop()

    def _stop(self) -> None:
        self._settle.stop()
        self._job.cancel()

    @Slot()
    def _on_frame_changed(self) -> None:
        if self._wanted:
            self._stop()
            self._show_waiting()
            self._settle.start()

    @Slot()
    def _ask(self) -> None:
        frame = self._view.frame_index
        if self.is_shown:
            self._show_last()
            return
        self._show_waiting()
        if self._job.is_running:
            self._settle.start()  # what was given up computes on to the end of its tile
        elif self._stack is not None:
            self._notes.clear()
            asked = self._stack, frame, self._device, self._fits
            self._job.start(partial(tasks.first_look, *asked), frame)

    def _on_event(self, event: object) -> None:
        if isinstance(event, Note):
            self._notes.append(event.text)
        elif isinstance(event, StepsDone) and event.done < event.total:
            self._show_waiting(f" {100 * event.done // event.total} %")

    def _show_waiting(self, done: str = "") -> None:
        self._view.show_look(self._view.frame_index, None, f"Denoising...{done}")
        if self._failed:  # else the last note stays: it will most likely hold for this frame too
            self.strip.more.say(Tone.MUTED, "")

    def _on_look(self, pixels: Pixels) -> None:
        self._last = self._job.label, pixels, "\n".join(self._notes)
        self._failed = False
        self._show_last()

    def _show_last(self) -> None:
        if self._last is not None:
            frame, pixels, note = self._last
            self._view.show_look(frame, pixels, "Preview")
            self.strip.more.say(Tone.AMBER, note)

    def _on_failed(self, error: Exception) -> None:
        self._failed = True
        self._view.end_look()
        self.strip.more.say(Tone.RED, Failure.of(Step.TRAIN, error).sentence)
