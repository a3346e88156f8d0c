"""The model file: everything comes back to the bit, and nothing else is ever accepted."""

from __future__ import annotations

import json
import math
import os
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.support.made_up import denoiser, noise_model, scene, stack
from training_core.denoise.brightness import BrightnessCurve
from training_core.denoise.channel import Channel
from training_core.denoise.model_file import load_denoiser, save_denoiser
from training_core.denoise.tiled import denoise
from training_core.errors import ModelError, OutputError
from training_core.networks.published import NoiseGenerator
from training_core.noise.anscombe import Stabiliser
from training_core.noise.generator import MeasuredGenerator, ResampledNoise
from training_core.noise.match import NoiseMatch
from training_core.noise.model import GaussianNoise, PublishedNoise
from training_core.noise.strength_curve import NoiseCurve

NOISY = stack(
    np.random.default_rng(0).poisson(scene(48, 40, 20.0, 90.0), (2, 48, 40)).astype(np.uint16),
    "TYX",
)


def two_channels(**changes):
    photons = noise_model(0.6, Stabiliser(1.3, -4.2), NoiseCurve(np.arange(3.0), np.ones(3)))
    photons = GaussianNoise(
        photons.stabiliser,
        photons.curve,
        photons.covariance,
        photons.generator,
        NoiseMatch(0.98, 0.03, 0.04, 0.2, 0.01, 0.02, 0.03),
        77,
    )
    made = denoiser(photons, seed=3, mean=7.1, spread=2.9, **changes)
    brightness = BrightnessCurve(np.array([1.0, 9.0]), np.array([0.25, -1 / 3]))
    channels = (made.channels[0], Channel(noise_model(0.0), 0.1, 0.7, brightness))
    card = {"seed": 3, "rounds": [{"round": 1, "error": 0.125, "score": None}]}
    return replace(made, channels=channels, card=card)


def published(network):
    torch.manual_seed(1)
    base = noise_model()
    noise = PublishedNoise(
        Stabiliser(offset=3.0, scale=100.0),
        NoiseCurve(np.zeros(1), np.ones(1)),
        base.covariance,
        NoiseGenerator().eval(),
        None,
        5,
    )
    return denoiser(noise, network=network, collaborate=False)


@pytest.mark.parametrize(
    "made",
    [two_channels(), published("dncnn"), published("unet")],
    ids=["compact", "dncnn", "unet"],
)
def test_everything_comes_back(made, tmp_path):
    path = save_denoiser(made, tmp_path / "new" / "noise.g2g")
    again = load_denoiser(path, device="cpu")
    assert [p.name for p in path.parent.iterdir()] == ["noise.g2g"]
    for name, values in made.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], values)
    assert again.settings == made.settings
    assert again.card == made.card
    assert not again.network.training
    for mine, theirs in zip(made.channels, again.channels, strict=True):
        assert (mine.mean, mine.spread) == (theirs.mean, theirs.spread)
        assert np.array_equal(mine.brightness.levels, theirs.brightness.levels)
        assert np.array_equal(mine.brightness.shifts, theirs.brightness.shifts)
        assert mine.noise.stabiliser == theirs.noise.stabiliser
        assert mine.noise.match == theirs.noise.match
        assert mine.noise.patches == theirs.noise.patches
        assert np.array_equal(mine.noise.covariance, theirs.noise.covariance)
        drawn = [
            n.sample(1, 20, 30, torch.Generator().manual_seed(2))
            for n in (mine.noise, theirs.noise)
        ]
        assert torch.equal(*drawn)


@pytest.mark.parametrize("made", [two_channels(), published("dncnn")], ids=["compact", "dncnn"])
def test_the_same_pixels_come_out(made, tmp_path):
    again = load_denoiser(save_denoiser(made, tmp_path / "noise.g2g"), device="cpu")
    noisy = NOISY if len(made.channels) == 1 else stack(NOISY.pixels, "CYX")
    assert np.array_equal(denoise(noisy, made).pixels, denoise(noisy, again).pixels)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("inputs", [2, 3])
