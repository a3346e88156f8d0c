"""What the window asks and tells in dialogs; each question is one function with a plain answer."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.language import tr
from g2g_desktop.model.actions import ACTIONS
from g2g_desktop.widgets.labels import GAP, ToneLabel, heading, paragraph
from g2g_desktop.widgets.theme import Tone
from training_core.stack import PixelSize

if TYPE_CHECKING:
    from g2g_desktop.model.session import Failure
    from g2g_desktop.widgets.theme import Theme

_STACKS = (
    "(*.tif *.tiff *.lsm *.stk *.svs *.czi *.nd2 *.lif *.lof *.oif *.oib *.ims *.h5 *.hdf5 "
    "*.mat *.dv *.r3d *.mrc *.map *.rec *.txrm *.txm *.nii *.nii.gz *.nrrd *.nhdr *.png *.jpg "
    "*.bmp *.npy *.dcm *.ima)"
)
_MODELS = "Models of g2g desktop (*.g2g)"
_VIEWER_KEYS = (
    ("Previous, next image", "\N{LEFTWARDS ARROW} \N{RIGHTWARDS ARROW}"),
    ("Ten images on, back", "PgUp PgDn"),
    ("First, last image", "Home End"),
    ("Zoom at the pointer", "Wheel"),
    ("Fit in window", "Double click"),
    ("Hold to see the noisy image", "Space"),
)


class Running(StrEnum):
    """What to do with a running job."""

    KEEP_RUNNING = "Keep running"
    STOP_AND_KEEP = "Stop and keep"
    LATER = "Continue later"
    CANCEL = "Discard"


class ErrorDialog(QDialog):
    """One sentence on what went wrong, and the details for a report."""

    def __init__(self, failure: Failure, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        what = failure.step.value if failure.step is not None else "Something"
        self.setWindowTitle(tr(f"{what} did not work"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._details = failure.details or failure.sentence
        self.sentence = ToneLabel(theme)
        self.sentence.say(Tone.RED, failure.sentence)
        self.sentence.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        buttons.button(QDialogButtonBox.StandardButton.Close).setDefault(True)
        self.copy = QPushButton(tr("Copy details"))
        self.copy.setAutoDefault(False)
        self.copy.clicked.connect(self._on_copy)
        buttons.addButton(self.copy, QDialogButtonBox.ButtonRole.ActionRole)
        column = _column(self, 440)
        column.addWidget(self.sentence)
        column.addSpacing(GAP)
        column.addWidget(buttons)

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self._details)
        self.copy.setText(tr("Copied"))


def ask_files(parent: QWidget, folder: str) -> list[Path]:
    """Ask for one or more stacks; an empty list when the user thinks better of it."""
    names, _ = QFileDialog.getOpenFileNames(
        parent, tr("Open stack"), folder, f"{tr('Stacks')} {_STACKS};;{tr('All files (*)')}"
    )
    return [Path(name) for name in names]


def ask_folder(parent: QWidget, folder: str) -> Path | None:
    """Ask for a folder of images or DICOM slices."""
    name = QFileDialog.getExistingDirectory(parent, tr("Open folder"), folder)
    return Path(name) if name else None


def ask_model(parent: QWidget, folder: str) -> Path | None:
    """Ask for a model file."""
    name, _ = QFileDialog.getOpenFileName(parent, tr("Open model"), folder, tr(_MODELS))
    return Path(name) if name else None


def ask_model_target(parent: QWidget, suggestion: Path) -> Path | None:
    """Ask where to save a model; the system asks before a file is replaced."""
    name, _ = QFileDialog.getSaveFileName(parent, tr("Save model"), str(suggestion), tr(_MODELS))
    if not name or name.endswith(".g2g"):
        return Path(name) if name else None
    target = Path(f"{name}.g2g")  # of which the system asked nothing
    text = f"{target.name} exists in {target.parent}. Its contents would be lost."
    replaces = not target.exists() or confirm(parent, "Replace the file?", text, "Replace")
    return target if replaces else None


def ask_closing(parent: QWidget, *, training: bool) -> Running:
    """Ask what to do with the job that runs when the window is closed."""
    kept = {Running.STOP_AND_KEEP, Running.LATER} if training else set()
    text = "Closing the window would end it, and discard what it has done."
    if training:
        text = "It can go on later: what it has learned is kept, and named on the first page."
    return _ask_running(parent, "Close while a job is running?", text, kept)


def ask_cancelling(parent: QWidget) -> Running:
    """Ask whether a training that has run for a while is to be thrown away."""
    text = "What it has learned so far would be lost."
    return _ask_running(parent, "Discard the training?", text, {Running.STOP_AND_KEEP})


def _ask_running(parent: QWidget, title: str, text: str, kept: set[Running]) -> Running:
    """Ask whether to go on, to discard, or to keep what there is in one of the ways of `kept`."""
    roles = {
        Running.KEEP_RUNNING: QMessageBox.ButtonRole.RejectRole,
        **{way: QMessageBox.ButtonRole.AcceptRole for way in Running if way in kept},
        Running.CANCEL: QMessageBox.ButtonRole.DestructiveRole,
    }
    box = _question(parent, title, text)
    buttons = {answer: box.addButton(tr(answer.value), role) for answer, role in roles.items()}
    box.setDefaultButton(buttons[Running.KEEP_RUNNING])
    box.setEscapeButton(buttons[Running.KEEP_RUNNING])
    box.exec()
    chosen = box.clickedButton()
    return next((a for a, b in buttons.items() if b is chosen), Running.KEEP_RUNNING)


class Dropped(StrEnum):
    """What a stack that is dropped on a result is."""

    REFERENCE = "As reference"
    STACK = "As new stack"
    NOTHING = "Cancel"


def ask_dropped(parent: QWidget, name: str) -> Dropped:
    """Ask what a stack is that was dropped beside a result."""
    text = f"{name} can be a clean image of the same scene, to compare the result with."
    box = _question(parent, "Open it as a reference?", text)
    roles = {
        Dropped.REFERENCE: QMessageBox.ButtonRole.AcceptRole,
        Dropped.STACK: QMessageBox.ButtonRole.ActionRole,
        Dropped.NOTHING: QMessageBox.ButtonRole.RejectRole,
    }
    buttons = {answer: box.addButton(tr(answer.value), role) for answer, role in roles.items()}
    box.setEscapeButton(buttons[Dropped.NOTHING])
    box.exec()
    chosen = box.clickedButton()
    return next((a for a, b in buttons.items() if b is chosen), Dropped.NOTHING)


def confirm(parent: QWidget, title: str, text: str, yes: str) -> bool:
    """Ask before something is lost; anything but `yes` is no."""
    box = _question(parent, title, text)
    button = box.addButton(tr(yes), QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
    box.exec()
    return box.clickedButton() is button


def ask_pixel_size(parent: QWidget, size: PixelSize, *, with_z: bool) -> PixelSize | None:
    """Ask for the pixel size in micrometres, for files that do not say."""
    dialog = QDialog(parent)
    dialog.setWindowTitle(tr("Pixel size"))
    plane = _micrometres("Pixel size in the plane", size.x_um)
    depth = _micrometres("Distance of the slices", size.z_um)
    form = QFormLayout()
    form.addRow(tr("In the plane"), plane)
    if with_z:
        form.addRow(tr("Between slices"), depth)
    column = _column(dialog, 320)
    column.addWidget(paragraph("The export carries this size. No pixel is changed.", muted=True))
    column.addLayout(form)
    column.addWidget(_ok_cancel(dialog))
    if dialog.exec() != QDialog.DialogCode.Accepted:
        return None
    return PixelSize(plane.value() or None, plane.value() or None, depth.value() or None)


def show_text(parent: QWidget, title: str, text: str) -> None:
    """Show a text to read and to copy."""
    dialog = QDialog(parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle(tr(title))
    field = QPlainTextEdit(text, readOnly=True, tabChangesFocus=True)
    field.setAccessibleName(tr(title))
    field.setMinimumSize(460, 320)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    column = _column(dialog, 460)
    column.addWidget(field)
    column.addWidget(buttons)
    dialog.open()


def show_shortcuts(parent: QWidget) -> QDialog:
    """Show every key of the window and its viewers on one sheet."""
    dialog = QDialog(parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle(tr("Keyboard shortcuts"))
    native = QKeySequence.SequenceFormat.NativeText
    rows = [
        (tr(a.text).replace("&", "").rstrip("."), QKeySequence(a.shortcuts[0]).toString(native))
        for a in ACTIONS
        if a.shortcuts
    ]
    column = _column(dialog, 560)
    column.setSizeConstraint(QVBoxLayout.SizeConstraint.SetFixedSize)
    column.addWidget(heading("Keyboard shortcuts", 3))
    column.addLayout(_key_grid([*rows, *((tr(text), tr(keys)) for text, keys in _VIEWER_KEYS)]))
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    column.addWidget(buttons)
    dialog.open()
    return dialog


def show_about(parent: QWidget, version: str) -> None:
    """Say what this is, and whose method it uses."""
    QMessageBox.about(
        parent,
        tr("About g2g desktop"),
        tr(
            f"<b>g2g desktop {version}</b><p>Learns the noise of a stack from the stack itself, "
            "and removes it.</p><p>Method: GAN2GAN (Cha, Park, Kim and Moon, ICLR 2021). Licence "
            "of this program: BSD 3-Clause. It uses Qt through PySide6 under the LGPL 3.</p>"
        ),
    )


def _key_grid(rows: list[tuple[str, str]]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(2 * GAP)
    grid.setVerticalSpacing(6)
    half = -(-len(rows) // 2)
    for index, (text, key) in enumerate(rows):
        left = 3 * (index // half)
        chip = QLabel(key)
        chip.setProperty("chip", True)
        grid.addWidget(QLabel(text), index % half, left)
        grid.addWidget(chip, index % half, left + 1, Qt.AlignmentFlag.AlignLeft)
    grid.setColumnMinimumWidth(2, 3 * GAP)
    return grid


def _question(parent: QWidget, title: str, text: str) -> QMessageBox:
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle(tr(title))
    box.setText(f"<b>{tr(title)}</b>")
    box.setInformativeText(tr(text))
    return box


def _micrometres(name: str, value: float | None) -> QDoubleSpinBox:
    field = QDoubleSpinBox(decimals=4, maximum=1e6, suffix=" µm")
    field.setSpecialValueText(tr("unknown"))
    field.setAccessibleName(tr(name))
    field.setValue(value or 0.0)
    return field


def _ok_cancel(dialog: QDialog) -> QDialogButtonBox:
    kinds = QDialogButtonBox.StandardButton
    buttons = QDialogButtonBox(kinds.Ok | kinds.Cancel)
    buttons.accepted.connect(dialog.accept)
    buttons.rejected.connect(dialog.reject)
    return buttons


def _column(dialog: QDialog, width: int) -> QVBoxLayout:
    dialog.setMinimumWidth(width)
    column = QVBoxLayout(dialog)
    column.setContentsMargins(3 * GAP, 3 * GAP, 3 * GAP, 2 * GAP)
    column.setSpacing(12)
    return column
