from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from g2g_desktop.cards.data_card import DataCard
from g2g_desktop.cards.patches_card import PatchesCard, count_text, percent
from g2g_desktop.cards.train_card import TrainCard
from g2g_desktop.model.view_state import duration_text
from g2g_desktop.model.wording import (
    axes_help,
    axes_text,
    bytes_text,
    file_text,
    pixel_size_text,
    pixels_text,
)
from g2g_desktop.pages import progress_panel
from g2g_desktop.pages.progress_panel import ProgressPanel
from g2g_desktop.widgets.labels import ElidedLabel, ToneLabel
from g2g_desktop.widgets.stepper import Stepper
from g2g_desktop.widgets.theme import Theme, Tone
from training_core.patches.smooth_patches import SmoothPatches, Verdict
from training_core.run import (
    Note,
    PreviewReady,
    Region,
    Stage,
    StageFinished,
    StageStarted,
    StepsDone,
)
from training_core.settings import Settings, preset
from training_core.stack import PixelSize, Stack

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


@pytest.fixture
def theme(qapp: object) -> Theme:
    return Theme("light")


def stack(axes: str = "ZYX", dtype: str = "uint16", **more: object) -> Stack:
    shape = tuple({"Z": 41, "C": 2, "T": 3, "Y": 5, "X": 7}[axis] for axis in axes)
    return Stack(np.zeros(shape, dtype), axes, **more)


def test_axes_are_written_as_chips_and_in_words() -> None:
    assert axes_text(stack("ZCYX")) == "Z 41 · C 2 · Y 5 · X 7"
    assert axes_help(stack("ZCYX")) == "depth 41, channels 2, 7 pixels wide, 5 high"


@pytest.mark.parametrize(
    ("dtype", "unit", "text"),
    [
        ("uint8", "", "8 bit"),
        ("uint16", "", "16 bit"),
        ("int16", "HU", "16 bit, signed, HU"),
        ("float32", "", "32-bit float"),
    ],
)
def test_bit_depth_in_words(dtype: str, unit: str, text: str) -> None:
    assert pixels_text(stack(dtype=dtype, value_unit=unit)) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (PixelSize(), ""),
        (PixelSize(0.108, 0.108), "0.108 µm"),
        (PixelSize(0.108, 0.108, 0.3), "0.108 µm · Z 0.3 µm"),
        (PixelSize(0.1, 0.2), "0.1 µm x 0.2 µm"),
        (PixelSize(700.0, 700.0, 5000.0), "0.7 mm · Z 5 mm"),
    ],
)
def test_pixel_size_in_words(size: PixelSize, text: str) -> None:
    assert pixel_size_text(stack(pixel_size=size)) == text


def test_what_a_file_holds_in_words() -> None:
    made = stack("ZCYX", pixel_size=PixelSize(0.108, 0.108, 0.3))
    text = "Z 41 · C 2 · 7 × 5 · 0.108 µm · Z 0.3 µm · 32-bit float"
    assert file_text(made, np.dtype(np.float32)) == text
    assert file_text(stack("YX"), np.dtype(np.uint8)) == "7 × 5 · 8 bit"


@pytest.mark.parametrize(
    ("count", "text"),
    [(512, "512 B"), (36_864, "36.9 kB"), (12_400_000, "12.4 MB"), (5_000_000_000, "5 GB")],
)
def test_sizes_in_words(count: int, text: str) -> None:
    assert bytes_text(count) == text


def test_the_data_card_shows_the_warnings_of_the_reader(theme: Theme, qtbot: QtBot) -> None:
    card = DataCard(theme)
    qtbot.addWidget(card)
    card.show_stack(replace(stack(), warnings=("The pixel size is missing.",)))
    assert card.warnings.text() == "The pixel size is missing."
    assert card.facts["Pixel size"].full_text() == "not in the file"
    card.show_stack(stack())
    assert card.warnings.isHidden()


