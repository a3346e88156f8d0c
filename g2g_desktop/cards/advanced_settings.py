"""Every setting of a training but the preset, folded away until asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QLabel, QLineEdit, QToolButton, QVBoxLayout, QWidget

from g2g_desktop.widgets.labels import GAP, heading, link_button, paragraph
from training_core.errors import SettingsError
from training_core.settings import Settings, preset

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
        self.search = QLineEdit()
        self.search.setPlaceholderText("Find a setting")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Find a setting")
        self.search.setToolTip("Shows the settings whose name or explanation holds these letters.")
        self.search.textChanged.connect(self._on_search)
        self.nothing = paragraph("No setting is called so.", muted=True)
        self.nothing.hide()
        self.reset = link_button("", "Take the values of the preset again; Ctrl+Z takes that back.")
        self.reset.clicked.connect(self._on_reset)
        self.reset.hide()
        self._titles: dict[str, QLabel] = {}
        self.problem = paragraph()
        self.problem.hide()
        self.inner = QWidget()
        inner = QVBoxLayout(self.inner)
        inner.setContentsMargins(0, GAP, 0, 0)
        inner.setSpacing(GAP)
        inner.addWidget(self.search)
        inner.addWidget(self.nothing)
        inner.addWidget(self.reset)
        for part, form in self.forms.items():
            if part:
                self._titles[part] = _section(part)
                inner.addWidget(self._titles[part])
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
        self._mark_changed()

    def _mark_changed(self) -> None:
        usual = preset(self._settings.preset)
        changed = sum(
            form.mark_changed(getattr(usual, part) if part else usual)
            for part, form in self.forms.items()
        )
        self.reset.setText(f"Reset {changed} changed setting{'s' * (changed != 1)}")
        self.reset.setVisible(changed > 0)

    @Slot(str)
    def _on_search(self, text: str) -> None:
        found = {part: form.show_only(text) for part, form in self.forms.items()}
        for part, form in self.forms.items():
            form.setVisible(found[part] > 0)
            if part:
                self._titles[part].setVisible(found[part] > 0)
        self.nothing.setVisible(not any(found.values()))

    @Slot()
    def _on_reset(self) -> None:
        now = self._settings
        self.settings_changed.emit(preset(now.preset, patches=now.patches))

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
