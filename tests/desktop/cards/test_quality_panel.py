"""The figures on a result, and the words for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget

from g2g_desktop.cards.quality_card import QualityCard
from g2g_desktop.cards.quality_panel import MEASURING, QualityPanel
from g2g_desktop.cards.side_panel import SidePanel
from training_core.quality import measures as quality
from training_core.quality.measures import BlindQuality, ReferenceQuality
from training_core.reporting.findings import (
    Level,
    blind_findings,
    card_findings,
    range_sentence,
    reference_findings,
    verdict,
)
from training_core.stack import PixelSize, Stack

GOOD = BlindQuality(
    noise_sigma_before=12.4,
    noise_sigma_after=2.1,
    residual_to_noise=1.0,
    residual_unevenness=0.05,
    residual_autocorrelation=(0.02, -0.03),
    residual_signal_correlation=0.04,
    mean_shift_percent=-0.12,
    slope=1.0,
    intercept=0.0,
    frc_resolution_um=0.42,
    resolution_method="frc",
)


CARD = {
    "trained_on": ["cells.tif"],
    "seconds": 100.0,
    "preset": "quick",
    "noise": [
        {
            "match": {"std_ratio": 1.0, "correlation": 0.02, "spectrum": 0.03, "kurtosis": 0.04}
            | {"correlation_error": 0.0, "spectrum_error": 0.0, "kurtosis_error": 0.0},
            "generator": "StationaryGenerator",
            "patches": 262,
        }
    ],
    "chosen_round": 1,
    "rounds": [{"round": 1, "error": 0.034, "range": 0.009, "warnings": []}],
}


def levels(**changes: object) -> dict[str, Level]:
    return {f.name: f.level for f in blind_findings(replace(GOOD, **changes))}


def test_a_good_result_is_green_and_says_why() -> None:
    found = {f.name: f for f in blind_findings(GOOD)}
    assert found["Noise"].value == "12.4 → 2.1 grey values (−83 %)"
    assert found["Mean brightness"].value == "−0.12 %"
    assert found["Mean brightness"].meaning == "Overall brightness is unchanged."
    assert found["Structure lost"].value == "none seen (5 %)"
    assert "Warns above 15 %" in found["Structure lost"].tip
    assert found["Pattern in what was removed"].value == "that of noise (−0.03)"
    assert found["Smallest detail"].value == "0.42 µm"
    assert [f.level for f in found.values()] == [Level.GREEN] * 4 + [Level.NEUTRAL]
    assert all(f.meaning.endswith(".") for f in found.values())


@pytest.mark.parametrize(
    ("name", "changes", "level"),
    [
        ("Noise", {"noise_sigma_after": 9.0}, Level.AMBER),
        ("Noise", {"noise_sigma_after": 12.0}, Level.RED),
        ("Noise", {"noise_sigma_before": 0.0}, Level.NEUTRAL),
        ("Noise", {"noise_sigma_before": None, "noise_sigma_after": None}, Level.NEUTRAL),
        ("Structure lost", {"residual_unevenness": 0.2}, Level.AMBER),
        ("Structure lost", {"residual_unevenness": 0.5}, Level.RED),
        ("Structure lost", {"residual_unevenness": None}, Level.NEUTRAL),
        ("Pattern in what was removed", {"residual_autocorrelation": (0.6, 0.58)}, Level.AMBER),
        ("Mean brightness", {"mean_shift_percent": 0.8}, Level.AMBER),
        ("Mean brightness", {"mean_shift_percent": -1.2}, Level.RED),
        ("Smallest detail", {"frc_resolution_um": None}, Level.NEUTRAL),
    ],
)
def test_what_is_not_good_is_said(name: str, changes: dict[str, object], level: Level) -> None:
    assert levels(**changes)[name] is level


def test_the_method_is_named_in_the_tooltip_only() -> None:
    for method, named in (("frc", "FRC"), ("decorrelation", "decorrelation")):
        found = blind_findings(replace(GOOD, resolution_method=method))[-1]
        assert named in found.tip
        assert named not in found.meaning


def test_a_verdict_counts_what_was_judged() -> None:
    assert verdict([]) == ""
    assert verdict(blind_findings(GOOD)) == "4 of 4 checks good"
    worse = blind_findings(replace(GOOD, mean_shift_percent=3.0, noise_sigma_before=0.0))
    assert verdict(worse) == "2 of 3 checks good, 1 not known"


def test_a_pattern_that_the_noise_has_is_no_fault() -> None:
    quality = replace(GOOD, residual_autocorrelation=(0.62, 0.58))
    noise = {"correlation_x": [1.0, 0.6], "correlation_y": [1.0, 0.59]}
    found = blind_findings(quality, card={"noise": [noise]})[2]
    assert found.level is Level.GREEN
    assert found.meaning == "What was removed has the pattern of the noise that was learned."
    white = {"correlation_x": [1.0, 0.01], "correlation_y": [1.0, 0.0]}
    found = blind_findings(quality, card={"noise": [white]})[2]
    assert found.level is Level.AMBER
    assert "otherwise than the learned noise" in found.meaning


def test_where_texture_is_like_noise_nothing_is_said_of_structure() -> None:
    found = {f.name: f for f in blind_findings(GOOD, card={"doubted": [1]})}
    for name in ("Noise", "Structure lost"):
        assert (found[name].value, found[name].level) == ("not known", Level.NEUTRAL)


def test_noise_that_was_kept_is_no_reason_to_train_longer() -> None:
    left = replace(GOOD, noise_sigma_after=0.7 * GOOD.noise_sigma_before)
    told = {
        (kept, foreign): blind_findings(left, card={"kept_noise": kept}, foreign=foreign)[0].meaning
        for kept in (0.0, 0.6)
        for foreign in (False, True)
    }
    assert told == {
        (0.0, False): "Some noise is left; train longer.",
        (0.6, False): "Some noise is left; raise the strength.",
        (0.0, True): "Some noise is left; train on this stack.",
        (0.6, True): "Some noise is left; train on this stack.",
    }


def test_large_noise_has_no_exponent() -> None:
    found = blind_findings(replace(GOOD, noise_sigma_before=1580.4, noise_sigma_after=298.2))
    assert found[0].value == "1580 → 298 grey values (−81 %)"


def test_small_detail_is_said_in_nanometres_and_zero_has_no_sign() -> None:
    found = blind_findings(replace(GOOD, frc_resolution_um=0.083, mean_shift_percent=-0.001))
    assert found[-1].value == "83 nm"
    assert found[-2].value == "0.00 %"
    assert blind_findings(replace(GOOD, frc_resolution_um=2620.69))[-1].value == "2.62 mm"


def reference(psnr: float, ssim: float, nrmse: float, **more: object) -> ReferenceQuality:
    values = {"rmse": 1.0, "range_invariant_psnr": psnr, "data_range": 255.0, "window": None}
    return ReferenceQuality(psnr, ssim, nrmse, **{**values, **more})


def test_with_a_reference_the_gain_is_judged() -> None:
    better = reference_findings(reference(22.88, 0.456, 0.07), reference(31.5, 0.848, 0.03))
    assert [f.value for f in better] == ["22.88 → 31.50 dB", "0.456 → 0.848", "0.0700 → 0.0300"]
    assert {f.level for f in better} == {Level.GREEN}
    worse = reference_findings(reference(31.5, 0.848, 0.03), reference(22.88, 0.456, 0.07))
    assert {f.level for f in worse} == {Level.RED}


def test_the_range_is_stated() -> None:
    assert range_sentence(reference(30, 0.9, 0.1)) == "Data range 255."
    ct = reference(30, 0.9, 0.1, data_range=400.0, window=(-160.0, 240.0))
    assert range_sentence(ct) == "Data range 400, both clipped to −160 to 240 HU first."


def test_what_was_learned_is_judged_and_what_was_chosen_is_not() -> None:
    noise, chosen = card_findings(CARD)
    assert (noise.name, noise.value, noise.level) == ("Learned noise", "97 % match", Level.GREEN)
    assert noise.tip.endswith("\nLearned from 262 smooth patches.")
    assert (chosen.name, chosen.value, chosen.level) == ("Round", "1 of 1", Level.NEUTRAL)
    assert verdict(card_findings(CARD)) == "1 of 1 checks good"
    resampled = [CARD["noise"][0] | {"generator": "ResampledNoise"}]
    assert card_findings(CARD | {"noise": resampled})[0].level is Level.AMBER


@pytest.fixture
def panel(qtbot) -> QualityPanel:
    widget = QualityPanel()
    qtbot.addWidget(widget)
    widget.resize(330, 700)
    widget.show()
    return widget


@pytest.fixture
def stacks() -> tuple[Stack, Stack, Stack]:
    rng = np.random.default_rng(11)
    rows, columns = np.mgrid[:128, :128]
    clean = 100 + 60 * (np.hypot(rows - 64, columns - 64) < 40)
    noisy = np.rint(clean + rng.normal(0, 12, clean.shape)).clip(0, 255).astype(np.uint8)
    denoised = np.rint(clean + rng.normal(0, 2, clean.shape)).astype(np.uint8)
    size = PixelSize(0.1, 0.1)
    return tuple(Stack(p, "YX", size) for p in (noisy, denoised, clean.astype(np.uint8)))


def finish(qtbot, panel: QualityPanel, *stacks: Stack) -> None:
    with qtbot.waitSignal(panel.assessed):
        panel.assess(*stacks)
    qtbot.waitUntil(lambda: not panel._job.is_running)


def words(panel: QualityPanel) -> str:
    return " ".join(label.text() for label in panel.findChildren(QLabel) if label.isVisible())


def test_without_a_reference_there_is_no_psnr(qtbot, panel: QualityPanel, stacks) -> None:
    noisy, denoised, _ = stacks
    finish(qtbot, panel, noisy, denoised)
    expected = blind_findings(quality.assess(noisy, denoised))
    assert panel.blind.findings == expected
    assert panel.reference.findings == []
    assert "PSNR" not in words(panel)
    assert expected[0].value in words(panel)


def test_a_reference_fills_the_second_card(qtbot, panel: QualityPanel, stacks) -> None:
    noisy, denoised, clean = stacks
    with qtbot.waitSignal(panel.reference_requested):
        panel.add_button.setEnabled(True)
        qtbot.mouseClick(panel.add_button, Qt.MouseButton.LeftButton)
    finish(qtbot, panel, noisy, denoised, clean)
    before, after = (quality.compare_with_reference(s, clean) for s in (noisy, denoised))
    assert panel.reference.findings[0].value == f"{before.psnr:.2f} → {after.psnr:.2f} dB"
    assert panel.reference.note.text() == "Data range 255."


def test_a_reference_of_another_size_leaves_the_other_figures(qtbot, panel, stacks) -> None:
    noisy, denoised, clean = stacks
    small = Stack(clean.pixels[:64], "YX")
    finish(qtbot, panel, noisy, denoised, small)
    assert len(panel.blind.findings) == 5
    assert panel.reference.findings == []
    assert "128 × 64 px" in panel.reference.note.text()


def test_ct_is_marked_as_not_for_diagnosis(qtbot, panel: QualityPanel, stacks) -> None:
    ct = [replace(s, pixels=s.pixels.astype(np.int16) - 100, value_unit="HU") for s in stacks]
    finish(qtbot, panel, *ct)
    assert panel.blind.note.text() == "Hounsfield units; research use, not for diagnosis."
    assert panel.reference.note.text() == (
        "Data range 400, both clipped to −160 to 240 HU first. "
        "Hounsfield units; research use, not for diagnosis."
    )
    assert " HU (" in panel.blind.findings[0].value


def test_a_new_result_silences_the_measurement_of_the_last(qtbot, panel, stacks) -> None:
    noisy, denoised, _ = stacks
    panel.assess(noisy, noisy)
    finish(qtbot, panel, noisy, denoised)
    assert panel.blind.findings == blind_findings(quality.assess(noisy, denoised))
    panel.clear()
    assert panel.blind.findings == []


def test_a_failure_is_a_sentence(qtbot, panel: QualityPanel, stacks, monkeypatch) -> None:
    def broken(noisy: Stack, denoised: Stack) -> BlindQuality:
        raise quality.InputError("The stack is empty.")

    monkeypatch.setattr(quality, "assess", broken)
    panel.assess(stacks[0], stacks[1])
    assert panel.blind.note.text() == MEASURING
    qtbot.waitUntil(lambda: [f.meaning for f in panel.blind.findings] == ["The stack is empty."])
    qtbot.waitUntil(lambda: not panel._job.is_running)


def test_the_third_card_tells_of_the_training(qtbot, panel: QualityPanel) -> None:
    assert panel.learned.isHidden()
    panel.show_card(CARD)
    assert panel.learned.isVisible()
    shown = words(panel)
    assert "97 % match" in shown
    assert "1 of 1" in shown
    assert panel.learned.note.text().endswith("Trained on cells.tif in 2 min, preset quick.")
    panel.show_card(CARD, "cells.g2g")
    assert panel.learned.note.text().startswith("From the model cells.g2g. Chosen blind, ")
    row = next(r for r in panel.learned.findChildren(QWidget) if "Round: 1" in r.accessibleName())
    assert "Round 1: 3.4 % ± 0.9" in row.toolTip()
    assert row.accessibleDescription() == row.toolTip()
    panel.clear()
    assert panel.learned.isHidden()


def test_marks_take_the_colours_of_the_theme(qtbot, panel: QualityPanel, stacks) -> None:
    panel.blind.say(blind_findings(GOOD), "")
    for dark, colour in ((False, "#1a7f37"), (True, "#4cc26a")):
        panel.set_theme(dark)
        qtbot.wait(10)
        assert colour in words(panel)


def test_where_texture_and_noise_are_alike_that_is_red_and_comes_first() -> None:
    found = card_findings(CARD | {"doubted": [1]})
    assert [f.name for f in found[:2]] == ["Texture or noise", "Learned noise"]
    assert found[0].level is Level.RED
    assert "at most a third of what is found is taken away" in found[0].meaning
    assert found[1].level is Level.NEUTRAL  # a match with texture would say nothing
    assert next(f.name for f in card_findings(CARD | {"doubted": []})) == "Learned noise"


def test_long_figures_do_not_make_a_card_wider_than_its_panel(qtbot) -> None:
    card = QualityCard("Without a reference")
    qtbot.addWidget(card)
    found = blind_findings(GOOD)
    card.say([replace(one, value=f"{one.value} of a great many grey values") for one in found], "")
    card.show()
    assert card.minimumSizeHint().width() <= SidePanel.WIDTH - 80
