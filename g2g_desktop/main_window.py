"""The window: lays the parts out, wires their signals, and paints what the session says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QSize, Slot
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QMainWindow, QVBoxLayout, QWidget

from g2g_desktop.cards.side_panel import SidePanel
from g2g_desktop.dialogs import dialogs
from g2g_desktop.jobs.workflow import Workflow
from g2g_desktop.model.session import Session, State
from g2g_desktop.model.view_state import Page, ViewState, view_state
from g2g_desktop.pages.centre import Centre
from g2g_desktop.pages.menus import Menus
from g2g_desktop.pages.run_bar import RunBar
from g2g_desktop.pages.status_strip import StatusStrip
from training_core.run import StageStarted

from .commands import MODEL_SUFFIX, Commands

if TYPE_CHECKING:
    from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent

    from g2g_desktop.model.session import Failure
    from g2g_desktop.widgets.theme import Theme
    from training_core.run import Event

    from .preferences import Preferences

_TITLE = "g2g desktop"
_SMALLEST = (640, 360)  # a screen of 1366 x 768 at 200 %
_USUAL = (1280, 800)
_FRAME = (8, 40)  # what a window manager puts around the window, roughly
# To the user these are one job, with one bar.
_SAME_JOB = {
    (State.TRAINING, State.STOPPING),
    (State.TRAINING, State.DENOISING),
    (State.STOPPING, State.DENOISING),
}


class MainWindow(QMainWindow):
    """One window for one stack at a time."""

    def __init__(self, preferences: Preferences, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.session = Session()
        self.workflow = Workflow(self.session)
        self.menus = Menus(self, theme)
        self.centre = Centre(theme)
        self.side = SidePanel(theme)
        self.run_bar = RunBar(self.menus.actions, theme)
        self.strip = StatusStrip()
        self.commands = Commands(self, self.session, self.workflow, self.centre, preferences)
        self._device = ""
        self._stack: object = None
        self._view: ViewState | None = None
        self._lay_out()
        self._connect()
        self._restore(preferences)
        self.refresh()

    def _lay_out(self) -> None:
        self.setMinimumSize(*_SMALLEST)
        self.setAcceptDrops(True)
        self.right = QFrame()
        right = QVBoxLayout(self.right)
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        right.addWidget(self.side, 1)
        right.addWidget(self.run_bar)
        self.right.setFixedWidth(SidePanel.WIDTH)
        middle = QHBoxLayout()
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(0)
        middle.addWidget(self.centre, 1)
        middle.addWidget(self.right)
        everything = QWidget()
        column = QVBoxLayout(everything)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(middle, 1)
        column.addWidget(self.strip)
        self.setCentralWidget(everything)

    def _connect(self) -> None:
        workflow, side, start = self.workflow, self.side, self.centre.start
        self.session.changed.connect(self.refresh)
        workflow.happened.connect(self._on_event)
        workflow.failed.connect(self._on_failed)
        workflow.finished.connect(self._on_finished)
        workflow.reference_read.connect(side.compare.take_reference)
        workflow.device_known.connect(self._on_device_known)
        self.menus.asked.connect(self.commands.do)
        self.run_bar.asked.connect(self.commands.do)
        self.commands.recent_changed.connect(start.show_recent)
        self.commands.theme_chosen.connect(self.theme.choose)
        start.open_asked.connect(self.commands.open_files)
        start.folder_asked.connect(self.commands.open_folder)
        start.paths_chosen.connect(self.commands.open_paths)
        side.step_asked.connect(self.session.show)
        side.action_asked.connect(self.commands.do)
        side.patches.settings_changed.connect(self.session.set_patch_settings)
        side.train.settings_changed.connect(self.session.set_settings)
        side.compare.quality.reference_requested.connect(self.commands.open_reference)
        side.compare.judged.connect(self.session.set_quality)
        side.export.reveal_asked.connect(self.commands.reveal_export)
        side.export.program_asked.connect(self.commands.open_exported)
        self.commands.programs_found.connect(side.export.show_programs)
        viewer = self.centre.viewer
        viewer.patches.ready.connect(side.patches.show_frame_count)
        viewer.first_look.strip.close_asked.connect(self._on_look_closed)
        viewer.stack_view.region_changed.connect(self._on_region_changed)
        viewer.stack_view.overlay_toggled.connect(self.menus.actions["show_patches"].setChecked)
        bench = self.centre.bench
        workflow.reference_read.connect(bench.take_reference)
        bench.files.findings = side.compare.findings
        bench.files.told.connect(self.strip.show_message)
        self.centre.compare.mode_changed.connect(self._on_mode_changed)

    def _restore(self, preferences: Preferences) -> None:
        free = self.screen().availableGeometry().size() - QSize(*_FRAME)
        self.resize(QSize(*_USUAL).boundedTo(free))
        if preferences.geometry:
            self.restoreGeometry(QByteArray.fromHex(preferences.geometry.encode()))
        self.centre.start.show_recent(preferences.recent)
        self.menus.actions[f"theme_{preferences.theme}"].setChecked(True)
        self.menus.actions["show_patches"].setChecked(True)
        self.menus.actions["split"].setChecked(True)

    @Slot()
    def refresh(self) -> None:
        """Paint the window as the session now is."""
        session, view = self.session, view_state(self.session)
        if session.stack is not self._stack:
            self._on_new_stack()
        self.right.setVisible(view.page is not Page.START)
        self.centre.show_session(session, view)
        self.side.show_session(session, view, self._device)
        if view != self._view:
            self._show_view(view)

    def _show_view(self, view: ViewState) -> None:
        before = self._view
        state = before.state if before is not None else None
        if view.state is not state and (state, view.state) not in _SAME_JOB:
            self.run_bar.progress.clear()
        if before is None or (view.state, view.first_look) != (state, before.first_look):
            # Else a button that is disabled would hand the keyboard to its neighbour, Cancel.
            self.centre.view.setFocus()
        self._view = view
        self.run_bar.show_view(view)
        self.menus.show_allowed(view.allowed)
        self.menus.actions["first_look"].setChecked(view.first_look)

    def _on_new_stack(self) -> None:
        stack = self._stack = self.session.stack
        self.strip.show_stack(stack)
        self.setWindowTitle(f"{stack.name} \N{EM DASH} {_TITLE}" if stack else _TITLE)
        if stack is not None and stack.source is not None:
            self.commands.remember_opened(stack.source)

    @Slot(object)
    def _on_event(self, event: Event) -> None:
        if isinstance(event, StageStarted) and self.session.state is State.TRAINING:
            self._on_region_changed()
        self.run_bar.progress.take(event)
        self.side.train.take(event)
        self.centre.viewer.take(event)
        self.centre.bench.take(event)

    @Slot()
    def _on_region_changed(self) -> None:
        self.workflow.watch(self.centre.viewer.region())

    @Slot(object)
    def _on_failed(self, failure: Failure) -> None:
        dialogs.ErrorDialog(failure, self.theme, self).open()

    @Slot(str)
    def _on_finished(self, message: str) -> None:
        self.strip.show_message(message)
        if self.session.exported is not None:
            self.commands.look_for_programs()
        QApplication.alert(self)

    @Slot(str)
    def _on_device_known(self, device: str) -> None:
        self._device = device
        self.strip.show_device(device)
        self.refresh()

    @Slot()
    def _on_look_closed(self) -> None:
        self.session.set_first_look(False)

    @Slot(str)
    def _on_mode_changed(self, mode: str) -> None:
        self.menus.actions[mode].setChecked(True)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Welcome files, while nothing else is going on."""
        if event.mimeData().hasUrls() and "open" in view_state(self.session).allowed:
            event.acceptProposedAction()
            self.centre.start.show_hot(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Calm down."""
        self.centre.start.show_hot(False)

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        self.centre.start.show_hot(False)
        urls = event.mimeData().urls()
        paths = [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
        event.acceptProposedAction()
        self.activateWindow()  # the keys shall go where the file went
        alone = len(paths) == 1 and paths[0].suffix.lower() != MODEL_SUFFIX
        role = dialogs.Dropped.STACK
        if alone and self.session.state is State.DONE:
            role = dialogs.ask_dropped(self, paths[0].name)
        if role is dialogs.Dropped.REFERENCE:
            self.workflow.open_reference(paths[0])
        elif role is dialogs.Dropped.STACK:
            self.commands.open_paths(paths)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Close, unless a job or an unsaved result is a reason to stay."""
        if not self._may_close():
            event.ignore()
            return
        self.commands.remember_geometry(bytes(self.saveGeometry().toHex().data()).decode())
        self.session.changed.disconnect(self.refresh)
        self.hide()  # a calculation may take a second to hear that it is to end
        self.centre.viewer.first_look.close()
        self.workflow.close()
        self.centre.viewer.patches.close()
        event.accept()

    def _may_close(self) -> bool:
        if self.workflow.is_busy and self.session.state is not State.CANCELLING:
            training = self.session.state is State.TRAINING
            answer = dialogs.ask_closing(self, training=training)
            if answer is dialogs.Running.STOP_AND_KEEP:
                self.workflow.stop_and_keep()
            return answer is dialogs.Running.CANCEL
        unsaved = self.session.unsaved
        return not unsaved or dialogs.confirm(self, "Close without saving?", unsaved, "Close")
