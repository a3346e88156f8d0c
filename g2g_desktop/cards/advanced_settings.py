"""Every setting of a training but the preset, folded away until asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QLabel, QLineEdit, QToolButton, QVBoxLayout, QWidget

from g2g_desktop.language import tr
from g2g_desktop.widgets.labels import GAP, heading, link_button, paragraph
from training_core.errors import SettingsError
from training_core.settings import Settings, preset

from .settings_form import SettingsForm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from g2g_desktop.widgets.theme import Theme

_LABEL = 19
_TOP = ""  # the part of those that stand in the settings themselves
_GROUPS: dict[str, dict[str, tuple[str, ...]]] = {  # those that change a result most come first
    "The result": {
        "denoiser": (
            "kept_noise", "neighbours", "repair_hot_pixels", "even_flat_areas", "keep_brightness",
            "collaborate", "every_orientation",
        ),
        "noise_model": ("correlation",),
    },
    "How long it takes": {
        "denoiser": ("rounds", "steps", "area_mpx"),
        "noise_model": ("steps",),
        _TOP: ("device", "precision"),
    },
    "The noise": {"noise_model": ("stabilise", "by_place", "generator")},
    "The denoiser": {
        "denoiser": ("first_estimate", "network", "width", "depth", "targets", "as_recorded"),
    },
    "How it learns": {
        "denoiser": ("batch", "crop_px", "learning_rate", "schedule", "averaging"),
        "noise_model": (
            "batch", "crop_px", "critic_steps", "noise_weight", "image_weight", "cycle_weight",
        ),
        _TOP: ("seed",),
    },
}  # fmt: skip
_OF_NOISE = " (noise)"  # where both parts have a setting of that name


class AdvancedSettings(QWidget):
    """Every other setting, folded away until asked for."""

    settings_changed = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self._settings = theme, Settings()
        self.fold = QToolButton()
        self.fold.setText(tr("Advanced settings"))
        self.fold.setCheckable(True)
        self.fold.setAutoRaise(True)
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.fold.toggled.connect(self._on_folded)
        theme.changed.connect(self._on_folded)
        self.groups = {title: self._forms(parts) for title, parts in _GROUPS.items()}
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Find a setting"))
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName(tr("Find a setting"))
        self.search.setToolTip(
            tr("Shows the settings whose name or explanation holds these letters.")
        )
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
        for title, forms in self.groups.items():
            self._titles[title] = heading(title, 0)
            inner.addWidget(self._titles[title])
            for _, form in forms:
                inner.addWidget(form)
                form.changed.connect(self._on_changed)
        inner.addWidget(self.problem)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.fold)
        column.addWidget(self.inner)
        self._on_folded()

    def _forms(self, parts: Mapping[str, Sequence[str]]) -> list[tuple[str, SettingsForm]]:
        made = []
        for part, names in parts.items():
            values = getattr(self._settings, part) if part else self._settings
            form = SettingsForm(values, names, label_characters=_LABEL, resettable=True)
            if part == "noise_model":
                form.say_apart(set(names) & {"steps", "batch", "crop_px"}, _OF_NOISE)
            made.append((part, form))
        return made

    @property
    def forms(self) -> list[tuple[str, SettingsForm]]:
        """Every form with the part of the settings that it is about, "" for the top."""
        return [one for forms in self.groups.values() for one in forms]

    def editor(self, part: str, name: str) -> Any:
        """Give what edits a setting."""
        return next(f.editors[name] for of, f in self.forms if of == part and name in f.editors)

    def show_settings(self, settings: Settings) -> None:
        """Show the settings in force."""
        if settings == self._settings and self.problem.isHidden():
            return
        self._settings = settings
        self.problem.hide()
        for part, form in self.forms:
            form.show_settings(getattr(settings, part) if part else settings)
        self._mark_changed()

    def _mark_changed(self) -> None:
        usual = preset(self._settings.preset)
        changed = sum(
            form.mark_changed(getattr(usual, part) if part else usual) for part, form in self.forms
        )
        self.reset.setText(tr(f"Reset {changed} changed setting{'s' * (changed != 1)}"))
        self.reset.setVisible(changed > 0)

    @Slot(str)
    def _on_search(self, text: str) -> None:
        every = 0
        for title, forms in self.groups.items():
            found = 0
            for _, form in forms:
                mine = form.show_only("" if text.casefold() in tr(title).casefold() else text)
                form.setVisible(mine > 0)
                found += mine
            self._titles[title].setVisible(found > 0)
            every += found
        self.nothing.setVisible(not every)

    @Slot()
    def _on_reset(self) -> None:
        now = self._settings
        self.settings_changed.emit(preset(now.preset, patches=now.patches))

    @Slot()
    def _on_changed(self) -> None:
        values: dict[str, dict[str, Any]] = {}
        for part, form in self.forms:
            values.setdefault(part, {}).update(form.values())
        top = values.pop(_TOP)
        try:
            parts = {
                part: replace(getattr(self._settings, part), **v) for part, v in values.items()
            }
            chosen = replace(self._settings, **top, **parts)
        except SettingsError as error:  # half of two settings that belong together
            self.problem.setText(tr(str(error)))
            self.problem.show()
            return
        self.problem.hide()
        self.settings_changed.emit(chosen)

    @Slot()
    def _on_folded(self) -> None:
        is_open = self.fold.isChecked()
        self.inner.setVisible(is_open)
        self.fold.setIcon(self._theme.icon("down" if is_open else "right"))
