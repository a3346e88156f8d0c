"""What fills the middle of the window: start, loading, viewer, training, comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, Slot
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from g2g_desktop.bench.bench_page import BenchPage
from g2g_desktop.model.view_state import Page
from g2g_desktop.viewer.first_look import FirstLook
from g2g_desktop.viewer.patch_overlay import PatchPreview
from g2g_desktop.viewer.stack_view import StackView
from g2g_desktop.widgets.labels import GAP

from .loading_page import LoadingPage
from .start_page import StartPage
from .training_page import TrainingPage

if TYPE_CHECKING:
    from g2g_desktop.bench.compare_view import CompareView
    from g2g_desktop.model.session import Session
    from g2g_desktop.model.view_state import ViewState
    from g2g_desktop.widgets.theme import Theme
    from training_core.patches.gallery import SeenPatch
    from training_core.run import ShownRegion


_LEAST_PX = 310  # else a page out of sight would push the cards out of a narrow window


class Centre(QStackedWidget):
    """One page at a time; each page keeps what it shows until the session has something else."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setMinimumWidth(_LEAST_PX)
        self.start = StartPage(theme)
        self.loading = LoadingPage()
        self.viewer = ViewerPage(theme)
        self.training = TrainingPage(theme)
        self.bench = BenchPage()
        self.compare = self.bench.compare
        self._pages: dict[Page, QWidget] = {
            Page.START: self.start,
            Page.LOADING: _with_margins(self.loading),
            Page.STACK: _with_margins(self.viewer),
            Page.TRAINING: _with_margins(self.training),
            Page.COMPARE: _with_margins(self.bench),
        }
        for page in self._pages.values():
            self.addWidget(page)
        theme.changed.connect(self.set_theme)
        self.set_theme(theme.dark)

    def show_session(self, session: Session, view: ViewState) -> None:
        """Show the page of a view state, filled from the session."""
        self.viewer.show_session(session, view)
        self.training.show_session(session)
        self.bench.show_session(session, self.viewer.stack_view.frame_index)
        page = self._pages[view.page]
        if page is not self.currentWidget():
            self.setCurrentWidget(page)

    @property
    def view(self) -> StackView | TrainingPage | CompareView:
        """The viewer that is in sight."""
        if self.currentWidget() is self._pages[Page.TRAINING]:
            return self.training
        shown = self.currentWidget() is self._pages[Page.COMPARE]
        return self.compare if shown else self.viewer.stack_view

    @Slot(bool)
    def set_theme(self, dark: bool) -> None:
        """Pass the theme on to what paints itself."""
        for part in (self.viewer.stack_view, self.training, self.bench):
            part.set_theme(dark)
        for viewer in (self.viewer.stack_view, self.compare):
            viewer.tools.draw_icons(self._theme)


class ViewerPage(QWidget):
    """The stack with its smooth patches."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.stack_view = StackView()
        self.first_look = FirstLook(self.stack_view, theme)
        self.stack_view.column.insertWidget(1, self.first_look.strip)
        self.patches = PatchPreview(self)
        self.patches.attach(self.stack_view)
        self._shown: object = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.stack_view)

    def show_session(self, session: Session, view: ViewState) -> None:
        """Show the stack of the session."""
        if session.stack is not self._shown:
            self._shown = session.stack
            self.stack_view.set_stack(session.stack)
            self.patches.set_stack(session.stack)
        self.first_look.show(session.stack, session.settings, wanted=view.first_look)
        self.patches.set_settings(session.settings.patches)
        self.stack_view.pane.show_areas(session.settings.patches.areas)

    @Slot(object)
    def show_patch(self, patch: SeenPatch) -> None:
        """Go to a patch, with some of what is around it."""
        stack = self.stack_view.stack
        if stack is None:
            return
        self.stack_view.show_frame(patch.frame)
        place = patch.place.grown(2 * patch.place.width, stack.frame_shape)
        self.stack_view.pane.set_view_rect(QRectF(place.left, place.top, place.width, place.height))

    def region(self) -> ShownRegion | None:
        """Give the part of the frame that is in view; None while there is no stack."""
        return self.stack_view.region() if self.stack_view.stack is not None else None


def _with_margins(widget: QWidget) -> QWidget:
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.setContentsMargins(2 * GAP, GAP, 2 * GAP, GAP)
    column.addWidget(widget)
    return holder
