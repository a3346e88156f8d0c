"""The preview without training: what is in view, by the bundled network, plainly labelled."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout

from g2g_desktop.jobs import tasks
from g2g_desktop.jobs.latest_job import LatestJob
from g2g_desktop.language import tr
from g2g_desktop.model.session import Failure, Step
from g2g_desktop.widgets.labels import GAP, ToneLabel, paragraph
from g2g_desktop.widgets.theme import Tone
from training_core.place import PatchLocation, tiles
from training_core.run import Note
from training_core.settings import Settings

if TYPE_CHECKING:
    from g2g_desktop.widgets.theme import Theme
    from training_core.first_look import Look
    from training_core.stack import Pixels, Stack

    from .stack_view import StackView

SETTLE_MS = 120  # what moves asks for the region in view where it comes to rest
CELL_PX = 64  # what is asked for begins and ends on such a grid
PIECE_CELLS = 8  # each way at most: a piece shows after a second on one core
LABEL = "Preview: the bundled network with the noise of this stack. Training may gain more."
NONE = "There is no preview of this stack."
MEASURING, WAITING = "Measuring the noise...", "Denoising..."


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
        self.cross.setAccessibleName(tr("Close the preview"))
        self.cross.setToolTip(tr("Close the preview (Esc)."))
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

    def say(self, label: str, tone: Tone, more: str) -> None:
        """Say what the picture is, and what is to be known of it or went wrong."""
        self.label.setText(tr(label))
        self.more.say(tone, more)

    def _draw_symbols(self) -> None:
        self.symbol.setPixmap(self._theme.pixmap("info", Tone.ACCENT, 16))
        self.cross.setIcon(self._theme.icon("cross", Tone.MUTED))


class LookedAt:
    """What is known of a frame so far: `image` is (height, width) and NaN where nothing is."""

    def __init__(self, frame: int, shape: tuple[int, int]) -> None:
        self.frame = frame
        self.image: Pixels = np.full(shape, np.nan, np.float32)
        self._known = np.zeros([-(-side // CELL_PX) for side in shape], bool)

    def missing(self, seen: PatchLocation, x: float) -> list[PatchLocation]:
        """Give the pieces of a part of the frame to look at, first at half its height, near x."""
        height, width = self.image.shape
        first = seen.top // CELL_PX, seen.left // CELL_PX
        last = -(-(seen.top + seen.height) // CELL_PX), -(-(seen.left + seen.width) // CELL_PX)
        pieces = []
        for block in tiles((last[0] - first[0], last[1] - first[1]), PIECE_CELLS):
            rows, columns = np.nonzero(~self._known[first[0] :, first[1] :][block.slices])
            if not rows.size:
                continue
            top = (first[0] + block.top + int(rows.min())) * CELL_PX
            left = (first[1] + block.left + int(columns.min())) * CELL_PX
            bottom = min((first[0] + block.top + int(rows.max()) + 1) * CELL_PX, height)
            right = min((first[1] + block.left + int(columns.max()) + 1) * CELL_PX, width)
            pieces.append(PatchLocation(top, left, bottom - top, right - left))
        y = seen.top + seen.height / 2
        return sorted(
            pieces, key=lambda p: _distance(p.top, p.height, y) + _distance(p.left, p.width, x)
        )

    def put(self, place: PatchLocation, pixels: Pixels) -> None:
        """Take what became of a piece."""
        if pixels.dtype != self.image.dtype:  # of wide values
            self.image = self.image.astype(pixels.dtype)
        self.image[place.slices] = pixels
        rows, columns = (
            slice(start // CELL_PX, -(-(start + length) // CELL_PX))
            for start, length in ((place.top, place.height), (place.left, place.width))
        )
        self._known[rows, columns] = True


def _distance(start: int, length: int, place: float) -> float:
    return abs(start + length / 2 - place)


class FirstLook(QObject):
    """Keeps the first look at what is in view up to date, for as long as it is wanted.

    The region in view is asked for piece by piece, which show as they come.
    """

    def __init__(self, view: StackView, theme: Theme) -> None:
        super().__init__(view)
        self.strip = LookStrip(theme)
        self._view = view
        self._stack: Stack | None = None
        self._settings = Settings()
        self._kept: list[Look] = []  # what is known of this stack, once a look has begun
        self._wanted = self._failed = self._measured = False
        self._notes: list[str] = []
        self._at: LookedAt | None = None
        self._job = LatestJob(self._on_look, self._on_failed, self._on_event)
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._ask)
        view.frame_changed.connect(self._on_frame_changed)
        view.region_changed.connect(self._on_region_changed)

    @property
    def is_shown(self) -> bool:
        """Whether all that is in view is shown without its noise now."""
        at = self._looked_at
        return self._wanted and at is not None and not self._missing(at)

    @property
    def _looked_at(self) -> LookedAt | None:
        """What is known of the frame in view."""
        mine = self._at is not None and self._at.frame == self._view.frame_index
        return self._at if mine else None

    def _missing(self, at: LookedAt) -> list[PatchLocation]:
        """Give the pieces of what is in view to look at, first what lies right of the divider."""
        seen = self._view.seen()
        return at.missing(seen, (self._view.pane.divider_x + seen.left + seen.width) / 2)

    def show(self, stack: Stack | None, settings: Settings, *, wanted: bool) -> None:
        """Look at a stack from now on, or no longer.

        Other patch settings count where the patches of those before were too few.
        """
        before, self._settings = self._settings, settings
        other = stack is not self._stack or before.device != settings.device
        other |= self._failed and before.patches != settings.patches
        if not other and wanted == self._wanted:
            return
        if other:
            self._stack, self._kept, self._at = stack, [], None
            self._notes.clear()
            self._measured = False
        self._wanted, self._failed = wanted, False
        self._stop()
        self.strip.say(LABEL, Tone.AMBER, "\n".join(self._notes))
        self.strip.setVisible(wanted)
        if wanted:
            self._settle.start()
            self._show()
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
        if self._wanted and not self._failed:
            if self._measured:  # else what is computed has the noise for all frames
                self._job.cancel()
            self._show()
            self._settle.start()

    @Slot()
    def _on_region_changed(self) -> None:
        if self._wanted and not self._failed:
            self._settle.start()

    @Slot()
    def _ask(self) -> None:
        """Ask for the next piece that is missing in view."""
        stack, frame = self._stack, self._view.frame_index
        if stack is None or not self._wanted or self._failed:
            return
        if self._looked_at is None:
            self._at = LookedAt(frame, stack.frame_shape)
        assert self._at is not None  # made just now
        pieces = self._missing(self._at)
        self._show()
        asked = [(frame, piece) for piece in pieces]
        if not pieces:
            self._job.cancel()
        elif not self._is_computed(asked):
            if not self._measured:
                self._notes.clear()
            given = self._kept, stack, self._settings, *asked[0]
            self._job.start(partial(tasks.first_look, *given), asked[0])

    def _is_computed(self, asked: list[tuple[int, PatchLocation]]) -> bool:
        """Tell whether one of these pieces, or the noise that all of them need, is on its way."""
        if not self._job.is_running or self._job.label is None:  # or it was given up
            return False
        return not self._measured or self._job.label in asked

    def _show(self) -> None:
        """Show what is known of the frame in view, and whether more will come."""
        at = self._looked_at
        caption = "Preview" if self.is_shown else WAITING if self._measured else MEASURING
        self._view.show_look(self._view.frame_index, None if at is None else at.image, caption)

    def _on_event(self, event: object) -> None:
        if isinstance(event, Note) and event.warning:
            self._notes.append(event.text)
            self.strip.say(LABEL, Tone.AMBER, "\n".join(self._notes))

    def _on_look(self, pixels: Pixels) -> None:
        frame, place = self._job.label
        self._measured = True
        if self._at is not None and self._at.frame == frame:
            self._at.put(place, pixels)
        self._ask()

    def _on_failed(self, error: Exception) -> None:
        self._failed = True
        self._view.end_look()
        self.strip.say(NONE, Tone.RED, Failure.of(Step.TRAIN, error).sentence)
