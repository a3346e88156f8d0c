"""The window: lays the parts out, wires their signals, and paints what the session says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from PySide6.QtCore import QByteArray, QSize, Slot
from PySide6.QtWidgets import (
    QApplication,
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QMainWindow,
    QVBoxLayout,
)

from g2g_desktop.batch.file_commands import FileCommands
from g2g_desktop.batch.file_list import FileList
from g2g_desktop.batch.queue import Queue
from g2g_desktop.cards.side_panel import SidePanel
from g2g_desktop.dialogs import dialogs
from g2g_desktop.jobs.workflow import Workflow
from g2g_desktop.model.session import Device, Session, State
from g2g_desktop.model.view_state import Page, ViewState, view_state
from g2g_desktop.pages.centre import Centre
from g2g_desktop.pages.desk import Desk
from g2g_desktop.pages.menus import Menus
from g2g_desktop.pages.run_bar import RunBar
from g2g_desktop.pages.status_strip import StatusStrip
from g2g_desktop.widgets.banner import Banner

from .commands import Commands

if TYPE_CHECKING:
    from PySide6.QtGui import (
        QCloseEvent,
        QDragEnterEvent,
        QDragLeaveEvent,
        QDropEvent,
        QResizeEvent,
    )

    from g2g_desktop.widgets.theme import Theme
    from training_core.run import Event

    from .preferences import Preferences

_TITLE = "g2g desktop"
_SMALLEST = (640, 360)  # a screen of 1366 x 768 at 200 %
_USUAL = (1280, 800)
_Layout = TypeVar("_Layout", bound=QBoxLayout)
_FRAME = (8, 40)  # what a window manager puts around the window, roughly
# To the user these are one job, with one bar.
_SAME_JOB = {
    (State.TRAINING, State.PAUSED),
    (State.PAUSED, State.TRAINING),
    (State.PAUSED, State.STOPPING),
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
        self.banner = Banner(theme)
        self.files = FileList()
        self.queue = Queue(self.files)
        self.desk = Desk(self.session, self.queue, self.menus.actions, theme)
        verbs = FileCommands(self, self.session, self.workflow, self.files)
        self.commands = Commands(self, self.session, self.workflow, self.centre, verbs, preferences)
        self._device = Device("")
        self._stack: object = None
        self._model: Path | None = None
        self._view: ViewState | None = None
        self._lay_out()
        self._connect()
        self._restore(preferences)
        self.refresh()

    def _lay_out(self) -> None:
        self.setMinimumSize(*_SMALLEST)
        self.setAcceptDrops(True)
        self.right = QFrame()
        right = _tight(QVBoxLayout(self.right))
        right.addWidget(self.side, 1)
        right.addWidget(self.run_bar)
        self.right.setFixedWidth(SidePanel.WIDTH)
        row = _tight(QHBoxLayout(self.desk.work))
        left = _tight(QVBoxLayout())
        left.addWidget(self.banner)
        left.addWidget(self.centre, 1)
        row.addLayout(left, 1)
        row.addWidget(self.right)
        self.everything = everything = QFrame()
        everything.setProperty("surface", "window")
        column = _tight(QVBoxLayout(everything))
        column.addWidget(self.desk, 1)
        column.addWidget(self.strip)
        self.setCentralWidget(everything)

    def _connect(self) -> None:
        workflow, side, start = self.workflow, self.side, self.centre.start
        self.session.changed.connect(self.refresh)
        workflow.happened.connect(self._on_event)
        self.banner.closed.connect(self._on_banner_closed)
        workflow.finished.connect(self._on_finished)
        workflow.reference_read.connect(side.compare.take_reference)
        workflow.device_known.connect(self._on_device_known)
        self.menus.asked.connect(self.commands.do)
        self.run_bar.asked.connect(self.commands.do)
        self.commands.recent_changed.connect(start.show_recent)
        workflow.recovery.runs_found.connect(start.show_runs)
        workflow.recovery.resume_asked.connect(self.commands.resume)
        start.run_chosen.connect(self.commands.files.open_run)
        self.commands.theme_chosen.connect(self.theme.choose)
        start.open_asked.connect(self.commands.open_files)
        start.folder_asked.connect(self.commands.open_folder)
        start.paths_chosen.connect(self.commands.open_paths)
        side.step_asked.connect(self.session.show)
        side.action_asked.connect(self.commands.do)
        side.patches.settings_changed.connect(self.session.set_patch_settings)
        side.train.settings_changed.connect(self.session.set_settings)
        side.compare.quality.reference_requested.connect(self.commands.open_reference)
        side.compare.judged.connect(self.session.set_judgement)
        side.compare.result_asked.connect(self.session.choose_result)
        side.data.axes.axes_chosen.connect(self.commands.files.set_axes)
        side.export.reveal_asked.connect(self.commands.reveal_export)
        self._connect_files()
        side.export.program_asked.connect(self.commands.open_exported)
        self.commands.programs_found.connect(side.export.show_programs)
        viewer = self.centre.viewer
        viewer.patches.ready.connect(side.patches.show_frame_count)
        side.patch_chosen.connect(viewer.show_patch)
        side.patches.paint_chosen.connect(viewer.stack_view.pane.paint_with)
        side.patches.form_chosen.connect(viewer.stack_view.pane.draw_freely)
        viewer.stack_view.pane.painted.connect(self.session.paint)
        viewer.stack_view.pane.painting_ended.connect(side.patches.stop_painting)
        viewer.first_look.strip.close_asked.connect(self._on_look_closed)
        viewer.stack_view.overlay_toggled.connect(self.menus.actions["show_patches"].setChecked)
        bench = self.centre.bench
        workflow.reference_read.connect(bench.take_reference)
        bench.files.findings = side.compare.findings
        bench.files.told.connect(self.strip.show_message)
        self.commands.told.connect(self.strip.show_message)
        self.centre.compare.mode_changed.connect(self.menus.check)

    def _connect_files(self) -> None:
        workflow, commands, desk = self.workflow, self.commands, self.desk
        workflow.stacks_found.connect(commands.files.add_stacks)
        workflow.opened.connect(desk.on_opened)
        workflow.choice_needed.connect(desk.panel.show_current)
        workflow.not_opened.connect(desk.on_not_opened)
        desk.file_asked.connect(commands.files.open_item)
        desk.panel.joined.connect(commands.files.join)
        desk.panel.removed.connect(commands.files.remove)
        desk.panel.add_asked.connect(commands.open_files)
        commands.batch_asked.connect(desk.toggle_queue)
        commands.files_toggled.connect(self._show_list)
        desk.queue_page.log_asked.connect(commands.files.show_queue_log)
        self.queue.finished.connect(self._on_finished)
        self.files.rowsInserted.connect(self._show_list)
        self.files.rowsRemoved.connect(self._show_list)

    @Slot()
    def _show_list(self) -> None:
        self.desk.show_list(self.width())

    def _restore(self, preferences: Preferences) -> None:
        free = self.screen().availableGeometry().size() - QSize(*_FRAME)
        self.resize(QSize(*_USUAL).boundedTo(free))
        if preferences.geometry:
            self.restoreGeometry(QByteArray.fromHex(preferences.geometry.encode()))
        self.centre.start.show_recent(preferences)
        chosen = f"theme_{preferences.theme}", f"language_{preferences.language}"
        for name in (*chosen, "show_patches", "split", "show_files"):
            self.menus.check(name)
        if self.queue.restore():
            self.desk.show_queue()

    @Slot()
    def refresh(self) -> None:
        """Paint the window as the session now is."""
        session, view = self.session, view_state(self.session)
        if session.stack is not self._stack:
            self._on_new_stack()
        if session.model_path != self._model:
            self._model = session.model_path
            if self._model is not None:
                self.commands.remember_opened(self._model)
        failure = session.failure
        self.banner.say(*((failure.sentence, failure.details) if failure else ("",)))
        self.right.setVisible(view.page is not Page.START)
        self.centre.show_session(session, view)
        self._fit_panel()
        self.side.show_session(session, view, self._device.name)
        self.strip.show_device(self._device, session.expected if session.stack else None)
        self.files.show_made(session)
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

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Make room for the picture in a narrow window."""
        super().resizeEvent(event)
        self.desk.show_list(self.width())
        self._fit_panel()

    def _fit_panel(self) -> None:
        has_result = bool(self.session.results.every)
        self.right.setFixedWidth(self.side.fit_to(self.width(), has_result=has_result))

    @Slot(object)
    def _on_event(self, event: Event) -> None:
        self.run_bar.progress.take(event)
        self.side.train.take(event)
        self.centre.training.take(event)
        self.centre.bench.take(event)

    @Slot()
    def _on_banner_closed(self) -> None:
        self.session.tell(None)

    @Slot(str)
    def _on_finished(self, message: str) -> None:
        self.strip.show_message(message)
        if self.session.exported is not None:
            self.commands.look_for_programs()
        QApplication.alert(self)

    @Slot(object)
    def _on_device_known(self, device: Device) -> None:
        self._device = device
        self.refresh()

    @Slot()
    def _on_look_closed(self) -> None:
        self.session.set_first_look(False)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Welcome files, while nothing else is going on."""
        if event.mimeData().hasUrls() and "open" in view_state(self.session).allowed:
            event.acceptProposedAction()
            self._show_hot(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Calm down."""
        self._show_hot(False)

    def _show_hot(self, hot: bool) -> None:
        """Light up wherever files can be dropped, which is everywhere."""
        self.centre.start.show_hot(hot)
        self.everything.setProperty("hot", hot)
        self.everything.style().polish(self.everything)

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        self._show_hot(False)
        paths = [Path(u.toLocalFile()) for u in event.mimeData().urls() if u.isLocalFile()]
        event.acceptProposedAction()
        self.activateWindow()  # the keys shall go where the file went
        self.commands.open_dropped(paths)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Close, unless a job or an unsaved result is a reason to stay."""
        answer = self.commands.files.ask_closing(self.queue)
        if answer is dialogs.Running.KEEP_RUNNING:
            event.ignore()
            return
        self.commands.remember_geometry(bytes(self.saveGeometry().toHex().data()).decode())
        self.session.changed.disconnect(self.refresh)
        self.hide()  # a calculation may take a second to hear that it is to end
        self.centre.viewer.first_look.close()
        self.queue.close()
        self.desk.queue_page.watch.stop()
        self.workflow.close(keep_training=answer is dialogs.Running.LATER)
        self.centre.viewer.patches.close()
        event.accept()


def _tight(layout: _Layout) -> _Layout:
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    return layout
