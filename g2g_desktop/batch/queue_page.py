"""The page of the queue: how the files are denoised, how far each is, and why one failed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QProgressBar,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.language import tr
from g2g_desktop.model.view_state import duration_text
from g2g_desktop.widgets.labels import GAP, ToneLabel, heading, paragraph
from g2g_desktop.widgets.theme import Tone
from training_core.errors import CoreError
from training_core.wording import MEASURING, between

from .file_list import MOVES, FileState
from .queue import Queue, QueueState, summary
from .queue_options import QueueOptions
from .watch import FolderWatch

if TYPE_CHECKING:
    from g2g_desktop.widgets.theme import Theme

TRAINS = "The window is training or denoising. Wait until it is done, or stop it there."
_START_TIP = "Work through all files that are not denoised yet."
_RETRY_TIP = "Try all files again that failed or were skipped."
_OVER = (FileState.DONE, FileState.KEPT, FileState.FAILED, FileState.SKIPPED)


class QueuePage(QWidget):
    """Options above, the table of files in the middle, progress and buttons below.

    Signals
    -------
    closed
        The user wants to see the pictures again.
    log_asked
        The user wants to read what the queue has done.
    """

    closed = Signal()
    log_asked = Signal()

    def __init__(self, queue: Queue, theme: Theme) -> None:
        super().__init__()
        self.queue, self.watch = queue, FolderWatch()
        self.options = QueueOptions(queue)
        self.table = QTableView()
        self.words = ToneLabel(theme)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Progress of the queue"))
        self.left = paragraph(muted=True)
        self._make_buttons()
        self._lay_out()
        self._connect()
        self.refresh()

    def _make_buttons(self) -> None:
        self.start = QPushButton(tr("Denoise all files"))
        self.pause = QPushButton(tr("Pause"))
        self.skip = QPushButton(tr("Skip"))
        self.skip.setToolTip(tr("Leave the selected file out; else the one at work."))
        self.retry = QPushButton(tr("Retry failed"))
        self.watching = QPushButton(tr("Watch folder..."))
        self.watching.setCheckable(True)
        self.watching.setToolTip(
            tr("Denoise files as they are written into a folder, each once it is complete.")
        )
        self.log = QPushButton(tr("Log"))
        self.log.setToolTip(tr("Show what the queue has done, as the command g2g tells it."))
        self.back = QPushButton(tr("Back to the picture"))
        self.back.setToolTip(tr("Show the pictures again; the queue goes on (Ctrl+Shift+E)."))
        self.buttons = (self.start, self.pause, self.skip, self.retry, self.watching, self.log)

    def _lay_out(self) -> None:
        self._lay_out_table()
        foot = QHBoxLayout()
        foot.setSpacing(GAP)
        for button in self.buttons:
            foot.addWidget(button)
        foot.addStretch(1)
        head = QHBoxLayout()
        head.addWidget(heading("Denoise many files", 4), 1)
        head.addWidget(self.back)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GAP, GAP, 2 * GAP, 2 * GAP)
        column.setSpacing(GAP + GAP // 2)
        column.addLayout(head)
        column.addWidget(self.options)
        column.addWidget(self.table, 1)
        for part in (self.words, self.bar, self.left):
            column.addWidget(part)
        column.addLayout(foot)

    def _lay_out_table(self) -> None:
        table = self.table
        table.setModel(self.queue.files)
        table.setAccessibleName(tr("Files of the queue"))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.verticalHeader().hide()
        table.setShowGrid(False)
        table.setAlternatingRowColors(True)
        table.setTabKeyNavigation(False)
        table.setWordWrap(False)
        header = table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        for column, width in enumerate((220, 80, 120, 140, 80)):
            table.setColumnWidth(column, width)
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        for text, keys, by in MOVES:
            action = QAction(tr(text), table)
            action.setShortcut(keys)
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            action.triggered.connect(partial(self._move, by))
            table.addAction(action)

    def _connect(self) -> None:
        self.start.clicked.connect(self._on_start)
        self.pause.clicked.connect(self._on_pause)
        self.skip.clicked.connect(self._on_skip)
        self.retry.clicked.connect(self.queue.retry_failed)
        self.watching.clicked.connect(self._on_watch)
        self.log.clicked.connect(self.log_asked)
        self.back.clicked.connect(self.closed)
        self.queue.changed.connect(self.refresh)
        self.queue.happened.connect(self.refresh)
        self.queue.files.rowsInserted.connect(self.refresh)
        self.queue.files.rowsRemoved.connect(self.refresh)
        self.watch.found.connect(self._on_found)

    @Slot()
    def refresh(self) -> None:
        """Paint the page as the queue now is."""
        queue, items = self.queue, self.queue.files.items
        over = sum(item.state in _OVER for item in items)
        running = queue.state in (QueueState.RUNNING, QueueState.PAUSING, QueueState.HELD)
        self.words.say(*self._told())
        self.bar.setRange(0, max(len(items), 1))
        self.bar.setValue(over)
        self.left.setText(tr(self._time() if running else ""))
        self.left.setVisible(running)
        self.bar.setVisible(running or over > 0)
        paused = queue.state is QueueState.PAUSED
        in_force = running or paused or self.watch.folder is not None
        self.options.show_plan(queue.plan if in_force else None)
        todo = any(item.state not in (FileState.DONE, FileState.KEPT) for item in items)
        self._lead(self.pause if paused else self.start)
        self._show(self.start, _START_TIP, not running and todo and not paused)
        self.pause.setText(tr("Go on" if paused else "Pause"))
        if paused:
            self._show(self.pause, "Work on where it was paused.", True)
        else:
            self.pause.setToolTip(tr("Stop for now, and keep what is done of the file at work."))
            self.pause.setEnabled(queue.state is QueueState.RUNNING)
        self.skip.setEnabled(bool(queue.waiting) or queue.is_busy)
        self._show(self.retry, _RETRY_TIP, bool(queue.failed) and not running)

    def _lead(self, next_one: QPushButton) -> None:
        """Make the button that is to be pressed next the obvious one."""
        for button in (self.start, self.pause):
            if button.property("primary") != (button is next_one):
                button.setProperty("primary", button is next_one)
                button.style().polish(button)

    def _show(self, button: QPushButton, tip: str, possible: bool) -> None:
        """Offer what begins with a file, unless the window trains, which the button then says."""
        held = self.queue.held
        button.setEnabled(possible and not held)
        button.setToolTip(tr(TRAINS if held else tip))

    def _told(self) -> tuple[Tone, str]:
        queue, items = self.queue, self.queue.files.items
        if queue.state is QueueState.RUNNING and queue.is_busy:
            what = queue.current.name if queue.current is not None else "the model"
            over = sum(item.state in _OVER for item in items)
            return Tone.TEXT, f"Working on {what}; {over} of {len(items)} files are over."
        if self.watch.folder is not None:
            return Tone.TEXT, f"Watching {self.watch.folder} for new files."
        if queue.state is QueueState.RESTING and any(item.state in _OVER for item in items):
            return (Tone.AMBER if queue.failed else Tone.GREEN), summary(items)
        return Tone.TEXT, queue.state.value

    def _time(self) -> str:
        left = self.queue.time_left()
        if left is None:
            return f"Time left: {MEASURING}..."
        return f"{between(left.least, left.most, duration_text)} left for all files."

    def _on_start(self) -> None:
        try:
            self.queue.start(self.options.plan(self._rows()))
        except CoreError as error:
            self.words.say(Tone.RED, str(error))

    def _on_pause(self) -> None:
        if self.queue.state is QueueState.PAUSED:
            self.queue.go_on()
        else:
            self.queue.pause()

    def _rows(self) -> list[int]:
        return sorted({index.row() for index in self.table.selectedIndexes()})

    def _move(self, by: int) -> None:
        self.queue.files.move([self.queue.files.items[row] for row in self._rows()], by)

    def _on_skip(self) -> None:
        items = [self.queue.files.items[row] for row in self._rows()]
        if not items and self.queue.current is not None:
            items = [self.queue.current]
        for item in items:
            self.queue.skip(item)

    def _on_watch(self) -> None:
        name = ""
        if self.watching.isChecked():
            name = QFileDialog.getExistingDirectory(self, tr("Folder to watch"))
        if name:
            self.watch_folder(Path(name))
        else:
            self.watch.stop()
        self.watching.setChecked(bool(name))
        self.refresh()

    def watch_folder(self, folder: Path) -> None:
        """Denoise what is in a folder, and what comes into it from now on."""
        plan = self.options.plan(self._rows())
        if plan is not self.queue.plan:  # else it is worked by already
            self.queue.take(plan)
        outputs = {item.output for item in self.queue.files.items if item.output is not None}
        self.watch.start(folder, outputs | {i.path for i in self.queue.files.items})
        self.watching.setChecked(True)

    @Slot(object)
    def _on_found(self, paths: list[Path]) -> None:
        known = {item.output for item in self.queue.files.items}
        items = self.queue.files.add([(path,) for path in paths if path not in known])
        new = [item for item in items if item.state is FileState.LISTED]
        try:
            self.queue.add(new)
        except CoreError as error:
            self.words.say(Tone.RED, str(error))
        for item in new:
            if item.output is not None:
                self.watch.leave_alone(item.output)
