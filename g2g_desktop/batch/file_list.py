"""The files that were opened or dropped, with what became of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal

from g2g_desktop.language import tr
from g2g_desktop.model.result import Results, Story
from g2g_desktop.model.view_state import duration_text
from training_core.wording import bytes_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from PySide6.QtGui import QImage

    from g2g_desktop.model.session import Session
    from training_core.settings import Settings

    Index = QModelIndex | QPersistentModelIndex

# What moves files in the order: its name, its keys, and by how many rows.
MOVES = (("Move up", "Alt+Up", -1), ("Move down", "Alt+Down", 1))
MOST_KEPT_BYTES = 2 * 2**30  # of results in memory; beyond, those on disk are read again


class FileState(StrEnum):
    """How far a file is; the value is what the user reads."""

    LISTED = "Not denoised"
    WAITING = "Waiting"
    RUNNING = "Working"
    MADE = "Not exported"
    DONE = "Denoised"
    KEPT = "Was there"
    SKIPPED = "Skipped"
    FAILED = "Failed"


@dataclass(eq=False)
class FileItem:
    """One stack: a file, a folder, or several files that are its planes.

    Attributes
    ----------
    image
        Which one of a file that holds several, from 1 on; None until one was chosen.
    model
        What it was or will be denoised with, in words.
    reason
        Why it failed, or what is to be known of its result.
    output
        Where its result is or will be written.
    seconds
        How long that took.
    begun
        Whether the queue has worked on it, so that it is gone on with.
    card
        What is told of how the queue made its result.
    results, settings
        What the window made of it, as long as it is not the one that is shown.
    """

    paths: tuple[Path, ...]
    image: int | None = None
    state: FileState = FileState.LISTED
    model: str = ""
    reason: str = ""
    output: Path | None = None
    seconds: float = 0.0
    size_bytes: int = 0
    begun: bool = False
    thumbnail: QImage | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    results: Results = field(default_factory=Results)
    settings: Settings | None = None

    @property
    def path(self) -> Path:
        """The file or folder, of several files the folder they are in."""
        return self.paths[0] if len(self.paths) == 1 else self.paths[0].parent

    @property
    def name(self) -> str:
        """What the user calls it."""
        return f"{self.path.name}, {self.image_name}" if self.image else self.path.name

    @property
    def image_name(self) -> str:
        """Which image it is, in words; "" where the file was not found to hold several."""
        return f"image {self.image}" if self.image else ""

    @property
    def is_written(self) -> bool:
        """Whether its result is on disk."""
        return self.state in (FileState.DONE, FileState.KEPT)

    @property
    def model_shown(self) -> str:
        """The file of the model that made its result; "" where it was trained on."""
        return self.model if self.model.endswith(".g2g") else ""

    @property
    def unsaved(self) -> bool:
        """Whether a result is in memory only."""
        every = self.results.every
        return bool(every) and not any(one.exported for one in every)


_QUEUED = (FileState.WAITING, FileState.RUNNING)  # whose result the queue writes
COLUMNS = ("File", "Size", "State", "Model", "Time", "Result")


class FileList(QAbstractTableModel):
    """The files in the order in which they are worked on.

    Signals
    -------
    added
        Items that came to the list, or stand for something else now.
    """

    added = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.items: list[FileItem] = []
        self.current: FileItem | None = None

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - as Qt declares it
        """Give how many files there are."""
        return 0 if parent.isValid() else len(self.items)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - likewise
        """Give how many columns the table has."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Give the title of a column."""
        shown = role == Qt.ItemDataRole.DisplayRole and orientation is Qt.Orientation.Horizontal
        return tr(COLUMNS[section]) if shown else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Give what a cell shows, and what is said of it."""
        item = self.items[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return tr(self._texts(item)[index.column()])
        if role == Qt.ItemDataRole.AccessibleTextRole:
            said = f"{bytes_text(item.size_bytes)}, {item.state}. {item.reason}"
            return f"{item.name}, {tr(said)}"
        if role == Qt.ItemDataRole.ToolTipRole:
            told = (str(item.path), tr(item.state.value), tr(item.reason))
            return "\n".join(part for part in told if part)
        return item if role == Qt.ItemDataRole.UserRole else None

    @staticmethod
    def _texts(item: FileItem) -> tuple[str, ...]:
        result = item.reason
        if not result and item.output is not None:
            result = str(item.output)
        took = duration_text(item.seconds) if item.seconds else ""
        size = bytes_text(item.size_bytes)
        return (item.name, size, item.state.value, item.model, took, result)

    def add(
        self, stacks: Iterable[Sequence[Path]], images: Iterable[int | None] = ()
    ) -> list[FileItem]:
        """Put stacks at the end of the list, and give their items; one that is there stays.

        `images` says which ones of files that hold several; without, any that is there will do.
        """
        known: dict[tuple[tuple[Path, ...], int | None], FileItem] = {}
        for item in self.items:
            known[item.paths, item.image] = item
            known.setdefault((item.paths, None), item)
        wanted = list(zip_longest(map(tuple, stacks), images))
        new = [FileItem(*one) for one in dict.fromkeys(wanted) if one not in known]
        if new:
            last = len(self.items)
            self.beginInsertRows(QModelIndex(), last, last + len(new) - 1)
            self.items += new
            self.endInsertRows()
            self.added.emit(new)
        known |= {(item.paths, item.image): item for item in new}
        return [known[one] for one in wanted]

    def remove(self, item: FileItem) -> None:
        """Take a file off the list; on disk nothing changes."""
        row = self.items.index(item)
        self.beginRemoveRows(QModelIndex(), row, row)
        del self.items[row]
        self.endRemoveRows()
        if self.current is item:
            self.current = None

    def move(self, items: Sequence[FileItem], by: int) -> None:
        """Move files up (-1) or down (1) in the order, unless the first of them is at its end."""
        rows = sorted(map(self.items.index, items), reverse=by > 0)
        if not rows or not 0 <= rows[0] + by < len(self.items):
            return
        for row in rows:
            self.beginMoveRows(QModelIndex(), row, row, QModelIndex(), row + by + (by > 0))
            self.items.insert(row + by, self.items.pop(row))
            self.endMoveRows()

    def tell(self, item: FileItem) -> None:
        """Say that something about a file is new."""
        if item in self.items:
            row = self.items.index(item)
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(COLUMNS) - 1))

    def choose_image(self, item: FileItem, number: int) -> None:
        """Let a file stand for one of its images, with the picture of that."""
        item.image = number
        self.tell(item)
        self.added.emit([item])

    def keep(self, session: Session) -> None:
        """Keep what the window made of the file that is shown, before another one is."""
        if self.current is None:
            return
        self.current.results, self.current.settings = session.results, session.settings
        self._forget_what_is_on_disk()

    def _forget_what_is_on_disk(self) -> None:
        """Let results go that can be read again, while there are too many in memory."""
        held = sum(_bytes(item) for item in self.items)
        for item in self.items:
            if held > MOST_KEPT_BYTES and item.results.every and not item.unsaved:
                held -= _bytes(item)
                item.output = next(r.exported for r in item.results.every if r.exported)
                item.results = Results()

    def show_made(self, session: Session) -> None:
        """Say of the file that is shown what the window has made of it."""
        item, result = self.current, session.result
        if item is None or result is None or item.state in _QUEUED:
            return
        if isinstance(result.denoiser, Story):
            return  # the queue has said it
        state = FileState.DONE if result.exported else FileState.MADE
        output = result.exported or item.output
        if (item.state, item.model, item.output) != (state, result.title, output):
            item.state, item.model, item.output, item.reason = state, result.title, output, ""
            self.tell(item)

    @property
    def unsaved(self) -> int:
        """How many files, beside the one shown, have results in memory only."""
        return sum(item.unsaved for item in self.items if item is not self.current)


def _bytes(item: FileItem) -> int:
    return sum(int(one.denoised.pixels.nbytes) for one in item.results.every)
