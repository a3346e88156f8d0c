"""The preview without training, through the real window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import Qt

from g2g_desktop.jobs import tasks
from g2g_desktop.model.session import State, Step
from g2g_desktop.model.view_state import Page
from g2g_desktop.viewer.first_look import LABEL
from g2g_desktop.viewer.pair_viewer import LEFT, RIGHT
from training_core.errors import InputError
from training_core.run import SILENT, Stage
from training_core.settings import preset
from training_core.stack import PixelSize

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from g2g_desktop.main_window import MainWindow
    from g2g_desktop.viewer.stack_view import StackView
    from tests.support.stand_ins import FakeCore
    from training_core.first_look import Fits
    from training_core.run import Run
    from training_core.stack import Pixels, Stack


def view_of(window: MainWindow) -> StackView:
    return window.centre.viewer.stack_view


def caption(window: MainWindow) -> str:
    return view_of(window).pane.captions.get(RIGHT, "")


def is_off(window: MainWindow) -> bool:
    view = view_of(window)
    return (
        not window.session.first_look
        and window.centre.viewer.first_look.strip.isHidden()
        and not view.pane.is_split
        and view.pane.captions == {}
        and not window.menus.actions["first_look"].isChecked()
    )


@pytest.fixture
def looking(loaded: MainWindow, qtbot: QtBot) -> MainWindow:
    """Give the window with the preview of the first frame on, by a click beside Train."""
    button = loaded.run_bar.other_button
    assert button.text() == "Preview"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: caption(loaded) == "Preview")
    return loaded


def test_it_is_offered_with_a_stack_and_until_there_is_a_result(
    window: MainWindow, stack_file: Path, qtbot: QtBot
) -> None:
    action = window.menus.actions["first_look"]
    assert not action.isEnabled()
    window.commands.open_paths([stack_file])
    assert not action.isEnabled()
    qtbot.waitUntil(lambda: window.session.state is State.READY)
    assert action.isEnabled()
    window.session.show(Step.TRAIN)
    assert window.side.train.look.isVisible()
    window.commands.do("train")
    assert not action.isEnabled()
    assert not window.side.train.look.isVisible()
    qtbot.waitUntil(lambda: window.session.state is State.DONE)
    assert not action.isEnabled()
    window.session.show(Step.TRAIN)
    assert not window.side.train.look.isVisible()


def test_a_click_shows_the_frame_before_and_after_plainly_labelled(
    looking: MainWindow, core: FakeCore
) -> None:
    view, strip = view_of(looking), looking.centre.viewer.first_look.strip
    assert core.looked == [(0, "auto")]
    assert looking._view.page is Page.STACK
    assert view.pane.is_split
    assert view.pane.captions == {LEFT: "Noisy", RIGHT: "Preview"}
    noisy = looking.session.stack.raw_frame(0)
    assert np.array_equal(view.pane.image, noisy)
    assert np.array_equal(view.pane.second.image, noisy // 2)
    assert view.pane.second.getLevels() == pytest.approx(view.levels)
    assert view.value_text(3, 4) == f"noisy {noisy[3, 4]} → preview {noisy[3, 4] // 2}"
    assert strip.isVisible()
    assert strip.label.text() == LABEL
    assert strip.more.isHidden()
    assert not view.pane.overlay.isVisible()
    assert looking.session.step is Step.TRAIN
    assert looking.run_bar.next_button.text() == "Train and denoise"
    assert looking.run_bar.next_button.property("primary") is True
    assert looking.run_bar.other_button.text() == "Close preview"
    assert not looking.side.train.look.isVisible()
    assert view.isAncestorOf(looking.focusWidget())


def test_it_is_no_result(looking: MainWindow) -> None:
    session = looking.session
    assert session.state is State.READY
    assert (session.denoised, session.denoiser, session.unsaved) == (None, None, "")
    assert not looking.menus.actions["export"].isEnabled()
    assert not looking.menus.actions["save_model"].isEnabled()
    looking.commands.do("export")  # would open a dialog, and wait for it
    assert looking.side.compare.quality.blind.findings == []
    assert looking.side.compare.header.summary.full_text() == "After training"


def test_another_frame_is_previewed_once_the_slider_rests(
    looking: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    view = view_of(looking)
    core.may_end.clear()
    for index in (1, 0, 1):
        view.sliders.show_frame(index)
        assert caption(looking) == "Denoising..."
        noisy = looking.session.stack.raw_frame(index)
        assert np.array_equal(view.pane.image, noisy)
        assert view.pane.second.image is None  # never what another frame became
        assert view.value_text(3, 4) == f"{noisy[3, 4]}"
    assert len(core.looked) == 1
    core.may_end.set()
    qtbot.waitUntil(lambda: caption(looking) == "Preview")
    assert core.looked == [(0, "auto"), (1, "auto")]
    assert core.fits[0] is core.fits[1]  # fitted once, not for each frame
    assert np.array_equal(view.pane.second.image, looking.session.stack.raw_frame(1) // 2)


def test_a_frame_left_before_its_preview_came_is_never_shown(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.may_end.clear()
    loaded.commands.do("first_look")
    qtbot.waitUntil(lambda: core.looked == [(0, "auto")])
    view_of(loaded).show_frame(1)
    core.may_end.set()
    qtbot.waitUntil(lambda: caption(loaded) == "Preview")
    second = view_of(loaded).pane.second.image
    assert np.array_equal(second, loaded.session.stack.raw_frame(1) // 2)


def test_two_frames_are_never_computed_at_once(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: list[int] = []

    def stubborn(stack: Stack, frame: int, _device: str, _fits: Fits, run: Run) -> Pixels:
        at_once.append(frame)
        core.may_end.wait(5)  # a tile is computed to its end, whoever asks it to stop
        at_once.remove(frame)
        run.check()
        assert at_once == []
        return stack.raw_frame(frame)

    monkeypatch.setattr(tasks, "first_look", stubborn)
    core.may_end.clear()
    loaded.commands.do("first_look")
    qtbot.waitUntil(lambda: at_once == [0])
    view_of(loaded).show_frame(1)
    qtbot.wait(2 * loaded.centre.viewer.first_look._settle.interval())
    assert at_once == [0]
    core.may_end.set()
    qtbot.waitUntil(lambda: caption(loaded) == "Preview")


def test_a_large_frame_says_how_far_it_is(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_tiles(stack: Stack, frame: int, _device: str, _fits: Fits, run: Run) -> Pixels:
        run.progress(Stage.DENOISE, 5, 16)
        core.may_end.wait(5)
        return stack.raw_frame(frame)

    monkeypatch.setattr(tasks, "first_look", in_tiles)
    core.may_end.clear()
    loaded.commands.do("first_look")
    qtbot.waitUntil(lambda: caption(loaded) == "Denoising... 31 %")
    core.may_end.set()
    qtbot.waitUntil(lambda: caption(loaded) == "Preview")


def test_it_comes_back_at_once_on_the_frame_already_seen(
    looking: MainWindow, core: FakeCore
) -> None:
    for _ in range(2):
        looking.commands.do("first_look")
    assert caption(looking) == "Preview"
    assert len(core.looked) == 1


@pytest.mark.parametrize("way", ["escape", "cross", "key", "button"])
def test_every_way_to_close_it(way: str, looking: MainWindow, qtbot: QtBot) -> None:
    looking.activateWindow()
    left = Qt.MouseButton.LeftButton
    ways = {
        "escape": lambda: qtbot.keyClick(looking, Qt.Key.Key_Escape),
        "cross": lambda: qtbot.mouseClick(looking.centre.viewer.first_look.strip.cross, left),
        "key": lambda: qtbot.keyClick(looking, Qt.Key.Key_P),
        "button": lambda: qtbot.mouseClick(looking.run_bar.other_button, left),
    }
    ways[way]()
    assert is_off(looking)
    assert view_of(looking).pane.overlay.isVisible()
    assert looking.session.state is State.READY


def test_escape_while_it_is_computed_gives_it_up(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.may_end.clear()
    loaded.activateWindow()
    qtbot.keyClick(loaded, Qt.Key.Key_P)
    qtbot.waitUntil(lambda: bool(core.looked))
    job = loaded.centre.viewer.first_look._job.job
    qtbot.keyClick(loaded, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not job.is_running)
    assert is_off(loaded)


def test_training_ends_it(looking: MainWindow, core: FakeCore) -> None:
    core.may_end.clear()
    looking.commands.do("train")
    assert looking.session.state is State.TRAINING
    assert is_off(looking)
    assert looking.workflow._job.run.region == view_of(looking).region()


def test_another_stack_ends_it(looking: MainWindow, stack_file: Path, qtbot: QtBot) -> None:
    first = looking.session.stack
    looking.commands.open_paths([stack_file])
    qtbot.waitUntil(lambda: looking.session.stack is not first)
    assert is_off(looking)


def test_another_card_ends_it(looking: MainWindow, qtbot: QtBot) -> None:
    qtbot.mouseClick(looking.side.patches.header, Qt.MouseButton.LeftButton)
    assert is_off(looking)


def test_asking_for_the_smooth_patches_ends_it_and_shows_them(
    looking: MainWindow, qtbot: QtBot
) -> None:
    looking.activateWindow()
    qtbot.keyClick(looking, Qt.Key.Key_G)
    assert is_off(looking)
    assert view_of(looking).overlay_visible


def test_the_read_out_follows(loaded: MainWindow, core: FakeCore, qtbot: QtBot) -> None:
    view = view_of(loaded)
    view._on_hovered((3, 4))
    assert "preview" not in view.readout
    loaded.commands.do("first_look")
    qtbot.waitUntil(lambda: caption(loaded) == "Preview")
    assert view.readout.endswith(view.value_text(3, 4))
    assert "→ preview" in view.readout
    loaded.commands.do("first_look")
    assert "preview" not in view.readout


def test_space_shows_the_noisy_frame_while_held(looking: MainWindow, qtbot: QtBot) -> None:
    view = view_of(looking)
    qtbot.keyPress(view.pane, Qt.Key.Key_Space)
    assert not view.pane.is_split
    assert caption(looking) == ""
    qtbot.keyRelease(view.pane, Qt.Key.Key_Space)
    assert view.pane.is_split
    assert caption(looking) == "Preview"


def test_a_note_of_the_core_stands_in_the_strip(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.look_note = "The noise of this stack is correlated; train for a better result."
    loaded.commands.do("first_look")
    more = loaded.centre.viewer.first_look.strip.more
    qtbot.waitUntil(lambda: more.text() == core.look_note)
    view_of(loaded).show_frame(1)
    assert more.text() == core.look_note  # no flicker from frame to frame
    core.look_note = ""
    qtbot.waitUntil(lambda: more.isHidden())


def test_an_error_is_one_sentence_in_the_strip_and_the_next_frame_may_do(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.error = InputError("All pixels of this frame have the value 0.")
    loaded.commands.do("first_look")
    more = loaded.centre.viewer.first_look.strip.more
    qtbot.waitUntil(lambda: more.text() == str(core.error))
    assert loaded.session.failure is None  # the stack can be trained on as before
    assert not view_of(loaded).pane.is_split
    core.error = None
    view_of(loaded).show_frame(1)
    assert more.isHidden()
    qtbot.waitUntil(lambda: caption(loaded) == "Preview")


def test_the_preview_computes_where_the_settings_say(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    loaded.session.set_settings(preset("quick", device="cpu"))
    loaded.commands.do("first_look")
    qtbot.waitUntil(lambda: core.looked == [(0, "cpu")])


def test_a_corrected_pixel_size_keeps_it(looking: MainWindow, core: FakeCore, qtbot: QtBot) -> None:
    looking.session.set_pixel_size(PixelSize(0.2, 0.2))
    qtbot.waitUntil(lambda: caption(looking) == "Preview" and len(core.looked) == 2)
    assert looking.session.first_look
    assert core.fits[0] is not core.fits[1]  # another stack, for all it knows


def test_a_window_closed_meanwhile_leaves_nothing_running(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.may_end.clear()
    loaded.commands.do("first_look")
    view_of(loaded).show_frame(1)  # the question of the second frame is about to be asked
    assert loaded.close()
    look = loaded.centre.viewer.first_look
    qtbot.wait(2 * look._settle.interval())
    assert not look._job.job.is_running


def test_the_window_asks_the_core_for_one_frame(
    small_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training_core import first_look as dncnn_b

    asked: list[dict[str, object]] = []

    def look(stack: Stack, **more: object) -> Stack:
        asked.append(more)
        return stack

    monkeypatch.setattr(dncnn_b, "look", look)
    fits: Fits = {}
    assert tasks.first_look(small_stack, 1, "cpu", fits, SILENT) is small_stack.pixels
    assert asked == [{"frame": 1, "device": "cpu", "fits": fits, "run": SILENT}]
    assert asked[0]["fits"] is fits


def test_the_bundled_network_takes_noise_off_the_sample_in_seconds(small_stack: Stack) -> None:
    """The real weights, as they ship: half of the noise of a flat part goes, its mean stays."""
    noisy = small_stack.frame(0)
    seen = tasks.first_look(small_stack, 0, "cpu", {}, SILENT)
    assert (seen.shape, seen.dtype) == (noisy.shape, np.float32)
    flat = slice(4, 20), slice(4, 92)  # above the disc
    assert seen[flat].std() < 0.5 * noisy[flat].std()
    assert seen[flat].mean() == pytest.approx(noisy[flat].mean(), rel=0.02)
