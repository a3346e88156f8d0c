"""The dialog before an export: where to, in which format and data type, and what that loses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.jobs.tasks import ExportChoice
from g2g_desktop.language import tr
from g2g_desktop.model.wording import axes_text, pixel_size_text, pixels_text
from g2g_desktop.paths import home, resource
from g2g_desktop.widgets.labels import GAP, heading, paragraph
from training_core.errors import OutputError
from training_core.wording import bytes_text

from . import dialogs

if TYPE_CHECKING:
    from training_core.export.writers import Writer
    from training_core.stack import Stack

_COMPRESSIONS = (
    ("Not compressed", "none"),
    ("zlib, which every program reads", "zlib"),
    ("zstd, faster, which newer programs read", "zstd"),
)


class ExportDialog(QDialog):
    """Asks where and how to export `stack`; `choice` is the answer once it is accepted."""

    def __init__(
        self,
        stack: Stack,
        target: Path,
        warnings: tuple[str, ...] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._stack = stack
        self._warnings = warnings
        self._overwrite = False
        self.setWindowTitle(tr("Export"))
        self.setMinimumWidth(520)
        self.path = QLineEdit(str(target))
        self.path.setAccessibleName(tr("File to write"))
        self.browse = QPushButton(tr("Browse..."))
        self.browse.setAutoDefault(False)  # Return is for Export
        self.browse.clicked.connect(self._on_browse)
        self.format = QComboBox()
        self.format.setAccessibleName(tr("Format"))
        self.about = paragraph(muted=True)
        self.compression = QComboBox()
        self.compression.setAccessibleName(tr("Compression"))
        for text, value in _COMPRESSIONS:
            self.compression.addItem(tr(text), value)
        self.same = QRadioButton(tr(f"Same as the input ({pixels_text(stack)})"))
        self.float32 = QRadioButton(tr("32-bit float, with fractions of a grey value"))
        self.same.setChecked(True)
        self.names = QCheckBox(tr("Write the names of the noisy files into the result"))
        self.names.setToolTip(tr("Leave it out where files are named after patients."))
        self.names.setChecked(True)
        self.facts = paragraph(muted=True)
        self.lost = paragraph()
        self._lay_out()
        self.export_button.setDefault(True)  # only now: before, it is a button of no dialog
        self._offer_formats()
        self.float32.toggled.connect(self._offer_formats)
        self.format.activated.connect(self._on_format)
        self.path.editingFinished.connect(self._on_path)

    def _lay_out(self) -> None:
        where = QHBoxLayout()
        where.addWidget(self.path, 1)
        where.addWidget(self.browse)
        how = QHBoxLayout()
        how.addWidget(self.format, 1)
        how.addWidget(self.compression, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(3 * GAP, 3 * GAP, 3 * GAP, 2 * GAP)
        column.setSpacing(GAP)
        for title, parts in (
            ("File", (where,)),
            ("Format", (how, self.about)),
            ("Pixels", (self.same, self.float32)),
        ):
            column.addWidget(heading(title, 0))
            for part in parts:
                column.addWidget(part) if isinstance(part, QWidget) else column.addLayout(part)
            column.addSpacing(GAP)
        column.addWidget(self.names)
        column.addWidget(self.facts)
        column.addWidget(self.lost)
        column.addSpacing(GAP)
        column.addWidget(self._buttons())

    def _buttons(self) -> QDialogButtonBox:
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.export_button = QPushButton(tr("Export"))
        self.export_button.setProperty("primary", True)
        buttons.addButton(self.export_button, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        return buttons

    @property
    def choice(self) -> ExportChoice:
        """What the user chose."""
        packed = self.compression.currentData() if self._writer.compressions else "none"
        return ExportChoice(
            self._target(), self._dtype, self._overwrite, self.names.isChecked(), packed
        )

    def accept(self) -> None:
        """Say what cannot be written, and ask once more before a file is replaced."""
        from training_core.export.writers import check_target

        target, choice = self._target(), self.choice
        try:
            check_target(self._meant(), target, overwrite=True, compression=choice.compression)
        except OutputError as error:
            self.lost.setText(tr(str(error)))
            return
        if target.exists():
            text = f"{target.name} exists in {target.parent}. Its contents would be lost."
            if not dialogs.confirm(self, "Replace the file?", text, "Replace"):
                return
            self._overwrite = True
        super().accept()

    @property
    def _dtype(self) -> str:
        return "float32" if self.float32.isChecked() else "same"

    @property
    def _writer(self) -> Writer:
        writer: Writer = self.format.currentData()
        return writer

    def _meant(self) -> Stack:
        """Give what will be written, but for its pixels."""
        from training_core.export.writers import planned

        return planned(self._stack, as_float=self.float32.isChecked())

    def _target(self) -> Path:
        from training_core.export.writers import suffix_of

        path = Path(os.path.expanduser(self.path.text().strip()))
        return path if suffix_of(path) else Path(f"{path}{self._writer.suffixes[0]}")

    @Slot()
    def _on_browse(self) -> None:
        # This dialog asks itself before a file is replaced.
        quiet = QFileDialog.Option.DontConfirmOverwrite
        writer = self._writer
        mine = f"{tr(writer.name)} ({' '.join(f'*{suffix}' for suffix in writer.suffixes)})"
        kinds = f"{mine};;{tr('All files (*)')}"
        name, _ = QFileDialog.getSaveFileName(
            self,
            tr("Export"),
            str(self._target()),
            f"{kinds};;{tr('All files (*)')}",
            options=quiet,
        )
        if name:
            self.path.setText(name)
            self._on_path()

    @Slot()
    def _offer_formats(self) -> None:
        """List what the pixels can be written in; the name says which of them is chosen."""
        from training_core.export.writers import writers_of

        self.format.clear()
        for writer in writers_of(self._meant()):
            self.format.addItem(f"{tr(writer.name)} ({writer.suffixes[0]})", writer)
        self._on_path()

    @Slot()
    def _on_format(self) -> None:
        """Give the file the ending of the format."""
        from training_core.export.writers import suffix_of

        path = self._target()
        stem = path.name[: len(path.name) - len(suffix_of(path))]
        self.path.setText(str(path.with_name(f"{stem}{self._writer.suffixes[0]}")))
        self._show_facts()

    @Slot()
    def _on_path(self) -> None:
        """Choose the format that the name says, where it says one that there is."""
        from training_core.export.writers import writer_for

        try:
            name = writer_for(self._meant(), self._target()).name
        except OutputError as error:
            self.lost.setText(tr(str(error)))
            return
        texts = [self.format.itemData(index).name for index in range(self.format.count())]
        if name in texts:
            self.format.setCurrentIndex(texts.index(name))
        self._show_facts()

    def _show_facts(self) -> None:
        from training_core.export.writers import cannot_keep

        stack, writer = self._stack, self._writer
        width = 4 if self.float32.isChecked() else stack.dtype.itemsize
        size = bytes_text(stack.pixels.size * width)
        parts = (axes_text(stack), pixel_size_text(stack) or "pixel size unknown", size)
        # What was clipped to the range of the input does not concern fractions.
        warnings = () if self.float32.isChecked() else self._warnings
        self.facts.setText(tr("\n".join(("   ".join(parts), *warnings))))
        self.about.setText(tr(writer.about))
        self.compression.setEnabled(bool(writer.compressions))
        self.lost.setText(tr(cannot_keep(self._meant(), self._target())))


def suggested_target(stack: Stack, folder: str) -> Path:
    """Give the file name to offer: beside the input, or in the folder used last."""
    from training_core.export.writers import writers_of

    suffix = writers_of(stack)[0].suffixes[0]
    name = f"{Path(stack.name).name.split('.')[0]}_denoised{suffix}"
    own = stack.source is not None and not stack.source.is_relative_to(resource("samples"))
    beside = stack.source.parent if own and stack.source is not None else home()
    return (Path(folder) if folder and Path(folder).is_dir() else beside) / name
