"""The workflow through the real window, with stand-ins for the calculations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QGuiApplication

from g2g_desktop.dialogs import dialogs
from g2g_desktop.jobs import tasks
from g2g_desktop.jobs.tasks import ExportChoice
from g2g_desktop.model.session import Failure, State, Step
from g2g_desktop.model.view_state import Page
from training_core.errors import InputError
from training_core.reporting.findings import Finding, Level, verdict
from training_core.reporting.likeness import Likeness
from training_core.run import ShownRegion
from training_core.settings import PatchSettings, preset
from training_core.stack import PixelSize

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from g2g_desktop.main_window import MainWindow
    from tests.support.stand_ins import FakeCore


def trained(window: MainWindow, qtbot: QtBot) -> MainWindow:
    window.commands.do("train")

    def done() -> None:
        assert (window.session.state, window.session.failure) == (State.DONE, None)

    qtbot.waitUntil(done)
    return window


def test_opening_shows_the_stack_its_patches_and_the_time(loaded: MainWindow) -> None:
    session = loaded.session
    assert session.state is State.READY
    assert session.stack is not None
    assert session.stack.axes == "TYX"
    assert session.step is Step.PATCHES  # the time was measured without being asked for
    assert loaded.strip.axes.text() == "T 2 · Y 96 · X 96"
    assert loaded.strip.bits.text() == "16 bit"
    assert loaded.strip.scale.text() == "0.1 µm"
    assert loaded.run_bar.headline.text() == "Ready to train.\nTraining takes about 6 min here."
    assert session.patches is not None
    assert str(session.patches.count) in loaded.side.patches.count.text()
    assert loaded.windowTitle().startswith("cells.tif")


def test_training_is_followed_by_denoising_and_the_comparison(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    trained(loaded, qtbot)
    assert core.trained == [loaded.session.settings]
    assert loaded.session.step is Step.COMPARE
    assert loaded.centre.view is loaded.centre.compare
    assert loaded.run_bar.next_button.text() == "Export..."


def test_the_compare_card_sums_up_the_checks(loaded: MainWindow, qtbot: QtBot) -> None:
    summary = loaded.side.compare.header.summary
    assert summary.full_text() == "After training"
    trained(loaded, qtbot)
    findings = loaded.side.compare.quality.blind
    qtbot.waitUntil(lambda: bool(findings.findings), timeout=30_000)
    assert any(f.level is Level.RED for f in findings.findings)  # halving is not denoising
    assert summary.full_text() == loaded.side.compare.verdict.text() == "Do not use"
    assert loaded.side.compare.checks.button.text().endswith("checks good")
    assert not loaded.side.compare.quality.isVisible()  # until they are asked for
    assert loaded.side.compare.header.toolTip() == "Show the step Compare, which has failed."
    assert loaded.run_bar.headline.text().startswith("Do not use. ")
    loaded.session.show(Step.TRAIN)
    assert summary.full_text() == "Do not use"


def test_stop_and_keep_gives_a_model_and_a_result(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.may_end.clear()
    loaded.commands.do("train")
    qtbot.waitUntil(lambda: loaded.centre.training.details.plot.tabs.count() > 0)
    assert loaded.session.state is State.TRAINING
    loaded.commands.do("stop_and_keep")
    assert loaded.session.state is State.STOPPING
    assert not loaded.run_bar.next_button.isEnabled()
    assert not loaded.run_bar.other_button.hasFocus()
    assert loaded.run_bar.progress.words.text() == "Step 2 of 5 · Learning the noise · measuring"
    qtbot.waitUntil(lambda: loaded.session.state is State.DENOISING)
    qtbot.waitUntil(lambda: loaded.run_bar.progress.words.text() == "Step 5 of 5 · Denoising")
    core.may_end.set()
    qtbot.waitUntil(lambda: loaded.session.state is State.DONE)
    assert core.saw_finish_early
    assert loaded.session.denoiser is not None


def test_cancel_while_training_leaves_everything_as_it_was(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.may_end.clear()
    loaded.commands.do("train")
    loaded.commands.do("cancel")
    assert loaded.session.state is State.CANCELLING
    qtbot.waitUntil(lambda: loaded.session.state is State.READY)
    assert loaded.session.denoiser is None
    assert loaded.session.patches is not None
    assert loaded.run_bar.next_button.text() == "Train and denoise"
    core.may_end.set()
    trained(loaded, qtbot)


def test_a_long_training_is_discarded_only_after_a_question(
    loaded: MainWindow, core: FakeCore, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    core.may_end.clear()
    answers = iter(dialogs.Running)
    monkeypatch.setattr(dialogs, "ask_cancelling", lambda _parent: next(answers))
    loaded.commands.do("train")
    loaded.workflow._started -= 31.0
    loaded.commands.do("cancel")
    assert loaded.session.state is State.TRAINING
    loaded.commands.do("cancel")
    assert loaded.session.state is State.STOPPING
    qtbot.waitUntil(lambda: loaded.session.state is State.DENOISING)


def test_cancel_while_denoising_keeps_the_model(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.may_end.clear()
    loaded.commands.do("train")
    loaded.commands.do("stop_and_keep")
    qtbot.waitUntil(lambda: loaded.session.state is State.DENOISING)
    loaded.commands.do("cancel")
    qtbot.waitUntil(lambda: loaded.session.state is State.READY)
    assert loaded.session.denoiser is not None
    assert loaded.run_bar.other_button.text() == "Use the model"


def test_a_failure_is_one_sentence_and_the_window_goes_on(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.error = InputError("The stack is too small. Take one of 64 x 64 pixels.")
    loaded.commands.do("train")
    qtbot.waitUntil(lambda: loaded.session.failure is not None)
    assert loaded.findChild(dialogs.ErrorDialog) is None
    assert loaded.banner.isVisible()
    assert loaded.banner.words.text() == "The stack is too small. Take one of 64 x 64 pixels."
    assert loaded.run_bar.headline.text() == "Train did not work; the reason is above."
    loaded.banner.copy.click()
    assert "InputError" in QGuiApplication.clipboard().text()
    core.error = None
    trained(loaded, qtbot)
    assert loaded.session.failure is None


def test_a_bad_file_leaves_the_former_stack(
    loaded: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    stack = loaded.session.stack
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"II*\0 not a TIFF")
    loaded.commands.open_paths([bad])
    qtbot.waitUntil(lambda: loaded.session.state is State.READY)
    assert loaded.session.stack is stack
    assert loaded.findChild(dialogs.ErrorDialog) is None
    assert "bad.tif" in loaded.banner.words.text()
    assert loaded.side.data.header.toolTip() == "Show the step Data, which is done."
    assert "Ready to train" in loaded.run_bar.headline.text()
    loaded.banner.close_button.click()
    assert not loaded.banner.isVisible()


def test_patch_settings_ask_the_whole_stack_again(loaded: MainWindow, qtbot: QtBot) -> None:
    loaded.side.patches.settings_changed.emit(PatchSettings(strictness=0.9, stride_px=16))
    assert loaded.session.patches is None
    assert loaded.side.patches.count.text() == "Looking..."
    qtbot.waitUntil(lambda: loaded.session.patches is not None)
    assert loaded.session.patches is not None
    assert loaded.session.patches.stride_px == 16


def test_the_preset_is_a_set_of_settings(loaded: MainWindow, qtbot: QtBot) -> None:
    loaded.side.train.presets.buttons["paper"].click()
    assert loaded.session.settings == preset("paper")
    assert loaded.side.patches.form.settings == preset("paper").patches
    qtbot.waitUntil(lambda: loaded.session.expected is not None)


def test_the_part_that_is_watched_is_what_was_in_view_until_another_is_chosen(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.may_end.clear()
    view = loaded.centre.viewer.stack_view
    view.show_frame(1)
    view.pane.zoom(8.0)
    seen = view.region()
    assert seen.width < 96
    loaded.commands.do("train")
    run, page = loaded.workflow._job.run, loaded.centre.training
    assert run.region == page.region == seen
    assert page.picker.isVisible()
    pane = page.picker.pane
    ends = [pane.to_widget(x, y).toPoint() for x, y in ((20.0, 30.0), (60.0, 50.0))]
    qtbot.mousePress(pane.viewport(), Qt.MouseButton.LeftButton, pos=ends[0])
    qtbot.mouseMove(pane.viewport(), ends[1])
    qtbot.mouseRelease(pane.viewport(), Qt.MouseButton.LeftButton, pos=ends[1])
    dragged = run.region
    assert (dragged.left, dragged.width) == (pytest.approx(20, abs=1), pytest.approx(40, abs=1))
    assert (dragged.top, dragged.height) == (pytest.approx(30, abs=1), pytest.approx(20, abs=1))
    assert dragged.frame == 1
    assert page.split.image.shape == (dragged.height, dragged.width)  # noisy, at once
    qtbot.mouseClick(pane.viewport(), Qt.MouseButton.LeftButton, pos=ends[1])
    assert (run.region.height, run.region.width) == (dragged.height, dragged.width)
    assert run.region.left == pytest.approx(60 - dragged.width / 2, abs=1)
    qtbot.keyClick(page.picker, Qt.Key.Key_Left)
    assert run.region.left == pytest.approx(60 - 3 * dragged.width / 4, abs=2)
    page.picker.sliders.show_frame(0)
    assert run.region.frame == 0
    pane.chosen.emit(QRectF(-50, -50, 4, 4))  # is brought inside, and to a size one can see
    assert run.region == ShownRegion(0, 0, 0, 16, 16)


def test_a_training_is_one_picture_and_one_sentence(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    page, seen = loaded.centre.training, []

    def look(event: object) -> None:
        seen.append((type(event).__name__, page.main.currentIndex(), page.split.is_split))

    loaded.workflow.happened.connect(look)
    core.may_end.clear()
    loaded.commands.do("train")
    qtbot.waitUntil(lambda: ("NoiseReady", 1, False) in seen)
    assert loaded.centre.view is page
    assert page.sentence.text() == "Learning to imitate the noise of your images."
    assert page.left.text() == "Measuring..."
    assert page.likeness.text().startswith("The made noise looks like the real noise")
    assert page.real.image.shape == page.made.image.shape
    assert page.details.noise.real.image.shape == page.real.image.shape
    assert page.details.noise.more.text().startswith("After 3 steps. ")
    assert not page.details.isVisible()  # until it is asked for
    page.fold.button.click()
    assert page.details.plot.isVisible()
    core.may_end.set()
    qtbot.waitUntil(lambda: loaded.session.state is State.DONE)
    assert ("PreviewReady", 0, True) in seen
    assert page.details.plot.tabs.tabText(0) == "Learning the noise"
    assert page.details.plot.tabs.tabText(1) == "Quality"


def test_a_training_waits_while_it_is_paused(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.may_end.clear()
    loaded.commands.do("train")
    qtbot.waitUntil(lambda: loaded.run_bar.progress.bar.toolTip() == "5 of 10")
    loaded.run_bar.first_button.click()
    assert loaded.session.state is State.PAUSED
    assert loaded.run_bar.first_button.text() == "Go on"
    assert loaded.centre.training.sentence.text().startswith("Paused.")
    qtbot.wait(100)  # for its next check
    core.may_end.set()
    qtbot.wait(200)
    assert loaded.session.state is State.PAUSED
    loaded.run_bar.first_button.click()
    qtbot.waitUntil(lambda: loaded.session.state is State.DONE)


def test_a_paused_training_is_stopped_and_kept(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.may_end.clear()
    loaded.commands.do("train")
    loaded.commands.do("pause")
    loaded.commands.do("stop_and_keep")
    qtbot.waitUntil(lambda: loaded.session.state is State.DENOISING)
    core.may_end.set()
    qtbot.waitUntil(lambda: loaded.session.state is State.DONE)
    assert core.saw_finish_early


def test_while_training_the_page_and_card_follow(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    core.may_end.clear()
    loaded.commands.do("train")
    qtbot.waitUntil(lambda: loaded.run_bar.progress.bar.toolTip() == "5 of 10")
    assert loaded._view.page is Page.TRAINING
    assert loaded.side.train.stepper.isVisible()
    assert not loaded.side.train.presets.isVisible()
    assert loaded.side.train.hint.isVisible()
    bar = loaded.run_bar
    buttons = (bar.first_button, bar.next_button, bar.other_button)
    assert [button.property("primary") for button in buttons] == [None, False, None]
    assert [button.text() for button in buttons] == ["Pause", "Stop and keep", "Cancel"]
    assert loaded.run_bar.progress.words.text() == "Step 2 of 5 · Learning the noise · measuring"
    assert loaded.run_bar.progress.bar.maximum() == 0  # until the time left is known
    core.may_end.set()
    qtbot.waitUntil(lambda: loaded.session.state is State.DONE)
    assert not loaded.run_bar.first_button.isVisible()
    assert loaded.run_bar.next_button.property("primary") is True
    assert loaded.run_bar.next_button.width() > loaded.run_bar.other_button.width()


def test_export_writes_the_file_and_says_so(
    loaded: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    import numpy as np
    import tifffile

    trained(loaded, qtbot)
    target = tmp_path / "µ out" / "é.tif"
    target.parent.mkdir()
    loaded.workflow.export(ExportChoice(target))
    qtbot.waitUntil(lambda: loaded.session.exported is not None)
    assert loaded.session.exported == target
    assert np.array_equal(tifffile.imread(target), loaded.session.stack.pixels // 2)
    assert "é.tif" in loaded.strip.message.full_text()
    card = loaded.side.export
    checked = "é.tif\nRead back and checked: T 2 · 96 × 96 · 0.1 µm · 16 bit"
    assert card.done.text() == checked
    assert card.folder.full_text() == f"In {target.parent}"
    assert card.what.isHidden()
    loaded.session.set_pixel_size(PixelSize(0.2, 0.2))
    assert card.done.text() == checked  # what the file holds has not changed
    loaded.session.set_exported(Path(target), "float32")
    assert card.done.text().endswith("0.2 µm · 32-bit float")
    assert loaded.session.denoised is not None
    assert loaded.run_bar.next_button.text() == "Open another stack..."


def test_an_export_that_fails_is_told_and_can_be_repeated(
    loaded: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    trained(loaded, qtbot)
    loaded.workflow.export(ExportChoice(tmp_path / "missing" / "out.tif"))
    qtbot.waitUntil(lambda: loaded.session.failure is not None)
    assert loaded.session.state is State.DONE
    assert loaded.session.exported is None
    assert loaded.banner.isVisible()
    loaded.workflow.export(ExportChoice(tmp_path / "out.tif"))
    qtbot.waitUntil(lambda: loaded.session.exported is not None)


MATCH = {"std_ratio": 1.0, "correlation": 0.02, "spectrum": 0.03, "kurtosis": 0.3}
CARD = {
    "trained_on": ["cells.tif"],
    "seconds": 100.0,
    "preset": "quick",
    "noise": [
        {
            "match": MATCH
            | dict.fromkeys(("correlation_error", "spectrum_error"), 0.0)
            | {"kurtosis_error": 0.0},
            "generator": "ResampledNoise",
            "patches": 262,
        }
    ],
    "first_estimate": {"chosen": "noisier2noise"},
    "chosen_round": 2,
    "rounds": [
        {"round": 1, "error": 0.035, "range": 0.009, "warnings": []},
        {"round": 2, "error": 0.03, "range": 0.009, "warnings": []},
        {"round": 3, "error": 0.02, "range": 0.009, "warnings": ["it takes structure"]},
    ],
    "last_pass": {"share": 1.0, "errors": {"1.0": 0.03, "0.5": 0.031, "0.0": 0.033}},
}
TOLD = {
    "Learned noise": "85 % match",
    "First estimate": "noisier2noise",
    "Round": "2 of 3",
    "Last pass": "taken",
}


def told(window: MainWindow) -> dict[str, str]:
    return {found.name: found.value for found in window.side.compare.quality.learned.findings}


def test_after_training_the_window_tells_what_was_learned_and_chosen(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    quality = loaded.side.compare.quality
    loaded.side.compare.checks.button.click()
    assert not quality.learned.isVisible()
    core.card = CARD
    trained(loaded, qtbot)
    assert quality.learned.isVisible()
    assert told(loaded) == TOLD
    qtbot.waitUntil(lambda: bool(quality.blind.findings), timeout=30_000)
    assert verdict(quality.findings) in loaded.side.compare.checks.button.text()
    assert verdict(quality.findings).split()[2] == str(
        1 + int(verdict(quality.blind.findings).split()[2])
    )  # the match counts as a check
    assert "re-sampled real noise stands in" in quality.learned.findings[0].meaning
    assert "Round 3: 2.0 % ± 0.9, but it takes structure" in quality.learned.findings[2].tip


def test_a_model_file_tells_what_was_learned_and_chosen(
    loaded: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.stand_ins import FakeDenoiser

    card = {**CARD, "trained_on": ["a_stack_with_a_long_name_that_no_line_can_hold" * 2]}
    monkeypatch.setattr(
        tasks, "load_model", lambda _path, _run: FakeDenoiser(preset("quick"), card)
    )
    loaded.workflow.open_model(Path("other.g2g"))
    qtbot.waitUntil(lambda: loaded.session.alike is not None)
    assert loaded.session.state is State.READY  # it is asked first
    assert loaded.run_bar.next_button.text() == "Use the model"
    loaded.run_bar.next_button.click()
    qtbot.waitUntil(lambda: loaded.session.state is State.DONE)
    loaded.side.compare.checks.button.click()
    assert told(loaded) == TOLD
    learned = loaded.side.compare.quality.learned
    assert learned.note.text().startswith("From the model other.g2g. ")
    assert "Trained on a_stack_with_a_l..." in learned.note.text()
    side = loaded.side
    qtbot.waitUntil(lambda: side.widget().width() == side.viewport().width())
    corner = learned.mapTo(side.widget(), learned.rect().bottomRight())
    assert corner.x() < side.viewport().width()


def test_a_model_dropped_first_waits_for_its_stack(
    window: MainWindow,
    core: FakeCore,
    stack_file: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tests.support.stand_ins import FakeDenoiser

    monkeypatch.setattr(tasks, "load_model", lambda _path, _run: FakeDenoiser(preset("quick")))
    window.commands.open_paths([Path("cells.g2g")])
    qtbot.waitUntil(lambda: window.session.denoiser is not None)
    assert window.session.state is State.EMPTY
    window.commands.open_paths([stack_file])
    qtbot.waitUntil(lambda: window.session.alike is not None)
    assert window.session.state is State.READY
    assert window.side.train.match.isVisible()
    assert window.side.train.match.title.text() == "Use cells.g2g, or train on this stack?"
    window.commands.do("denoise")
    qtbot.waitUntil(lambda: window.session.state is State.DONE)
    assert core.trained == []
    assert window.side.train.header.summary.full_text() == "cells.g2g, without training"


def test_a_model_that_does_not_suit_says_so_until_the_export(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.stand_ins import FakeDenoiser

    other = Finding("Kind of image", "intensities → CT (HU)", Level.RED, "Nothing in common.")
    core.alike = Likeness((other,))
    monkeypatch.setattr(tasks, "load_model", lambda _path, _run: FakeDenoiser(preset("quick")))
    loaded.workflow.open_model(Path("other.g2g"))
    qtbot.waitUntil(lambda: loaded.session.alike is not None)
    assert loaded.run_bar.next_button.text() == "Train and denoise"
    loaded.run_bar.other_button.click()
    qtbot.waitUntil(lambda: loaded.session.result is not None)
    qtbot.waitUntil(lambda: loaded.session.result.judgement is not None, timeout=30_000)
    unlike = "The model was trained on another kind of stack (kind of image); train on this one."
    assert loaded.side.compare.verdict.text() == "Do not use"
    assert loaded.side.compare.reason.text() == unlike
    loaded.session.show(Step.EXPORT)
    assert loaded.side.export.warnings.text() == unlike
    assert loaded.session.result.warnings == (unlike,)
    monkeypatch.setattr(dialogs, "confirm", lambda *_: True)


def test_a_model_that_was_trained_here_is_asked_about_on_the_next_stack(
    loaded: MainWindow, core: FakeCore, stack_file: Path, qtbot: QtBot
) -> None:
    trained(loaded, qtbot)
    other = stack_file.with_name("other.tif")
    other.write_bytes(stack_file.read_bytes())
    loaded.commands.open_paths([other])
    qtbot.waitUntil(lambda: loaded.session.alike is not None)
    assert loaded.session.state is State.READY
    assert "or train on this stack?" in loaded.run_bar.headline.text()


def test_a_stack_that_nothing_can_be_learned_from_is_never_ready(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    import numpy as np
    import tifffile

    for name, pixels, said in (
        ("one.tif", np.ones((1, 1), np.uint16), "at least 16 x 16 are needed"),
        ("constant.tif", np.full((64, 64), 7, np.uint16), "there is no noise to learn from"),
    ):
        tifffile.imwrite(tmp_path / name, pixels)
        window.commands.open_paths([tmp_path / name])
        qtbot.waitUntil(lambda said=said: said in window.run_bar.headline.text())
        assert window.run_bar.next_button.text() == "Open another stack..."
        assert not window.menus.actions["train"].isEnabled()
        assert not window.banner.isVisible()
        assert window.side.data.header.toolTip() == "Show the step Data, which has failed."


def test_the_advice_on_patches_is_a_button(loaded: MainWindow, qtbot: QtBot) -> None:
    loaded.session.set_patch_settings(PatchSettings(strictness=0.02, patch_size_px=32))
    qtbot.waitUntil(lambda: loaded.session.patches is not None)
    advised = loaded.session.patches.verdict.remedy
    assert advised is not None
    loaded.session.show(Step.PATCHES)
    assert loaded.side.patches.remedy.isVisible()
    assert loaded.side.patches.remedy.text() == loaded.run_bar.next_button.text()
    loaded.side.patches.remedy.click()
    assert loaded.session.settings.patches == advised
    loaded.menus.actions["undo"].trigger()
    assert loaded.session.settings.patches.strictness == 0.02


def test_a_file_is_closed(loaded: MainWindow, qtbot: QtBot) -> None:
    loaded.menus.actions["close"].trigger()
    assert loaded.session.state is State.EMPTY
    assert loaded.centre.start.isVisible()
    assert loaded.windowTitle() == "g2g desktop"


def test_train_again_is_one_button_and_results_are_kept(
    loaded: MainWindow, core: FakeCore, qtbot: QtBot
) -> None:
    trained(loaded, qtbot)
    assert not loaded.side.compare.results.isVisible()
    assert loaded.run_bar.other_button.text() == "Train again"
    loaded.run_bar.other_button.click()
    qtbot.waitUntil(lambda: loaded.session.several)
    results = loaded.session.results
    assert len(core.trained) == 2
    assert loaded.side.compare.results.count() == 2
    loaded.menus.actions["next_result"].trigger()
    assert loaded.session.denoised is results.every[0].denoised
    assert loaded.side.compare.results.currentIndex() == 0
    loaded.side.compare.results.activated.emit(1)
    assert loaded.session.denoised is results.every[1].denoised


def test_an_answer_to_an_old_question_is_dropped(loaded: MainWindow) -> None:
    loaded.session.set_patch_settings(PatchSettings(strictness=0.5))
    loaded.workflow.questions.take_patches("found with other settings")
    assert loaded.session.patches is None


def test_unexpected_errors_become_a_sentence_with_details() -> None:
    failure = Failure.of(Step.TRAIN, ZeroDivisionError("division by zero"))
    assert failure.sentence == (
        "Something unexpected happened (ZeroDivisionError: division by zero)."
    )
    assert "ZeroDivisionError" in failure.details
    assert Failure.of(Step.DATA, MemoryError()).sentence.startswith("The memory is used up")
    assert Failure.of(Step.DATA, InputError("No.")) == Failure(
        Step.DATA, "No.", Failure.of(Step.DATA, InputError("No.")).details
    )


def test_a_result_is_closed_only_after_a_question(
    loaded: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(loaded, qtbot)
    questions: list[str] = []
    answers = iter([False, True])

    def answer(_parent: object, _title: str, text: str, _yes: str) -> bool:
        questions.append(text)
        return next(answers)

    monkeypatch.setattr(dialogs, "confirm", answer)
    loaded.commands.do("close")
    assert loaded.session.state is State.DONE
    loaded.commands.do("close")
    assert loaded.session.state is State.EMPTY
    assert questions == ["The denoised stack has not been exported and would be lost."] * 2


def test_a_reference_is_measured_against(
    loaded: MainWindow, stack_file: Path, qtbot: QtBot
) -> None:
    trained(loaded, qtbot)
    quality = loaded.side.compare.quality
    qtbot.waitUntil(lambda: bool(quality.blind.findings), timeout=30_000)
    loaded.workflow.open_reference(stack_file)
    qtbot.waitUntil(lambda: bool(quality.reference.findings), timeout=30_000)
    assert any("PSNR" in finding.name for finding in quality.reference.findings)
