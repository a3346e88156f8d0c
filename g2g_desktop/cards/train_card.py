"""The card of the training: which preset, how long it takes, and how far it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QButtonGroup, QFrame, QPushButton, QRadioButton, QVBoxLayout, QWidget

from g2g_desktop.language import tr
from g2g_desktop.model.result import PRESET_TITLES, title_of
from g2g_desktop.model.session import Step
from g2g_desktop.model.view_state import duration_text
from g2g_desktop.widgets.labels import GAP, button_row, link_button, paragraph
from g2g_desktop.widgets.stepper import Stepper
from training_core.run import PreviewReady, Stage
from training_core.settings import Settings, preset
from training_core.wording import MEASURING, between

from .advanced_settings import AdvancedSettings
from .model_match import ModelMatch
from .step_card import StepCard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from g2g_desktop.model.result import StackResult
    from g2g_desktop.model.session import ExpectedTime, Interrupted
    from g2g_desktop.widgets.theme import Theme
    from training_core.costs import Span
    from training_core.run import Event

_PRESETS = {
    "instant": "Measures the noise and uses the bundled network, for a look and for large stacks.",
    "quick": "A little training, for a good result in a short time.",
    "balanced": "More training for finer detail. Right for most images.",
    "paper": "The published method to the letter. Days without a graphics card.",
}
LOOK_TIP = "See at once what is in view, denoised by the bundled network without training."
_MEASURING = f"Time: {MEASURING}..."
_UNKNOWN = f"Time: {MEASURING}, with the first job on this computer."
_HINT = "A live preview of what you look at appears with the first estimate."


class TrainCard(StepCard):
    """Choice of a preset and its settings at rest; the stages while a job runs."""

    settings_changed = Signal(object)
    action_asked = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__(Step.TRAIN, "train", theme)
        self._settings = Settings()
        self._title = title_of(self._settings)
        self._told_time = ""
        self.match = ModelMatch(theme)
        self.presets = PresetChoice()
        self.presets.chosen.connect(self._on_preset)
        self.estimate = paragraph()
        self.look = link_button("Preview without training", LOOK_TIP)
        self.look.clicked.connect(lambda: self.action_asked.emit("first_look"))
        self.interrupted = InterruptedNotice()
        self.interrupted.action_asked.connect(self.action_asked)
        self.advanced = AdvancedSettings(theme)
        self.advanced.settings_changed.connect(self._on_advanced)
        self.stepper = Stepper(theme, duration_text)
        self.hint = paragraph(_HINT, muted=True)
        self._at_rest: tuple[QWidget, ...] = (self.presets, self.estimate, self.advanced)
        self._has_preview = False
        rest = (self.presets, self.estimate, self.look, self.advanced)
        for widget in (self.interrupted, self.match, *rest, self.stepper, self.hint):
            self.body.addWidget(widget)
        self.presets.show_choice(self._settings.preset)

    def show_settings(self, settings: Settings) -> None:
        """Show the settings in force."""
        if settings == self._settings:
            return
        self._settings = settings
        self._title = title_of(settings)
        self.presets.show_choice(settings.preset)
        self.advanced.show_settings(settings)

    def show_estimate(self, expected: ExpectedTime | None, device: str) -> None:
        """Say how long training is expected to take, on what; None while that is found out."""
        self.presets.show_times(expected.presets if expected is not None else {})
        self._told_time = ""
        if expected is None or expected.now is None:
            self.estimate.setText(tr(_UNKNOWN if expected is not None else _MEASURING))
            return
        told = between(expected.now.least, expected.now.most, duration_text)
        whole = tr(f"{told} on this computer ({device})." if device else f"{told}.")
        self.estimate.setText(f"{whole[0].upper()}{whole[1:]}")
        self._told_time = f", {told.removeprefix('about ')}"

    def show_made(self, result: StackResult | None, model: str) -> None:
        """Say in the header what has made the result, or what would make one."""
        if result is not None and result.model_name:
            self.show_summary(f"{result.model_name}, without training")
        elif result is not None:
            self.show_summary(f"Trained: {title_of(result.denoiser.settings)}")
        elif model:
            self.show_summary(f"Use {model}, or train")
        else:
            self.show_summary(f"{self._title}{self._told_time}")

    def show_running(self, running: bool) -> None:
        """Show the stages instead of the settings, or the other way round."""
        for widget in self._at_rest:
            widget.setVisible(not running)
        self.stepper.setVisible(running)
        self.hint.setVisible(running and not self._has_preview)

    def show_look(self, *, offered: bool) -> None:
        """Offer the preview without training."""
        self.look.setVisible(offered)

    def clear_run(self) -> None:
        """Forget the last training."""
        self._has_preview = False
        self.stepper.clear()

    @Slot(object)
    def take(self, event: Event) -> None:
        """Follow the events of a job."""
        self.stepper.take(event)
        if isinstance(event, PreviewReady) or getattr(event, "stage", None) is Stage.DENOISE:
            self._has_preview = True
            self.hint.hide()
        if getattr(event, "stage", Stage.READ) in self.stepper.symbols:
            self.show_summary(event.stage.value)  # type: ignore[union-attr]

    @Slot(str)
    def _on_preset(self, name: str) -> None:
        now = self._settings
        kept: dict[str, Any] = {"seed": now.seed, "device": now.device}
        # The published rule is a part of its preset; what the user chose for another is kept.
        if "paper" not in (name, now.preset):
            kept["patches"] = now.patches
        else:
            kept["patches"] = replace(preset(name).patches, areas=now.patches.areas)
        self.settings_changed.emit(preset(name, **kept))

    @Slot(object)
    def _on_advanced(self, settings: Settings) -> None:
        # The patches have a card of their own.
        self.settings_changed.emit(replace(settings, patches=self._settings.patches))


class InterruptedNotice(QFrame):
    """Offers to go on with a training that a crash interrupted."""

    action_asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("surface", "notice")
        self.words = paragraph()
        self.go_on, self.discard = QPushButton(tr("Continue")), QPushButton(tr("Discard"))
        self.go_on.setAccessibleDescription(tr("Continue the interrupted training"))
        self.discard.setAccessibleDescription(tr("Discard the interrupted training"))
        self.go_on.clicked.connect(lambda: self.action_asked.emit("resume"))
        self.discard.clicked.connect(lambda: self.action_asked.emit("discard_interrupted"))
        column = QVBoxLayout(self)
        column.setContentsMargins(12, GAP, 12, 12)
        column.setSpacing(GAP)
        column.addWidget(self.words)
        column.addWidget(button_row(self.go_on, self.discard))
        self.hide()

    def show_interrupted(self, known: Interrupted | None) -> None:
        """Say which training it was; None hides the offer."""
        self.setVisible(known is not None)
        if known is not None:
            when = f"{known.when.day} {known.when:%B at %H:%M}"
            what = f"{title_of(known.settings)}, after {duration_text(known.seconds)}"
            self.words.setText(tr(f"A training of this stack was interrupted on {when} ({what})."))


class PresetChoice(QWidget):
    """One line and one sentence per preset."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.buttons: dict[str, QRadioButton] = {}
        self._group = QButtonGroup(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for name, sentence in _PRESETS.items():
            self.buttons[name] = button = QRadioButton(tr(PRESET_TITLES[name]))
            button.setAccessibleDescription(tr(sentence))
            self._group.addButton(button)
            explanation = paragraph(sentence, muted=True)
            explanation.setIndent(3 * GAP)  # margins are lost where a style sheet comes again
            column.addWidget(button)
            column.addWidget(explanation)
            column.addSpacing(GAP)
        self._group.buttonClicked.connect(self._on_clicked)

    def show_times(self, times: Mapping[str, Span | None]) -> None:
        """Say beside each preset how long it takes, where that is known."""
        for name, button in self.buttons.items():
            span = times.get(name)
            told = f"   {between(span.least, span.most, duration_text)}" if span is not None else ""
            button.setText(f"{tr(PRESET_TITLES[name])}{tr(told)}")

    def show_choice(self, name: str) -> None:
        """Check one preset."""
        self.buttons[name].setChecked(True)

    def _on_clicked(self, button: QRadioButton) -> None:
        self.chosen.emit(next(name for name, b in self.buttons.items() if b is button))
