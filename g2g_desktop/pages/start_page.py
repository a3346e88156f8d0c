"""What the window shows without a stack: a place to drop one, samples, and what was used last."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QImage, QPainter, QPainterPath, QPalette, QPixmap
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.jobs import tasks
from g2g_desktop.jobs.job import Job
from g2g_desktop.language import tr
from g2g_desktop.paths import resource
from g2g_desktop.widgets.labels import GAP, ElidedLabel, heading
from g2g_desktop.widgets.theme import Tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QPaintEvent

    from g2g_desktop.model.session import KeptRun
    from g2g_desktop.preferences import Preferences
    from g2g_desktop.widgets.theme import Theme

_MOST_RECENT = 4
_PAGE_WIDTH = 760


@dataclass(frozen=True, slots=True)
class Sample:
    """One bundled stack."""

    file: str
    title: str
    about: str

    @property
    def path(self) -> Path:
        """Where it is."""
        return resource(f"samples/{self.file}")


SAMPLES = (
    Sample("fluorescence_noisy.tif", "Fluorescence", "Shot noise, three slices"),
    Sample("ct_noisy.tif", "Computed tomography", "Correlated noise, in HU"),
    Sample("sem_noisy.tif", "Electron microscopy", "Fast scan, one frame"),
)


class StartPage(QScrollArea):
    """The empty state; `paths_chosen` carries what to open, `run_chosen` what to go on with."""

    open_asked = Signal()
    folder_asked = Signal()
    paths_chosen = Signal(object)
    run_chosen = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.runs = _RunList()
        self.runs.chosen.connect(self.run_chosen)
        self.drop = _DropTarget(theme)
        self.drop.open_button.clicked.connect(self.open_asked)
        self.drop.folder_button.clicked.connect(self.folder_asked)
        self.samples = [SampleCard(sample) for sample in SAMPLES]
        cards = QHBoxLayout()
        cards.setSpacing(2 * GAP)
        for card in self.samples:
            card.clicked.connect(self._on_sample)
            cards.addWidget(card)
        self.recent, self.models = _RecentList("Recent stacks"), _RecentList("Recent models")
        recent = QHBoxLayout()
        recent.setSpacing(3 * GAP)
        for part in (self.recent, self.models):
            part.chosen.connect(self.paths_chosen)
            recent.addWidget(part, 1, Qt.AlignmentFlag.AlignTop)
        inner = QWidget()
        inner.setMaximumWidth(_PAGE_WIDTH)
        column = QVBoxLayout(inner)
        column.setContentsMargins(3 * GAP, 3 * GAP, 3 * GAP, 3 * GAP)
        column.setSpacing(2 * GAP)
        column.addStretch(1)
        column.addWidget(self.runs)
        column.addWidget(self.drop, 4)
        column.addWidget(heading("Or try a sample", 1))
        column.addLayout(cards)
        column.addLayout(recent)
        column.addStretch(1)
        self._centre(inner)

    def _centre(self, inner: QWidget) -> None:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(inner)
        self.setWidget(holder)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)

    def load_thumbnails(self) -> None:
        """Draw the samples, away from the window."""
        for card in self.samples:
            card.load()

    def show_recent(self, preferences: Preferences) -> None:
        """List the stacks and the models that were used last."""
        self.recent.show_paths(preferences.recent)
        self.models.show_paths(preferences.models)

    @Slot(object)
    def show_runs(self, runs: Sequence[KeptRun]) -> None:
        """List the trainings that can go on."""
        self.runs.show_runs(runs)

    def show_hot(self, hot: bool) -> None:
        """Light up while something is dragged over the window."""
        self.drop.setProperty("hot", hot)
        self.drop.style().polish(self.drop)

    @Slot()
    def _on_sample(self) -> None:
        card = self.sender()
        if isinstance(card, SampleCard):
            self.paths_chosen.emit([card.sample.path])


class _DropTarget(QFrame):
    """The big frame in the middle."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setProperty("surface", "drop")
        self.setMinimumHeight(200)
        self.symbol = QLabel()
        self.open_button = QPushButton(tr("Open files..."))
        self.open_button.setProperty("primary", True)
        self.folder_button = QPushButton(tr("Open folder..."))
        self.folder_button.setToolTip(
            tr("Open a folder of TIFF or PNG images, or of DICOM slices.")
        )
        self.open_button.setToolTip(tr("Open one stack or several (Ctrl+O)."))
        title = heading("Drop a noisy stack here", 6)
        about = QLabel(
            tr("TIFF, CZI, LIF, ND2, DICOM and more: a file, several of one size, a folder")
        )
        about.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        buttons = QHBoxLayout()
        buttons.setSpacing(GAP)
        buttons.addStretch(1)
        buttons.addWidget(self.open_button)
        buttons.addWidget(self.folder_button)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(3 * GAP, 3 * GAP, 3 * GAP, 3 * GAP)
        column.setSpacing(GAP)
        column.addStretch(1)
        for label in (self.symbol, title, about):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            column.addWidget(label)
        column.addSpacing(GAP)
        column.addLayout(buttons)
        column.addStretch(1)
        theme.changed.connect(self._repaint)
        self._repaint()

    def _repaint(self) -> None:
        self.symbol.setPixmap(self._theme.pixmap("drop", Tone.ACCENT, 44))


