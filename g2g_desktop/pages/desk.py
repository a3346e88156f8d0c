"""The list of files at the left, and beside it the picture with its cards, or the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QWidget

from g2g_desktop.batch.file_list import FileItem, FileState
from g2g_desktop.batch.files_panel import FilesPanel
from g2g_desktop.batch.queue import QueueState
from g2g_desktop.batch.queue_page import QueuePage
from g2g_desktop.model.session import State

if TYPE_CHECKING:
    from PySide6.QtGui import QAction

    from g2g_desktop.batch.queue import Queue
    from g2g_desktop.model.session import Session
    from g2g_desktop.widgets.theme import Theme

_WORKS = {QueueState.RUNNING, QueueState.PAUSING}
_TRAINS = {State.TRAINING, State.PAUSED, State.STOPPING, State.CANCELLING, State.DENOISING}
_WIDE = 1100  # from which on the list of files leaves room for the picture


class Desk(QWidget):
    """Puts list, picture and queue beside each other; `file_asked` carries the file to show.

    `work` is the place of the picture and its cards.
    """

    file_asked = Signal(object)

    def __init__(
        self, session: Session, queue: Queue, actions: dict[str, QAction], theme: Theme
    ) -> None:
        super().__init__()
        self._session, self._files, self._actions = session, queue.files, actions
        self._queue = queue
        self.panel = FilesPanel(queue.files, theme)
        self.queue_page = QueuePage(queue, theme)
        self.work = QWidget()
        self.pages = QStackedWidget()
        self.pages.addWidget(self.work)
        self.pages.addWidget(self.queue_page)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.panel)
        row.addWidget(self.pages, 1)
        self.panel.chosen.connect(self._on_chosen)
        self.panel.queue_asked.connect(self.show_queue)
        self.queue_page.closed.connect(self.toggle_queue)
        session.changed.connect(self._part_the_computer)
        queue.changed.connect(self._part_the_computer)

    def show_list(self, width: int) -> None:
        """Show the list where it is wanted, has files, and a window so wide has room for it."""
        wanted = self._actions["show_files"].isChecked() and bool(self._files.items)
        self.panel.setVisible(wanted and width >= _WIDE)

    @Slot()
    def show_queue(self) -> None:
        """Show the queue, with the ways to denoise that there are now."""
        self.queue_page.options.show_models(self._session.settings, self._session.model_path)
        self.pages.setCurrentWidget(self.queue_page)
        self.queue_page.start.setFocus()
        self._actions["batch"].setChecked(True)

    @Slot()
    def toggle_queue(self) -> None:
        """Show the queue, or the picture again."""
        if self.pages.currentWidget() is self.queue_page:
            self.pages.setCurrentIndex(0)
            self._actions["batch"].setChecked(False)
        else:
            self.show_queue()

    @Slot()
    def _part_the_computer(self) -> None:
        """Let the window and the queue train one after the other: both want every core."""
        self._queue.hold(self._session.state in _TRAINS)
        self._session.set_queue_works(self._queue.state in _WORKS)

    @Slot(object)
    def on_opened(self, item: object) -> None:
        """Mark the file that is shown now."""
        self._files.current = item if isinstance(item, FileItem) else None
        self.panel.show_current()

    @Slot(object, str)
    def on_not_opened(self, item: object, reason: str) -> None:
        """Say why a file could not be opened; where nothing is shown yet, try the next."""
        if isinstance(item, FileItem):
            item.state, item.reason = FileState.FAILED, reason
            self._files.tell(item)
        self.panel.show_current()
        untried = [one for one in self._files.items if one.state is FileState.LISTED]
        if self._session.stack is None and untried:  # one of several is to be seen
            self.file_asked.emit(untried[0])

    @Slot(object)
    def _on_chosen(self, item: FileItem) -> None:
        self.pages.setCurrentIndex(0)
        self._actions["batch"].setChecked(False)
        self.file_asked.emit(item)
        self.panel.show_current()