def test_a_model_of_before_the_network_saw_as_much_denoises_as_it_did(inputs, tmp_path):
    chosen = denoiser(noise_model(), network="pretrained", collaborate=False)
    with torch.no_grad():
        chosen.network.tail.weight.normal_(generator=torch.Generator().manual_seed(0))
        chosen.network.head.weight[:, 4 * inputs :] = 0
    path = save_denoiser(chosen, tmp_path / "new.g2g")
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        card = file.metadata()["g2g"]
    tensors["network.head.weight"] = tensors["network.head.weight"][:, : 4 * inputs].contiguous()
    old = tmp_path / "old.g2g"
    save_file(tensors, old, metadata={"g2g": card})
    assert load_file(old)["network.head.weight"].shape == (64, 4 * inputs, 3, 3)
    np.testing.assert_array_equal(
        denoise(NOISY, load_denoiser(old)).pixels, denoise(NOISY, chosen).pixels
    )


def test_others_may_read_a_model_as_any_new_file(tmp_path):
    usual = tmp_path / "usual"
    usual.touch()
    path = save_denoiser(two_channels(), tmp_path / "noise.g2g")
    assert path.stat().st_mode == usual.stat().st_mode


def test_a_file_is_only_replaced_when_asked(tmp_path):
    path = tmp_path / "noise.g2g"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already; choose another name"):
        save_denoiser(two_channels(), path)
    assert path.read_bytes() == b"mine"
    save_denoiser(two_channels(), path, overwrite=True)
    assert load_denoiser(path, device="cpu").card["seed"] == 3


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "noise.g2g"
    path.write_bytes(b"the old one")

    def fail(*_args):
        raise OSError("No space left on device")

    monkeypatch.setattr("training_core.draft.os.replace", fail)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        save_denoiser(two_channels(), path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["noise.g2g"]
    assert path.read_bytes() == b"the old one"


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be written"):
        save_denoiser(two_channels(), tmp_path / "file" / "noise.g2g")


class Trap:
    def __reduce__(self):
        return (open, ("sprung", "w"))


def test_what_is_no_model_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = save_denoiser(two_channels(), tmp_path / "good.g2g").read_bytes()
    damaged = {
        "empty.g2g": b"",
        "text.g2g": b"not a model at all",
        "short.g2g": good[: len(good) // 2],
        "head.g2g": good[:100],
        "pickle.g2g": pickle.dumps(Trap()),
    }
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=f"^{name} is damaged or is no model file"):
            load_denoiser(tmp_path / name)
    torch.save({"a": Trap()}, tmp_path / "torch.g2g")
    with pytest.raises(ModelError, match="damaged or is no model file"):
        load_denoiser(tmp_path / "torch.g2g")
    assert not (tmp_path / "sprung").exists()


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ModelError, match=r"^There is no model file .*none\.g2g"):
        load_denoiser(tmp_path / "none.g2g")
    with pytest.raises(ModelError):
        load_denoiser(tmp_path)


@pytest.fixture
def parts(tmp_path):
    path = save_denoiser(two_channels(), tmp_path / "good.g2g")
    with safe_open(path, "pt") as file:
        return load_file(path), json.loads(file.metadata()["g2g"])