class SampleCard(QPushButton):
    """A picture, a title and a line about one sample."""

    def __init__(self, sample: Sample) -> None:
        super().__init__()
        self.sample = sample
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr(f"Open the sample: {sample.title}"))
        self.picture = _Picture()
        title = heading(sample.title, 0)
        about = ElidedLabel(sample.about)
        about.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._column = column = QVBoxLayout(self)
        column.setContentsMargins(GAP, GAP, GAP, GAP)
        column.setSpacing(2)
        column.addWidget(self.picture)
        column.addSpacing(GAP // 2)
        for widget in (title, about):
            column.addWidget(widget)
        for part in (self.picture, title, about):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setToolTip(tr(f"Open this sample: {sample.about[:1].lower()}{sample.about[1:]}."))

    def sizeHint(self) -> QSize:
        """As large as what it holds; a push button would only measure its text."""
        return self._column.sizeHint()

    def load(self) -> None:
        """Draw the picture in the background."""
        job = Job(partial(tasks.thumbnail, self.sample.path))
        job.succeeded.connect(self.picture.show_image)
        job.start()


class _Picture(QWidget):
    """A thumbnail that fills its place, with round corners; a quiet surface until it has come."""

    def __init__(self) -> None:
        super().__init__()
        self._pixmap: QPixmap | None = None
        self.setFixedHeight(104)

    @Slot(object)
    def show_image(self, image: QImage) -> None:
        """Take the picture."""
        self._pixmap = QPixmap.fromImage(image)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the middle of the picture."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        outline = QPainterPath()
        outline.addRoundedRect(QRectF(self.rect()), 5, 5)
        painter.setClipPath(outline)
        painter.fillRect(self.rect(), self.palette().color(QPalette.ColorRole.Midlight))
        if self._pixmap is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            width, height = self._pixmap.width(), self._pixmap.height()
            part = width * self.height() / max(self.width(), 1)
            source = QRectF(0, (height - part) / 2, width, part)
            painter.drawPixmap(QRectF(self.rect()), self._pixmap, source)
        painter.end()


class _RecentList(QWidget):
    """The files used last, one quiet button each."""

    chosen = Signal(object)

    def __init__(self, title: str) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._column.addWidget(heading(title, 1))
        self.buttons: list[QPushButton] = []
        self.show_paths(())

    def show_paths(self, paths: tuple[str, ...]) -> None:
        """List the first few of `paths`."""
        for button in self.buttons:
            button.deleteLater()
        self.buttons = [self._button(Path(path)) for path in paths[:_MOST_RECENT]]
        self.setVisible(bool(self.buttons))

    def _button(self, path: Path) -> QPushButton:
        button = QPushButton(f"{path.name}   \N{EN DASH}   {path.parent}")
        button.setProperty("flat-link", True)
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        button.setToolTip(tr(f"Open {path}."))
        button.setProperty("path", str(path))
        button.clicked.connect(self._on_clicked)
        self._column.addWidget(button)
        return button

    @Slot()
    def _on_clicked(self) -> None:
        button = self.sender()
        if isinstance(button, QPushButton):
            self.chosen.emit([Path(button.property("path"))])


class _RunList(QWidget):
    """The trainings that were interrupted, with a button each to go on."""

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(GAP)
        self._column.addWidget(heading("Go on where it stopped", 1))
        self.buttons: list[QPushButton] = []
        self._rows: list[QFrame] = []
        self.show_runs(())

    def show_runs(self, runs: Sequence[KeptRun]) -> None:
        """List these."""
        for row in self._rows:
            row.deleteLater()
        self._runs, self._rows, self.buttons = runs, [], []
        for run in runs:
            self._add(run)
        self.setVisible(bool(runs))

    def _add(self, run: KeptRun) -> None:
        row = QFrame()
        row.setProperty("surface", "card")
        more = f" and {len(run.files) - 1} more" if len(run.files) > 1 else ""
        when = f"{run.when.day} {run.when:%B at %H:%M}"
        about = ElidedLabel(f"{run.title}, kept on {when}   \N{EN DASH}   {run.files[0].parent}")
        about.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(heading(f"{run.files[0].name}{more}", 0))
        words.addWidget(about)
        button = QPushButton(tr("Continue training"))
        button.setToolTip(tr(f"Open {run.files[0]} and go on with its training."))
        button.setAccessibleDescription(tr(f"{run.files[0].name}, {run.title}"))
        button.clicked.connect(self._on_clicked)
        self.buttons.append(button)
        self._rows.append(row)
        column = QHBoxLayout(row)
        column.setContentsMargins(2 * GAP, GAP, GAP, GAP)
        column.addLayout(words, 1)
        column.addWidget(button)
        self._column.addWidget(row)

    @Slot()
    def _on_clicked(self) -> None:
        self.chosen.emit(self._runs[self.buttons.index(self.sender())])  # type: ignore[arg-type]
