"""The whole way through the real window and the real core: from a drop to an exported file."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from g2g_desktop.dialogs import dialogs
from g2g_desktop.dialogs.export_dialog import ExportDialog
from g2g_desktop.jobs import tasks
from g2g_desktop.jobs.job import Job
from g2g_desktop.main_window import MainWindow
from g2g_desktop.model.session import State
from g2g_desktop.paths import checkpoints_dir
from g2g_desktop.preferences import Preferences
from g2g_desktop.widgets.theme import Theme
from training_core.io.readers import open_stack
from training_core.run import Cancelled, Run, Stage, StageStarted
from training_core.settings import preset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from training_core.settings import Settings

pytestmark = pytest.mark.trains

SLOW_MS = 120_000
CANCEL_AT = (Stage.PATCHES, Stage.NOISE_MODEL, Stage.FIRST_ESTIMATE, Stage.ROUNDS, Stage.DENOISE)


def tiny() -> Settings:
    """Give the settings of the shortest training that still passes through every stage."""
    quick = preset("quick", device="cpu")
    return replace(
        quick,
        noise_model=replace(quick.noise_model, steps=4, batch=4),
        denoiser=replace(quick.denoiser, steps=4, rounds=2, batch=2, crop_px=32, width=8, depth=4),
    )


def endless() -> Settings:
    """Give settings that train until told to stop."""
    few = tiny()
    return replace(
        few,
        noise_model=replace(few.noise_model, steps=1_000_000),
        denoiser=replace(few.denoiser, steps=1_000_000),
    )


@pytest.fixture
def source(tmp_path: Path, write_small_stack: Callable[[Path], Path]) -> Path:
    return write_small_stack(tmp_path / "cells µm.tif")


@pytest.fixture
def window(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[MainWindow]:
    def agree(_window: object) -> None:
        monkeypatch.setattr(dialogs, "confirm", lambda *_, **__: True)
        monkeypatch.setattr(dialogs, "ask_closing", lambda *_, **__: dialogs.Running.CANCEL)

    made = MainWindow(Preferences(), Theme("light"))
    qtbot.addWidget(made, before_close_func=agree)
    made.session.set_settings(tiny())
    made.resize(1366, 768)
    made.show()
    yield made
    qtbot.waitUntil(lambda: not Job.any_running(), timeout=SLOW_MS)


def drop(window: MainWindow, path: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    left, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(300, 300), Qt.DropAction.CopyAction, mime, left, keys)
    QApplication.sendEvent(window, enter)
    assert enter.isAccepted()
    dropped = QDropEvent(QPointF(300, 300), Qt.DropAction.CopyAction, mime, left, keys)
    QApplication.sendEvent(window, dropped)
    assert dropped.isAccepted()


def reach(window: MainWindow, state: State, qtbot: QtBot) -> None:
    """Wait for a state, but not longer than it takes to fail."""

    def there() -> bool:
        failure = window.session.failure
        assert failure is None, failure.details if failure else ""
        return window.session.state is state

    qtbot.waitUntil(there, timeout=SLOW_MS)


def opened(window: MainWindow, source: Path, qtbot: QtBot) -> MainWindow:
    drop(window, source)
    reach(window, State.READY, qtbot)
    return window


def next_button(window: MainWindow, text: str, qtbot: QtBot) -> None:
    assert window.run_bar.next_button.text() == text
    qtbot.mouseClick(window.run_bar.next_button, Qt.MouseButton.LeftButton)


def answer_export_dialog(window: MainWindow, target: Path) -> None:
    """Type a name into the dialog that is about to open, and press its button."""

    def answer() -> None:
        dialog = window.findChild(ExportDialog)
        dialog.path.setText(str(target))
        dialog.export_button.click()

    QTimer.singleShot(100, window, answer)


def test_from_a_drop_to_an_exported_file(
    window: MainWindow, source: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    target = tmp_path / "cells denoised.tif"
    opened(window, source, qtbot)
    next_button(window, "Train and denoise", qtbot)
    reach(window, State.DONE, qtbot)
    answer_export_dialog(window, target)
    next_button(window, "Export...", qtbot)
    qtbot.waitUntil(lambda: window.session.exported is not None, timeout=SLOW_MS)
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(target) as after:
        noisy, denoised = before.series[0], after.series[0]
        assert (denoised.axes, denoised.shape) == ("TYX", (2, 96, 96))
        assert denoised.dtype == np.uint16
        assert after.imagej_metadata["finterval"] == 0.5
        assert after.imagej_metadata["unit"] == before.imagej_metadata["unit"]
        for tag in ("XResolution", "YResolution"):
            ten, one = after.pages[0].tags[tag].value
            assert ten / one == pytest.approx(10.0)
        change = denoised.asarray().mean() / noisy.asarray().mean() - 1
        assert abs(change) < 0.005
        assert not np.array_equal(noisy.asarray(), denoised.asarray())
    assert sorted(p.name for p in tmp_path.glob("*.tif")) == ["cells denoised.tif", source.name]


class CancelAt:
    """Cancels the job as soon as a stage begins."""

    def __init__(self, window: MainWindow, stage: Stage) -> None:
        self.window, self.stage = window, stage
        self.seen: list[object] = []
        window.workflow.happened.connect(self.take)

    def take(self, event: object) -> None:
        self.seen.append(getattr(event, "stage", None))
        if self.seen[-1] is self.stage:
            self.window.commands.do("cancel")
            self.window.workflow.happened.disconnect(self.take)


def test_cancel_at_every_stage_leaves_no_file_and_a_usable_window(
    window: MainWindow, source: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    opened(window, source, qtbot)
    files = set(tmp_path.glob("*"))
    for stage in CANCEL_AT:
        canceller = CancelAt(window, stage)
        next_button(window, "Train and denoise", qtbot)
        reach(window, State.READY, qtbot)
        assert canceller.seen[-1] is stage
        assert window.session.denoised is None
        assert (window.session.denoiser is not None) == (stage is Stage.DENOISE)
        assert set(tmp_path.glob("*")) == files
    next_button(window, "Train and denoise", qtbot)
    reach(window, State.DONE, qtbot)


def test_stop_and_keep_gives_a_model_that_denoises_another_stack(
    window: MainWindow, source: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    opened(window, source, qtbot)
    window.session.set_settings(endless())
    next_button(window, "Train and denoise", qtbot)
    qtbot.waitUntil(lambda: window.centre.training.details.plot.tabs.count() > 0, timeout=SLOW_MS)
    next_button(window, "Stop and keep", qtbot)
    reach(window, State.DONE, qtbot)
    model = tmp_path / "kept.g2g"
    window.workflow.save_model(model)
    qtbot.waitUntil(lambda: model.exists() and not window.workflow.is_busy, timeout=SLOW_MS)
    window.session.set_denoised(window.session.denoised)
    drop(window, model)
    qtbot.waitUntil(lambda: window.session.model_name == "kept.g2g", timeout=SLOW_MS)
    reach(window, State.DONE, qtbot)
    assert window.session.denoised.shape == (2, 96, 96)


def trained(window: MainWindow, source: Path, tmp_path: Path, qtbot: QtBot) -> Path:
    """Denoise a stack, and give an empty folder to export it into."""
    opened(window, source, qtbot)
    window.commands.do("train")
    reach(window, State.DONE, qtbot)
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_cancelling_an_export_leaves_nothing(
    window: MainWindow, source: Path, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(window, source, tmp_path, qtbot)
    window.workflow.export(tasks.ExportChoice(folder / "out.tif"))
    window.commands.do("cancel")
    reach(window, State.DONE, qtbot)
    # A cancel that comes after the file was complete changes nothing; half a file is never there.
    found = list(folder.iterdir())
    assert found == ([] if window.session.exported is None else [folder / "out.tif"])


def test_a_full_disk_at_export_is_told_and_the_result_is_still_there(
    window: MainWindow, source: Path, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(window, source, tmp_path, qtbot)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(tifffile.TiffWriter, "write", fail)
        window.workflow.export(tasks.ExportChoice(folder / "out.tif"))
        qtbot.waitUntil(lambda: window.session.failure is not None, timeout=SLOW_MS)
    told = window.session.failure
    assert "out.tif cannot be written: " in told.sentence
    assert os.strerror(errno.ENOSPC) in told.sentence
    assert list(folder.iterdir()) == []
    assert window.session.state is State.DONE

    window.workflow.export(tasks.ExportChoice(folder / "out.tif"))
    qtbot.waitUntil(lambda: window.session.exported is not None, timeout=SLOW_MS)
    assert [path.name for path in folder.iterdir()] == ["out.tif"]
    assert window.session.failure is None


def test_a_training_is_started_once_however_often_it_is_asked_for(
    window: MainWindow, source: Path, qtbot: QtBot
) -> None:
    opened(window, source, qtbot)
    begun: list[Stage] = []
    window.workflow.happened.connect(
        lambda event: begun.append(event.stage) if isinstance(event, StageStarted) else None
    )

    for _ in range(3):
        window.commands.do("train")
    reach(window, State.DONE, qtbot)

    assert [begun.count(stage) for stage in (Stage.NOISE_MODEL, Stage.DENOISE)] == [1, 1]


def test_a_training_that_was_killed_goes_on_where_it_was(
    window: MainWindow, source: Path, qtbot: QtBot
) -> None:
    """All but the last stages are there already: they are not run again."""
    folder = checkpoints_dir() / "killed"
    killed = Run(lambda event: getattr(event, "stage", None) is Stage.ROUNDS and killed.cancel())
    with pytest.raises(Cancelled):  # nobody is left to remove what it kept
        tasks.train(open_stack(source), tiny(), folder, killed)
    opened(window, source, qtbot)
    notice = window.side.train.interrupted
    qtbot.waitUntil(notice.isVisible, timeout=SLOW_MS)
    ran: list[object] = []
    window.workflow.happened.connect(lambda event: ran.append(getattr(event, "stage", None)))
    qtbot.mouseClick(notice.go_on, Qt.MouseButton.LeftButton)
    reach(window, State.DONE, qtbot)
    assert Stage.NOISE_MODEL not in ran
    assert Stage.ROUNDS in ran
