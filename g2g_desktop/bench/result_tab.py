"""The part of the bench that changes what is looked at: strength, rounds, and noise alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from g2g_desktop.language import tr
from g2g_desktop.widgets.labels import GAP, heading, paragraph
from training_core.wording import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTLE_MS = 600  # after the last move the result itself takes the strength
SLIDER_PX = 100  # at least: less cannot be set to a percent
STRENGTH_TIP = (
    "100 % is the denoised picture, 0 % the noisy one. What lies between keeps a share of what "
    "was removed as grain; it is written into the result, the model and the file."
)
ROUNDS_TIP = "What the training made of the region it showed, from the first look on."
NO_ROUNDS = "A training that is watched leaves its pictures here, round by round."
PURE_TIP = (
    "Denoise learned noise on an even grey, which holds nothing: whatever shows in the result of "
    "that is made up."
)
PURE_ASK = "Show what is made of noise alone"


class ResultTab(QWidget):
    """Sliders for strength and round, and the picture that is made of pure noise.

    Signals
    -------
    strength_moved
        A share from 0 to 1, live while the slider moves.
    strength_chosen
        The share at which the slider came to rest.
    round_chosen
        The number of a picture of the training; -1 for the result.
    pure_noise_asked
        Denoise noise alone.
    """

    strength_moved = Signal(float)
    strength_chosen = Signal(float)
    round_chosen = Signal(int)
    pure_noise_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setPageStep(10)
        self.slider.setMinimumWidth(SLIDER_PX)
        self.slider.setAccessibleName(tr("Strength"))
        self.slider.setToolTip(tr(STRENGTH_TIP))
        self.percent = QSpinBox()
        self.percent.setRange(0, 100)
        self.percent.setSuffix(" %")
        self.percent.setAccessibleName(tr("Strength in percent"))
        self.percent.setToolTip(tr(STRENGTH_TIP))
        self.grain = paragraph(muted=True)
        self.rounds = QSlider(Qt.Orientation.Horizontal)
        self.rounds.setPageStep(1)
        self.rounds.setMinimumWidth(SLIDER_PX)
        self.rounds.setTickPosition(QSlider.TickPosition.TicksBelow)
        self.rounds.setAccessibleName(tr("Round"))
        self.rounds.setToolTip(tr(ROUNDS_TIP))
        self.round_name = paragraph(NO_ROUNDS, muted=True)
        self.pure_button = QPushButton(tr(PURE_ASK))
        self.pure_button.setToolTip(tr(PURE_TIP))
        self.pure_words = paragraph(PURE_TIP, muted=True)
        self._names: list[str] = []
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._announce)
        self._lay_out()
        self.slider.valueChanged.connect(self._on_strength)
        self.percent.valueChanged.connect(self.slider.setValue)
        self.rounds.valueChanged.connect(self._on_round)
        self.pure_button.clicked.connect(self.pure_noise_asked)

    def _lay_out(self) -> None:
        columns = QGridLayout(self)
        columns.setContentsMargins(0, GAP, 0, 0)
        columns.setHorizontalSpacing(3 * GAP)
        holder = QWidget()
        strength = QHBoxLayout(holder)
        strength.setContentsMargins(0, 0, 0, 0)
        strength.addWidget(self.slider, 1)
        strength.addWidget(self.percent)
        for number, (title, control, words) in enumerate(
            (
                ("Strength", holder, self.grain),
                ("Round", self.rounds, self.round_name),
                ("Noise alone", self.pure_button, self.pure_words),
            )
        ):
            column = QVBoxLayout()
            column.addWidget(heading(title, 0))
            column.addWidget(control)
            column.addWidget(words)
            column.addStretch(1)
            columns.addLayout(column, 0, number)
            columns.setColumnStretch(number, 1)

    @property
    def strength(self) -> float:
        """The share that is chosen, 0 to 1."""
        return self.slider.value() / 100

    def show_strength(self, strength: float | None, unit: str = "") -> None:
        """Show the strength of a result; None where it cannot be changed."""
        self._settle.stop()
        for control in (self.slider, self.percent):
            control.setEnabled(strength is not None)
            blocked = control.blockSignals(True)
            control.setValue(round(100 * (1.0 if strength is None else strength)))
            control.blockSignals(blocked)
        self._say_grain()

    def show_rounds(self, names: Sequence[str]) -> None:
        """Offer the pictures of a training by their names, the result being the last."""
        self._names = list(names)
        blocked = self.rounds.blockSignals(True)
        self.rounds.setRange(0, max(len(names) - 1, 0))
        self.rounds.setValue(self.rounds.maximum())
        self.rounds.setEnabled(len(names) > 1)
        self.rounds.blockSignals(blocked)
        self.round_name.setText(tr(names[-1] if len(names) > 1 else NO_ROUNDS))

    def say_pure(self, text: str, *, running: bool = False) -> None:
        """Say what was made of noise alone, or that it is on its way."""
        self.pure_words.setText(tr(text or PURE_TIP))
        self.pure_button.setEnabled(not running)

    def _say_grain(self) -> None:
        kept = 100 - self.slider.value()
        if kept == 100:
            self.grain.setText(tr("The noisy picture itself."))
        elif kept:
            self.grain.setText(tr(f"{kept} % of what denoising removes stays as grain."))
        else:
            self.grain.setText(tr("Nothing of what denoising removes stays."))

    @Slot(int)
    def _on_strength(self, value: int) -> None:
        blocked = self.percent.blockSignals(True)
        self.percent.setValue(value)
        self.percent.blockSignals(blocked)
        self._say_grain()
        self.strength_moved.emit(self.strength)
        self._settle.start()

    @Slot()
    def _announce(self) -> None:
        self.strength_chosen.emit(self.strength)

    @Slot(int)
    def _on_round(self, number: int) -> None:
        self.round_name.setText(tr(self._names[number]))
        last = number == len(self._names) - 1
        self.round_chosen.emit(-1 if last else number)


def sentence_of(left: float) -> str:
    """Say how much of noise alone is left."""
    told = f"Of noise alone {percent(left)} of its std is left"
    if left < 0.15:
        return f"{told}: hardly anything is made up."
    if left < 0.4:
        return f"{told}: faint blotches of that size may be made up."
    return f"{told}: much of what looks like faint structure may be made up."
