"""What leaves the bench: the report, tables, and words for the clipboard."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from g2g_desktop.language import tr
from g2g_desktop.viewer.look_up_tables import diverging_table, look_up_table
from g2g_desktop.viewer.picture import Picture, drawable
from training_core.errors import CoreError, OutputError
from training_core.wording import figure, pixel_value

from .compare_view import DENOISED, NOISY
from .report import ReportPicture, ResultPage, write_report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from g2g_desktop.model.result import Story
    from g2g_desktop.model.session import Session
    from training_core.denoise.denoiser import Denoiser
    from training_core.stack import Pixels, Stack

    from .compare_view import CompareView
    from .measure_tab import MeasureTab

KINDS = "One page as PDF (*.pdf);;Web page (*.html)"
SOME_STACK = "STACK"  # in a page that is passed on, as in the reference of the command
NO_NAME = 2  # letters, such as those of a folder "1": nobody is called so, and numbers are
REFERENCE, RESIDUAL = "Reference", "Residual, ±3 σ"


class BenchFiles(QObject):
    """Writes and copies what is shown of a result.

    Signals
    -------
    told
        What was done, in a sentence.

    Attributes
    ----------
    session
        That of the window.
    findings
        Gives what is said of the result, with a name, a value and a meaning each.
    """

    told = Signal(str)

    def __init__(self, parent: QWidget, compare: CompareView, measure: MeasureTab) -> None:
        super().__init__(parent)
        self._parent, self._compare, self._measure = parent, compare, measure
        self.session: Session | None = None
        self.findings: Callable[[], Sequence[Any]] = tuple

    @Slot()
    def report(self) -> None:
        """Ask where to, and write a page on the result."""
        if self.session is None or self.session.denoised is None:
            return
        path = self._ask("Report", "_report.pdf", KINDS)
        if path is not None:
            self._write(lambda: write_report(self.page(), path), path)

    @Slot(str)
    def save_table(self, text: str) -> None:
        """Ask where to, and write a table."""
        path = self._ask("Save figures", "_figures.csv", "Table (*.csv)")
        if path is not None:
            self._write(lambda: path.write_text(text, encoding="utf-8"), path)

    @Slot()
    def copy_command(self) -> None:
        """Put the command that does the same on the clipboard."""
        if self.session is not None and self.session.stack is not None:
            QGuiApplication.clipboard().setText(self.command())
            self.told.emit("The command is on the clipboard.")

    @Slot()
    def copy_methods(self) -> None:
        """Put the paragraph on methods and the citation on the clipboard."""
        if self.session is not None and self.session.result is not None:
            from training_core.reporting.methods import CITATION

            QGuiApplication.clipboard().setText(f"{self.methods()}\n\n{CITATION}")
            self.told.emit("The paragraph on methods is on the clipboard.")

    @property
    def _result(self) -> tuple[Stack, Denoiser | Story, Sequence[str]]:
        """The stack, what made the result, and what is to be known about it."""
        session = self.session
        if session is None or session.stack is None or session.result is None:
            raise RuntimeError("there is no result to tell of")
        return session.stack, session.result.denoiser, session.result.warnings

    def command(self) -> str:
        """Write the command that makes the same result."""
        from training_core.reporting.methods import same_command

        stack, denoiser, _ = self._result
        name = str(stack.source or stack.name)
        output, axes = f"{_stem(name)}_denoised.tif", stack.axes if stack.read_as else ""
        return same_command(name, output, denoiser.settings, axes)

    def methods(self) -> str:
        """Write the paragraph on methods."""
        from training_core.reporting.methods import methods_paragraph

        _, denoiser, _ = self._result
        return methods_paragraph(denoiser.settings, denoiser.card, _version())

    def page(self) -> ResultPage:
        """Put together what is shown now: what is in view, with its contrast.

        A page is passed on, and files and folders are named after patients: it names none of them.
        """
        from training_core.reporting.methods import CITATION, changed_settings, same_command

        stack, denoiser, warnings = self._result
        height, width = stack.frame_shape
        low, high = self._compare.levels
        frame = f"frame {self._compare.frame_index + 1} of {stack.frame_count}"
        findings = [(one.name, one.value, one.meaning) for one in self.findings()]
        return ResultPage(
            title="Result of denoising",
            subtitle=f"{width} × {height} px, {frame}; g2g desktop {_version()}.",
            verdict=_unnamed(" ".join(warnings), stack, denoiser.card),
            pictures=self._pictures(),
            caption=(
                "The part in view, all with one contrast: "
                f"black at {pixel_value(low)}, white at {pixel_value(high)}"
                f"{' ' + stack.value_unit if stack.value_unit else ''}."
            ),
            figures=[*findings, *self._regions()],
            settings=changed_settings(denoiser.settings),
            methods=self.methods(),
            citation=CITATION,
            command=same_command(
                SOME_STACK,
                f"{SOME_STACK}_denoised.tif",
                denoiser.settings,
                stack.axes if stack.read_as else "",
            ),
        )

    def _pictures(self) -> list[ReportPicture]:
        """Draw what is in view of the stacks, and of what was removed where that was looked at."""
        compare = self._compare
        table = look_up_table(compare.colours.currentData(), compare.invert_tool.isChecked())
        shown = []
        for name in (NOISY, DENOISED, REFERENCE):
            stack = compare.sources.get(name)
            if stack is not None:
                frame = stack.raw_frame(compare.frame_index if stack.frame_count > 1 else 0)
                shown.append(self._drawn(name, frame, compare.levels, table))
        found = compare.removed.found
        if found is not None:
            shown.append(self._drawn(RESIDUAL, found.in_sigmas, (-3.0, 3.0), diverging_table()))
        return shown

    def _drawn(
        self, name: str, frame: Pixels, levels: tuple[float, float], table: NDArray[np.uint8]
    ) -> ReportPicture:
        picture = Picture()
        picture.setImage(drawable(frame), levels=levels)
        picture.setLookupTable(table)
        image = picture.rendered()
        assert image is not None  # it was given one
        seen = self._compare.left.visible_rect.toAlignedRect().intersected(image.rect())
        stack = self._compare.stack
        return ReportPicture(name, image.copy(seen), stack.pixel_size.x_um if stack else None)

    def _regions(self) -> list[tuple[str, str, str]]:
        measured = self._measure.measured
        told = []
        for number, one in enumerate(measured.regions if measured else (), start=1):
            if not isinstance(one, str):
                value = f"{pixel_value(one.raw_mean)} ± {figure(one.mean_error)}"
                more = f"Mean of {one.pixels} raw pixels; denoised {pixel_value(one.mean)}."
                told.append((f"Region {number}", value, more))
        return told

    def _ask(self, title: str, ending: str, kinds: str) -> Path | None:
        stack = self.session.stack if self.session is not None else None
        name = (
            str(stack.source) if stack is not None and stack.source else str(Path.home() / "stack")
        )
        chosen, kind = QFileDialog.getSaveFileName(
            self._parent, tr(title), f"{_stem(name)}{ending}", tr(kinds)
        )
        if not chosen:
            return None
        path = Path(chosen)
        return (
            path
            if path.suffix
            else path.with_suffix(".html" if "html" in kind else Path(ending).suffix)
        )

    def _write(self, write: Callable[[], object], path: Path) -> None:
        try:
            write()
        except (OSError, CoreError) as error:
            reason = str(error) if isinstance(error, OutputError) else f"{path}: {error}."
            QMessageBox.warning(self._parent, tr("It could not be written"), tr(reason))
        else:
            self.told.emit(f"Written as {path.name}.")


def _unnamed(text: str, stack: Stack, card: Mapping[str, Any]) -> str:
    """Take the names of the stack, and of what the denoiser was made of, out of a text."""
    listed = (card.get(key) for key in ("trained_on", "repeats"))
    others = (name for names in listed if isinstance(names, list) for name in names)
    for name in sorted({stack.name, *map(str, others)}, key=len, reverse=True):
        if len(name) > NO_NAME:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", SOME_STACK, text)
    return text


def _stem(name: str) -> str:
    path = Path(name)
    return str(path.with_name(path.name.split(".")[0]))


def _version() -> str:
    try:
        return version("g2g-desktop")
    except PackageNotFoundError:
        return "from a source folder"
