"""The training of the bundled start: its scenes, its steps, and the script that publishes it."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.ndimage import shift

from tests.support.made_up import CPU, Identity
from tests.support.photographs import (
    command_line,
    load_script,
    photographs,
    weights,
    write_photographs,
)
from training_core.compute.checkpoint import Checkpoint
from training_core.errors import CheckpointError, InputError
from training_core.networks.pretrained import (
    WEIGHTS,
    PretrainedDenoiser,
)
from training_core.noise.covariance import LAGS
from training_core.pretraining.scenes import (
    draw_kernel,
    draw_scene,
    draw_section,
    draw_specimen,
    draw_view,
    kernel_covariance,
    with_even_noise,
    with_heavy_tails,
    with_photons,
)
from training_core.pretraining.start_network import (
    CROPS_PER_SCENE,
    Pretraining,
    PretrainingSettings,
    ScenePool,
    make_images,
    measure_gain,
    train_pretrained,
)
from training_core.resources import resource
from training_core.run import Run

TINY = PretrainingSettings(steps=12, batch=4, crop_px=24, learning_rate=0.02, scenes=4)


@pytest.fixture(scope="module")
def trained():
    return train_pretrained(photographs(), TINY, device=CPU)


@pytest.fixture
def flat():
    return np.full((150, 160), 0.5)


def kernels(count=40):
    rng = np.random.default_rng(0)
    return [draw_kernel(rng) for _ in range(count)]


def test_even_noise_has_a_std_of_1_but_for_a_tenth_and_the_spectrum_it_is_said_to_have(flat):
    sigmas, beside = [], []
    for seed in range(30):
        scene = with_even_noise(flat, np.random.default_rng(seed))
        noise = (scene.noisy - scene.clean).astype(np.float64)
        sigmas.append(noise.std())
        assert scene.covariance[LAGS, LAGS] == pytest.approx(1)
        for down, across in ((0, 1), (1, 0), (1, 1), (0, 3)):
            there = noise[down:, across:], noise[: 150 - down, : 160 - across]
            known = scene.covariance[LAGS + down, LAGS + across]
            assert np.mean(there[0] * there[1]) / noise.var() == pytest.approx(known, abs=0.06)
        beside.append(scene.covariance[LAGS, LAGS + 1])
        assert 1.5 / 2 <= scene.clean[0, 0] <= 80 / 2
    assert 0.85 < min(sigmas) < 0.95
    assert 1.05 < max(sigmas) < 1.15
    assert beside.count(0) > 8  # white
    assert max(beside) > 0.5  # blurred


def test_the_covariance_of_a_kernel_is_that_of_the_noise_it_makes():
    for kernel in kernels():
        covariance = kernel_covariance(kernel)
        assert covariance.shape == (31, 31)
        for lag in ((0, 0), (2, -1), (-5, 3)):
            moved = shift(np.pad(kernel, 8), lag, order=0)
            known = covariance[LAGS + lag[0], LAGS + lag[1]]
            assert np.sum(moved * np.pad(kernel, 8)) == pytest.approx(known, abs=1e-12)
    sums = np.array([kernel.sum() ** 2 for kernel in kernels()])  # the power of the slowest wave
    assert np.isclose(sums, 1).any()
    assert sums.min() < 0.5
    assert sums.max() > 3


def test_photons_have_the_std_and_the_mean_that_the_scene_says(flat):
    view = np.where(np.arange(160) < 80, 0.1, 0.9) * np.ones((150, 1))
    for seed in range(8):
        scene = with_photons(view, np.random.default_rng(seed))
        for half in (slice(80), slice(80, None)):
            noisy, clean = scene.noisy[:, half], scene.clean[0, half][0]
            assert noisy.std() == pytest.approx(float(scene.curve(noisy.mean())), abs=0.04)
            assert noisy.mean() == pytest.approx(clean, abs=0.06)
        assert np.all(np.diff(scene.curve.levels) >= 0)
        assert scene.covariance.sum() == scene.covariance[LAGS, LAGS] == 1


def test_heavy_tails_have_most_of_the_power_in_a_few_pixels(flat):
    shares, sigmas = [], []
    for seed in range(20):
        scene = with_heavy_tails(flat, np.random.default_rng(seed))
        noise = (scene.noisy - scene.clean).astype(np.float64).ravel()
        sigmas.append(noise.std())
        assert np.mean((noise / noise.std()) ** 4) >= 6.9
        strongest = np.sort(noise**2)[::-1]
        shares.append(strongest[: noise.size // 5].sum() / strongest.sum())
        assert scene.covariance.sum() == scene.covariance[LAGS, LAGS] == 1
        assert 5 / 2 <= scene.clean[0, 0] <= 150 / 2
    assert min(shares) > 0.75  # of Gaussian noise .65
    assert 0.85 < min(sigmas) < 0.95
    assert 1.05 < max(sigmas) < 1.15


def test_scenes_have_noise_of_photons_of_few_pixels_and_even_noise_of_any_spectrum():
    photons = few = correlated = 0
    for seed in range(60):
        scene = draw_scene(photographs(), np.random.default_rng(seed))
        noise = scene.noisy.astype(np.float64) - scene.clean
        photons += len(scene.curve.levels) > 1
        few += np.mean((noise / noise.std()) ** 4) >= 6.9
        correlated += not np.isclose(scene.covariance.sum(), 1)
    assert 12 <= photons <= 30
    assert 2 <= few <= 18  # of few photons some as well
    assert 10 <= correlated <= 30


@pytest.mark.parametrize(("draw", "dark"), [(draw_specimen, True), (draw_section, False)])
def test_drawn_scenes_reach_from_black_to_white_and_specimens_glow_on_a_dark_field(draw, dark):
    views = [draw(np.random.default_rng(seed)) for seed in range(20)]
    assert {view.shape for view in views} == {(180, 180)}
    assert {(view.min(), view.max()) for view in views} == {(0.0, 1.0)}
    medians = [np.median(view) for view in views]
    assert (np.median(medians) < 0.2) == dark
    # As sharp as optics allow: hardly any difference between neighbours is a whole step.
    steps = [np.quantile(np.abs(np.diff(view)), 0.99) for view in views]
    assert max(steps) < 0.5


def test_views_are_stretched_from_black_to_white_in_three_sizes_and_turned():
    ramp = np.linspace(0.2, 0.6, 80 * 70, dtype=np.float32).reshape(80, 70)
    views = [draw_view(ramp, np.random.default_rng(seed)) for seed in range(40)]
    assert {view.shape for view in views} == {
        *((80, 70), (70, 80), (68, 60), (60, 68), (56, 49), (49, 56))
    }
    assert {(view.min(), view.max()) for view in views} == {(0.0, 1.0)}
    assert len({view.tobytes() for view in views}) > 30


def test_the_same_seed_gives_the_same_scenes_and_crops_and_another_seed_others():
    def first_pixels(*seed):
        return draw_scene(photographs(), np.random.default_rng(seed)).noisy[0, :5].tolist()

    assert first_pixels(1, 2) == first_pixels(1, 2) != first_pixels(1, 3)
    pool = ScenePool(photographs(), TINY, CPU)
    early, late = pool.batch(0), pool.batch(9)
    fresh = ScenePool(photographs(), TINY, CPU)
    assert all(torch.equal(a, b) for a, b in zip(late, fresh.batch(9), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(early, fresh.batch(0), strict=True))
    other = ScenePool(photographs(), replace(TINY, seed=1), CPU)
    assert not torch.equal(early[0], other.batch(0)[0])


def test_a_scene_makes_way_after_so_many_crops_and_dim_ones_count_more():
    pool = ScenePool(photographs(), TINY, CPU)
    source, target, counts = pool.batch(0)
    assert [tuple(part.shape) for part in (source, target, counts)] == [
        *((4, 4, 24, 24), (4, 1, 24, 24), (4, 1, 1, 1))
    ]
    assert list(pool.at_hand) == [0, 1, 2, 3]
    before = dict(pool.at_hand)
    pool.batch(CROPS_PER_SCENE // TINY.batch)
    assert list(pool.at_hand) == [1, 2, 3, 4]
    assert all(pool.at_hand[number] is before[number] for number in (1, 2, 3))
    for number, (images, count) in pool.at_hand.items():
        again = make_images(pool.images, (TINY.seed, 0, number), CPU)
        assert torch.equal(images, again)
        assert float(images[0].mean()) == pytest.approx(0, abs=1e-4)
        error = float((images[1] - images[-1]).square().mean())
        assert count == pytest.approx((error + 0.02) ** -0.5)


def test_photographs_that_are_too_small_in_the_smallest_scale_are_left_out():
    large, small = np.zeros((35, 40), np.float32), np.zeros((34, 40), np.float32)
    assert len(ScenePool([large, small], TINY, CPU).images) == 1
    with pytest.raises(InputError, match="None of the 1 photographs is 35 x 35 pixels or larger"):
        ScenePool([small], TINY, CPU)


def test_training_lowers_the_loss_and_is_the_same_for_the_same_seed(trained):
    again = Pretraining(ScenePool(photographs(), TINY, CPU))
    for _ in range(TINY.steps):
        again.step()
    assert torch.equal(weights(again.kept), weights(trained.kept))
    pool = ScenePool(photographs(), TINY, CPU)
    source, target, counts = pool.batch(0)
    before = float((counts * (source[:, 1:2] - target).square()).mean())
    pool.batch = lambda _step: (source, target, counts)
    learning = Pretraining(pool)
    losses = [float(learning.step()) for _ in range(TINY.steps)]
    assert losses[0] == pytest.approx(before)  # without weights it changes nothing
    assert losses[-1] < 0.9 * before


def test_the_gain_is_in_decibels_of_the_error_of_the_filter():
    gain = partial(measure_gain, photographs=photographs(), device=CPU)
    assert gain(PretrainedDenoiser(), scenes=3) == 0
    errors = []
    for number in range(3):
        noisy, estimate, *_, clean = make_images(photographs(), (0, 2, number), CPU)
        errors.append([float((made - clean).square().mean()) for made in (noisy, estimate)])
    of_noisy, of_estimate = np.array(errors).T
    expected = np.mean(10 * np.log10(of_estimate / of_noisy))
    assert gain(Identity(channels=3), scenes=3) == pytest.approx(expected, rel=1e-5)
    assert expected < -3


def test_the_rate_rises_for_200_steps_and_falls_by_a_cosine(monkeypatch):
    training = Pretraining(ScenePool(photographs(), replace(TINY, steps=1000, scenes=1), CPU))
    monkeypatch.setattr(training, "update", lambda *_: torch.zeros(()), raising=True)
    optimiser = torch.optim.Adam(training.trained.parameters(), 1.0)
    training.update.optimiser = optimiser
    rates = []
    for done in (0, 99, 199, 500, 999):
        training.steps_done = done
        training.step()
        rates.append(optimiser.param_groups[0]["lr"] / TINY.learning_rate)
    assert rates == pytest.approx([0.005, 0.4881, 0.9051, 0.5, 1e-3], rel=1e-3)


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path, trained):
    run, batch = Run(), ScenePool.batch

    def stop_at_nine(pool, step):
        if step == 8:
            run.stop_and_keep()
        return batch(pool, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScenePool, "batch", stop_at_nine)
        begun = train_pretrained(
            photographs(), TINY, device=CPU, checkpoint=Checkpoint(tmp_path), run=run
        )
    assert begun.steps_done == 9
    ended = train_pretrained(photographs(), TINY, device=CPU, checkpoint=Checkpoint(tmp_path))
    assert ended.steps_done == TINY.steps
    assert torch.equal(weights(ended.settled()), weights(trained.settled()))
    with pytest.raises(CheckpointError):
        train_pretrained(photographs(2), TINY, device=CPU, checkpoint=Checkpoint(tmp_path))


def test_the_script_writes_weights_and_card_and_looks_for_bsd68_first(
    tmp_path, trained, monkeypatch, capsys
):
    script = load_script(monkeypatch, "train_pretrained")
    monkeypatch.setattr(script, "SMALL", TINY)
    monkeypatch.setattr(script, "MEASURED", 3)
    line, output = command_line(tmp_path, "pretrained"), tmp_path / "pretrained.safetensors"
    assert script.main(line) == 2
    assert "The test set BSD68" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"clean"}
    write_photographs(tmp_path / "bsd68", 1)
    assert script.main([*line, "--minutes", "0"]) == 0
    assert re.match(r"\d+ of 12 steps done; go on with --resume\.", capsys.readouterr().out)
    assert script.main([*line, "--resume"]) == 0
    assert not (tmp_path / "kept").exists()
    made = PretrainedDenoiser()
    made.load_state_dict(load_file(output))
    assert made.state_dict().keys() == trained.settled().state_dict().keys()
    assert float(made.tail.weight.detach().abs().max()) > 0
    card = output.with_suffix(".md").read_text("utf-8")
    assert "**photographs and drawn scenes under simulated noise**" in card
    assert "- Photographs: 3 of `clean`\n- Steps: 12 of 4 crops of 24 x 24 pixels\n" in card
    gain = re.search(r"falls by \*\*(-?\d+\.\d\d) dB\*\* \(mean over 3 scenes", card)
    assert gain is not None
    assert f"{gain[1]} dB less" in capsys.readouterr().out
    assert "{" not in card
    assert "photons with read noise" in card


def test_the_card_beside_the_bundled_weights_names_their_gain_and_their_licence():
    card = resource(WEIGHTS).with_suffix(".md").read_text("utf-8")
    assert f"`{WEIGHTS}`" in card
    gain = re.search(r"falls by \*\*(\d+\.\d\d) dB\*\* \(mean over 60 scenes", card)
    assert gain is not None
    assert 0.5 < float(gain[1]) < 4
    assert "Not for diagnosis" in card
    assert "Berkeley Segmentation Dataset" in card
