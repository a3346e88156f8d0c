"""The page of a training: what is watched, noisy and as it is now, and one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from g2g_desktop.language import tr
from g2g_desktop.model.contrast import SATURATED_PERCENT, IntensitySample
from g2g_desktop.model.session import State
from g2g_desktop.model.view_state import duration_text
from g2g_desktop.viewer.image_pane import ImagePane
from g2g_desktop.viewer.look_up_tables import look_up_table
from g2g_desktop.viewer.split_pane import SplitPane
from g2g_desktop.widgets.fold import Fold
from g2g_desktop.widgets.labels import GAP, heading, paragraph
from training_core.run import NoiseReady, PreviewReady, Stage, StageStarted, StepsDone
from training_core.wording import MEASURING, between

from .region_picker import RegionPicker
from .training_details import TrainingDetails

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from g2g_desktop.model.contrast import Window
    from g2g_desktop.model.session import Session
    from g2g_desktop.widgets.theme import Theme
    from training_core.run import Event, ShownRegion
    from training_core.stack import Pixels, Stack

REACH = (-3.0, 3.0)  # std of the noise, black and white
SAYS = {
    Stage.READ: "Reading the images.",
    Stage.PATCHES: "Looking for places where nothing but noise varies.",
    Stage.NOISE_MODEL: "Learning to imitate the noise of your images.",
    Stage.FIRST_ESTIMATE: "Cleaning a part of your images for a first time.",
    Stage.ROUNDS: "Practising on your images: adding such noise and learning to take it away",
    Stage.DENOISE: "Cleaning every frame with what was learned.",
}
SAYS_INSTEAD = {
    State.PAUSED: "Paused. Nothing is lost; go on whenever you like.",
    State.STOPPING: "Ending soon, and keeping what was learned so far.",
    State.CANCELLING: "Ending; nothing of this training is kept.",
}
WAITS = "Appears with the first estimate"
_CHOOSES = {State.TRAINING, State.STOPPING, State.PAUSED}
_ROOM_PX = 620  # of width, from which on the whole frame has a place beside the split


class TrainingPage(QWidget):
    """A large split of the watched region, time left and a sentence; all else is folded away.

    While the noise is learned and there is nothing clean yet, real and made noise stand there.

    Signals
    -------
    region_chosen
        A `ShownRegion`: the part of a frame that the user wants to watch.
    """

    region_chosen = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.sentence, self.left = heading("", 4), heading("", 1.5)
        self.sentence.setWordWrap(True)
        self.left.setAccessibleName(tr("Time left"))
        self.split = SplitPane()
        self.split.setAccessibleName(tr("What you watch, noisy and as it is now"))
        self.real, self.made = ImagePane(), ImagePane()
        self.likeness = paragraph()
        self.main = QStackedWidget()
        self.picker = RegionPicker()
        self.details = TrainingDetails(theme)
        self.fold = Fold("Details", self.details, theme)
        self._region: ShownRegion | None = None
        self._levels = (0.0, 1.0)
        self._saturates, self._inverted = 0, False
        self._says = ""
        self._state = State.EMPTY
        self._stack: Stack | None = None
        self._lay_out()
        self.picker.chosen.connect(self._watch)
        self.setFocusProxy(self.split)
        self.clear()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self.sentence, 1)
        head.addWidget(self.left, 0, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        noise = QWidget()
        pair = QHBoxLayout()
        pair.setSpacing(2)
        for pane, name in ((self.real, "Real noise"), (self.made, "Made noise")):
            pane.set_caption(name)
            pane.setAccessibleName(tr(name))
            pair.addWidget(pane)
        beside = QVBoxLayout(noise)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.addLayout(pair, 1)
        beside.addWidget(self.likeness)
        self.main.addWidget(self.split)
        self.main.addWidget(noise)
        self.picker.setFixedWidth(self.picker.sizeHint().width())
        row = QHBoxLayout()
        row.setSpacing(GAP)
        row.addWidget(self.main, 1)
        row.addWidget(self.picker, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP)
        column.addLayout(head)
        column.addLayout(row, 1)
        column.addWidget(self.fold)

    def clear(self) -> None:
        """Forget the last training."""
        self._region = None
        self._says = ""
        self.sentence.setText("")
        self.left.setText("")
        self.split.set_pair(None, None, self._levels)
        self.main.setCurrentIndex(0)
        self.details.clear()

    def begin(self, session: Session, region: ShownRegion | None) -> None:
        """Begin with a part of the stack, which is shown noisy until there is more."""
        self.clear()
        if session.stack is not None and region is not None:
            self.picker.show_region(session.stack, region)
            self.split.set_pixel_size(session.stack.pixel_size.x_um)
            self._watch(region)

    @property
    def region(self) -> ShownRegion:
        """The part that is watched."""
        return self.picker.region

    def show_session(self, session: Session) -> None:
        """Say what goes on where that is not a stage of the training."""
        if session.stack is not self._stack:
            self._stack = session.stack
            self.picker.clear()
            self.clear()  # that was another one
        if session.state is State.DENOISING and self._stack is not None:
            self._show_frame(self._stack)
        self._state = session.state
        self.picker.setEnabled(self._state in _CHOOSES)
        self._show_picker()
        self._say()

    def fit(self) -> None:
        """Show all that is watched."""
        self.split.fit()

    def zoom_full(self) -> None:
        """Show one image pixel per screen pixel."""
        self.split.zoom(1.0)

    def auto_contrast(self) -> None:
        """Choose the contrast from what is watched; each press saturates more."""
        if self.split.image is not None:
            self._saturates = (self._saturates + 1) % len(SATURATED_PERCENT)
            self._levels = self._window(self.split.image)
            self.split.set_levels(self._levels)

    def invert(self) -> None:
        """Exchange black and white."""
        self._inverted = not self._inverted
        self.split.set_table(look_up_table("Grey", self._inverted))

    def _window(self, image: Pixels) -> Window:
        return IntensitySample.of_image(image).window(SATURATED_PERCENT[self._saturates])

    def set_theme(self, dark: bool) -> None:
        """Pass the theme on to what paints itself."""
        self.details.set_theme(dark)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave the room to the split in a narrow window."""
        super().resizeEvent(event)
        self._show_picker()

    def _show_picker(self) -> None:
        self.picker.setVisible(self._state in _CHOOSES and self.width() >= _ROOM_PX)

    def _say(self) -> None:
        self.sentence.setText(tr(SAYS_INSTEAD.get(self._state, self._says)))

    @Slot(object)
    def take(self, event: Event) -> None:
        """Follow the events of a training."""
        self.details.take(event)
        if isinstance(event, StageStarted):
            detail = f" ({event.detail})" if event.stage is Stage.ROUNDS and event.detail else ""
            dot = "." if event.stage is Stage.ROUNDS else ""
            self._says = f"{SAYS.get(event.stage, '')}{detail}{dot}"
            self._say()
        elif isinstance(event, StepsDone):
            left = event.time_left
            told = MEASURING.capitalize() + "..."
            if left is not None:
                told = f"{between(left.least, left.most, duration_text)} left"
            told = tr(told)
            self.left.setText(told[0].upper() + told[1:])
        elif isinstance(event, NoiseReady) and self._region is None:
            self.real.set_image(event.likeness.real, REACH)
            self.made.set_image(event.likeness.made, REACH)
            several = self._stack is not None and "C" in self._stack.axes
            of = f"Channel {event.channel + 1}: " if several else ""
            self.likeness.setText(tr(f"{of}{event.likeness.sentence}"))
            self.main.setCurrentIndex(1)
        elif isinstance(event, PreviewReady):
            self._show_preview(event)

    def _show_frame(self, stack: Stack) -> None:
        """Show what is denoised where no training has shown a part of it."""
        if self.split.image is None:
            frame = stack.raw_frame(0)
            self._levels = self._window(frame)
            self.split.set_pair(frame, None, self._levels)
            self.split.set_split(False)
            self.split.captions = {Qt.AlignmentFlag.AlignLeft: "Noisy"}

    @Slot(object)
    def _watch(self, region: ShownRegion) -> None:
        """Show what is watched before the denoiser has seen it."""
        self.region_chosen.emit(region)
        self._region = None
        image = self.picker.pane.image
        assert image is not None  # the picker shows the frame
        rows = slice(region.top, region.top + region.height)
        cut = image[rows, region.left : region.left + region.width]
        self._levels = self._window(cut)
        self.split.set_pair(cut, None, self._levels)
        self.split.set_split(False)
        self.split.captions = {
            Qt.AlignmentFlag.AlignLeft: "Noisy",
            Qt.AlignmentFlag.AlignRight: WAITS,
        }

    def _show_preview(self, preview: PreviewReady) -> None:
        """Show the newest preview; its contrast stays the same while the region does."""
        if preview.region != self._region:
            self._region = preview.region
            self._levels = self._window(preview.noisy)
        self.main.setCurrentIndex(0)
        self.split.set_pair(preview.noisy, preview.denoised, self._levels)
        self.split.set_split(True)
        self.split.captions = {
            Qt.AlignmentFlag.AlignLeft: "Noisy",
            Qt.AlignmentFlag.AlignRight: "Now",
        }
