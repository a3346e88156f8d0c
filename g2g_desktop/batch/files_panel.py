"""The list of files at the left of the window: a picture, a name and a state for each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QObject, QRect, QSize, Qt, Signal, Slot
from PySide6.QtGui import QAction, QPalette, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QVBoxLayout,
)

from g2g_desktop.jobs import tasks
from g2g_desktop.jobs.job import Job
from g2g_desktop.language import tr
from g2g_desktop.widgets.labels import GAP, heading, link_button, paragraph
from g2g_desktop.widgets.theme import Tone
from training_core.wording import bytes_text

from .file_list import MOVES, FileItem, FileList, FileState

if TYPE_CHECKING:
    from PySide6.QtCore import QModelIndex, QPersistentModelIndex
    from PySide6.QtGui import QImage, QPainter
    from PySide6.QtWidgets import QStyleOptionViewItem

    from g2g_desktop.widgets.theme import Theme

WIDTH = 236
_PICTURE = 40
_SYMBOLS = {
    FileState.DONE: ("check", Tone.GREEN),
    FileState.KEPT: ("check", Tone.GREEN),
    FileState.FAILED: ("cross", Tone.RED),
    FileState.RUNNING: ("train", Tone.ACCENT),
    FileState.WAITING: ("dot", Tone.ACCENT),
    FileState.SKIPPED: ("right", Tone.MUTED),
}


class FilesPanel(QFrame):
    """One click or Enter shows a file; Delete takes it off the list, Alt with an arrow moves it.

    Signals
    -------
    chosen
        The file to show.
    joined
        The files that are to be opened as one stack.
    add_asked, queue_asked
        The user wants to add files, or to see the queue.
    """

    chosen = Signal(object)
    joined = Signal(object)
    removed = Signal(object)
    add_asked = Signal()
    queue_asked = Signal()

    def __init__(self, files: FileList, theme: Theme) -> None:
        super().__init__()
        self.files, self._theme = files, theme
        self._pictures: list[FileItem] = []
        self._job: Job | None = None
        self.setFixedWidth(WIDTH)
        self.view = QListView()
        self.view.setModel(files)
        self.view.setItemDelegate(_FileDelegate(theme, self.view))
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setAccessibleName(tr("Files"))
        self.view.setFrameShape(QFrame.Shape.NoFrame)
        self.view.setProperty("surface", "list")
        self.view.setUniformItemSizes(True)
        self.view.clicked.connect(self._on_chosen)
        self.view.activated.connect(self._on_chosen)
        self.view.installEventFilter(self)
        self.add_button = link_button("Add...", "Add files to the list (Ctrl+O).")
        self.add_button.clicked.connect(self.add_asked)
        self.queue_button = link_button(
            "Denoise all...", "Denoise all files of the list, one after another (Ctrl+Shift+E)."
        )
        self.queue_button.clicked.connect(self.queue_asked)
        self.count = paragraph(muted=True)
        self._add_menu()
        self._lay_out()
        files.added.connect(self._on_added)
        files.rowsRemoved.connect(self._on_count)
        self._on_count()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(heading("Files", 1))
        head.addWidget(self.count, 1, Qt.AlignmentFlag.AlignBottom)
        foot = QHBoxLayout()
        foot.addWidget(self.add_button)
        foot.addWidget(self.queue_button)
        foot.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GAP, GAP, 0, GAP)
        column.setSpacing(GAP)
        column.addLayout(head)
        column.addWidget(self.view, 1)
        column.addLayout(foot)

    def _add_menu(self) -> None:
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        for text, keys, work in (
            ("Show", "", self._show),
            ("Open the selected files as one stack", "", self._join),
            *((text, keys, partial(self._move, by)) for text, keys, by in MOVES),
            ("Remove from the list", "Del", self._remove),
        ):
            action = QAction(tr(text), self.view)
            action.triggered.connect(work)
            if keys:
                action.setShortcut(keys)
                action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            self.view.addAction(action)

    @Slot()
    def show_current(self) -> None:
        """Mark the file that the window shows."""
        item = self.files.current
        if item is not None and item in self.files.items:
            self.view.setCurrentIndex(self.files.index(self.files.items.index(item), 0))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take Enter for a click, on every system."""
        if event.type() is QEvent.Type.KeyPress and event.key() in (  # type: ignore[attr-defined]
            Qt.Key.Key_Return,
            Qt.Key.Key_Enter,
        ):
            self._show()
            return True
        return super().eventFilter(watched, event)

    @property
    def selected(self) -> list[FileItem]:
        """The selected files, in their order."""
        rows = sorted(index.row() for index in self.view.selectedIndexes())
        return [self.files.items[row] for row in rows]

    def _on_chosen(self, index: QModelIndex) -> None:
        self.chosen.emit(self.files.items[index.row()])

    def _show(self) -> None:
        if self.view.currentIndex().isValid():
            self._on_chosen(self.view.currentIndex())

    def _join(self) -> None:
        self.joined.emit([path for item in self.selected for path in item.paths])

    def _move(self, by: int) -> None:
        self.files.move(self.selected, by)

    def _remove(self) -> None:
        for item in self.selected:
            if item.state is not FileState.RUNNING:
                self.removed.emit(item)

    @Slot(object)
    def _on_added(self, items: list[FileItem]) -> None:
        self._on_count()
        self._pictures += items
        self._draw_next()

    def _on_count(self) -> None:
        count = len(self.files.items)
        self.count.setText(str(count) if count else "")

    def _draw_next(self) -> None:
        """Make one picture after another, away from the window."""
        if self._job is not None or not self._pictures:
            return
        item = self._pictures.pop(0)
        self._job = job = Job(partial(tasks.picture_of, item.paths, series=item.image))
        job.succeeded.connect(partial(self._on_drawn, item))
        job.finished.connect(self._on_job_over)
        job.start()

    def _on_drawn(self, item: FileItem, answer: tuple[QImage | None, int]) -> None:
        item.thumbnail, item.size_bytes = answer
        self.files.tell(item)

    def _on_job_over(self) -> None:
        last = self._job is not None and self._job.is_last
        self._job = None
        if not last:
            self._draw_next()


