"""Every setting of a training but the preset, folded away until asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QLabel, QToolButton, QVBoxLayout, QWidget

from g2g_desktop.widgets.labels import GAP, heading, paragraph
from training_core.errors import SettingsError
from training_core.settings import Settings

from .settings_form import SettingsForm

if TYPE_CHECKING:
    from g2g_desktop.widgets.theme import Theme

_LABEL = 18


class AdvancedSettings(QWidget):
    """Every other setting, folded away until asked for."""

    settings_changed = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self._settings = theme, Settings()
        self.fold = QToolButton()
        self.fold.setText("Advanced settings")
        self.fold.setCheckable(True)
        self.fold.setAutoRaise(True)
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.fold.toggled.connect(self._on_folded)
        theme.changed.connect(self._on_folded)
        self.forms: dict[str, SettingsForm] = {
            "": SettingsForm(self._settings, ("device", "seed"), label_characters=_LABEL),
            "noise_model": SettingsForm(self._settings.noise_model, label_characters=_LABEL),
            "denoiser": SettingsForm(self._settings.denoiser, label_characters=_LABEL),
        }
        self.problem = paragraph()
        self.problem.hide()
        self.inner = QWidget()
        inner = QVBoxLayout(self.inner)
        inner.setContentsMargins(0, GAP, 0, 0)
        inner.setSpacing(GAP)
        for part, form in self.forms.items():
            if part:
                inner.addWidget(_section(part))
            inner.addWidget(form)
            form.changed.connect(self._on_changed)
        inner.addWidget(self.problem)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.fold)
        column.addWidget(self.inner)
        self._on_folded()

    def show_settings(self, settings: Settings) -> None:
        """Show the settings in force."""
        if settings == self._settings and self.problem.isHidden():
            return
        self._settings = settings
        self.problem.hide()
        for part, form in self.forms.items():
            form.show_settings(getattr(settings, part) if part else settings)

    @Slot()
    def _on_changed(self) -> None:
        top: Any = self.forms[""].settings
        parts = {part: form.settings for part, form in self.forms.items() if part}
        try:
            chosen = replace(top, **parts)
        except SettingsError as error:  # half of two settings that belong together
            self.problem.setText(str(error))
            self.problem.show()
            return
        self.problem.hide()
        self.settings_changed.emit(chosen)

    @Slot()
    def _on_folded(self) -> None:
        is_open = self.fold.isChecked()
        self.inner.setVisible(is_open)
        self.fold.setIcon(self._theme.icon("down" if is_open else "right"))


def _section(part: str) -> QLabel:
    return heading({"noise_model": "Noise model", "denoiser": "Denoiser"}[part], 0)
