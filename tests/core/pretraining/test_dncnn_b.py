"""DnCNN-B: its training, the bundled weights and the script that makes them."""

from __future__ import annotations

import re
import threading
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.support.made_up import CPU
from tests.support.photographs import command_line, load_script, photographs, weights
from training_core.compute.checkpoint import Checkpoint
from training_core.errors import CheckpointError, InputError, ModelError
from training_core.networks import pretrained as bundled_weights
from training_core.networks.dncnn_b import DEPTH, WEIGHTS, load_dncnn_b
from training_core.networks.pretrained import write_weights
from training_core.networks.published import DnCNN, fold_batch_norm
from training_core.pretraining.dncnn_b import (
    BlindSettings,
    BlindTraining,
    Photographs,
    train_dncnn_b,
)
from training_core.resources import resource
from training_core.run import Note, Run

TINY = BlindSettings(steps=8, batch=2, crop_px=24, learning_rate=3e-3)


@pytest.fixture(scope="module")
def trained():
    return train_dncnn_b(photographs(), TINY, device=CPU)


def test_crops_come_from_the_photographs_in_every_orientation():
    image = np.arange(40 * 30, dtype=np.float32).reshape(40, 30) / 1200
    source = Photographs([image], BlindSettings(batch=64, crop_px=30), CPU)
    assert [tuple(v.tolist()) for v in (source.heights, source.widths)] == [(40,), (30,)]
    crops = (source.pairs()[1][:, 0] * 1200).round().numpy()
    ways = set()
    for crop in crops:
        down, across = crop[1, 0] - crop[0, 0], crop[0, 1] - crop[0, 0]
        assert sorted(map(abs, (down, across))) == [1, 30]
        rows = crop if abs(down) == 30 else crop.T
        assert np.array_equal(np.sort(rows // 30, axis=0), np.sort(rows, axis=0) // 30)
        assert np.array_equal(np.unique(rows % 30), np.arange(30))
        ways.add((down, across))
    assert len(ways) == 8


def test_small_sizes_are_left_out_and_photographs_too_small_for_a_crop_refused():
    source = Photographs([np.full((50, 64), 0.25, np.float32)], BlindSettings(crop_px=40), CPU)
    assert source.heights.tolist() == [50, 45, 40]
    assert torch.allclose(source.pixels, torch.tensor(0.25))
    with pytest.raises(InputError, match="None of the 1 photographs is 50 x 50 pixels or larger"):
        Photographs([np.zeros((49, 64), np.float32)], BlindSettings(), CPU)


def test_noise_is_white_with_every_strength_up_to_55():
    settings = BlindSettings(batch=400, crop_px=20)
    noisy, clean = Photographs(photographs(), settings, CPU).pairs()
    noise = 255 * (noisy - clean)[:, 0]
    sigmas = noise.std(dim=(1, 2))
    assert sigmas.min() < 3
    assert 52 < sigmas.max() < 59
    assert float(sigmas.mean()) == pytest.approx(27.5, abs=2)
    assert float((noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()) < 0.02


def test_training_lowers_the_loss_and_is_the_same_for_the_same_seed(trained):
    again = BlindTraining(Photographs(photographs(), TINY, CPU), TINY)
    losses = [float(again.step()) for _ in range(TINY.steps)]
    assert np.mean(losses[-3:]) < 0.5 * np.mean(losses[:3])
    assert torch.equal(weights(again.kept), weights(trained.kept))
    other = train_dncnn_b(photographs(), replace(TINY, steps=2, seed=1), device=CPU)
    assert not torch.equal(weights(other.kept), weights(trained.kept))


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path, trained, monkeypatch):
    run, step = Run(), BlindTraining.step

    def stop_after_three(training):
        if training.steps_done == 2:
            run.stop_and_keep()
        return step(training)

    monkeypatch.setattr(BlindTraining, "step", stop_after_three)
    begun = train_dncnn_b(photographs(), TINY, device=CPU, checkpoint=Checkpoint(tmp_path), run=run)
    assert begun.steps_done == 3
    monkeypatch.setattr(BlindTraining, "step", step)
    ended = train_dncnn_b(photographs(), TINY, device=CPU, checkpoint=Checkpoint(tmp_path))
    assert ended.steps_done == TINY.steps
    assert torch.equal(weights(ended.settled()), weights(trained.settled()))
    for values, moments in ended.update.optimiser.state.items():  # a file keeps no memory layout
        assert moments["exp_avg"].stride() == values.stride()
    with pytest.raises(CheckpointError):
        train_dncnn_b(photographs(2), TINY, device=CPU, checkpoint=Checkpoint(tmp_path))


def test_where_a_batch_does_not_fit_the_memory_training_goes_on_in_parts():
    heard = []
    run = Run(lambda event: heard.append(event.text) if isinstance(event, Note) else None)
    training = BlindTraining(Photographs(photographs(), TINY, CPU), TINY, run)

    def too_small(_network, given):
        if len(given[0]) > 1:
            raise torch.OutOfMemoryError("made up")

    training.trained.register_forward_pre_hook(too_small)
    before = weights(training.trained).clone()
    assert np.isfinite(float(training.step()))
    assert not torch.equal(weights(training.trained), before)
    assert [note[:26] for note in heard] == ["The memory is too small fo"]
    assert training.state()["update"]["parts"] == 2


def test_folding_the_batch_norm_is_exact_and_asking_for_the_network_changes_nothing(trained):
    before = trained.photographs.draw.get_state()
    network = trained.settled()
    assert torch.equal(trained.photographs.draw.get_state(), before)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())
    plain = DnCNN(DEPTH).eval()
    images = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(fold_batch_norm(plain)(images), plain(images), atol=1e-6, rtol=0)


def test_the_bundled_file_is_the_published_architecture_in_at_most_3_mb():
    assert resource(WEIGHTS).stat().st_size <= 3_000_000
    network = load_dncnn_b(CPU)
    assert load_dncnn_b(CPU) is network
    shapes = [tuple(p.weight.shape) for p in network.modules() if isinstance(p, torch.nn.Conv2d)]
    assert shapes == [(64, 1, 3, 3), *[(64, 64, 3, 3)] * 18, (1, 64, 3, 3)]
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    assert network.halo_px == 20


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_missing_or_damaged_weights_are_one_sentence(tmp_path, monkeypatch, damage):
    file = tmp_path / WEIGHTS
    if damage == "cut":
        file.write_bytes(resource(WEIGHTS).read_bytes()[:1_000_000])
    elif damage == "other":
        write_weights(fold_batch_norm(DnCNN(17)), file)
    monkeypatch.setattr(bundled_weights, "resource", lambda name: tmp_path / name)
    load_dncnn_b.cache_clear()
    try:
        with pytest.raises(ModelError) as caught:
            load_dncnn_b(CPU)
    finally:
        load_dncnn_b.cache_clear()
    assert str(caught.value) == (
        "The bundled denoiser dncnn_b.safetensors is missing or damaged; install g2g desktop again."
    )


def test_saved_weights_come_back(tmp_path, monkeypatch, trained):
    network = trained.settled()
    write_weights(network, tmp_path / WEIGHTS)
    monkeypatch.setattr(bundled_weights, "resource", lambda name: tmp_path / name)
    load_dncnn_b.cache_clear()
    assert torch.equal(weights(load_dncnn_b(CPU)), weights(network))
    load_dncnn_b.cache_clear()


@pytest.fixture
def script(monkeypatch):
    module = load_script(monkeypatch, "train_dncnn_b")
    monkeypatch.setattr(module, "SMALL", TINY)
    return module


@pytest.fixture
def line(tmp_path):
    return command_line(tmp_path, "dncnn_b")


def test_the_script_stops_in_time_goes_on_and_writes_weights_and_card(
    tmp_path, script, line, trained, capsys, monkeypatch
):
    monkeypatch.setattr(script, "load_table", lambda *_: None)
    monkeypatch.setattr(script, "evaluate", lambda _network, _data, sigma, *_: sigma + 0.125)
    output = tmp_path / "dncnn_b.safetensors"
    assert script.main([*line, "--minutes", "0"]) == 0
    assert re.match(r"\d+ of 8 steps done; go on with --resume\.", capsys.readouterr().out)
    assert not output.exists()
    assert script.main(line) == 2
    assert "add --resume or delete it" in capsys.readouterr().err
    assert script.main([*line, "--resume"]) == 0
    assert not (tmp_path / "kept").exists()
    assert load_file(output).keys() == trained.settled().state_dict().keys()
    card = output.with_suffix(".md").read_text("utf-8")
    assert "**natural photographs and white Gaussian noise only**" in card
    assert "- Photographs: 3 of `clean`, in four sizes\n- Steps: 8 of 2 crops of 24 x 24" in card
    assert "| this network, the usual gray files | 15.12 | 25.12 | 50.12 |" in card
    assert "| published DnCNN-B, the usual gray files | 31.61 | 29.16 | 26.23 |" in card
    assert "{" not in card


def test_the_script_looks_for_bsd68_before_it_trains(tmp_path, script, line, capsys):
    assert script.main(line) == 2
    assert "The test set BSD68" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"clean"}


