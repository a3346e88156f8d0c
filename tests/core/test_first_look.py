"""DnCNN-B: its training, the bundled weights, and what it does to stacks it has never seen."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from safetensors.torch import load_file

from tests.support.made_up import (
    CPU,
    blurred_noise,
    covariance,
    noise_model,
    scene,
    squared_error,
    stack,
)
from tests.support.photographs import command_line, load_script, photographs, weights
from training_core import first_look
from training_core.cli.main import main
from training_core.compute.checkpoint import Checkpoint
from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.tiled import denoise
from training_core.errors import CheckpointError, InputError, ModelError
from training_core.first_look import ADVICE, bundled_denoiser, look
from training_core.networks import pretrained as bundled_weights
from training_core.networks.published import DnCNN, fold_batch_norm
from training_core.noise.strength_curve import NoiseCurve
from training_core.pretraining.dncnn_b import (
    BlindSettings,
    BlindTraining,
    Photographs,
    train_dncnn_b,
)
from training_core.resources import resource
from training_core.run import Cancelled, Note, Run
from training_core.stack import Stack
from training_core.training import dncnn_b
from training_core.training.dncnn_b import (
    SETTINGS,
    fit_scale,
    load_dncnn_b,
    network_scales,
    save_dncnn_b,
)

TINY = BlindSettings(steps=8, batch=2, crop_px=24, learning_rate=3e-3)
on_cpu = partial(look, device="cpu")


def noisy_scene(height=96, width=96, sigma=25.0, seed=1):
    clean = scene(height, width, 60, 200)
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return clean, stack((clean + noise).astype(np.float32))


def decibels(before, after, clean):
    return 10 * np.log10(squared_error(before, clean) / squared_error(after, clean))


def notes_of(action):
    heard = []
    action(Run(lambda event: heard.append(event.text) if isinstance(event, Note) else None))
    return heard


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
    plain = DnCNN(dncnn_b.DEPTH).eval()
    images = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(fold_batch_norm(plain)(images), plain(images), atol=1e-6, rtol=0)


def test_the_bundled_file_is_the_published_architecture_in_at_most_3_mb():
    assert resource(dncnn_b.WEIGHTS).stat().st_size <= 3_000_000
    network = load_dncnn_b(CPU)
    assert load_dncnn_b(CPU) is network
    shapes = [tuple(p.weight.shape) for p in network.modules() if isinstance(p, torch.nn.Conv2d)]
    assert shapes == [(64, 1, 3, 3), *[(64, 64, 3, 3)] * 18, (1, 64, 3, 3)]
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    assert network.halo_px == 20


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_missing_or_damaged_weights_are_one_sentence(tmp_path, monkeypatch, damage):
    file = tmp_path / dncnn_b.WEIGHTS
    if damage == "cut":
        file.write_bytes(resource(dncnn_b.WEIGHTS).read_bytes()[:1_000_000])
    elif damage == "other":
        save_dncnn_b(fold_batch_norm(DnCNN(17)), file)
    monkeypatch.setattr(bundled_weights, "resource", lambda name: tmp_path / name)
    load_dncnn_b.cache_clear()
    try:
        with pytest.raises(ModelError) as caught:
            on_cpu(noisy_scene()[1])
    finally:
        load_dncnn_b.cache_clear()
    assert str(caught.value) == (
        "The bundled denoiser dncnn_b.safetensors is missing or damaged; install g2g desktop again."
    )


def test_saved_weights_come_back(tmp_path, monkeypatch, trained):
    network = trained.settled()
    save_dncnn_b(network, tmp_path / dncnn_b.WEIGHTS)
    monkeypatch.setattr(bundled_weights, "resource", lambda name: tmp_path / name)
    load_dncnn_b.cache_clear()
    assert torch.equal(weights(load_dncnn_b(CPU)), weights(network))
    load_dncnn_b.cache_clear()


def test_white_noise_of_25_on_a_smooth_image_falls_by_more_than_8_db():
    clean, noisy = noisy_scene()
    assert decibels(noisy.pixels, on_cpu(noisy).pixels, clean) > 8


def test_an_unseen_scene_with_shot_noise_gets_better_by_6_db():
    files = (resource(f"samples/fluorescence_{kind}.tif") for kind in ("noisy", "clean"))
    noisy, clean = (tifffile.imread(file)[:, 40:168, 40:168] for file in files)
    denoised = on_cpu(stack(noisy, "ZYX"), frame=1)
    assert (denoised.axes, denoised.dtype) == ("YX", np.float32)
    assert decibels(noisy[1], denoised.pixels, clean[1].astype(float)) > 6
    assert denoised.pixels.mean() == pytest.approx(noisy[1].mean(), rel=0.015)


def test_the_result_does_not_depend_on_unit_and_offset():
    _, noisy = noisy_scene()
    plain = on_cpu(noisy).pixels
    scaled = on_cpu(replace(noisy, pixels=noisy.pixels.astype(np.float64) * 1000 + 50_000)).pixels
    np.testing.assert_allclose((scaled - 50_000) / 1000, plain, atol=0.05)
    assert plain.std() > 30


def test_strong_noise_is_removed_and_weak_noise_never_made_worse():
    clean, strong = noisy_scene(sigma=120.0)
    assert squared_error(on_cpu(strong).pixels, clean) < 0.25 * 120.0**2
    clean, weak = noisy_scene(sigma=0.5)
    assert squared_error(on_cpu(weak).pixels, clean) < 1.05 * 0.5**2
    clean_stack = noise_model(curve=NoiseCurve(np.zeros(1), np.zeros(1)))
    assert fit_scale(clean_stack, [clean.astype(np.float32)], CPU).strength == 0


def test_scales_map_the_range_to_white_unless_the_noise_asks_for_another():
    values = np.linspace(10, 20, 1001)
    mean, spread = network_scales(values, sigma=0.5)[0]
    assert (mean, mean + spread) == pytest.approx((10.01, 19.99))

    def spreads(sigma):
        scales = network_scales(values, sigma)
        assert [mean + spread / 2 for mean, spread in scales] == pytest.approx([15] * len(scales))
        return [spread for _, spread in scales]

    assert spreads(0.5) == pytest.approx([9.98, 9.98 / 1.5, 9.98 / 2, 9.98 / 3])
    assert spreads(1.0) == pytest.approx([9.98, 9.98 / 1.5, 5.1])  # 50 of 255
    assert spreads(4.0) == pytest.approx([4.0 * 255 / 50])
    assert spreads(0.1)[0] == pytest.approx(0.1 * 255 / 3)
    assert spreads(0.01) == pytest.approx([9.98 / 4])
    assert spreads(0.0) == pytest.approx([9.98 / 4])
    assert network_scales(np.zeros(9), sigma=0.0) == [(-0.125, 0.25)]


def test_the_scale_is_chosen_blind_by_the_least_error():
    clean, noisy = noisy_scene(sigma=10.0)
    channel = bundled_denoiser(noisy, device="cpu").channels[0]
    stabilised = channel.noise.stabiliser.forward(noisy.pixels)
    left = {}
    for scale in network_scales(stabilised, float(channel.noise.curve.sigmas[0])):
        tried = Channel(channel.noise, *scale)
        denoiser = Denoiser(load_dncnn_b(CPU), (tried,), SETTINGS, CPU)
        left[scale] = squared_error(denoise(noisy, denoiser).pixels, clean)
    assert len(left) == 4
    assert channel.strength == 1
    assert left[channel.mean, channel.spread] < 1.1 * min(left.values())


def test_axes_dtype_and_channels_are_kept_and_a_frame_is_as_in_the_whole():
    rng = np.random.default_rng(3)
    dim = scene(48, 64, 200, 900) + rng.normal(0, 30, (2, 48, 64))
    bright = scene(48, 64, 9000, 20000) + rng.normal(0, 400, (2, 48, 64))
    both = Stack(np.stack([dim, bright], axis=1).astype(np.uint16), "ZCYX", channels=("a", "b"))
    whole = on_cpu(both)
    assert (whole.axes, whole.shape, whole.dtype) == ("ZCYX", (2, 2, 48, 64), np.float32)
    assert whole.channels == ("a", "b")
    for channel, sigma in ((0, 30), (1, 400)):
        change = both.pixels[:, channel].astype(float) - whole.pixels[:, channel]
        assert 0.5 * sigma < change.std() < 1.5 * sigma
    alone = on_cpu(both, frame=3)
    assert (alone.axes, alone.channels) == ("YX", ())
    np.testing.assert_allclose(alone.pixels, whole.pixels[1, 1], rtol=0, atol=0.51)  # unrounded


def test_browsing_frames_fits_each_channel_once_whichever_comes_first(monkeypatch):
    noise = np.random.default_rng(4).normal(0, (10, 30), (3, 48, 48, 2)).transpose(0, 3, 1, 2)
    both = stack(scene(48, 48, 60, 200) + noise, "ZCYX")
    fitted, fit = [], first_look.fit_scale
    monkeypatch.setattr(first_look, "fit_scale", lambda *a: fitted.append(a) or fit(*a))
    fits = {}
    seen = {frame: on_cpu(both, frame=frame, fits=fits).pixels for frame in (4, 1, 0, 4)}
    assert len(fitted) == 2
    assert fits.keys() == {(0, CPU), (1, CPU)}
    for frame in (0, 1, 4):
        np.testing.assert_array_equal(on_cpu(both, frame=frame).pixels, seen[frame])


def test_hounsfield_units_are_mapped_linearly():
    clean = scene(64, 64, -200, 300)
    noisy = stack(clean + np.random.default_rng(0).normal(0, 60, clean.shape), value_unit="HU")
    fitted = bundled_denoiser(noisy, device="cpu")
    assert fitted.channels[0].noise.stabiliser.gain == 0
    assert decibels(noisy.pixels, on_cpu(noisy).pixels, clean) > 5


def test_correlated_noise_is_said_so_in_one_sentence():
    clean, fits = scene(96, 96, 100, 200), {}
    correlated, white = (
        stack(clean + 12 * blurred_noise(clean.shape, blur, seed=2)) for blur in (1.0, 0.0)
    )
    assert len(ADVICE) <= 90  # two lines of a small window
    for _ in range(2):  # of every frame, not only of the first that is looked at
        ask = partial(bundled_denoiser, correlated, device="cpu", fits=fits)
        assert notes_of(lambda run, ask=ask: ask(run=run)) == [ADVICE]
    assert notes_of(lambda run: bundled_denoiser(white, device="cpu", run=run)) == []
    assert [noise_model(blur).is_correlated for blur in (1.0, 0.0)] == [True, False]
    assert covariance(1.0)[15, 16] > 0.2


def test_small_and_constant_stacks_are_refused_and_a_cancelled_look_ends():
    with pytest.raises(InputError, match="15 x 20 pixels"):
        on_cpu(stack(np.random.default_rng(0).random((20, 15))))
    with pytest.raises(InputError, match="Every pixel"):
        on_cpu(stack(np.full((20, 20), 7)))
    run = Run()
    run.cancel()
    with pytest.raises(Cancelled):
        on_cpu(noisy_scene()[1], run=run)


def test_the_command_denoises_with_the_bundled_model_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    clean, noisy = noisy_scene()
    tifffile.imwrite("noisy.tif", noisy.pixels)
    line = ["denoise", "noisy.tif", "--model", "dncnn-b", "--device", "cpu", "--output"]
    assert main([*line, "out.tif"]) == 0
    with tifffile.TiffFile("out.tif") as file:
        told = json.dumps(file.pages[0].description)
        assert squared_error(file.asarray(), clean) < 25**2 / 6
    assert "DnCNN-B, bundled" in told
    assert "natural photographs with white Gaussian noise, not this stack" in told
    Path("dncnn-b").write_text("a file of the user, not a model")
    assert main([*line, "other.tif"]) == 2
    assert "dncnn-b is damaged or is no model file" in capsys.readouterr().err


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


@pytest.mark.parametrize("fails", ["evaluate", "save_dncnn_b"])
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
    card = resource(dncnn_b.WEIGHTS).with_suffix(".md").read_text("utf-8")
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
