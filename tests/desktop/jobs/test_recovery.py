"""What a crash must not cost: trainings are kept on disk until their result is safe."""

from __future__ import annotations

import os
import shutil
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PySide6.QtCore import Qt

from g2g_desktop.dialogs import dialogs
from g2g_desktop.jobs import recovery
from g2g_desktop.jobs.interrupted import (
    MOST_KEPT,
    find_interrupted,
    kept_runs,
    lock_of,
    tell_about,
)
from g2g_desktop.jobs.tasks import ExportChoice
from g2g_desktop.model.session import Interrupted, State, Step
from g2g_desktop.paths import checkpoints_dir, user_data_dir
from training_core.compute.checkpoint import Checkpoint, describe_job
from training_core.errors import InputError
from training_core.run import SILENT
from training_core.settings import preset

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from g2g_desktop.main_window import MainWindow
    from tests.support.stand_ins import FakeCore
    from training_core.settings import Settings
    from training_core.stack import Stack

DAY = 86_400


def interrupt(stack: Stack, name: str, settings: Settings, days_ago: float = 0.0) -> Path:
    """Leave what a training that was killed leaves."""
    folder = checkpoints_dir() / name
    kept = Checkpoint(folder)
    kept.claim(describe_job([stack], settings))
    kept.part("patches").save({"weights": torch.ones(3)})
    for path in folder.iterdir():
        os.utime(path, (time.time() - days_ago * DAY,) * 2)
    return folder


def kept() -> list[str]:
    folders = (path.name for path in checkpoints_dir().iterdir() if path.is_dir())
    return sorted(name for name in folders if not name.startswith("removed-"))


def test_the_latest_training_of_the_stack_is_found_with_its_settings(small_stack: Stack) -> None:
    quick = preset("quick", seed=5)
    interrupt(small_stack, "older", preset("paper"), days_ago=2)
    folder = interrupt(small_stack, "latest", quick, days_ago=1)
    interrupt(small_stack.with_pixels(small_stack.pixels + 1), "another stack", quick)
    found = find_interrupted(small_stack, SILENT)
    assert (found.folder, found.settings) == (folder, quick)
    assert found.when.timestamp() == pytest.approx(time.time() - DAY, abs=60)
    assert kept() == ["another stack", "latest", "older"]


def test_nothing_is_found_where_nothing_was_interrupted(small_stack: Stack) -> None:
    assert find_interrupted(small_stack, SILENT) is None
    (checkpoints_dir() / "empty").mkdir()
    assert find_interrupted(small_stack, SILENT) is None
    damaged = interrupt(small_stack, "damaged", preset("quick"))
    (damaged / "job.part").write_bytes(b"no checkpoint")
    assert find_interrupted(small_stack, SILENT) is None


def test_what_is_old_or_too_much_is_removed(small_stack: Stack) -> None:
    for days in (1, 2, 3, 4, 13, 15):
        interrupt(small_stack, f"{days:02d} days", preset("quick"), days_ago=days)
    assert find_interrupted(small_stack, SILENT).folder.name == "01 days"
    assert kept() == ["01 days", "02 days", "03 days"]
    assert len(kept()) == MOST_KEPT


def test_a_training_under_way_in_another_window_is_let_be(small_stack: Stack) -> None:
    folder = interrupt(small_stack, "busy", preset("quick"), days_ago=20)
    lock = lock_of(folder)
    assert lock.tryLock(0)
    assert find_interrupted(small_stack, SILENT) is None
    assert kept() == ["busy"]
    lock.unlock()


def trained(window: MainWindow, qtbot: QtBot) -> None:
    window.commands.do("train")
    qtbot.waitUntil(lambda: window.session.state is State.DONE)


def test_it_is_kept_until_the_result_is_on_disk(
    loaded: MainWindow, core: FakeCore, tmp_path: Path, qtbot: QtBot
) -> None:
    trained(loaded, qtbot)
    assert [core.kept_in[0].name] == kept()
    assert core.kept_in[0].is_relative_to(user_data_dir())
    assert find_interrupted(loaded.session.stack, SILENT) is None  # it is in use
    loaded.workflow.export(ExportChoice(tmp_path / "out.tif"))
    qtbot.waitUntil(lambda: loaded.session.exported is not None)
    assert kept() == []


def test_cancel_discards_it(loaded: MainWindow, core: FakeCore, qtbot: QtBot) -> None:
    core.may_end.clear()
    loaded.commands.do("train")
    qtbot.waitUntil(lambda: kept() != [])
    loaded.commands.do("cancel")
    qtbot.waitUntil(lambda: loaded.session.state is State.READY)
    assert kept() == []


