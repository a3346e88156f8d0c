"""The card of the smooth patches: where the noise is learned from, and whether that is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QPushButton

from g2g_desktop.model.session import Step
from g2g_desktop.model.view_state import remedy_text
from g2g_desktop.widgets.labels import ToneLabel, button_row, heading, paragraph
from g2g_desktop.widgets.theme import Tone
from training_core.settings import PatchSettings

from .settings_form import SettingsForm
from .step_card import StepCard

if TYPE_CHECKING:
    from PySide6.QtWidgets import QLabel

    from g2g_desktop.widgets.theme import Theme
    from training_core.patches.smooth_patches import SmoothPatches

_TONE = {"green": Tone.GREEN, "amber": Tone.AMBER, "red": Tone.RED}
_WHAT = "The noise is learned where the image is flat. Those places are marked green."


class PatchesCard(StepCard):
    """Settings of the search, with its result in the whole stack and in the frame in view."""

    settings_changed = Signal(object)
    remedy_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__(Step.PATCHES, "patches", theme)
        self.form = SettingsForm(PatchSettings(), ("strictness", "patch_size_px", "stride_px"))
        self.form.changed.connect(self.settings_changed)
        self.verdict = ToneLabel(theme)
        self.remedy = QPushButton()
        self.remedy.setToolTip(
            "Take the settings that the verdict advises; Ctrl+Z takes them back."
        )
        self.remedy.clicked.connect(self.remedy_asked)
        self.count = heading("", 4)
        self.count.setAccessibleName("Smooth patches in the whole stack")
        self.share = paragraph(muted=True)
        self.in_frame = paragraph(muted=True)
        self.body.addWidget(paragraph(_WHAT, muted=True))
        self.body.addLayout(_beside(self.count, self.share))
        self.body.addWidget(self.in_frame)
        self.body.addWidget(self.verdict)
        self.body.addWidget(button_row(self.remedy))
        self.body.addWidget(self.form)
        self.show_patches(None)

    def show_settings(self, settings: PatchSettings, *, editable: bool) -> None:
        """Show the settings in force."""
        self.form.show_settings(settings)
        self.form.setEnabled(editable)

    def show_patches(self, patches: SmoothPatches | None, *, looking: bool = True) -> None:
        """Show what was found in the whole stack; None while that is being found out."""
        if patches is None:
            self.show_summary("Looking..." if looking else "Where the noise is learned")
            self.count.setText("Looking..." if looking else "")
            self.share.setText("")
            self.verdict.say(Tone.MUTED, "")
            self.remedy.hide()
            return
        share = percent(patches.coverage)
        self.count.setText(count_text(patches.count))
        self.share.setText(f"on {share} of the stack")
        self.show_summary(f"{count_text(patches.count)}, {share}")
        self.verdict.say(_TONE[patches.verdict.level], patches.verdict.sentence)
        advised = patches.verdict.remedy
        self.remedy.setVisible(advised is not None)
        if advised is not None:
            self.remedy.setText(remedy_text(self.form.settings, advised))

    @Slot(object, int, float)
    def show_frame_count(self, _coverage: object, count: int, fraction: float) -> None:
        """Show what was found in the frame in view."""
        self.in_frame.setText(f"In this frame: {count_text(count)} on {percent(fraction)}")


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