def test_the_patches_card_says_count_coverage_and_verdict(theme: Theme, qtbot: QtBot) -> None:
    card = PatchesCard(theme)
    qtbot.addWidget(card)
    verdict = Verdict("red", "Found no smooth patch. Raise the strictness to 0.3.")
    found = SmoothPatches(
        np.zeros((3412, 3), np.int32), np.zeros(3412), 32, 8, None, 60, 0.184, verdict
    )
    card.show_patches(found)
    assert card.count.text() == count_text(3412)
    assert card.share.text() == f"on {percent(0.18)} of the stack"
    assert card.verdict.text() == verdict.sentence
    red = card.verdict.words.palette().color(card.verdict.words.foregroundRole())
    assert red == theme.colour(Tone.RED)
    assert not card.verdict.symbol.pixmap().isNull()
    card.show_frame_count(None, 1, 0.05)
    assert card.in_frame.text() == f"In this frame: 1 patch on {percent(0.05)}"


def test_numbers_are_grouped() -> None:
    assert count_text(1_234_567).replace("\N{NARROW NO-BREAK SPACE}", " ") == "1 234 567 patches"


def test_the_train_card_says_how_long_on_what(theme: Theme, qtbot: QtBot) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    card.show_settings(preset("quick"))
    card.show_estimate(350.0, "processor, 2 threads")
    assert card.estimate.text() == "About 6 min on this computer (processor, 2 threads)."
    assert card.presets.buttons["quick"].isChecked()
    card.show_estimate(None, "")
    assert card.estimate.text() == "Measuring how fast this computer is..."


def test_a_preset_keeps_seed_and_device(theme: Theme, qtbot: QtBot) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    card.show_settings(Settings(seed=7, device="cpu"))
    with qtbot.waitSignal(card.settings_changed) as heard:
        card.presets.buttons["paper"].click()
    assert heard.args == [preset("paper", seed=7, device="cpu")]


def test_half_of_two_settings_that_belong_together_is_said(qtbot: QtBot, theme: Theme) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    card.show_settings(Settings())
    advanced, heard = card.advanced, []
    card.settings_changed.connect(heard.append)

    def choose(part: str, name: str, value: str) -> None:
        editor = advanced.forms[part].editors[name]
        editor.setCurrentIndex(editor.findData(value))
        editor.activated.emit(editor.currentIndex())

    choose("noise_model", "generator", "g1")
    assert "choose both or neither" in advanced.problem.text()
    choose("denoiser", "first_estimate", "g2")
    assert "choose dncnn or unet" in advanced.problem.text()
    assert not heard
    assert not advanced.problem.isHidden()
    choose("denoiser", "network", "unet")
    assert [settings.noise_model.generator for settings in heard] == ["g1"]
    assert advanced.problem.isHidden()
    choose("noise_model", "generator", "convolutional")
    card.show_settings(heard[-1])
    assert advanced.problem.isHidden()
    assert advanced.forms["noise_model"].settings.generator == "g1"


def test_advanced_settings_change_what_they_say_and_nothing_else(
    theme: Theme, qtbot: QtBot
) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    before = preset("paper")
    card.show_settings(before)
    with qtbot.waitSignal(card.settings_changed) as heard:
        card.advanced.forms["denoiser"].editors["rounds"].stepBy(2)
    rounds = before.denoiser.rounds + 2
    assert heard.args == [replace(before, denoiser=replace(before.denoiser, rounds=rounds))]


def test_the_preview_is_announced_until_it_is_there(theme: Theme, qtbot: QtBot) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    card.show_running(True)
    card.take(StageStarted(Stage.NOISE_MODEL, 10))
    assert not card.hint.isHidden()
    patch = np.zeros((4, 4), np.float32)
    card.take(PreviewReady(Stage.FIRST_ESTIMATE, Region(0, 0, 0, 4, 4), patch, patch))
    assert card.hint.isHidden()
    card.show_running(True)
    assert card.hint.isHidden()
    card.clear_run()
    card.show_running(True)
    assert not card.hint.isHidden()


def test_an_adjusted_preset_is_called_so(theme: Theme, qtbot: QtBot) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    card.show_settings(preset("quick", seed=3))
    card.show_estimate(350.0, "")
    assert card.header.summary.full_text() == "Quick, 6 min"
    more = preset("quick")
    card.show_settings(replace(more, denoiser=replace(more.denoiser, rounds=5)))
    card.show_estimate(350.0, "")
    assert card.header.summary.full_text() == "Quick, adjusted, 6 min"