def test_the_window_does_not_wait_for_the_disk_to_forget(
    loaded: MainWindow, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    trained(loaded, qtbot)
    went_on, real = threading.Event(), shutil.rmtree

    def slow(folder: Path, **how: bool) -> None:
        assert went_on.wait(30)
        real(folder, **how)

    monkeypatch.setattr(shutil, "rmtree", slow)
    loaded.workflow.recovery.discard()
    assert kept() == []
    left = list(checkpoints_dir().glob("removed-*"))
    assert len(left) == 1
    went_on.set()
    qtbot.waitUntil(lambda: not left[0].exists())


def test_what_was_left_of_a_removal_goes_at_the_next_look() -> None:
    left = checkpoints_dir() / "removed-yesterday"
    left.mkdir()
    (left / "weights.part").write_bytes(b"0")
    assert kept_runs(SILENT) == []
    assert not left.exists()


def test_closing_the_window_discards_it(loaded: MainWindow, qtbot: QtBot) -> None:
    trained(loaded, qtbot)
    loaded.session.set_model_saved()
    loaded.session.set_exported(loaded.session.stack.source)
    assert kept() != []
    assert loaded.close()
    assert kept() == []


def test_another_training_takes_its_place(loaded: MainWindow, core: FakeCore, qtbot: QtBot) -> None:
    trained(loaded, qtbot)
    loaded.session.set_settings(preset("quick"))
    core.may_end.clear()
    loaded.commands.do("train")
    qtbot.waitUntil(lambda: len(core.kept_in) == 2)
    assert kept() == [core.kept_in[1].name]


@pytest.mark.parametrize(
    ("error", "stays"), [(InputError("Too small."), False), (OSError("Power."), True)]
)
def test_a_failure_nobody_expected_leaves_it(
    error: Exception, stays: bool, loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.error = error
    loaded.commands.do("train")
    qtbot.waitUntil(lambda: loaded.session.failure is not None)
    assert bool(kept()) == stays


@pytest.fixture
def interrupted(
    window: MainWindow, stack_file: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> MainWindow:
    """Give the window with a stack open whose training was killed after four minutes."""
    folder = checkpoints_dir() / "20260902-153210"
    folder.mkdir()
    when = datetime(2026, 9, 2, 15, 32)
    known = Interrupted(folder, preset("quick", seed=3), when, 240.0)
    monkeypatch.setattr(recovery, "find_interrupted", lambda _stack, _run, **_: known)
    window.commands.open_paths([stack_file])
    qtbot.waitUntil(lambda: window.session.interrupted is known)
    return window


def test_an_interrupted_training_is_offered(interrupted: MainWindow) -> None:
    notice = interrupted.side.train.interrupted
    assert interrupted.session.step is Step.TRAIN
    assert notice.isVisible()
    when = f"2 {datetime(2026, 9, 2):%B} at 15:32"
    assert notice.words.text() == (
        f"A training of this stack was interrupted on {when} (Quick, after 4 min)."
    )
    assert interrupted.run_bar.next_button.text() == "Train and denoise"


def test_continue_goes_on_in_the_same_folder_with_the_same_settings(
    interrupted: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    qtbot.mouseClick(interrupted.side.train.interrupted.go_on, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: interrupted.session.state is State.DONE)
    assert core.trained == [preset("quick", seed=3)]
    assert [folder.name for folder in core.kept_in] == ["20260902-153210"]
    assert interrupted.session.interrupted is None
    interrupted.session.show(Step.TRAIN)
    assert not interrupted.side.train.interrupted.isVisible()


def test_continue_lets_a_training_be_that_another_window_has_gone_on_with(
    interrupted: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    lock = lock_of(checkpoints_dir() / "20260902-153210")
    assert lock.tryLock(0)
    qtbot.mouseClick(interrupted.side.train.interrupted.go_on, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: interrupted.session.state is State.DONE)
    assert core.trained == [preset("quick", seed=3)]
    assert kept() == ["20260902-153210", core.kept_in[0].name]
    interrupted.workflow.recovery.discard()
    assert kept() == ["20260902-153210"]
    lock.unlock()


def test_discard_lets_a_training_be_that_another_window_has_gone_on_with(
    interrupted: MainWindow, qtbot: QtBot
) -> None:
    lock = lock_of(checkpoints_dir() / "20260902-153210")
    assert lock.tryLock(0)
    qtbot.mouseClick(interrupted.side.train.interrupted.discard, Qt.MouseButton.LeftButton)
    assert kept() == ["20260902-153210"]
    assert interrupted.session.interrupted is None
    lock.unlock()


def test_folders_are_removed_only_under_their_lock(
    interrupted: MainWindow, small_stack: Stack, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: dict[str, bool] = {}

    def move(folder: Path, to: Path) -> None:
        if folder.parent == checkpoints_dir():
            removed[folder.name] = not lock_of(folder).tryLock(0)
        else:
            folder.replace(to)

    monkeypatch.setattr(Path, "rename", move)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    for days in (1, 2, 3, 4, 15):
        interrupt(small_stack, f"{days:02d} days", preset("quick"), days_ago=days)
    find_interrupted(small_stack, SILENT)
    interrupted.commands.do("discard_interrupted")
    trained(interrupted, qtbot)
    interrupted.workflow.recovery.discard()
    assert removed.keys() >= {"04 days", "15 days", "20260902-153210"}
    assert len(removed) == 4  # the last is that of the new training
    assert all(removed.values())


def test_train_with_other_settings_begins_anew(
    interrupted: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    trained(interrupted, qtbot)
    assert core.trained == [preset("balanced")]
    assert core.kept_in[0].name != "20260902-153210"


def test_discard_removes_it(interrupted: MainWindow, qtbot: QtBot) -> None:
    notice = interrupted.side.train.interrupted
    qtbot.mouseClick(notice.discard, Qt.MouseButton.LeftButton)
    assert kept() == []
    assert not notice.isVisible()
    assert interrupted.session.state is State.READY
    assert not interrupted.menus.actions["resume"].isEnabled()


def test_another_stack_is_looked_at_anew(
    interrupted: MainWindow, stack_file: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "find_interrupted", lambda _stack, _run, **_: None)
    first = interrupted.session.stack
    interrupted.commands.open_paths([stack_file])
    qtbot.waitUntil(lambda: interrupted.session.stack is not first)
    assert interrupted.session.interrupted is None


def test_pixels_that_differ_in_one_place_are_another_stack(small_stack: Stack) -> None:
    interrupt(small_stack, "one", preset("quick"))
    other = np.array(small_stack.pixels)
    other[1, 50, 50] += 1
    assert find_interrupted(small_stack.with_pixels(other), SILENT) is None


@pytest.fixture
def left(
    window: MainWindow, stack_file: Path, small_stack: Stack, core: FakeCore, qtbot: QtBot
) -> MainWindow:
    """Give the window with nothing open, beside two trainings of the small stack."""
    for name, settings, days in (("older", preset("paper"), 2), ("latest", preset("quick"), 1)):
        folder = interrupt(small_stack, name, settings, days_ago=days)
        tell_about(folder, [stack_file], None, settings.preset)
        os.utime(folder / "about.json", (time.time() - days * DAY,) * 2)
    window.workflow.recovery.look_for_runs()
    qtbot.waitUntil(lambda: len(window.centre.start.runs.buttons) == 2)
    return window


def test_the_first_page_goes_on_with_a_training_in_one_click(
    left: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    older = left.centre.start.runs.buttons[1]
    assert older.isVisible()
    qtbot.mouseClick(older, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: left.session.state is State.DONE)
    assert core.trained == [preset("paper")]
    assert [folder.name for folder in core.kept_in] == ["older"]


def test_a_training_of_images_that_have_changed_does_not_go_on(
    left: MainWindow, core: FakeCore, stack_file: Path, small_stack: Stack, qtbot: QtBot
) -> None:
    import tifffile

    tifffile.imwrite(stack_file, small_stack.pixels + 1, imagej=True, metadata={"axes": "TYX"})
    left.centre.start.runs.buttons[0].click()
    qtbot.waitUntil(lambda: left.session.failure is not None)
    assert "have changed since this training" in left.banner.words.text()
    assert left.session.state is State.READY
    assert core.trained == []


def test_a_training_without_its_file_says_so_in_the_window(
    left: MainWindow, stack_file: Path, qtbot: QtBot
) -> None:
    stack_file.unlink()
    left.centre.start.runs.buttons[0].click()
    qtbot.waitUntil(lambda: left.banner.isVisible())
    assert stack_file.name in left.banner.words.text()
    assert kept() == ["latest", "older"]


@pytest.mark.parametrize(
    "told", [b"", b"[]", b"{}", b'{"files": [], "series": null, "title": ""}', b"\xff", b"[" * 9999]
)
def test_a_damaged_note_hides_only_its_training(
    told: bytes, small_stack: Stack, stack_file: Path
) -> None:
    for name in ("damaged", "whole"):
        tell_about(interrupt(small_stack, name, preset("quick")), [stack_file], None, "Quick")
    (checkpoints_dir() / "damaged" / "about.json").write_bytes(told)
    assert [run.folder.name for run in kept_runs(SILENT)] == ["whole"]


def test_continue_later_keeps_the_training_for_the_next_start(
    loaded: MainWindow, core: FakeCore, stack_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core.may_end.clear()
    loaded.commands.do("train")
    monkeypatch.setattr(dialogs, "ask_closing", lambda *_, **__: dialogs.Running.LATER)
    assert loaded.close()
    (run,) = kept_runs(SILENT)
    assert (run.files, run.series, run.title) == ((stack_file,), None, "Balanced")
