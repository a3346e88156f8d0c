"""How the files of a queue are denoised, and where their results go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from g2g_desktop.language import tr
from g2g_desktop.model.result import title_of
from g2g_desktop.widgets.labels import GAP
from training_core.batch.targets import SUFFIX, Pattern

from .queue_tasks import Plan, input_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from training_core.settings import Settings

    from .queue import Queue

EACH, ONE, OPEN = "each", "one", "open"


class QueueOptions(QWidget):
    """What the user chooses before the queue begins."""

    def __init__(self, queue: Queue) -> None:
        super().__init__()
        self.queue = queue
        self._settings: Settings | None = None
        self._model: Path | None = None
        self._in_force: Plan | None = None
        self.how = QComboBox()
        self.how.setAccessibleName(tr("How the files are denoised"))
        self.how.setToolTip(tr("Files that were taken alike can share one model, which is faster."))
        self.folder = QLineEdit()
        self.folder.setPlaceholderText(tr("Beside each file"))
        self.folder.setAccessibleName(tr("Folder for the results"))
        self.folder.setToolTip(
            tr("Where the results are written; empty puts each beside its file.")
        )
        self.browse = QPushButton(tr("Browse..."))
        self.browse.setToolTip(tr("Choose the folder for the results."))
        self.suffix = QLineEdit(SUFFIX)
        self.suffix.setAccessibleName(tr("Ending of the names of results"))
        self.suffix.setToolTip(tr("What is put behind the name of a file to name its result."))
        self.mirrored = QCheckBox(tr("Keep sub-folders"))
        self.mirrored.setToolTip(tr("Results lie in the same sub-folders as the files."))
        self.overwrite = QCheckBox(tr("Replace results that are there"))
        self.overwrite.setToolTip(tr("Without this, results that are there already are kept."))
        self.browse.clicked.connect(self._on_browse)
        self._lay_out()
        self.show_models(None, None)

    def _lay_out(self) -> None:
        where = QHBoxLayout()
        where.setSpacing(GAP)
        where.addWidget(self.folder, 1)
        where.addWidget(self.browse)
        more = QHBoxLayout()
        more.setSpacing(2 * GAP)
        self.suffix.setMaximumWidth(160)
        more.addWidget(self.suffix)
        more.addWidget(self.mirrored)
        more.addWidget(self.overwrite)
        more.addStretch(1)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(GAP)
        form.addRow(tr("Model"), self.how)
        form.addRow(tr("Results into"), where)
        form.addRow(tr("Name ends in"), more)

    def show_models(self, settings: Settings | None, model: Path | None) -> None:
        """Offer the ways there are: the settings in force, and the model that is open as a file."""
        if settings is not None:  # what was painted on one image says nothing of the others
            settings = replace(settings, patches=replace(settings.patches, areas=()))
        self._settings, self._model = settings, model
        self._offer()

    def show_plan(self, in_force: Plan | None) -> None:
        """Show the plan that is worked by, which cannot be changed; None lets the user choose."""
        if in_force is self._in_force:
            return
        self._in_force = in_force
        self._offer()
        if in_force is not None:
            pattern = in_force.pattern
            self.folder.setText("" if pattern.folder is None else str(pattern.folder))
            self.suffix.setText(pattern.suffix)
            self.mirrored.setChecked(pattern.mirrored)
            self.overwrite.setChecked(in_force.overwrite)
        parts: tuple[QWidget, ...] = (self.how, self.folder, self.browse, self.suffix)
        for part in (*parts, self.mirrored, self.overwrite):
            part.setEnabled(in_force is None)

    def _offer(self) -> None:
        chosen = self.how.currentData()
        self.how.clear()
        for text, way in self._ways():
            self.how.addItem(tr(text), way)
        place = self.how.findData(chosen)
        self.how.setCurrentIndex(max(place, 0))

    def _ways(self) -> Iterator[tuple[str, str]]:
        """Give the ways there are, or the one in force, and what each is called."""
        plan = self._in_force
        settings = self._settings if plan is None else plan.settings
        title = title_of(settings or Plan().settings)
        model = self._model if plan is None else plan.model
        if plan is None or model is None:
            yield f"Train on each file by itself ({title}): best, and slowest", EACH
        if plan is None:
            yield (
                f"Train on the selected files, else the first ({title}): one model for all",
                ONE,
            )
        if model is not None and plan is not None and plan.train_on:
            yield f"Train {model.name} first ({title}), and use it for all", ONE
        elif model is not None:
            yield f"Use {model.name} for all, without training", OPEN

    def plan(self, rows: Sequence[int]) -> Plan:
        """Give the plan in force, else what is chosen; `rows` are those of the selected files."""
        if self._in_force is not None:
            return self._in_force
        text = self.folder.text().strip()
        folder = Path(text).expanduser() if text else None
        pattern = Pattern(folder, self.suffix.text().strip(), self.mirrored.isChecked())
        base = Plan(pattern=pattern, overwrite=self.overwrite.isChecked())
        settings = self._settings or base.settings
        how = self.how.currentData()
        if how == OPEN:
            return Plan(settings, self._model, (), pattern, base.overwrite)
        if how == ONE and self.queue.files.items:
            chosen = [self.queue.files.items[row] for row in rows or (0,)]
            learned = [input_of(one.path, one.image) for one in chosen]
            place = folder or chosen[0].path.parent
            model = place / f"{chosen[0].path.stem}.g2g"
            return Plan(settings, model, tuple(learned), pattern, base.overwrite)
        return Plan(settings, None, (), pattern, base.overwrite)

    def _on_browse(self) -> None:
        name = QFileDialog.getExistingDirectory(
            self, tr("Folder for the results"), self.folder.text()
        )
        if name:
            self.folder.setText(name)
