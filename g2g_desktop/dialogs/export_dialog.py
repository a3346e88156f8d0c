"""The dialog before an export: where to, in which data type, and how large it will be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import (
    QCheckBox,
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
from g2g_desktop.model.wording import axes_text, bytes_text, pixel_size_text, pixels_text
from g2g_desktop.paths import home, resource
from g2g_desktop.widgets.labels import GAP, heading, paragraph

from . import dialogs

if TYPE_CHECKING:
    from training_core.stack import Stack

_TIFF = "TIFF (*.tif *.tiff)"


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
        self.setWindowTitle("Export TIFF")
        self.setMinimumWidth(520)
        self.path = QLineEdit(str(target))
        self.path.setAccessibleName("File to write")
        self.browse = QPushButton("Browse...")
        self.browse.setAutoDefault(False)  # Return is for Export
        self.browse.clicked.connect(self._on_browse)
        self.same = QRadioButton(f"Same as the input ({pixels_text(stack)})")
        self.float32 = QRadioButton("32-bit float, with fractions of a grey value")
        self.same.setChecked(True)
        self.names = QCheckBox("Write the names of the noisy files into the result")
        self.names.setToolTip("Leave it out where files are named after patients.")
        self.names.setChecked(True)
        self.facts = paragraph(muted=True)
        self.float32.toggled.connect(self._show_facts)
        self._lay_out()
        self.export_button.setDefault(True)  # only now: before, it is a button of no dialog
        self._show_facts()

    def _lay_out(self) -> None:
        where = QHBoxLayout()
        where.addWidget(self.path, 1)
        where.addWidget(self.browse)
        column = QVBoxLayout(self)
        column.setContentsMargins(3 * GAP, 3 * GAP, 3 * GAP, 2 * GAP)
        column.setSpacing(GAP)
        column.addWidget(heading("File", 0))
        column.addLayout(where)
        column.addSpacing(GAP)
        column.addWidget(heading("Pixels", 0))
        column.addWidget(self.same)
        column.addWidget(self.float32)
        column.addSpacing(GAP)
        column.addWidget(self.names)
        column.addWidget(self.facts)
        column.addSpacing(GAP)
        column.addWidget(self._buttons())

    def _buttons(self) -> QDialogButtonBox:
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.export_button = QPushButton("Export")
        self.export_button.setProperty("primary", True)
        buttons.addButton(self.export_button, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        return buttons

    @property
    def choice(self) -> ExportChoice:
        """What the user chose."""
        dtype = "float32" if self.float32.isChecked() else "same"
        return ExportChoice(self._target(), dtype, self._overwrite, self.names.isChecked())

    def accept(self) -> None:
        """Ask once more before a file is replaced."""
        target = self._target()
        if target.exists():
            text = f"{target.name} exists in {target.parent}. Its contents would be lost."
            if not dialogs.confirm(self, "Replace the file?", text, "Replace"):
                return
            self._overwrite = True
        super().accept()

    def _target(self) -> Path:
        path = Path(os.path.expanduser(self.path.text().strip()))
        return path if path.suffix.lower() in (".tif", ".tiff") else Path(f"{path}.tif")

    @Slot()
    def _on_browse(self) -> None:
        # This dialog asks itself before a file is replaced.
        quiet = QFileDialog.Option.DontConfirmOverwrite
        name, _ = QFileDialog.getSaveFileName(
            self, "Export TIFF", str(self._target()), _TIFF, options=quiet
        )
        if name:
            self.path.setText(name)

    @Slot()
    def _show_facts(self) -> None:
        stack = self._stack
        width = 4 if self.float32.isChecked() else stack.dtype.itemsize
        size = bytes_text(stack.pixels.size * width)
        parts = (axes_text(stack), pixel_size_text(stack) or "pixel size unknown", size)
        # What was clipped to the range of the input does not concern fractions.
        warnings = () if self.float32.isChecked() else self._warnings
        self.facts.setText("\n".join(("   ".join(parts), *warnings)))


def suggested_target(stack: Stack, folder: str) -> Path:
    """Give the file name to offer: beside the input, or in the folder used last."""
    name = f"{Path(stack.name).name.split('.')[0]}_denoised.tif"
    own = stack.source is not None and not stack.source.is_relative_to(resource("samples"))
    beside = stack.source.parent if own and stack.source is not None else home()
    return (Path(folder) if folder and Path(folder).is_dir() else beside) / name