class _FileDelegate(QStyledItemDelegate):
    """Paints a picture, a name, and size and state below it."""

    def __init__(self, theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: Any, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """As high as the picture needs."""
        return QSize(WIDTH - 3 * GAP, max(_PICTURE, 2 * option.fontMetrics.height()) + GAP)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Paint one file."""
        item: FileItem = index.data(Qt.ItemDataRole.UserRole)
        rect: QRect = option.rect
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        palette: QPalette = option.palette
        painter.save()
        if chosen:
            painter.fillRect(rect, palette.color(QPalette.ColorRole.Highlight))
        picture = QRect(rect.left() + 4, rect.center().y() - _PICTURE // 2, _PICTURE, _PICTURE)
        painter.fillRect(picture, palette.color(QPalette.ColorRole.Midlight))
        if item.thumbnail is not None:
            painter.drawPixmap(picture, QPixmap.fromImage(item.thumbnail))
        words = rect.adjusted(_PICTURE + 2 * GAP, 3, -GAP, -3)
        self._write(painter, words, item, palette, chosen=chosen)
        painter.restore()

    def _write(
        self, painter: QPainter, words: QRect, item: FileItem, palette: QPalette, *, chosen: bool
    ) -> None:
        role = QPalette.ColorRole
        metrics = painter.fontMetrics()
        upper = QRect(words.left(), words.top(), words.width(), words.height() // 2)
        lower = upper.translated(0, words.height() // 2)
        painter.setPen(palette.color(role.HighlightedText if chosen else role.Text))
        middle = Qt.TextElideMode.ElideMiddle
        name = metrics.elidedText(item.name, middle, upper.width())
        painter.drawText(upper, Qt.AlignmentFlag.AlignVCenter, name)
        if not chosen:
            painter.setPen(palette.color(role.PlaceholderText))
        symbol = _SYMBOLS.get(item.state)
        if symbol is not None:
            tone = Tone.ON_ACCENT if chosen else symbol[1]
            at = QRect(lower.left(), lower.center().y() - 7, 14, 14)
            painter.drawPixmap(at, self._theme.pixmap(symbol[0], tone, 14))
            lower = lower.adjusted(18, 0, 0, 0)
        size = f"{bytes_text(item.size_bytes)} · " if item.size_bytes else ""
        said = metrics.elidedText(
            tr(f"{size}{item.state}"), Qt.TextElideMode.ElideRight, lower.width()
        )
        painter.drawText(lower, Qt.AlignmentFlag.AlignVCenter, said)
