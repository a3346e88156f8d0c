"""The card of the export: what the file will be, and what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QPalette

from g2g_desktop.language import tr
from g2g_desktop.model.session import Step
from g2g_desktop.model.wording import file_text, pixels_text
from g2g_desktop.widgets.labels import ElidedLabel, ToneLabel, button_row, link_button, paragraph
from g2g_desktop.widgets.theme import Tone
from training_core.wording import bytes_text

from .step_card import StepCard

if TYPE_CHECKING:
    from pathlib import Path

    from g2g_desktop.model.session import Session
    from g2g_desktop.widgets.theme import Theme


class ExportCard(StepCard):
    """What the exported file will be, and what was exported."""

    save_model_asked = Signal()
    reveal_asked = Signal()
    program_asked = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__(Step.EXPORT, "export", theme)
        self.what = paragraph(muted=True)
        self.warnings = ToneLabel(theme)
        self.done = ToneLabel(theme)
        self.folder = ElidedLabel()
        self.folder.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.saved = ElidedLabel()
        self.saved.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._exported: Path | None = None
        self.reveal = link_button("Show in folder")
        self.programs = {name: link_button(f"Open in {name}") for name in ("Fiji", "napari")}
        for button in self.programs.values():
            button.clicked.connect(self._on_program)
            button.hide()  # until it is found
        self._found: tuple[str, ...] = ()
        self.model = link_button("Save model...", "Keep the model to denoise other stacks (Ctrl+S)")
        self.reveal.clicked.connect(self.reveal_asked)
        self.model.clicked.connect(self.save_model_asked)
        programs, others = button_row(*self.programs.values()), button_row(self.reveal, self.model)
        for widget in (
            self.what, self.warnings, self.done, self.folder, programs, self.saved, others
        ):  # fmt: skip
            self.body.addWidget(widget)

    def show_session(self, session: Session, allowed: frozenset[str]) -> None:
        """Say what can be exported, or what was."""
        stack, denoised, exported = session.stack, session.denoised, session.exported
        if stack is None or denoised is None:
            self.what.setText(tr("The denoised stack is exported with the axes, pixel size and bit "
                              "depth of the input."))  # fmt: skip
        else:
            size = bytes_text(stack.pixels.nbytes)
            self.what.setText(tr(f"{pixels_text(stack)} as the input, {size}."))
        warnings = session.result.warnings if session.result is not None else ()
        self.warnings.say(Tone.AMBER, "\n".join(warnings))
        self._show_exported(session)
        self.model.setEnabled("save_model" in allowed)
        self.saved.set_text(f"The model is in {session.saved_as}" if session.saved_as else "")
        self.saved.setVisible(bool(session.saved_as))
        self.show_summary(exported.name if exported else "For Fiji, napari and OMERO")

    @Slot(object)
    def show_programs(self, found: tuple[str, ...]) -> None:
        """Offer the programs that are on this computer, once there is a file to open."""
        self._found = found
        for name, button in self.programs.items():
            button.setVisible(self._exported is not None and name in found)

    @Slot()
    def _on_program(self) -> None:
        for name, button in self.programs.items():
            if button is self.sender():
                self.program_asked.emit(name)

    def _show_exported(self, session: Session) -> None:
        """Say what was written; `write_stack` reads each file back and compares it."""
        stack, exported = session.stack, session.exported
        for widget in (self.folder, self.reveal):
            widget.setVisible(exported is not None)
        self.what.setVisible(exported is None)
        for name, button in self.programs.items():
            button.setVisible(exported is not None and name in self._found)
        if exported is self._exported:
            return  # the pixel size may have been corrected since
        self._exported = exported
        if exported is None or stack is None:
            self.done.say(Tone.GREEN, "")
            return
        as_float = session.result is not None and session.result.exported_dtype == "float32"
        held = file_text(stack, np.dtype(np.float32) if as_float else stack.dtype)
        self.done.say(Tone.GREEN, f"{exported.name}\nRead back and checked: {held}")
        self.folder.set_text(f"In {exported.parent}")
