"""The card of the smooth patches: where the noise is learned from, and whether that is enough."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from g2g_desktop.language import tr
from g2g_desktop.model.session import Step
from g2g_desktop.model.view_state import remedy_text
from g2g_desktop.widgets.labels import ToneLabel, button_row, heading, link_button, paragraph
from g2g_desktop.widgets.theme import Tone
from training_core.areas import FREE, IN, OUT
from training_core.settings import PatchSettings

from .settings_form import SettingsForm
from .step_card import StepCard

if TYPE_CHECKING:
    from g2g_desktop.widgets.theme import Theme
    from training_core.patches.smooth_patches import SmoothPatches

_TONE = {"green": Tone.GREEN, "amber": Tone.AMBER, "red": Tone.RED}
_BRUSHES = {
    IN: ("In", "Paint where patches are taken, whatever they hold."),
    OUT: ("Out", "Paint where no patch is taken that touches the area."),
    FREE: ("Erase", "Paint over painted areas to leave those parts to the search again."),
}
_FORMS = {
    False: ("Rectangle", "Drag a rectangle over the image."),
    True: ("Outline", "Drag around a place, or click corner by corner; a double click closes it."),
}
_BY_KEYS = (
    "By keys: R puts a rectangle, Y a polygon into the image. Ctrl and the arrows move it, with "
    "Shift they size it; C takes up one corner, Insert adds one. Enter paints, Esc ends."
)
_GALLERY_TIP = "Show some patches that were taken, and some that were not with the reason."
_WHAT = "The noise is learned where the image is flat. Those places are marked green."


class PatchesCard(StepCard):
    """Settings of the search, with its result in the whole stack and in the frame in view."""

    settings_changed = Signal(object)
    remedy_asked = Signal()
    paint_chosen = Signal(str)  # a kind of area, "" for none
    form_chosen = Signal(bool)  # outlines instead of rectangles
    gallery_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__(Step.PATCHES, "patches", theme)
        self.form = SettingsForm(PatchSettings(), ("strictness", "patch_size_px", "stride_px"))
        self.form.changed.connect(self.settings_changed)
        self.verdict = ToneLabel(theme)
        self.remedy = QPushButton()
        self.remedy.setToolTip(
            tr("Take the settings that the verdict advises; Ctrl+Z takes them back.")
        )
        self.remedy.clicked.connect(self.remedy_asked)
        self.count = heading("", 4)
        self.count.setAccessibleName(tr("Smooth patches in the whole stack"))
        self.share = paragraph(muted=True)
        self.in_frame = paragraph(muted=True)
        self.body.addWidget(paragraph(_WHAT, muted=True))
        self.body.addLayout(_beside(self.count, self.share))
        self.body.addWidget(self.in_frame)
        self.answer = QWidget()
        answer = QVBoxLayout(self.answer)
        answer.setContentsMargins(0, 0, 0, 0)
        answer.addWidget(self.verdict)
        answer.addWidget(button_row(self.remedy))
        self.body.addWidget(self.answer)
        self.body.addWidget(self.form)
        self.brushes = {kind: self._brush(kind) for kind in _BRUSHES}
        self.painted = link_button("", "Forget all painted areas; Ctrl+Z brings them back.")
        self.painted.clicked.connect(self._on_clear)
        self.gallery = link_button("Patches taken and refused...", _GALLERY_TIP)
        self.gallery.clicked.connect(self.gallery_asked)
        self.body.addWidget(button_row(QLabel(tr("Paint")), *self.brushes.values()))
        self.forms = {freely: self._form(freely) for freely in _FORMS}
        self.forms[False].setChecked(True)
        self.how = paragraph(muted=True)
        self.drawing = QWidget()
        column = QVBoxLayout(self.drawing)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(button_row(*self.forms.values()))
        column.addWidget(self.how)
        self.drawing.hide()
        self._on_form(False)
        self.body.addWidget(self.drawing)
        self.body.addWidget(self.painted)
        self.body.addWidget(self.gallery)
        self.show_patches(None)

    def _brush(self, kind: str) -> QPushButton:
        button = QPushButton(tr(_BRUSHES[kind][0]))
        button.setCheckable(True)
        button.setToolTip(tr(_BRUSHES[kind][1]))
        button.setAccessibleName(tr(f"Paint areas {_BRUSHES[kind][0].lower()}"))
        button.clicked.connect(partial(self._on_brush, kind))
        return button

    def _form(self, freely: bool) -> QPushButton:
        button = QPushButton(tr(_FORMS[freely][0]))
        button.setCheckable(True)
        button.setAutoExclusive(True)
        button.setToolTip(tr(_FORMS[freely][1]))
        button.clicked.connect(partial(self._on_form, freely))
        return button

    def _on_form(self, freely: bool, _checked: bool = False) -> None:
        self.how.setText(tr(f"{_FORMS[freely][1]} {_BY_KEYS}"))
        self.form_chosen.emit(freely)

    def _on_brush(self, kind: str, _checked: bool = False) -> None:
        on = kind in self.brushes and self.brushes[kind].isChecked()
        for other, button in self.brushes.items():
            button.setChecked(on and other == kind)
        self.drawing.setVisible(on)
        self.paint_chosen.emit(kind if on else "")

    @Slot()
    def stop_painting(self) -> None:
        """Let the mouse move the picture again."""
        if any(button.isChecked() for button in self.brushes.values()):
            self._on_brush("")

    def _on_clear(self) -> None:
        self.settings_changed.emit(replace(self.form.settings, areas=()))

    def show_settings(self, settings: PatchSettings, *, editable: bool) -> None:
        """Show the settings in force."""
        self.form.show_settings(settings)
        self.form.setEnabled(editable)
        count = len(settings.areas)
        self.painted.setText(tr(f"Clear {count} painted area{'s' * (count != 1)}"))
        self.painted.setVisible(count > 0)
        self.painted.setEnabled(editable)
        for button in self.brushes.values():
            button.setEnabled(editable)
        if not editable:
            self.stop_painting()

    def show_patches(self, patches: SmoothPatches | None, *, looking: bool = True) -> None:
        """Show what was found in the whole stack; None while that is being found out."""
        if patches is None:
            self.show_summary("Looking..." if looking else "Where the noise is learned")
            self.count.setText(tr("Looking..." if looking else ""))
            self.share.setText("")
            # What is below must not move from under the mouse between two answers.
            room = self.answer.height() if self.answer.isVisible() else 0
            self.answer.setMinimumHeight(room)
            self.verdict.say(Tone.MUTED, "")
            self.remedy.hide()
            return
        share = percent(patches.coverage)
        self.count.setText(tr(count_text(patches.count)))
        self.share.setText(tr(f"on {share} of the stack"))
        self.show_summary(f"{count_text(patches.count)}, {share}")
        self.answer.setMinimumHeight(0)
        self.verdict.say(_TONE[patches.verdict.level], patches.verdict.sentence)
        advised = patches.verdict.remedy
        self.remedy.setVisible(advised is not None)
        if advised is not None:
            self.remedy.setText(tr(remedy_text(self.form.settings, advised)))

    @Slot(object, int, float)
    def show_frame_count(self, _coverage: object, count: int, fraction: float) -> None:
        """Show what was found in the frame in view."""
        self.in_frame.setText(tr(f"In this frame: {count_text(count)} on {percent(fraction)}"))


def count_text(count: int) -> str:
    """Write a number of patches with thin gaps, such as "3 412 patches"."""
    grouped = f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{grouped} patch" if count == 1 else f"{grouped} patches"


def _beside(large: QLabel, small: QLabel) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(large)
    row.addWidget(small, 1, Qt.AlignmentFlag.AlignBottom)
    return row


def percent(fraction: float) -> str:
    """Write a fraction, such as "34 %"."""
    return f"{100 * fraction:.0f}\N{NARROW NO-BREAK SPACE}%"
