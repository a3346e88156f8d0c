from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np

from g2g_desktop.cards.train_card import TrainCard
from g2g_desktop.model.session import ExpectedTime
from training_core.areas import Area
from training_core.costs import Span
from training_core.run import (
    PreviewReady,
    ShownRegion,
    Stage,
    StageStarted,
)
from training_core.settings import (
    PRESETS,
    DenoiserSettings,
    NoiseModelSettings,
    PatchSettings,
    Settings,
    preset,
)

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from g2g_desktop.widgets.theme import Theme


def expected(least: float, most: float) -> ExpectedTime:
    return ExpectedTime(Span(least, most), {"quick": Span(least, most)})


def test_the_train_card_says_how_long_on_what(theme: Theme, qtbot: QtBot) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    card.show_settings(preset("quick"))
    card.show_estimate(expected(350.0, 350.0), "processor, 2 threads")
    assert card.estimate.text() == "About 6 min on this computer (processor, 2 threads)."
    assert card.presets.buttons["quick"].isChecked()
    card.show_estimate(None, "")
    assert card.estimate.text() == "Time: measuring..."
    card.show_estimate(ExpectedTime(None, {}), "")
    assert card.estimate.text() == "Time: measuring, with the first job on this computer."
    card.show_estimate(expected(60.0, 130.0), "")
    assert card.estimate.text() == "1 to 2 min."
    assert card.presets.buttons["quick"].text() == "Quick   1 to 2 min"
    card.show_made(None, "")
    assert card.header.summary.full_text() == "Quick, 1 to 2 min"


def test_the_presets_are_in_the_order_of_their_time(theme: Theme, qtbot: QtBot) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    assert tuple(card.presets.buttons) == PRESETS
    with qtbot.waitSignal(card.settings_changed) as heard:
        card.presets.buttons["instant"].click()
    assert heard.args == [preset("instant")]


def test_a_preset_keeps_seed_and_device(theme: Theme, qtbot: QtBot) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    card.show_settings(Settings(seed=7, device="cpu"))
    with qtbot.waitSignal(card.settings_changed) as heard:
        card.presets.buttons["paper"].click()
    assert heard.args == [preset("paper", seed=7, device="cpu")]


def test_a_preset_keeps_the_patches_that_the_user_chose(theme: Theme, qtbot: QtBot) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    mine = PatchSettings(strictness=0.3, patch_size_px=24)
    card.show_settings(Settings(patches=mine))
    with qtbot.waitSignal(card.settings_changed) as heard:
        card.presets.buttons["quick"].click()
    assert heard.args == [preset("quick", patches=mine)]


def test_half_of_two_settings_that_belong_together_is_said(qtbot: QtBot, theme: Theme) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    card.show_settings(Settings())
    advanced, heard = card.advanced, []
    card.settings_changed.connect(heard.append)

    def choose(part: str, name: str, value: str) -> None:
        editor = advanced.editor(part, name)
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
    assert advanced.editor("noise_model", "generator").value_now() == "g1"


def test_advanced_settings_change_what_they_say_and_nothing_else(
    theme: Theme, qtbot: QtBot
) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    before = preset("paper")
    card.show_settings(before)
    with qtbot.waitSignal(card.settings_changed) as heard:
        card.advanced.editor("denoiser", "rounds").stepBy(2)
    rounds = before.denoiser.rounds + 2
    assert heard.args == [replace(before, denoiser=replace(before.denoiser, rounds=rounds))]


def test_the_preview_is_announced_until_it_is_there(theme: Theme, qtbot: QtBot) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    card.show_running(True)
    card.take(StageStarted(Stage.NOISE_MODEL, 10))
    assert not card.hint.isHidden()
    patch = np.zeros((4, 4), np.float32)
    card.take(PreviewReady(Stage.FIRST_ESTIMATE, ShownRegion(0, 0, 0, 4, 4), patch, patch))
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
    card.show_estimate(expected(350.0, 350.0), "")
    card.show_made(None, "")
    assert card.header.summary.full_text() == "Quick, 6 min"
    more = preset("quick")
    card.show_settings(replace(more, denoiser=replace(more.denoiser, rounds=5)))
    card.show_estimate(expected(350.0, 350.0), "")
    card.show_made(None, "")
    assert card.header.summary.full_text() == "Quick, adjusted, 6 min"


def test_advanced_settings_are_found_marked_and_reset(theme: Theme, qtbot: QtBot) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    card.show()
    advanced = card.advanced
    advanced.fold.click()
    usual = preset("balanced")
    card.show_settings(replace(usual, denoiser=replace(usual.denoiser, rounds=5)))
    assert advanced.reset.text() == "Reset 1 changed setting"
    advanced.search.setText("hot pix")
    rounds = advanced.editor("denoiser", "rounds")
    assert advanced.editor("denoiser", "repair_hot_pixels").isVisible()
    assert not rounds.isVisible()
    assert not advanced.editor("noise_model", "steps").isVisible()
    advanced.search.setText("how long")  # a group
    assert rounds.isVisible()
    assert not advanced.editor("denoiser", "repair_hot_pixels").isVisible()
    advanced.search.setText("xyz")
    assert advanced.nothing.isVisible()
    advanced.search.clear()
    assert rounds.isVisible()
    with qtbot.waitSignal(card.settings_changed) as heard:
        advanced.reset.click()
    assert heard.args == [usual]
    card.show_settings(usual)
    assert not advanced.reset.isVisible()


def test_each_changed_setting_is_reset_by_itself(theme: Theme, qtbot: QtBot) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    card.show()
    card.advanced.fold.click()
    usual = preset("balanced")
    changed = replace(
        usual,
        denoiser=replace(usual.denoiser, rounds=5, kept_noise=0.5),
        noise_model=replace(usual.noise_model, steps=7),
    )
    card.show_settings(changed)
    resets = {
        (part, name): button
        for part, form in card.advanced.forms
        for name, button in form.resets.items()
    }
    shown = {key for key, button in resets.items() if button.isVisible()}
    steps, kept = ("noise_model", "steps"), ("denoiser", "kept_noise")
    assert shown == {("denoiser", "rounds"), kept, steps}
    assert resets[steps].toolTip() == "Take the usual value again: 1000"
    with qtbot.waitSignal(card.settings_changed) as heard:
        resets[kept].click()
    assert heard.args == [replace(changed, denoiser=replace(usual.denoiser, rounds=5))]
    card.show_settings(heard.args[0])
    assert not resets[kept].isVisible()
    assert card.advanced.reset.text() == "Reset 2 changed settings"


def test_every_setting_has_its_place_once(theme: Theme, qtbot: QtBot) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    placed = [(part, name) for part, form in card.advanced.forms for name in form.editors]
    parts = {"": Settings, "noise_model": NoiseModelSettings, "denoiser": DenoiserSettings}
    every = [
        (part, item.name)
        for part, kind in parts.items()
        for item in fields(kind)
        if "limits" in item.metadata and item.name != "preset"
    ]
    assert sorted(placed) == sorted(every)


def test_a_preset_keeps_what_was_painted(theme: Theme, qtbot: QtBot) -> None:
    card = TrainCard(theme)
    qtbot.addWidget(card)
    area = Area.of("out:0,0,8,8")
    card.show_settings(Settings(patches=PatchSettings(areas=(area,))))
    with qtbot.waitSignal(card.settings_changed) as heard:
        card.presets.buttons["paper"].click()
    assert heard.args[0].patches == replace(preset("paper").patches, areas=(area,))
