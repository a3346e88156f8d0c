"""The cards of the steps, in one column or two, in a scroll area."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from g2g_desktop.model.session import State, Step
from g2g_desktop.model.view_state import model_title
from g2g_desktop.widgets.labels import GAP

from .compare_card import CompareCard
from .data_card import DataCard
from .export_card import ExportCard
from .patch_gallery import PatchGallery
from .patches_card import PatchesCard
from .train_card import TrainCard

if TYPE_CHECKING:
    from g2g_desktop.model.session import Session
    from g2g_desktop.model.view_state import ViewState
    from g2g_desktop.widgets.theme import Theme

    from .step_card import StepCard

_TRAINING = {
    State.TRAINING,
    State.PAUSED,
    State.STOPPING,
    State.CANCELLING,
    State.DENOISING,
}
_MAKING = {Step.DATA, Step.PATCHES, Step.TRAIN}  # the rest is of the result
_WIDE_SCREEN, _MORE_PX = 1700, 100  # from which on the cards may be wider, by how much
_TWO_COLUMNS = 2300  # from which on a result has a column of its own
_AT_REST = {State.READY, State.DONE}
_BUSY = set(State) - _AT_REST - {State.EMPTY}


class SidePanel(QScrollArea):
    """All cards.

    Signals
    -------
    step_asked
        The step whose card is to be opened.
    action_asked
        The id of an action.
    patch_chosen
        A `SeenPatch` of the gallery, to be shown in the picture.
    """

    WIDTH = 360

    step_asked = Signal(object)
    action_asked = Signal(str)
    patch_chosen = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.data = DataCard(theme)
        self.patches = PatchesCard(theme)
        self.train = TrainCard(theme)
        self.compare = CompareCard(theme)
        self.export = ExportCard(theme)
        self.cards: tuple[StepCard, ...] = (
            self.data,
            self.patches,
            self.train,
            self.compare,
            self.export,
        )
        inner = QWidget()
        self._row = row = QHBoxLayout(inner)
        row.setContentsMargins(GAP, GAP, 2 * GAP, GAP)
        row.setSpacing(GAP)
        self._columns = QVBoxLayout(), QVBoxLayout()
        for column in self._columns:
            column.setSpacing(GAP)
            column.addStretch(1)
            row.addLayout(column)
        for card in self.cards:
            card.asked.connect(self.step_asked)
        self.is_double = True
        self._shown = {True: Step.TRAIN, False: Step.COMPARE}  # of each half, the card opened last
        self._arrange(double=False)
        self.setWidget(inner)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.data.open_asked.connect(self._ask_open)
        self.data.pixel_size_asked.connect(self._ask_pixel_size)
        self.train.action_asked.connect(self.action_asked)
        self.patches.remedy_asked.connect(self._ask_remedy)
        self.patches.gallery_asked.connect(self._open_gallery)
        self.gallery: PatchGallery | None = None
        self._session: Session | None = None
        self.export.save_model_asked.connect(self._ask_save_model)
        self._state = State.EMPTY
        self._step: Step | None = None

    def fit_to(self, window_px: int, *, has_result: bool) -> int:
        """Arrange the cards for a window so wide; give how wide the panel is to be."""
        self._arrange(double=has_result and window_px >= _TWO_COLUMNS)
        if self.is_double:
            return 2 * (self.WIDTH + _MORE_PX // 2)
        return self.WIDTH + (window_px >= _WIDE_SCREEN) * _MORE_PX

    def _arrange(self, *, double: bool) -> None:
        """Put the cards into one column, or those of the result into a second one."""
        if double is self.is_double:
            return
        self.is_double = double
        for card in self.cards:
            for column in self._columns:
                column.removeWidget(card)
            column = self._columns[double and card.step not in _MAKING]
            column.insertWidget(column.count() - 1, card)
        self._row.setStretch(0, 1)
        self._row.setStretch(1, int(double))
        self._row.setSpacing(GAP if double else 0)

    def show_session(self, session: Session, view: ViewState, device: str) -> None:
        """Fill the cards from the session."""
        at_rest = view.state in _AT_REST
        self._session = session
        if view.step is not Step.PATCHES:
            self.patches.stop_painting()
        if self.gallery is not None:
            self.gallery.show_session(session)
        self.data.show_stack(session.stack)
        self.data.show_problem(session.problem)
        self.data.noise.show_stack(session.stack)
        self.data.show_allowed(view.allowed)
        self.patches.show_settings(session.settings.patches, editable=at_rest)
        self.patches.show_patches(
            session.patches, looking=bool(session.stack) and not session.problem
        )
        self.train.show_settings(session.settings)
        if view.state not in _TRAINING:
            self.train.show_estimate(session.expected, device)
            waits = session.model_waits and view.state not in _BUSY
            self.train.match.ask(model_title(session) if waits else "", session.alike)
            self.train.show_made(session.result, model_title(session) if waits else "")
        elif self._state not in _TRAINING:
            self.train.clear_run()
        self.train.show_running(view.state in _TRAINING)
        offered = "first_look" in view.allowed and not view.first_look
        self.train.show_look(offered=offered)
        can_resume = "resume" in view.allowed
        self.train.interrupted.show_interrupted(session.interrupted if can_resume else None)
        self.compare.show_session(session)
        self.export.show_session(session, view.allowed)
        self._state = view.state
        self._show_open(view)

    def _show_open(self, view: ViewState) -> None:
        self._shown[view.step in _MAKING] = view.step
        shown = set(self._shown.values()) if self.is_double else {view.step}
        for card in self.cards:
            card.show_badge(view.badges[card.step], is_open=card.step in shown)
        if view.step is not self._step:
            self._step = view.step
            QTimer.singleShot(0, self._scroll_to_open)

    def _scroll_to_open(self) -> None:
        for card in self.cards:
            if card.step is self._step:
                self.verticalScrollBar().setValue(card.y() - GAP)

    def _open_gallery(self) -> None:
        if self.gallery is None:
            self.gallery = PatchGallery(self.window())
            self.gallery.shown.connect(self.patch_chosen)
        if self._session is not None:
            self.gallery.show()
            self.gallery.show_session(self._session)

    def _ask_open(self) -> None:
        self.action_asked.emit("open")

    def _ask_pixel_size(self) -> None:
        self.action_asked.emit("pixel_size")

    def _ask_remedy(self) -> None:
        self.action_asked.emit("apply_remedy")

    def _ask_save_model(self) -> None:
        self.action_asked.emit("save_model")
