"""The list of files and the queue, through the real window, with stand-ins for the calculations."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PySide6.QtCore import Qt

from g2g_desktop.batch import queue_tasks
from g2g_desktop.batch.file_list import FileItem, FileState
from g2g_desktop.batch.journal import Journal
from g2g_desktop.batch.queue import QueueState
from g2g_desktop.batch.queue_tasks import Plan
from g2g_desktop.dialogs import dialogs
from g2g_desktop.model.session import State
from g2g_desktop.paths import queue_log
from tests.support import vendor_files as vendor
from training_core.batch.targets import Input, Pattern
from training_core.io.readers import open_stack
from training_core.settings import preset

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from g2g_desktop.batch.queue_page import QueuePage
    from g2g_desktop.main_window import MainWindow
    from tests.support.stand_ins import FakeCore
    from training_core.run import Run
    from training_core.stack import Stack


class FakeWork:
    """Halves each stack; waits where told to, and counts what it did."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.may_end.set()
        self.worked_on: list[str] = []

    def of(self, _plan: object, run: Run) -> Any:
        def work(stack: Stack, _checkpoint: object) -> tuple[Stack, dict[str, Any]]:
            self.worked_on.append(stack.name)
            while not self.may_end.wait(0.005):
                run.check()
            run.note(f"{stack.name} is halved.")
            return stack.with_pixels(stack.pixels // 2), {"patches": 12}

        return work


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> FakeWork:
    fake = FakeWork()
    monkeypatch.setattr(queue_tasks, "_work", fake.of)
    return fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with two files, a damaged one and one of another size further down."""
    rng = np.random.default_rng(3)
    for name, size in (("a.tif", 64), ("b.tif", 64), ("deep/er/c.tif", 80)):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, rng.poisson(100, (size, size)).astype(np.uint16))
    (tmp_path / "in/bad.tif").write_bytes(b"II*\0")
    return tmp_path / "in"


def test_the_queue_denoises_the_image_that_was_chosen(
    window: MainWindow, work: FakeWork, tmp_path: Path, qtbot: QtBot
) -> None:
    rng = np.random.default_rng(4)
    first, second = (rng.poisson(100, (size, size)).astype(np.uint16) for size in (96, 64))
    file = tmp_path / "two.lif"
    file.write_bytes(vendor.lif({"first": (first, "YX"), "second": (second, "YX")}))
    window.files.add([(file,), (file,)], [1, 2])

    window.queue.start(Plan())
    qtbot.waitUntil(lambda: window.queue.state is QueueState.RESTING, timeout=20_000)

    assert len(work.worked_on) == 2
    made = [open_stack(tmp_path / f"two_image-{number}_denoised.tif") for number in (1, 2)]
    np.testing.assert_array_equal(made[0].pixels, first // 2)
    np.testing.assert_array_equal(made[1].pixels, second // 2)


@pytest.fixture
def listed(window: MainWindow, folder: Path, qtbot: QtBot) -> MainWindow:
    window.commands.open_paths([folder])
    qtbot.waitUntil(lambda: window.session.state is State.READY, timeout=20_000)
    return window


def states(window: MainWindow) -> dict[str, str]:
    return {item.name: item.state.name for item in window.files.items}


def rest(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.queue.state is QueueState.RESTING, timeout=30_000)


def test_a_folder_is_listed_with_all_below_it(listed: MainWindow) -> None:
    assert [item.name for item in listed.files.items] == ["a.tif", "b.tif", "bad.tif", "c.tif"]
    assert listed.desk.panel.isVisible()
    assert listed.files.current.name == "a.tif"
    assert listed.desk.panel.selected == [listed.files.items[0]]


def test_the_list_has_pictures_and_sizes(listed: MainWindow, qtbot: QtBot) -> None:
    items = listed.files.items
    qtbot.waitUntil(lambda: all(item.size_bytes for item in items), timeout=20_000)
    assert [item.thumbnail is not None for item in items] == [True, True, False, True]
    told = listed.files.data(listed.files.index(0, 0), Qt.ItemDataRole.AccessibleTextRole)
    assert told.startswith("a.tif, ")


def test_one_click_and_enter_show_a_file_and_keep_the_result_of_the_other(
    listed: MainWindow, qtbot: QtBot
) -> None:
    listed.commands.do("train")
    qtbot.waitUntil(lambda: listed.session.state is State.DONE)
    result = listed.session.result
    assert states(listed)["a.tif"] == "MADE"
    view = listed.desk.panel.view
    spot = view.visualRect(listed.files.index(1, 0)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    qtbot.waitUntil(lambda: listed.session.state is State.READY)
    assert listed.windowTitle().startswith("b.tif")
    assert listed.files.unsaved == 1
    view.setCurrentIndex(listed.files.index(0, 0))
    qtbot.keyClick(view, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: listed.session.state is State.DONE)
    assert listed.session.result.denoised is result.denoised


def test_the_queue_denoises_all_and_says_why_one_failed(
    listed: MainWindow, work: FakeWork, tmp_path: Path, qtbot: QtBot
) -> None:
    page = listed.desk.queue_page
    listed.menus.actions["batch"].trigger()
    assert page.isVisible()
    page.options.folder.setText(str(tmp_path / "out"))
    page.options.mirrored.setChecked(True)
    with qtbot.waitSignal(listed.queue.finished, timeout=30_000) as ended:
        qtbot.mouseClick(page.start, Qt.MouseButton.LeftButton)
    assert ended.args == ["3 files denoised, 1 failed."]
    assert set(states(listed).values()) == {"DONE", "FAILED"}
    bad = next(item for item in listed.files.items if item.name == "bad.tif")
    assert "damaged" in bad.reason
    written = open_stack(tmp_path / "out/deep/er/c_denoised.tif")
    assert np.array_equal(written.pixels, open_stack(tmp_path / "in/deep/er/c.tif").pixels // 2)
    assert page.words.text() == "3 files denoised, 1 failed."
    assert "b.tif is halved." in queue_log().read_text(encoding="utf-8")


def test_a_result_of_the_queue_is_shown_with_one_click(
    listed: MainWindow, work: FakeWork, tmp_path: Path, qtbot: QtBot
) -> None:
    listed.desk.queue_page.options.folder.setText(str(tmp_path / "out"))
    listed.desk.queue_page.start.click()
    rest(listed, qtbot)
    listed.desk.panel.chosen.emit(listed.files.items[1])
    qtbot.waitUntil(lambda: listed.session.state is State.DONE, timeout=20_000)
    assert listed.session.exported == tmp_path / "out/b_denoised.tif"
    assert listed.session.result.denoiser.card == {"patches": 12}


def test_failed_files_are_tried_again(
    listed: MainWindow, work: FakeWork, folder: Path, qtbot: QtBot
) -> None:
    listed.desk.queue_page.start.click()
    rest(listed, qtbot)
    (folder / "bad.tif").write_bytes((folder / "a.tif").read_bytes())
    listed.desk.queue_page.refresh()
    listed.desk.queue_page.retry.click()
    rest(listed, qtbot)
    assert states(listed) == dict.fromkeys(("a.tif", "b.tif", "bad.tif", "c.tif"), "DONE")
    assert work.worked_on == ["a.tif", "b.tif", "c.tif", "bad.tif"]


def held_at_work(listed: MainWindow, work: FakeWork, qtbot: QtBot) -> QueuePage:
    """Start the queue and hold it at its first file; give its page."""
    work.may_end.clear()
    page = listed.desk.queue_page
    page.start.click()
    qtbot.waitUntil(lambda: work.worked_on == ["a.tif"], timeout=30_000)
    return page


def test_a_pause_gives_the_file_at_work_up_and_goes_on_with_it(
    listed: MainWindow, work: FakeWork, qtbot: QtBot
) -> None:
    page = held_at_work(listed, work, qtbot)
    assert page.pause.text() == "Pause"
    page.pause.click()
    qtbot.waitUntil(lambda: listed.queue.state is QueueState.PAUSED)
    assert states(listed)["a.tif"] == "WAITING"
    assert page.pause.text() == "Go on"
    work.may_end.set()
    page.pause.click()
    rest(listed, qtbot)
    assert work.worked_on == ["a.tif", "a.tif", "b.tif", "c.tif"]


def test_a_file_is_skipped(listed: MainWindow, work: FakeWork, qtbot: QtBot) -> None:
    held_at_work(listed, work, qtbot)
    listed.queue.skip(listed.files.items[3])
    listed.desk.queue_page.skip.click()  # the one at work, for none is selected
    qtbot.waitUntil(lambda: states(listed)["a.tif"] == "SKIPPED")
    work.may_end.set()
    rest(listed, qtbot)
    assert states(listed) == {
        "a.tif": "SKIPPED",
        "b.tif": "DONE",
        "bad.tif": "FAILED",
        "c.tif": "SKIPPED",
    }


def test_results_that_are_there_are_kept_unless_they_are_to_be_replaced(
    listed: MainWindow, work: FakeWork, folder: Path, qtbot: QtBot
) -> None:
    there = folder / "a_denoised.tif"
    there.write_bytes((folder / "b.tif").read_bytes())
    listed.desk.queue_page.start.click()
    rest(listed, qtbot)
    assert states(listed)["a.tif"] == "KEPT"
    assert there.read_bytes() == (folder / "b.tif").read_bytes()
    listed.files.items[0].state = FileState.LISTED
    listed.desk.queue_page.options.overwrite.setChecked(True)
    listed.desk.queue_page.start.click()
    rest(listed, qtbot)
    assert np.array_equal(open_stack(there).pixels, open_stack(folder / "a.tif").pixels // 2)


def test_the_order_is_changed_in_the_table_while_the_queue_works(
    listed: MainWindow, work: FakeWork, qtbot: QtBot
) -> None:
    page = held_at_work(listed, work, qtbot)
    page.table.selectRow(3)
    up, down = page.table.actions()
    for action in (up, up, up, up, down):
        action.trigger()
    assert [item.name for item in listed.files.items] == ["a.tif", "c.tif", "b.tif", "bad.tif"]
    assert page.table.currentIndex().row() == 1  # the file stays selected, and can be moved on
    assert [action.shortcut().toString() for action in (up, down)] == ["Alt+Up", "Alt+Down"]
    work.may_end.set()
    rest(listed, qtbot)
    assert work.worked_on == ["a.tif", "c.tif", "b.tif"]


def test_files_that_move_together_keep_their_order(listed: MainWindow) -> None:
    first, second, *_ = items = list(listed.files.items)
    listed.files.move([second, first], -1)  # the first stands at the end already
    assert listed.files.items == items
    for _ in range(3):
        listed.files.move([first, second], 1)
    assert listed.files.items == [*items[2:], first, second]


def test_the_ways_to_denoise_name_the_preset(listed: MainWindow) -> None:
    options = listed.desk.queue_page.options
    listed.session.set_settings(preset("instant"))
    listed.desk.show_queue()
    assert [options.how.itemText(index) for index in range(options.how.count())] == [
        "Train on each file by itself (Instant): best, and slowest",
        "Train on the selected files, else the first (Instant): one model for all",
    ]


def test_what_a_resumed_queue_works_by_is_shown_and_not_to_be_changed(
    window: MainWindow, work: FakeWork, folder: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    items = [FileItem((folder / name,), output=folder / name, model="m.g2g") for name in "ab"]
    for item in items:
        item.state = FileState.WAITING
    pattern = Pattern(tmp_path / "out", "_clean", mirrored=True)
    crashed = Journal()
    crashed.write(Plan(model=tmp_path / "m.g2g", pattern=pattern, overwrite=True), items)
    crashed.let_go()
    page = window.desk.queue_page
    options = page.options
    assert (options.folder.text(), options.suffix.text()) == ("", "_denoised")

    assert window.queue.restore() == 2

    assert options.how.currentText() == "Use m.g2g for all, without training"
    assert (options.folder.text(), options.suffix.text()) == (str(tmp_path / "out"), "_clean")
    assert options.mirrored.isChecked()
    assert options.overwrite.isChecked()
    assert not any(part.isEnabled() for part in (options.how, options.folder, options.mirrored))
    assert [item.model for item in window.files.items] == ["m.g2g", "m.g2g"]
    assert page.pause.property("primary") is True
    assert page.start.property("primary") is False


def test_what_a_watched_folder_is_denoised_by_is_not_to_be_changed(
    listed: MainWindow, work: FakeWork, tmp_path: Path
) -> None:
    page = listed.desk.queue_page
    (tmp_path / "watched").mkdir()
    page.watch_folder(tmp_path / "watched")
    page.refresh()
    assert not page.options.suffix.isEnabled()
    page.watch.stop()
    page.refresh()
    assert page.options.suffix.isEnabled()


def test_a_queue_that_a_crash_left_is_found_and_gone_on_with(
    listed: MainWindow, work: FakeWork, tmp_path: Path, qtbot: QtBot
) -> None:
    work.may_end.clear()
    listed.desk.queue_page.options.folder.setText(str(tmp_path / "out"))
    listed.desk.queue_page.start.click()
    qtbot.waitUntil(lambda: work.worked_on == ["a.tif"], timeout=30_000)
    queue = listed.queue
    queue.close()
    queue._job.cancel()
    qtbot.waitUntil(lambda: not queue.is_busy)
    journal = Journal()
    found = journal.find()
    assert Journal().find() is None  # one window has it
    journal.remove()
    assert found is not None
    plan, items = found
    assert plan.pattern.folder == tmp_path / "out"
    assert [(item.name, item.state.name, item.begun) for item in items] == [
        ("a.tif", "WAITING", True),
        ("b.tif", "WAITING", False),
        ("bad.tif", "WAITING", False),
        ("c.tif", "WAITING", False),
    ]


def test_which_images_are_learned_from_and_denoised_outlives_a_crash(
    window: MainWindow, tmp_path: Path
) -> None:
    file = tmp_path / "two.lif"
    items = window.files.add([(file,), (file,)], [1, 2])
    options = window.desk.queue_page.options
    options.how.setCurrentIndex(1)
    plan = options.plan([0, 1])
    assert plan.train_on == (Input(file, "1"), Input(file, "2"))
    crashed = Journal()
    crashed.write(plan, items)
    crashed.let_go()

    restarted = Journal()
    found = restarted.find()
    restarted.remove()

    assert found is not None
    assert found[0] == plan
    assert [(item.path, item.image) for item in found[1]] == [(file, 1), (file, 2)]


def test_one_model_is_trained_and_used_for_all(
    listed: MainWindow,
    work: FakeWork,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    trained: list[tuple[str, ...]] = []

    def train_one(paths: Any, _settings: Any, model: Path, *_: Any) -> Path:
        trained.append(tuple(path.name for path in paths))
        model.write_bytes(b"a model")
        return model

    monkeypatch.setattr(queue_tasks, "train_one_model", train_one)
    (tmp_path / "out").mkdir()
    page = listed.desk.queue_page
    page.options.folder.setText(str(tmp_path / "out"))
    page.options.how.setCurrentIndex(1)
    page.table.selectRow(1)
    page.start.click()
    rest(listed, qtbot)
    assert trained == [("b.tif",)]
    assert (tmp_path / "out/b.g2g").is_file()
    assert {item.model for item in listed.files.items} == {"b.g2g"}
    assert states(listed)["c.tif"] == "DONE"


def test_a_watched_folder_waits_until_a_file_is_whole(
    window: MainWindow, work: FakeWork, folder: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    page = window.desk.queue_page
    page.options.folder.setText(str(tmp_path / "out"))
    page.watch_folder(folder)
    page.watch._timer.setInterval(30)
    qtbot.waitUntil(lambda: states(window).get("c.tif") == "DONE", timeout=20_000)
    whole = (folder / "a.tif").read_bytes()
    growing = folder / "later.tif"
    growing.write_bytes(whole[: len(whole) // 2])
    qtbot.wait(400)
    assert "later.tif" not in states(window)
    growing.write_bytes(whole)
    qtbot.waitUntil(lambda: states(window).get("later.tif") == "DONE", timeout=20_000)
    assert "bad.tif" not in states(window)  # it may be written still
    page.watching.click()
    assert page.watch.folder is None


def test_closing_while_the_queue_works_is_asked(
    listed: MainWindow, work: FakeWork, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    held_at_work(listed, work, qtbot)
    asked: list[str] = []

    def no(_parent: object, title: str, _text: str, _yes: str) -> bool:
        asked.append(title)
        return False

    monkeypatch.setattr(dialogs, "confirm", no)
    listed.close()
    assert listed.isVisible()
    assert asked == ["Close while the queue works?"]
    work.may_end.set()
    rest(listed, qtbot)


def test_several_files_are_opened_as_one_stack_when_asked(listed: MainWindow, qtbot: QtBot) -> None:
    view = listed.desk.panel.view
    view.selectionModel().clearSelection()
    for row in (0, 1):
        index = listed.files.index(row, 0)
        view.selectionModel().select(index, view.selectionModel().SelectionFlag.Select)
    next(a for a in view.actions() if a.text().startswith("Open the selected")).trigger()
    qtbot.waitUntil(lambda: listed.session.stack is not None and listed.session.stack.axes == "IYX")


def test_removing_a_file_leaves_it_on_disk(
    listed: MainWindow, folder: Path, core: FakeCore
) -> None:
    view = listed.desk.panel.view
    view.setCurrentIndex(listed.files.index(3, 0))
    next(a for a in view.actions() if a.text().startswith("Remove")).trigger()
    assert "c.tif" not in states(listed)
    assert (folder / "deep/er/c.tif").is_file()


def test_the_time_left_is_that_of_all_files(listed: MainWindow, qtbot: QtBot) -> None:
    items = listed.files.items
    qtbot.waitUntil(lambda: all(item.size_bytes for item in items), timeout=20_000)
    assert listed.queue.time_left() is not None or not listed.queue.waiting
    items[0].state, items[0].seconds, items[0].size_bytes = FileState.DONE, 10.0, 1000
    for item in items[1:3]:
        item.state, item.size_bytes = FileState.WAITING, 2000
    left = listed.queue.time_left()
    assert left is not None
    assert left.least < 40.0 < left.most


def test_the_queue_and_the_window_train_one_after_the_other(
    listed: MainWindow, work: FakeWork, core: FakeCore, qtbot: QtBot
) -> None:
    work.may_end.clear()
    page, bar = listed.desk.queue_page, listed.run_bar
    qtbot.waitUntil(lambda: listed.session.patches is not None)
    usual = bar.next_button.toolTip()
    page.start.click()
    qtbot.waitUntil(lambda: work.worked_on == ["a.tif"], timeout=30_000)
    assert bar.next_button.objectName() == "train"
    assert not bar.next_button.isEnabled()
    assert bar.next_button.toolTip().startswith("The queue is working on files.")
    listed.commands.do("train")
    assert listed.session.state is State.READY
    page.pause.click()
    qtbot.waitUntil(lambda: listed.queue.state is QueueState.PAUSED)
    assert bar.next_button.isEnabled()
    assert bar.next_button.toolTip() == usual
    core.may_end.clear()
    listed.commands.do("train")
    assert not page.pause.isEnabled()
    assert page.pause.toolTip().startswith("The window is training or denoising.")
    work.may_end.set()
    core.may_end.set()
    qtbot.waitUntil(lambda: listed.session.state is State.DONE)
    assert page.pause.isEnabled()
    page.pause.click()
    rest(listed, qtbot)
    assert work.worked_on == ["a.tif", "a.tif", "b.tif", "c.tif"]


def test_files_that_come_while_the_window_trains_wait_for_its_end(
    listed: MainWindow, work: FakeWork, core: FakeCore, qtbot: QtBot
) -> None:
    core.may_end.clear()
    qtbot.waitUntil(lambda: listed.session.patches is not None)
    listed.commands.do("train")
    listed.queue.take(Plan())
    listed.queue.add(listed.files.items[1:2])
    assert listed.queue.state is QueueState.HELD
    assert listed.desk.queue_page.words.text().startswith("Waiting until the training")
    core.may_end.set()
    rest(listed, qtbot)
    assert work.worked_on == ["b.tif"]
    assert listed.session.state is State.DONE
