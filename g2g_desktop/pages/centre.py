"""What fills the middle of the window: start, loading, viewer and training, comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QSplitter, QStackedWidget, QToolButton, QVBoxLayout, QWidget

from g2g_desktop.bench.bench_page import BenchPage
from g2g_desktop.model.view_state import Page
from g2g_desktop.viewer.first_look import FirstLook
from g2g_desktop.viewer.patch_overlay import PatchPreview
from g2g_desktop.viewer.preview_view import PreviewView
from g2g_desktop.viewer.stack_view import StackView
from g2g_desktop.widgets.fold import Fold
from g2g_desktop.widgets.labels import GAP
from training_core.run import PreviewReady, StageStarted, StepsDone

from .loading_page import LoadingPage
from .start_page import StartPage
from .training_plot import TrainingPlot

if TYPE_CHECKING:
    from g2g_desktop.bench.compare_view import CompareView
    from g2g_desktop.model.session import Session
    from g2g_desktop.model.view_state import ViewState
    from g2g_desktop.widgets.theme import Theme
    from training_core.run import Event, ShownRegion


_PLOT_PX = 210
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
        self.bench = BenchPage()
        self.compare = self.bench.compare
        self._pages: dict[Page, QWidget] = {
            Page.START: self.start,
            Page.LOADING: _with_margins(self.loading),
            Page.STACK: _with_margins(self.viewer),
            Page.COMPARE: _with_margins(self.bench),
        }
        self._pages[Page.TRAINING] = self._pages[Page.STACK]
        for page in (Page.START, Page.LOADING, Page.STACK, Page.COMPARE):
            self.addWidget(self._pages[page])
        theme.changed.connect(self.set_theme)
        self.set_theme(theme.dark)

    def show_session(self, session: Session, view: ViewState) -> None:
        """Show the page of a view state, filled from the session."""
        self.viewer.show_session(session, view)
        self.bench.show_session(session, self.viewer.stack_view.frame_index)
        page = self._pages[view.page]
        if page is not self.currentWidget():
            self.setCurrentWidget(page)

    @property
    def view(self) -> StackView | CompareView:
        """The viewer that is in sight."""
        shown = self.currentWidget() is self._pages[Page.COMPARE]
        return self.compare if shown else self.viewer.stack_view

    @Slot(bool)
    def set_theme(self, dark: bool) -> None:
        """Pass the theme on to what paints itself."""
        for part in (self.viewer.stack_view, self.bench, self.viewer.plot):
            part.set_theme(dark)
        for more in self.findChildren(QToolButton, "qt_toolbar_ext_button"):
            more.setIcon(self._theme.icon("right"))  # that of Qt is black, on dark as well


class ViewerPage(QWidget):
    """The stack with its smooth patches; while training, preview and losses beside it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.stack_view = StackView()
        self.first_look = FirstLook(self.stack_view, theme)
        self.stack_view.column.insertWidget(1, self.first_look.strip)
        self.preview = PreviewView()
        self.plot = TrainingPlot()
        self.patches = PatchPreview(self)
        self.patches.attach(self.stack_view)
        self._shown: object = None
        self._training = self._has_preview = False
        pictures = QSplitter(Qt.Orientation.Horizontal)
        pictures.addWidget(self.stack_view)
        pictures.addWidget(self.preview)
        pictures.setStretchFactor(0, 2)
        pictures.setStretchFactor(1, 3)
        pictures.setChildrenCollapsible(False)
        pictures.setHandleWidth(GAP)
        self.plot.setFixedHeight(_PLOT_PX)
        self.details = Fold("Details: the curves of the training", self.plot, theme)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(pictures, 1)
        column.addWidget(self.details)

    def show_session(self, session: Session, view: ViewState) -> None:
        """Show the stack of the session."""
        if session.stack is not self._shown:
            self._shown = session.stack
            self.stack_view.set_stack(session.stack)
            self.patches.set_stack(session.stack)
            self.preview.set_pixel_size(session.stack.pixel_size.x_um if session.stack else None)
        self.first_look.show(session.stack, session.settings, wanted=view.first_look)
        self.patches.set_settings(session.settings.patches)
        self._training = training = view.page is Page.TRAINING
        self.preview.setVisible(training and self._has_preview)
        self.details.setVisible(training)

    def region(self) -> ShownRegion | None:
        """Give the part of the frame that is in view; None while there is no stack."""
        return self.stack_view.region() if self.stack_view.stack is not None else None

    def clear_training(self) -> None:
        """Forget the last training."""
        self._has_preview = False
        self.preview.clear()
        self.plot.clear()

    @Slot(object)
    def take(self, event: Event) -> None:
        """Follow the events of a training."""
        if isinstance(event, PreviewReady):
            self._has_preview = True
            self.preview.setVisible(self._training)
            self.preview.show_preview(event)
        elif isinstance(event, StageStarted):
            self.plot.start_stage(event.stage, event.detail)
        elif isinstance(event, StepsDone) and event.losses:
            self.plot.add_losses(event.stage, event.done, event.losses)


def _with_margins(widget: QWidget) -> QWidget:
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.setContentsMargins(2 * GAP, GAP, 2 * GAP, GAP)
    column.addWidget(widget)
    return holder