@pytest.mark.parametrize("fails", ["evaluate", "write_weights"])
def test_weights_and_card_stay_as_they_were_where_publishing_fails(
    fails, tmp_path, script, monkeypatch
):
    def fail(*_):
        raise OSError("made up")

    output = tmp_path / "dncnn_b.safetensors"
    for file in (output, output.with_suffix(".md")):
        file.write_text("earlier")
    monkeypatch.setattr(script, "evaluate", lambda *_: 30.0)
    monkeypatch.setattr(script, fails, fail)
    with pytest.raises(OSError, match="made up"):
        script.publish(load_dncnn_b(CPU), output, {}, tmp_path, CPU)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"earlier"}
    assert len(list(tmp_path.iterdir())) == 2


def test_only_who_gives_minutes_starts_a_timer(script, line, monkeypatch):
    started = []
    monkeypatch.setattr(threading.Timer, "start", lambda timer: started.append(timer))
    monkeypatch.setattr(script, "_train", lambda *_: 0)
    assert script.main(line) == 0
    assert started == []
    assert script.main([*line, "--minutes", "9"]) == 0
    assert [timer.interval for timer in started] == [540]


def test_the_card_beside_the_weights_names_their_psnr():
    card = resource(WEIGHTS).with_suffix(".md").read_text("utf-8")
    rows = re.findall(r"\| this network, .+? \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", card)
    assert len(rows) == 2  # two protocols
    for row in rows:
        at_15, at_25, at_50 = map(float, row)
        assert 33 > at_15 > at_25 > at_50 > 22


def test_the_script_scores_the_network_on_the_noisy_images(script, shared_data, monkeypatch):
    whole = script.load_table
    monkeypatch.setattr(
        script, "load_table", lambda *a, **k: replace(few := whole(*a, **k), tests=few.tests[:1])
    )
    identity = torch.nn.Identity()
    noisy = script.evaluate(identity, shared_data, 25, "sane", CPU)
    assert noisy == pytest.approx(-20 * np.log10(25 / 255), abs=0.1)
    bundled = script.evaluate(load_dncnn_b(CPU), shared_data, 25, "sane", CPU)
    assert bundled > noisy + 4.5


def test_the_settings_of_the_full_training_are_the_published_size():
    assert asdict(BlindSettings()) == {
        "steps": 150_000,
        "batch": 128,
        "crop_px": 50,
        "learning_rate": 1e-3,
        "seed": 0,
    }
