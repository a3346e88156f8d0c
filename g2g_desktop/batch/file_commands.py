"""What is done with the files of the list: show, join, close, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from g2g_desktop.dialogs import dialogs, image_picker
from g2g_desktop.jobs.workflow import Before
from g2g_desktop.model.actions import BY_ID
from g2g_desktop.model.session import State
from g2g_desktop.paths import queue_log

if TYPE_CHECKING:
    from pathlib import Path

    from PySide6.QtWidgets import QWidget

    from g2g_desktop.jobs.tasks import ImageChoice
    from g2g_desktop.jobs.workflow import Workflow
    from g2g_desktop.model.session import KeptRun, Session

    from .file_list import FileItem, FileList
    from .queue import Queue

LOG_SHOWN = 100_000  # letters, from the end


class FileCommands(QObject):
    """The verbs of the list of files; questions are asked on top of `parent`.

    `axes_said` carries the source of a stack, its axes as they were read, and what they are.
    """

    axes_said = Signal(object, str, str)

    def __init__(
        self, parent: QWidget, session: Session, workflow: Workflow, files: FileList
    ) -> None:
        super().__init__(parent)
        self._parent, self._session, self._workflow = parent, session, workflow
        self._files = files
        workflow.choice_needed.connect(self.choose_image)

    @Slot(object)
    def add_stacks(self, stacks: list[tuple[Path, ...]]) -> None:
        """Put stacks on the list, and show the first of them."""
        items = self._files.add(stacks)
        if items:
            # Again, where it is shown: it may have changed on disk, or another image is wanted.
            self._open(items[0], ask=True)

    @Slot(object)
    def open_item(self, item: FileItem) -> None:
        """Show a file of the list; what was made of the one before is kept."""
        shown = item is self._files.current
        made = item.is_written and not self._session.results.every  # by the queue, since
        if (shown and not made) or not BY_ID["open"].allowed(self._session):
            return
        self._open(item)

    @Slot(object)
    def open_run(self, run: KeptRun) -> None:
        """Open the stack of an interrupted training, to go on with that."""
        if BY_ID["open"].allowed(self._session):
            self._open(self._files.add([run.files], [run.series])[0], run=run.folder)

    def _open(self, item: FileItem, *, ask: bool = False, run: Path | None = None) -> None:
        self._files.keep(self._session)
        before = Before(
            item,
            item.results,
            item.settings,
            item.output,
            item.card,
            item.model_shown,
            None if ask else item.image,
            run,
        )
        self._workflow.open(item.paths, before)

    @Slot(object, object)
    def choose_image(self, choice: ImageChoice, item: FileItem | None) -> None:
        """Ask which image of a file to open; each that was chosen is on the list by itself."""
        number = image_picker.pick_image(self._parent, choice.path.name, choice.previews)
        if number is None:
            return
        if item is None:
            self._workflow.open([choice.path], Before(series=number))
            return
        if item.image is None:
            self._files.choose_image(item, number)
        elif item.image != number:
            item = self._files.add([item.paths], [number])[0]
        self._open(item)

    @Slot(str)
    def set_axes(self, axes: str) -> None:
        """Take what the axes of the stack are, and of all that is read so in its folder."""
        stack, recovery = self._session.stack, self._workflow.recovery
        if stack is None or (
            axes != stack.axes
            and not self._may_lose_result("Read the axes otherwise?", "Change axes")
        ):
            return
        recovery.discard()
        self._session.set_axes(axes)
        recovery.look_for_interrupted()
        if stack.source is not None:
            self.axes_said.emit(stack.source, stack.read_as or stack.axes, axes)

    @Slot(object)
    def join(self, paths: list[Path]) -> None:
        """Open several files of the list as one stack."""
        if len(paths) > 1 and BY_ID["open"].allowed(self._session):
            self.open_item(self._files.add([tuple(paths)])[0])

    @Slot()
    def show_queue_log(self) -> None:
        """Show what the queue has done, as the command `g2g` tells it."""
        log = queue_log()
        told = log.read_text(encoding="utf-8")[-LOG_SHOWN:] if log.is_file() else ""
        dialogs.show_text(self._parent, "Log of the queue", told or "Nothing was done yet.")

    def close_stack(self) -> None:
        """Close the stack that is open, and take it off the list; ask where that loses a result."""
        item = self._files.current
        if self._may_lose_result("Close without saving?", "Close"):
            self._workflow.close_stack()
            if item is not None:
                self._files.remove(item)

    @Slot(object)
    def remove(self, item: FileItem) -> None:
        """Take a file off the list; ask where that loses a result."""
        if item is self._files.current:
            self.close_stack()
        elif not item.unsaved or dialogs.confirm(
            self._parent,
            "Remove without saving?",
            f"The result of {item.name} would be lost.",
            "Remove",
        ):
            self._files.remove(item)

    def ask_closing(self, queue: Queue) -> dialogs.Running:
        """Ask what of a job or of an unsaved result is to become of the window that closes.

        Gives whether it is to stay (`KEEP_RUNNING`), or how a training is to end.
        """
        stay, session = dialogs.Running.KEEP_RUNNING, self._session
        if self._workflow.is_busy and session.state is not State.CANCELLING:
            training = session.state in (State.TRAINING, State.PAUSED)
            answer = dialogs.ask_closing(self._parent, training=training)
            if answer is dialogs.Running.STOP_AND_KEEP:
                self._workflow.stop_and_keep()
                return stay
            return answer
        if queue.is_busy:
            told = "The file at work and those that wait are gone on with at the next start."
            if not dialogs.confirm(self._parent, "Close while the queue works?", told, "Close"):
                return stay
        unsaved = session.unsaved
        if others := self._files.unsaved:
            files = "another file has" if others == 1 else f"{others} other files have"
            unsaved = f"{unsaved} Also {files} a result that was not exported.".strip()
        title = "Close without saving?"
        may = not unsaved or dialogs.confirm(self._parent, title, unsaved, "Close")
        return dialogs.Running.CANCEL if may else stay

    def _may_lose_result(self, question: str, yes: str) -> bool:
        denoised, unsaved = self._session.denoised, self._session.unsaved
        return (
            denoised is None  # a model outlives its stack
            or not unsaved
            or dialogs.confirm(self._parent, question, unsaved, yes)
        )