def test_the_stepper_follows_the_stages(theme: Theme, qtbot: QtBot) -> None:
    stepper = Stepper(theme, duration_text)
    qtbot.addWidget(stepper)
    stepper.take(StageStarted(Stage.PATCHES, 3))
    stepper.take(StageFinished(Stage.PATCHES, 41.0))
    stepper.take(StageStarted(Stage.ROUNDS, 400, "round 2 of 3"))
    said = {stage: label.accessibleName() for stage, label in stepper.symbols.items()}
    assert said[Stage.PATCHES] == "Finding smooth patches: done"
    assert said[Stage.NOISE_MODEL] == "Learning the noise: done"  # before an interruption
    assert said[Stage.DENOISE] == "Denoising: to come"
    assert said[Stage.ROUNDS] == "Training the denoiser: in progress"
    assert stepper.details[Stage.PATCHES].text() == "40 s"
    assert stepper.details[Stage.ROUNDS].text() == "round 2 of 3"
    stepper.clear()
    assert stepper.symbols[Stage.PATCHES].accessibleName().endswith("to come")
    stepper.take(StageStarted(Stage.DENOISE, 3))
    assert stepper.symbols[Stage.ROUNDS].accessibleName().endswith("to come")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand for the clock of the progress panel."""
    made = SimpleNamespace(now=1000.0)
    made.monotonic = lambda: made.now
    monkeypatch.setattr(progress_panel, "time", made)
    return made


def test_the_bar_of_a_training_is_that_of_the_whole_job(
    theme: Theme, qtbot: QtBot, clock: SimpleNamespace
) -> None:
    panel = ProgressPanel(theme)
    qtbot.addWidget(panel)
    panel.take(StageStarted(Stage.PATCHES, 3))
    panel.take(StepsDone(Stage.PATCHES, 2, 3))
    assert panel.bar.maximum() == 0
    clock.now += 83.0
    panel.take(StageStarted(Stage.ROUNDS, 400, "round 1 of 3"))
    panel.take(StepsDone(Stage.ROUNDS, 100, 400, {}, 249.0))
    assert (panel.bar.value(), panel.bar.maximum()) == (250, 1000)
    assert panel.words.text() == "Step 4 of 5 · round 1 of 3 · about 4 min left"
    assert panel.bar.toolTip() == "100 of 400"
    panel.take(StepsDone(Stage.ROUNDS, 101, 400, {}, 600.0))
    panel.take(StageStarted(Stage.DENOISE, 1))
    panel.take(StepsDone(Stage.DENOISE, 0, 1))
    assert panel.bar.value() == 250
    assert panel.words.text() == "Step 5 of 5 · Denoising"
    panel.take(Note("Fewer patches than asked for.", warning=True))
    assert panel.note.text() == "Fewer patches than asked for."
    panel.clear()
    assert panel.bar.maximum() == 0


def test_other_jobs_have_a_bar_per_stage(
    theme: Theme, qtbot: QtBot, clock: SimpleNamespace
) -> None:
    panel = ProgressPanel(theme)
    qtbot.addWidget(panel)
    panel.take(StageStarted(Stage.DENOISE, 4))
    panel.take(StepsDone(Stage.DENOISE, 3, 4))
    assert panel.bar.value() == 750
    assert panel.words.text() == "Denoising"
    panel.take(StageStarted(Stage.WRITE, 4))
    assert panel.bar.maximum() == 0
    panel.take(StepsDone(Stage.WRITE, 1, 4))
    assert panel.bar.value() == 250


def test_a_long_name_is_cut_and_whole_in_the_tooltip(qtbot: QtBot) -> None:
    label = ElidedLabel("a very long name of a file that no panel holds.tif")
    qtbot.addWidget(label)
    label.resize(80, 20)
    label.show()
    assert "\N{HORIZONTAL ELLIPSIS}" in label.text()
    assert label.toolTip() == "a very long name of a file that no panel holds.tif"


def test_a_tone_label_without_words_is_hidden(theme: Theme, qtbot: QtBot) -> None:
    label = ToneLabel(theme)
    qtbot.addWidget(label)
    label.say(Tone.GREEN, "Good.")
    assert not label.isHidden()
    label.say(Tone.GREEN, "")
    assert label.isHidden()
