"""The dialog that asks where Fiji and napari are, for computers where they are not found."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.language import tr
from g2g_desktop.other_programs import FIJI, NAPARI, found_programs
from g2g_desktop.widgets.labels import GAP, paragraph

if TYPE_CHECKING:
    from g2g_desktop.preferences import Preferences


class ProgramsDialog(QDialog):
    """Asks for two programs; `answer` has them once it is accepted, "" where it is searched for."""

    def __init__(self, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Fiji and napari"))
        self.setMinimumWidth(520)
        self._preferences = preferences
        found = found_programs(replace(preferences, fiji="", napari=""))
        self.fiji = self._field(FIJI.name, preferences.fiji, str(found.get(FIJI.name, "")))
        self.napari = self._field(NAPARI.name, preferences.napari, str(found.get(NAPARI.name, "")))
        text = "An exported file can be opened in them. Left empty, they are searched for."
        form = QFormLayout()
        form.addRow("Fiji", self._row(self.fiji, FIJI.name))
        form.addRow("napari", self._row(self.napari, NAPARI.name))
        kinds = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(kinds.Ok | kinds.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(3 * GAP, 3 * GAP, 3 * GAP, 2 * GAP)
        column.addWidget(paragraph(text, muted=True))
        column.addLayout(form)
        column.addWidget(buttons)

    @property
    def answer(self) -> Preferences:
        """The preferences with what was entered."""
        fiji, napari = self.fiji.text().strip(), self.napari.text().strip()
        return replace(self._preferences, fiji=fiji, napari=napari)

    def _field(self, name: str, chosen: str, found: str) -> QLineEdit:
        field = QLineEdit(chosen)
        field.setAccessibleName(tr(f"Where {name} is"))
        field.setPlaceholderText(tr(f"Found: {found}" if found else "Not found"))
        return field

    def _row(self, field: QLineEdit, name: str) -> QHBoxLayout:
        browse = QPushButton(tr("Browse..."))
        browse.setAutoDefault(False)
        browse.clicked.connect(partial(self._browse, field, name))
        row = QHBoxLayout()
        row.addWidget(field, 1)
        row.addWidget(browse)
        return row

    def _browse(self, field: QLineEdit, name: str) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, tr(f"Where is {name}?"), field.text())
        if chosen:
            field.setText(chosen)
