"""The preview without training, through the real window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import QRectF, Qt

from g2g_desktop.jobs import tasks
from g2g_desktop.model.session import State, Step
from g2g_desktop.model.view_state import Page
from g2g_desktop.viewer.first_look import LABEL, MEASURING, NONE, WAITING, LookedAt
from g2g_desktop.viewer.pair_viewer import LEFT, RIGHT
from training_core.errors import InputError
from training_core.place import PatchLocation
from training_core.run import SILENT
from training_core.settings import PatchSettings, preset
from training_core.stack import PixelSize, Stack

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from g2g_desktop.main_window import MainWindow
    from g2g_desktop.viewer.stack_view import StackView
    from tests.support.stand_ins import FakeCore
    from training_core.run import Run
    from training_core.stack import Pixels

WHOLE = PatchLocation(0, 0, 96, 96)


def view_of(window: MainWindow) -> StackView:
    return window.centre.viewer.stack_view


def caption(window: MainWindow) -> str:
    return view_of(window).pane.captions.get(RIGHT, "")


def is_off(window: MainWindow) -> bool:
    view = view_of(window)
    return (
        not window._view.first_look
        and window.centre.viewer.first_look.strip.isHidden()
        and not view.pane.is_split
        and view.pane.captions == {}
        and not window.menus.actions["first_look"].isChecked()
    )


def asked(core: FakeCore) -> list[tuple[int, str]]:
    """Give each frame and device that was looked at, once for its pieces that follow each other."""
    return [one for n, one in enumerate(core.looked) if n == 0 or core.looked[n - 1] != one]


@pytest.fixture
def waiting(core: FakeCore, loaded: MainWindow, qtbot: QtBot) -> MainWindow:
    """Give the window while the first look at a stack, just opened, is computed."""
    qtbot.waitUntil(lambda: caption(loaded) == "Preview")
    core.may_end.clear()
    look = loaded.centre.viewer.first_look
    look.show(None, loaded.session.settings, wanted=False)
    core.looked.clear()
    loaded.refresh()
    qtbot.waitUntil(lambda: bool(core.looked))
    return loaded


@pytest.fixture
def looking(loaded: MainWindow, qtbot: QtBot) -> MainWindow:
    """Give the window with the first frame looked at, which nobody had to ask for."""
    qtbot.waitUntil(lambda: caption(loaded) == "Preview")
    return loaded


def test_it_is_there_with_the_patches_and_until_there_is_a_result(
    window: MainWindow, core: FakeCore, stack_file: Path, qtbot: QtBot
) -> None:
    action = window.menus.actions["first_look"]
    assert not action.isEnabled()
    window.commands.open_paths([stack_file])
    assert core.looked == []
    qtbot.waitUntil(lambda: window.session.state is State.READY)
    assert (action.isEnabled(), core.looked) == (True, [])
    qtbot.waitUntil(lambda: caption(window) == "Preview")
    assert window.session.patches is not None
    window.commands.do("train")
    assert not action.isEnabled()
    assert is_off(window)
    qtbot.waitUntil(lambda: window.session.state is State.DONE)
    assert not action.isEnabled()
    window.session.show(Step.TRAIN)
    assert is_off(window)
    assert not window.side.train.look.isVisible()


def test_what_is_in_view_is_shown_before_and_after_plainly_labelled(
    looking: MainWindow, core: FakeCore
) -> None:
    view, strip = view_of(looking), looking.centre.viewer.first_look.strip
    assert (core.looked, core.places) == ([(0, "auto")], [WHOLE])
    assert looking._view.page is Page.STACK
    assert view.pane.is_split
    assert view.pane.captions == {LEFT: "Noisy", RIGHT: "Preview"}
    noisy = looking.session.stack.raw_frame(0)
    assert np.array_equal(view.pane.image, noisy)
    assert np.array_equal(view.pane.second.image, noisy // 2)
    assert view.pane.second.getLevels() == pytest.approx(view.levels)
    said = view.value_text(3, 4).splitlines()[0]  # below it stands what is known of the patch
    assert said == f"noisy {noisy[3, 4]} → preview {noisy[3, 4] // 2}"
    assert strip.isVisible()
    assert strip.label.text() == LABEL
    assert strip.more.isHidden()
    assert "DnCNN" not in LABEL
    assert looking.session.step is Step.PATCHES
    assert looking.run_bar.next_button.text() == "Train and denoise"
    assert looking.run_bar.next_button.property("primary") is True
    assert looking.run_bar.other_button.text() == "Close preview"
    looking.session.show(Step.TRAIN)
    assert view.pane.is_split
    assert not looking.side.train.look.isVisible()


def test_smooth_patches_are_marked_in_the_noisy_part_and_go_and_come_by_their_key(
    looking: MainWindow, qtbot: QtBot
) -> None:
    looking.activateWindow()
    pane = view_of(looking).pane
    assert pane.overlay.isVisible()
    assert pane.overlay.parentItem().rect().right() == pytest.approx(pane.divider_x)
    pane.set_divider(0.25)
    assert pane.outlines.parentItem().rect().right() == pytest.approx(pane.divider_x)
    qtbot.keyClick(looking, Qt.Key.Key_G)
    assert not pane.overlay.isVisible()
    assert pane.is_split
    qtbot.keyClick(looking, Qt.Key.Key_G)
    qtbot.keyClick(looking, Qt.Key.Key_P)
    assert pane.overlay.isVisible()
    assert pane.overlay.parentItem().rect().contains(pane.frame_rect)


def test_it_is_no_result(looking: MainWindow) -> None:
    session = looking.session
    assert session.state is State.READY
    assert (session.denoised, session.denoiser, session.unsaved) == (None, None, "")
    assert not looking.menus.actions["export"].isEnabled()
    assert not looking.menus.actions["save_model"].isEnabled()
    looking.commands.do("export")  # would open a dialog, and wait for it
    assert looking.side.compare.quality.blind.findings == []
    assert looking.side.compare.header.summary.full_text() == "After training"


def test_until_the_noise_is_known_that_is_what_is_said(
    waiting: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    assert caption(waiting) == MEASURING
    assert np.isnan(view_of(waiting).pane.second.image).all()
    core.may_end.set()
    qtbot.waitUntil(lambda: caption(waiting) == "Preview")


def test_another_frame_is_previewed_once_the_slider_rests(
    looking: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    view = view_of(looking)
    core.may_end.clear()
    for index, said in ((1, WAITING), (0, "Preview"), (1, WAITING)):
        view.sliders.show_frame(index)
        assert caption(looking) == said
        if not index:  # which is known yet
            continue
        noisy = looking.session.stack.raw_frame(index)
        assert np.array_equal(view.pane.image, noisy)
        assert view.pane.second.image is None  # never what another frame became
        assert view.value_text(3, 4) == f"{noisy[3, 4]}"
    assert len(core.looked) == 1
    core.may_end.set()
    qtbot.waitUntil(lambda: caption(looking) == "Preview")
    assert core.looked == [(0, "auto"), (1, "auto")]
    assert core.kept[0] is core.kept[1]  # the noise is measured once, not for each frame
    assert np.array_equal(view.pane.second.image, looking.session.stack.raw_frame(1) // 2)


def test_a_frame_left_before_its_preview_came_is_never_shown(
    waiting: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    job = waiting.centre.viewer.first_look._job.job
    view_of(waiting).show_frame(1)
    qtbot.wait(2 * waiting.centre.viewer.first_look._settle.interval())
    assert job.is_running  # the noise that it measures is that of all frames
    assert len(core.looked) == 1
    core.may_end.set()
    qtbot.waitUntil(lambda: caption(waiting) == "Preview")
    assert asked(core) == [(0, "auto"), (1, "auto")]
    second = view_of(waiting).pane.second.image
    assert np.array_equal(second, waiting.session.stack.raw_frame(1) // 2)


def test_two_looks_are_never_computed_at_once(
    looking: MainWindow, core: FakeCore, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: list[int] = []

    def stubborn(
        _kept: object, stack: Stack, _how: object, frame: int, place: PatchLocation, run: Run
    ) -> Pixels:
        at_once.append(frame)
        core.may_end.wait(5)  # a piece is computed to its end, whoever asks it to stop
        at_once.remove(frame)
        run.check()
        assert at_once == []
        return stack.raw_frame(frame)[place.slices].astype(np.float32)

    monkeypatch.setattr(tasks, "first_look", stubborn)
    core.may_end.clear()
    view_of(looking).show_frame(1)
    qtbot.waitUntil(lambda: at_once == [1])
    view_of(looking).show_frame(0)
    looking.centre.viewer.first_look._at = None  # as if it had not been looked at yet
    qtbot.wait(2 * looking.centre.viewer.first_look._settle.interval())
    assert at_once == [1]
    core.may_end.set()
    qtbot.waitUntil(lambda: caption(looking) == "Preview")
    assert np.array_equal(view_of(looking).pane.second.image, looking.session.stack.raw_frame(0))


@pytest.fixture
def large(looking: MainWindow, core: FakeCore, qtbot: QtBot) -> MainWindow:
    """Give the window with a corner of a large stack in view, looked at."""
    pixels = np.random.default_rng(0).integers(50, 90, (1500, 1300)).astype(np.uint16)
    core.may_end.clear()
    looking.session.set_stack(Stack(pixels, "YX"))
    view = view_of(looking)
    view.pane.set_view_rect(QRectF(0, 0, 300, 200))
    core.looked.clear()
    core.places.clear()
    core.may_end.set()
    qtbot.waitUntil(lambda: caption(looking) == "Preview", timeout=20_000)
    return looking


def test_only_what_is_in_view_is_looked_at_and_more_where_that_moves_on(
    large: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    view, noisy = view_of(large), large.session.stack.raw_frame(0)

    def looked_at() -> np.ndarray:
        return ~np.isnan(view.pane.second.image)

    first = view.seen()
    known = looked_at()
    assert known[first.slices].all()
    assert known.sum() < 4 * first.height * first.width
    said = view.value_text(1400, 1200).splitlines()[0]
    assert said == f"{noisy[1400, 1200]}"  # which nobody looked at
    core.places.clear()
    view.pane.set_view_rect(QRectF(900, 1000, 300, 200))
    view.pane.set_view_rect(QRectF(600, 800, 300, 200))
    qtbot.waitUntil(lambda: bool(core.places) and caption(large) == "Preview")
    second = view.seen()
    assert looked_at()[second.slices].all()
    assert looked_at()[first.slices].all()
    assert not looked_at()[1100:, 1000:].any()  # passed over before it came to rest
    assert np.array_equal(view.pane.second.image[second.slices], (noisy // 2)[second.slices])
    core.places.clear()
    view.pane.set_view_rect(QRectF(0, 0, 300, 200))
    qtbot.wait(2 * large.centre.viewer.first_look._settle.interval())
    assert core.places == []


def test_pieces_cover_what_is_missing_from_the_middle_of_the_preview() -> None:
    at = LookedAt(0, (1500, 1300))
    seen = PatchLocation(10, 5, 1400, 1290)
    pieces = at.missing(seen, 640.0)
    covered = np.zeros((1500, 1300), int)
    for piece in pieces:
        assert max(piece.height, piece.width) <= 512
        covered[piece.slices] += 1
    assert (covered[seen.slices] == 1).all()
    assert pieces[0].top <= 710 < pieces[0].top + pieces[0].height
    assert pieces[0].left <= 640 < pieces[0].left + pieces[0].width
    assert at.missing(seen, 1200.0)[0].left > 900
    at.put(pieces[0], np.ones((pieces[0].height, pieces[0].width)))
    assert at.missing(seen, 640.0) == pieces[1:]
    assert (np.isnan(at.image).sum(), at.image.dtype) == (
        1500 * 1300 - pieces[0].height * pieces[0].width,
        np.float64,
    )
    for piece in pieces[1:]:
        at.put(piece, np.ones((piece.height, piece.width)))
    assert at.missing(seen, 640.0) == []
    assert at.missing(PatchLocation(10, 5, 1490, 1290), 640.0) != []


def test_it_comes_back_at_once_on_the_frame_already_seen(
    looking: MainWindow, core: FakeCore
) -> None:
    for _ in range(2):
        looking.commands.do("first_look")
    assert caption(looking) == "Preview"
    assert len(core.looked) == 1


@pytest.mark.parametrize("way", ["escape", "cross", "key", "button"])
def test_every_way_to_close_it_which_holds_for_this_stack(
    way: str, looking: MainWindow, stack_file: Path, qtbot: QtBot
) -> None:
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
    assert view_of(looking).isAncestorOf(looking.focusWidget())
    looking.session.set_patches(looking.session.patches)
    view_of(looking).show_frame(1)
    looking.session.show(Step.TRAIN)
    assert looking.side.train.look.isVisible()
    qtbot.wait(2 * looking.centre.viewer.first_look._settle.interval())
    assert is_off(looking)
    first = looking.session.stack
    looking.commands.open_paths([stack_file])
    qtbot.waitUntil(lambda: looking.session.stack is not first)
    qtbot.waitUntil(lambda: caption(looking) == "Preview")


def test_escape_while_it_is_computed_gives_it_up(waiting: MainWindow, qtbot: QtBot) -> None:
    waiting.activateWindow()
    job = waiting.centre.viewer.first_look._job.job
    qtbot.keyClick(waiting, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not job.is_running)
    assert is_off(waiting)


def test_training_ends_it_and_it_comes_back_where_that_is_cancelled(
    looking: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.may_end.clear()
    view_of(looking).show_frame(1)
    looking.commands.do("train")
    assert looking.session.state is State.TRAINING
    assert is_off(looking)
    assert not looking.centre.viewer.first_look._settle.isActive()
    assert looking.workflow._job.run.region == view_of(looking).region()
    looking.commands.do("cancel")
    core.may_end.set()
    qtbot.waitUntil(lambda: looking.session.state is State.READY)
    qtbot.waitUntil(lambda: caption(looking) == "Preview")


def test_a_look_that_is_computed_is_given_up_when_training_starts(
    waiting: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    job = waiting.centre.viewer.first_look._job.job
    waiting.commands.do("train")
    qtbot.waitUntil(lambda: not job.is_running)
    assert waiting.session.state is State.TRAINING
    core.may_end.set()
    qtbot.waitUntil(lambda: waiting.session.state is State.DONE)


def test_another_stack_is_looked_at_anew(
    looking: MainWindow, core: FakeCore, stack_file: Path, qtbot: QtBot
) -> None:
    first = looking.session.stack
    looking.commands.open_paths([stack_file])
    assert is_off(looking)
    qtbot.waitUntil(lambda: looking.session.stack is not first)
    qtbot.waitUntil(lambda: caption(looking) == "Preview")
    assert core.kept[-1] is not core.kept[0]


def test_the_read_out_follows(looking: MainWindow) -> None:
    view = view_of(looking)
    view._on_hovered((3, 4))
    assert view.readout.endswith(view.value_text(3, 4))
    assert "→ preview" in view.readout
    looking.commands.do("first_look")
    assert "preview" not in view.readout


def test_space_shows_the_noisy_frame_while_held_also_when_a_piece_comes(
    looking: MainWindow, qtbot: QtBot
) -> None:
    view = view_of(looking)
    qtbot.keyPress(view.pane, Qt.Key.Key_Space)
    assert not view.pane.is_split
    assert caption(looking) == ""
    looking.centre.viewer.first_look._ask()
    assert not view.pane.is_split
    qtbot.keyRelease(view.pane, Qt.Key.Key_Space)
    assert view.pane.is_split
    assert caption(looking) == "Preview"


def test_a_warning_of_the_core_stands_in_the_strip_for_as_long_as_the_stack(
    waiting: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.look_note = "Texture and noise cannot be told apart."
    core.may_end.set()
    more = waiting.centre.viewer.first_look.strip.more
    qtbot.waitUntil(lambda: more.text() == core.look_note)
    wanted, core.look_note = core.look_note, ""  # it is told when the noise is measured, once
    view_of(waiting).show_frame(1)
    qtbot.waitUntil(lambda: caption(waiting) == "Preview")
    assert more.text() == wanted


def test_a_stack_that_cannot_be_looked_at_says_why_in_the_strip(
    waiting: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.error = InputError("Found 8 smooth patches; at least 60 are needed.")
    core.may_end.set()
    strip = waiting.centre.viewer.first_look.strip
    qtbot.waitUntil(lambda: strip.more.text() == str(core.error))
    assert (strip.label.text(), strip.isVisible()) == (NONE, True)
    assert waiting.session.failure is None  # it can be trained on as before
    assert not view_of(waiting).pane.is_split
    count = len(core.looked)
    view_of(waiting).show_frame(1)
    qtbot.wait(2 * waiting.centre.viewer.first_look._settle.interval())
    assert len(core.looked) == count  # another frame has the same noise
    core.error = None
    waiting.commands.do("first_look")
    assert is_off(waiting)
    waiting.commands.do("first_look")
    qtbot.waitUntil(lambda: caption(waiting) == "Preview")
    assert (strip.label.text(), strip.more.isHidden()) == (LABEL, True)


def test_other_patch_settings_count_where_the_patches_were_too_few(
    waiting: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.error = InputError("Found 8 smooth patches; at least 60 are needed.")
    core.may_end.set()
    strip = waiting.centre.viewer.first_look.strip
    qtbot.waitUntil(lambda: strip.label.text() == NONE)
    core.error = None
    waiting.session.set_patch_settings(PatchSettings(patch_size_px=16))
    qtbot.waitUntil(lambda: caption(waiting) == "Preview")
    assert strip.label.text() == LABEL
    count = len(core.looked)
    waiting.session.set_patch_settings(PatchSettings(patch_size_px=24))
    qtbot.wait(2 * waiting.centre.viewer.first_look._settle.interval())
    assert (len(core.looked), caption(waiting)) == (count, "Preview")


def test_the_preview_computes_where_the_settings_say(
    looking: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    looking.session.set_settings(preset("quick", device="cpu"))
    qtbot.waitUntil(lambda: core.looked == [(0, "auto"), (0, "cpu")])
    qtbot.waitUntil(lambda: caption(looking) == "Preview")


def test_a_corrected_pixel_size_keeps_it(looking: MainWindow, core: FakeCore, qtbot: QtBot) -> None:
    looking.session.set_pixel_size(PixelSize(0.2, 0.2))
    qtbot.waitUntil(lambda: caption(looking) == "Preview" and len(core.looked) == 2)
    assert looking.session.first_look
    assert core.kept[0] is not core.kept[1]  # another stack, for all it knows


def test_a_window_closed_meanwhile_leaves_nothing_running(
    waiting: MainWindow, qtbot: QtBot
) -> None:
    view_of(waiting).show_frame(1)  # the question of the second frame is about to be asked
    assert waiting.close()
    look = waiting.centre.viewer.first_look
    qtbot.wait(2 * look._settle.interval())
    assert not look._job.job.is_running


def test_the_bundled_network_takes_noise_off_and_measures_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The real weights, as they ship: most of the noise of a flat part goes, its mean stays."""
    from training_core import first_look as core

    measured, measure = [], core.with_known_noise
    monkeypatch.setattr(core, "with_known_noise", lambda *a: measured.append(1) or measure(*a))
    noisy = np.random.default_rng(0).poisson(100, (2, 128, 128)).astype(np.uint16)
    noisy[:, 40:90, 40:90] += 60
    kept: list[core.Look] = []
    place, settings = PatchLocation(8, 8, 24, 100), preset("quick", device="cpu")
    for frame in (0, 1):
        seen = tasks.first_look(kept, Stack(noisy, "ZYX"), settings, frame, place, SILENT)
        assert (seen.shape, seen.dtype) == ((24, 100), np.float32)
        assert seen.std() < 0.35 * noisy[frame][place.slices].std()
        assert seen.mean() == pytest.approx(noisy[frame][place.slices].mean(), rel=0.02)
    assert (len(kept), measured) == (1, [1])
