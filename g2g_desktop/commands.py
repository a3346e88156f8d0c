"""What each action does: ask where a question is needed, then tell the workflow or the viewer."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QUrl, Signal, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QDialog

from g2g_desktop.dialogs import dialogs
from g2g_desktop.dialogs.export_dialog import ExportDialog, suggested_target
from g2g_desktop.dialogs.help_windows import DiagnosticsDialog, GuideWindow
from g2g_desktop.dialogs.programs_dialog import ProgramsDialog
from g2g_desktop.model.actions import ACTIONS, BY_ID
from g2g_desktop.model.diagnostics import diagnostics
from g2g_desktop.model.session import Device, State

from .language import spoken
from .other_programs import found_programs, hand_over
from .paths import guide, home, log_file, resource
from .preferences import save_preferences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtWidgets import QWidget

    from g2g_desktop.batch.file_commands import FileCommands
    from g2g_desktop.jobs.workflow import Workflow
    from g2g_desktop.model.session import Session
    from g2g_desktop.pages.centre import Centre

    from .preferences import Preferences

MODEL_SUFFIX = ".g2g"
_ASK_AFTER_SECONDS = 30.0


class Help(QObject):
    """The verbs that only tell something, in windows on top of `parent`."""

    def __init__(self, parent: QWidget, session: Session, workflow: Workflow) -> None:
        super().__init__(parent)
        self._parent, self._session, self._device = parent, session, Device("")
        workflow.device_known.connect(self._on_device_known)
        self.by_id: dict[str, Callable[[], object]] = {
            "guide": lambda: GuideWindow(guide(spoken()), parent).show(),
            "shortcuts": lambda: dialogs.show_shortcuts(parent),
            "show_log": lambda: reveal(log_file()),
            "diagnostics": self.show_diagnostics,
            "model_info": self.model_info,
            "about": lambda: dialogs.show_about(parent, program_version()),
        }

    def show_diagnostics(self) -> None:
        """Show what a report of a fault would hold; only from there it can be saved."""
        path = log_file()
        log = path.read_text("utf-8", errors="replace") if path.exists() else ""
        report = diagnostics(self._device.name, self._session.settings, log)
        DiagnosticsDialog(report, str(home()), self._parent).open()

    def model_info(self) -> None:
        """Show the card of the model."""
        denoiser = self._session.denoiser
        if denoiser is not None:
            text = json.dumps(denoiser.card, indent=2, ensure_ascii=False, default=str)
            dialogs.show_text(self._parent, "Model information", text)

    @Slot(object)
    def _on_device_known(self, device: Device) -> None:
        self._device = device


class Commands(QObject):
    """The verbs of the menus and buttons, by the ids of `actions.py`.

    Questions are asked on top of `parent`, and `quit` closes it.

    Signals
    -------
    recent_changed
        The preferences, with the paths opened last.
    theme_chosen
        The theme that the user wants from now on.
    batch_asked, files_toggled
        The page of the queue, or the list of files, is to be shown or hidden.
    programs_found
        The names of the programs that can open an exported file.
    told
        A sentence to show for a while.
    """

    recent_changed = Signal(object)
    theme_chosen = Signal(str)
    batch_asked = Signal()
    files_toggled = Signal()
    programs_found = Signal(object)
    told = Signal(str)

    def __init__(
        self,
        parent: QWidget,
        session: Session,
        workflow: Workflow,
        centre: Centre,
        files: FileCommands,
        preferences: Preferences,
    ) -> None:
        super().__init__(parent)
        self._parent, self._session, self._workflow = parent, session, workflow
        self._centre, self._viewer = centre, centre.viewer
        self.files = files
        self.preferences = preferences
        centre.training.region_chosen.connect(workflow.watch)
        files.axes_said.connect(lambda *told: self._remember(self.preferences.with_axes(*told)))
        self.by_id = self._verbs()

    def _verbs(self) -> dict[str, Callable[[], object]]:
        session, workflow, centre = self._session, self._workflow, self._centre
        return {
            "open": self.open_files,
            "open_folder": self.open_folder,
            "open_model": self.open_model,
            "save_model": self.save_model,
            "export": self.export,
            "close": self.files.close_stack,
            "undo": session.undo,
            "redo": session.redo,
            "apply_remedy": self.apply_remedy,
            "next_result": lambda: session.choose_result(session.results.chosen + 1),
            "previous_result": lambda: session.choose_result(session.results.chosen - 1),
            "programs": self.choose_programs,
            "quit": self._parent.close,
            "train": self.train,
            "resume": self.resume,
            "discard_interrupted": workflow.recovery.discard_interrupted,
            "first_look": lambda: session.set_first_look(not session.first_look),
            "denoise": workflow.denoise,
            "pause": workflow.pause,
            "stop_and_keep": workflow.stop_and_keep,
            "cancel": self.cancel,
            "batch": self.batch_asked.emit,
            "show_files": self.files_toggled.emit,
            "fit": lambda: centre.view.fit(),
            "actual_size": lambda: centre.view.zoom_full(),
            "auto_contrast": lambda: centre.view.auto_contrast(),
            "invert": lambda: centre.view.invert(),
            "show_patches": self.show_patches,
            **centre.bench.commands,
            "pixel_size": self.pixel_size,
            **{
                spec.id: partial(self.prefer, *spec.id.split("_"))
                for spec in ACTIONS
                if spec.group in ("theme", "language")
            },
            **Help(self._parent, session, workflow).by_id,
        }

    @Slot(str)
    def do(self, name: str) -> None:
        """Do what was asked, if the session allows it at this moment."""
        if BY_ID[name].allowed(self._session):
            self.by_id[name]()

    def open_files(self) -> None:
        """Ask for files and open them."""
        self.open_paths(dialogs.ask_files(self._parent, self._folder()))

    def open_folder(self) -> None:
        """Ask for a folder and open it."""
        folder = dialogs.ask_folder(self._parent, self._folder())
        self.open_paths([folder] if folder else [])

    def open_model(self) -> None:
        """Ask for a model and apply it."""
        path = dialogs.ask_model(self._parent, self._folder())
        self.open_paths([path] if path else [])

    @Slot(object)
    def open_paths(self, paths: Sequence[Path]) -> None:
        """Open what was chosen or dropped: a model, or files that make one stack."""
        if not paths or not BY_ID["open"].allowed(self._session):
            return
        models = [path for path in paths if path.suffix.lower() == MODEL_SUFFIX]
        if models:
            self._workflow.open_model(models[0])
        elif len(paths) == 1 and paths[0].is_file():
            self.files.add_stacks([tuple(paths)])
        else:
            self._workflow.find(paths)

    def open_dropped(self, paths: Sequence[Path]) -> None:
        """Open what was dropped; ask whether a file beside a result is its reference."""
        alone = len(paths) == 1 and paths[0].suffix.lower() != MODEL_SUFFIX
        role = dialogs.Dropped.STACK
        if alone and self._session.state is State.DONE:
            role = dialogs.ask_dropped(self._parent, paths[0].name)
        if role is dialogs.Dropped.REFERENCE:
            self._workflow.open_reference(paths[0])
        elif role is dialogs.Dropped.STACK:
            self.open_paths(paths)

    def apply_remedy(self) -> None:
        """Take the patch settings that the verdict on the patches advises."""
        if (found := self._session.patches) and found.verdict.remedy is not None:
            self._session.set_patch_settings(found.verdict.remedy, apart=True)

    def remember_opened(self, path: Path) -> None:
        """Put a stack or a model on the list of recent ones; samples have their own place."""
        if path.suffix.lower() == MODEL_SUFFIX:
            self._remember(self.preferences.with_model(path))
        elif not path.is_relative_to(resource("samples")):
            self._remember(self.preferences.with_recent(path))

    def train(self) -> None:
        """Start the training of what is in view."""
        self._centre.training.begin(self._session, self._viewer.region())
        self._workflow.train()

    def resume(self) -> None:
        """Go on with the training that a crash interrupted, with the settings it had."""
        session = self._session
        if session.interrupted is not None:
            session.set_settings(session.interrupted.settings)
            self.train()

    def cancel(self) -> None:
        """Cancel the job; ask first where that throws minutes of training away."""
        answer = dialogs.Running.CANCEL
        long = self._workflow.seconds > _ASK_AFTER_SECONDS
        if self._session.state in (State.TRAINING, State.PAUSED) and long:
            answer = dialogs.ask_cancelling(self._parent)
        if answer is dialogs.Running.STOP_AND_KEEP:
            self.do("stop_and_keep")
        elif answer is dialogs.Running.CANCEL:
            self._workflow.cancel()

    def export(self) -> None:
        """Ask where to, and export."""
        stack, result = self._session.stack, self._session.result
        if stack is None or result is None:
            return
        target = suggested_target(stack, self.preferences.export_folder)
        dialog = ExportDialog(stack, target, result.warnings, self._parent)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            choice = dialog.choice
            self._remember(replace(self.preferences, export_folder=str(choice.path.parent)))
            self._workflow.export(choice)

    @Slot()
    def open_reference(self) -> None:
        """Ask for a clean image of the same field."""
        if paths := dialogs.ask_files(self._parent, self._folder()):
            self._workflow.open_reference(paths[0])

    def save_model(self) -> None:
        """Ask where to, and save the model."""
        stack = self._session.stack
        name = stack.name.split(".")[0] if stack else "model"
        suggestion = Path(self._folder()) / f"{name}{MODEL_SUFFIX}"
        target = dialogs.ask_model_target(self._parent, suggestion)
        if target is not None:
            self._workflow.save_model(target)

    def pixel_size(self) -> None:
        """Ask for the pixel size."""
        session = self._session
        if session.stack is not None:
            with_z = "Z" in session.stack.axes
            size = dialogs.ask_pixel_size(self._parent, session.stack.pixel_size, with_z=with_z)
            if size is not None:
                session.set_pixel_size(size)

    def show_patches(self) -> None:
        """Show or hide the smooth patches."""
        view = self._viewer.stack_view
        view.set_overlay_visible(not view.overlay_visible)

    def prefer(self, kind: str, choice: str) -> None:
        """Remember a theme, and take it, or a language, which the window takes at its start."""
        changed: dict[str, Any] = {kind: choice}
        self._remember(replace(self.preferences, **changed))
        if kind == "theme":
            self.theme_chosen.emit(choice)
        else:
            self.told.emit("The window speaks this language when it is started again.")

    def reveal_export(self) -> None:
        """Show the exported file in its folder."""
        if self._session.exported is not None:
            reveal(self._session.exported)

    @Slot(str)
    def open_exported(self, program: str) -> None:
        """Open the exported file in another program, or show its folder where that is not there."""
        exported = self._session.exported
        path = found_programs(self.preferences).get(program)
        if exported is not None and (path is None or not hand_over(path, exported)):
            reveal(exported)

    def look_for_programs(self) -> None:
        """Find out which other programs can open a file."""
        self.programs_found.emit(tuple(found_programs(self.preferences)))

    def choose_programs(self) -> None:
        """Ask where the other programs are."""
        dialog = ProgramsDialog(self.preferences, self._parent)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            self._remember(dialog.answer)
            self.look_for_programs()

    def remember_geometry(self, geometry: str) -> None:
        """Keep the place of the window for the next start."""
        self._remember(replace(self.preferences, geometry=geometry))

    def _remember(self, preferences: Preferences) -> None:
        self.preferences = preferences
        save_preferences(preferences)
        self.recent_changed.emit(preferences)

    def _folder(self) -> str:
        recent = self.preferences.recent
        return str(Path(recent[0]).parent) if recent else str(home())


def reveal(path: Path) -> None:
    """Open the folder of a file in the file manager of the system."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent)))


def program_version() -> str:
    """Give the installed version."""
    try:
        return version("g2g-desktop")
    except PackageNotFoundError:
        return "from a source folder"
