"""Which image of a file that holds several: a list with a small picture, name and size of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QIcon, QImage, QPixmap
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.language import tr
from g2g_desktop.widgets.labels import paragraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training_core.io.previews import ImagePreview
    from training_core.stack import Pixels

_PICTURE_PX = 72


class ImagePicker(QDialog):
    """Asks for one of the images of a file."""

    def __init__(self, name: str, previews: Sequence[ImagePreview], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Choose an image"))
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Images of the file"))
        self.list.setIconSize(QSize(_PICTURE_PX, _PICTURE_PX))
        for preview in previews:
            item = QListWidgetItem(f"{preview.number}: {tr(preview.told)}")
            if preview.picture is not None:
                item.setIcon(_icon(preview.picture))
            item.setData(Qt.ItemDataRole.UserRole, preview.number)
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        self.list.itemActivated.connect(self.accept)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(paragraph(f"{name} holds {len(previews)} images. Which one?"))
        column.addWidget(self.list)
        column.addWidget(buttons)
        self.resize(520, 420)

    @property
    def number(self) -> int:
        """The number of the image that is selected, from 1 on."""
        return int(self.list.currentItem().data(Qt.ItemDataRole.UserRole))


def pick_image(parent: QWidget, name: str, previews: Sequence[ImagePreview]) -> int | None:
    """Ask for an image of a file; None when the user thinks better of it."""
    picker = ImagePicker(name, previews, parent)
    try:
        return picker.number if picker.exec() else None
    finally:
        picker.deleteLater()


def _icon(picture: Pixels) -> QIcon:
    height, width = picture.shape
    image = QImage(picture.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
    return QIcon(QPixmap.fromImage(image.copy()))  # the copy owns its pixels
