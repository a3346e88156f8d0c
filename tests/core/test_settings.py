"""Settings: limits and sentences, plain values and back, presets, and what excludes each other."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from training_core.errors import SettingsError
from training_core.settings import (
    PRESETS,
    DenoiserSettings,
    NoiseModelSettings,
    PatchSettings,
    Settings,
    limits_of,
    preset,
)

PARTS = (PatchSettings, NoiseModelSettings, DenoiserSettings, Settings)
PUBLISHED = {
    "noise_model": NoiseModelSettings(generator="g1"),
    "denoiser": DenoiserSettings(first_estimate="g2", network="dncnn"),
}


def limited():
    for part in PARTS:
        for item in fields(part):
            if "limits" in item.metadata:
                yield pytest.param(part, item.name, id=f"{part.__name__}.{item.name}")


@pytest.mark.parametrize(("part", "name"), list(limited()))
def test_every_setting_has_a_label_a_help_and_a_default_within_its_limits(part, name):
    limits = limits_of(part, name)
    assert limits.label
    assert limits.help.endswith(".")
    default = getattr(part(), name)
    if limits.choices:
        assert default in limits.choices
    elif isinstance(default, bool | None):
        assert (limits.minimum is None) == isinstance(default, bool)
    else:
        assert limits.minimum <= default <= limits.maximum


@pytest.mark.parametrize(("part", "name"), list(limited()))
def test_every_limit_holds(part, name):
    limits = limits_of(part, name)
    if limits.minimum is None:
        with pytest.raises(SettingsError, match=limits.label):
            part(**{name: "nonsense"})
        return
    whole = isinstance(getattr(part(), name), int)
    step = 1 if whole else 1e-7
    for edge, beyond in ((limits.minimum, -step), (limits.maximum, step)):
        assert getattr(part(**{name: edge}), name) == edge
        with pytest.raises(SettingsError, match=f"^{limits.label} is .*choose a value from"):
            part(**{name: edge + beyond})


@pytest.mark.parametrize(
    ("part", "values", "sentence"),
    [
        (
            PatchSettings,
            {"patch_size_px": 8},
            "Patch size is 8 px; choose a value from 16 to 256 px.",
        ),
        (PatchSettings, {"most": None}, "Most patches is None; a whole number is needed."),
        (PatchSettings, {"strictness": "high"}, "Tolerance is 'high'; a number is needed."),
        (DenoiserSettings, {"steps": 2.5}, "Steps per round is 2.5; a whole number is needed."),
        (DenoiserSettings, {"rounds": True}, "Rounds is True; a whole number is needed."),
        (DenoiserSettings, {"collaborate": 1}, "Collaborative pass is 1; true or false is needed."),
        (
            DenoiserSettings,
            {"network": "resnet"},
            "Network is 'resnet'; choose one of pretrained, compact, dncnn, unet.",
        ),
    ],
)
def test_sentences(part, values, sentence):
    with pytest.raises(SettingsError) as caught:
        part(**values)
    assert str(caught.value) == sentence


def test_not_a_number_is_refused():
    with pytest.raises(SettingsError, match="Learning rate is nan"):
        DenoiserSettings(learning_rate=float("nan"))


def test_automatic_strictness_and_whole_numbers_are_accepted():
    assert PatchSettings(strictness=None).strictness is None
    assert PatchSettings(strictness=1).strictness == 1


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name):
    settings = preset(name, seed=5)
    assert (settings.preset, settings.seed) == (name, 5)
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_presets_differ_and_paper_is_the_published_method():
    instant, quick, balanced, paper = (preset(name) for name in PRESETS)
    assert (instant.denoiser.rounds, instant.noise_model.steps) == (0, 0)
    assert quick.denoiser.steps * quick.denoiser.rounds < (
        balanced.denoiser.steps * balanced.denoiser.rounds
    )
    assert paper.noise_model.generator == "g1"
    assert paper.noise_model.critic_steps == 5
    assert paper.patches == PatchSettings(strictness=0.42, patch_size_px=96, stride_px=24)
    # 20 500 crops in batches of 128, 30 epochs
    assert paper.denoiser.steps == pytest.approx(20_500 / 128 * 30, rel=0.01)
    assert (paper.denoiser.network, paper.denoiser.targets) == ("dncnn", "noisy")


def test_missing_parts_take_their_defaults():
    assert Settings.from_dict({}) == Settings()
    found = Settings.from_dict({"seed": 3, "denoiser": {"rounds": 2}})
    assert found == Settings(seed=3, denoiser=DenoiserSettings(rounds=2))


@pytest.mark.parametrize(
    "values",
    [{"colour": 1}, {"denoiser": {"colour": 1}}, {"patches": 3}, {"patches": None}],
)
def test_what_is_unknown_is_refused(values):
    with pytest.raises(SettingsError, match=r"^The settings cannot be read"):
        Settings.from_dict(values)


def test_unknown_names_are_refused():
    with pytest.raises(SettingsError, match="no preset 'fast'; choose one of instant, quick"):
        preset("fast")
    with pytest.raises(KeyError):
        limits_of(Settings, "colour")


@pytest.mark.parametrize(
    ("noise_model", "denoiser", "words"),
    [
        ({"generator": "g1"}, {}, "both or neither"),
        ({}, {"rounds": 0, "network": "compact"}, "Without training only the bundled network"),
        ({}, {"rounds": 0, "network": "dncnn"}, "Without training only the bundled network"),
        (
            {"generator": "g1", "steps": 0},
            {"first_estimate": "g2", "network": "dncnn"},
            "at least one step and one round",
        ),
        ({"generator": "g1"}, {"network": "dncnn"}, "both or neither"),
        ({}, {"first_estimate": "g2"}, "both or neither"),
        ({}, {"first_estimate": "g2", "network": "unet"}, "both or neither"),
        ({"generator": "g1"}, {"first_estimate": "g2"}, "choose dncnn or unet"),
    ],
)
def test_contradictions_are_one_sentence(noise_model, denoiser, words):
    parts = {
        "noise_model": NoiseModelSettings(**noise_model),
        "denoiser": DenoiserSettings(**denoiser),
    }
    with pytest.raises(SettingsError, match=words) as caught:
        Settings(**parts)
    assert str(caught.value).count(".") == 1
    with pytest.raises(SettingsError, match=words):
        Settings.from_dict({"noise_model": noise_model, "denoiser": denoiser})


@pytest.mark.parametrize("network", ["dncnn", "unet"])
def test_combinations_that_fit(network):
    assert Settings(**PUBLISHED).denoiser.first_estimate == "g2"
    plain = Settings(denoiser=DenoiserSettings(network=network))
    assert plain.noise_model.generator == "convolutional"
    both = replace(Settings(**PUBLISHED), denoiser=replace(PUBLISHED["denoiser"], network=network))
    assert both.denoiser.network == network