BREAKS = {
    "format": lambda tensors, card: card.update(format="g2g-99"),
    "no format": lambda tensors, card: card.pop("format"),
    "no settings": lambda tensors, card: card.pop("settings"),
    "unknown setting": lambda tensors, card: card["settings"].update(colour=1),
    "bad setting": lambda tensors, card: card["settings"]["denoiser"].update(rounds=-1),
    "settings of another kind": lambda tensors, card: card.update(settings=[1]),
    "another width": lambda tensors, card: card["settings"]["denoiser"].update(width=16),
    "no channels": lambda tensors, card: card.pop("channels"),
    "channels of another kind": lambda tensors, card: card.update(channels=[3]),
    "no channel at all": lambda tensors, card: card.update(channels=[]),
    "unknown generator": lambda tensors, card: card["channels"][0].update(generator="os.system"),
    "unknown stabiliser": lambda tensors, card: card["channels"][0].update(stabiliser={"a": 1}),
    "no weights": lambda tensors, card: tensors.pop("network.layers.0.weight"),
    "no covariance": lambda tensors, card: tensors.pop("channel1.covariance"),
    "small covariance": lambda tensors, card: tensors.update(
        {"channel0.covariance": torch.zeros(3, 3, dtype=torch.float64)}
    ),
    "no spread": lambda tensors, card: card["channels"][1].pop("spread"),
    "no finite mean": lambda tensors, card: card["channels"][0].update(mean=math.nan),
    "no spread at all": lambda tensors, card: card["channels"][0].update(spread=0.0),
    "an infinite gain": lambda tensors, card: card["channels"][0]["stabiliser"].update(
        gain=math.inf
    ),
    "weights of nothing": lambda tensors, card: tensors["network.layers.0.weight"].fill_(math.nan),
    "noise of nothing": lambda tensors, card: tensors["channel0.covariance"].fill_(math.nan),
    "brightness of nothing": lambda tensors, card: tensors["channel1.brightness.shifts"].fill_(
        math.inf
    ),
    "text for a number": lambda tensors, card: card["channels"][1].update(mean="much"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_every_damage_is_one_sentence(name, parts, tmp_path):
    tensors, card = parts
    BREAKS[name](tensors, card)
    path = tmp_path / "bad.g2g"
    save_file(tensors, path, metadata={"g2g": json.dumps(card)})
    with pytest.raises(ModelError, match=r"^bad\.g2g (cannot be used|is no model of this version)"):
        load_denoiser(path, device="cpu")


def test_any_changed_bit_is_seen(parts, tmp_path):
    good = (tmp_path / "good.g2g").read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(good), 200, replace=False):
        changed = bytearray(good)
        changed[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "changed.g2g").write_bytes(changed)
        with pytest.raises(ModelError, match=r"^changed\.g2g "):
            load_denoiser(tmp_path / "changed.g2g", device="cpu")


@pytest.mark.parametrize("metadata", [None, {"other": "1"}, {"g2g": "[1]"}, {"g2g": "{"}])
def test_other_safetensors_files_are_refused(metadata, tmp_path):
    path = tmp_path / "other.g2g"
    save_file({"a": torch.zeros(2)}, path, metadata=metadata)
    with pytest.raises(ModelError, match=r"^other\.g2g is"):
        load_denoiser(path)


def test_numbers_survive_json(tmp_path):
    made = replace(two_channels(), card={"third": 1 / 3, "none": None, "list": [1, 2.5]})
    again = load_denoiser(save_denoiser(made, tmp_path / "a.g2g"), device="cpu")
    assert again.card == made.card
    assert math.isclose(again.card["third"], 1 / 3, rel_tol=0)


def test_measured_noise_comes_back(tmp_path):
    made = two_channels()
    noise = made.channels[0].noise
    measured = MeasuredGenerator().eval()
    measured.load_state_dict(noise.generator.state_dict())
    channel = replace(made.channels[0], noise=replace(noise, generator=measured))
    made = replace(made, channels=(channel, made.channels[1]))
    again = load_denoiser(save_denoiser(made, tmp_path / "noise.g2g"), device="cpu")
    assert [type(c.noise.generator) for c in again.channels] == [
        MeasuredGenerator,
        type(noise.generator),
    ]


def test_resampled_noise_comes_back(tmp_path):
    made = two_channels()
    noise = made.channels[0].noise
    patches = np.random.default_rng(1).standard_normal((9, 16, 16)).astype(np.float32)
    real = replace(noise, generator=ResampledNoise.of(patches, (0, 2, 4, 6)))
    made = replace(made, channels=(replace(made.channels[0], noise=real), made.channels[1]))
    again = load_denoiser(save_denoiser(made, tmp_path / "noise.g2g"), device="cpu")
    draws = [
        n.sample(2, 20, 30, torch.Generator().manual_seed(2))
        for n in (real, again.channels[0].noise)
    ]
    assert torch.equal(*draws)
    assert isinstance(again.channels[0].noise.generator, ResampledNoise)
