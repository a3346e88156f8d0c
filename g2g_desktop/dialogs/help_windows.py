"""The windows of the Help menu: the guide, and the report for whoever mends a fault."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QUrl, Slot
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
)

from g2g_desktop.language import tr
from g2g_desktop.widgets.labels import GAP, paragraph

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

_GUIDE_SIZE = (860, 720)
_REPORT_SIZE = (640, 480)


class GuideWindow(QDialog):
    """The pages of the guide, from the disk; other links open the browser of the system."""

    def __init__(self, folder: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Guide"))
        self.resize(*_GUIDE_SIZE)
        self.page = QTextBrowser(openExternalLinks=True)
        self.page.setAccessibleName(tr("Page of the guide"))
        bar = QHBoxLayout()
        for text, slot in (("Contents", self.page.home), ("Back", self.page.backward)):
            button = QPushButton(tr(text), autoDefault=False)
            button.clicked.connect(slot)
            bar.addWidget(button)
        bar.addStretch(1)
        column = QVBoxLayout(self)
        column.addLayout(bar)
        column.addWidget(self.page, 1)
        self.page.setSource(QUrl.fromLocalFile(str(folder / "index.md")))


class DiagnosticsDialog(QDialog):
    """Shows the report to the letter as it would be saved; only a further click saves it."""

    def __init__(self, report: str, folder: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Diagnostic bundle"))
        self.resize(*_REPORT_SIZE)
        self._report, self._folder = report, folder
        self.about = paragraph(
            "This and nothing else is saved: no pixels, no names of files. Nothing is sent.",
            muted=True,
        )
        self.field = QPlainTextEdit(report, readOnly=True, tabChangesFocus=True)
        self.field.setAccessibleName(tr("The report"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        save = buttons.addButton(tr("Save..."), QDialogButtonBox.ButtonRole.ActionRole)
        save.clicked.connect(self._on_save)
        column = QVBoxLayout(self)
        column.setSpacing(GAP)
        column.addWidget(self.about)
        column.addWidget(self.field, 1)
        column.addWidget(buttons)

    @Slot()
    def _on_save(self) -> None:
        suggestion = str(Path(self._folder) / "g2g-diagnostics.txt")
        name, _ = QFileDialog.getSaveFileName(self, tr("Save diagnostic bundle"), suggestion)
        if not name:
            return
        try:
            Path(name).write_text(self._report, "utf-8")
        except OSError as error:
            self.about.setText(
                tr(f"{name} cannot be written ({error.strerror}); choose another file.")
            )
        else:
            self.accept()
