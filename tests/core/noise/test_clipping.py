"""Noise as a file has it: cut off at its ends, rounded, with the mean that was asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.made_up import CPU, denoiser, noise_model, scene, stack
from training_core.denoise.brightness import BrightnessCurve, uncut
from training_core.denoise.region import Region
from training_core.noise.anscombe import Stabiliser
from training_core.noise.figures import UNTOUCHED, Recording
from training_core.noise.model import RecordedNoise, cut_spread, lift
from training_core.noise.strength_curve import NoiseCurve
from training_core.run import Run
from training_core.settings import DenoiserSettings
from training_core.training.pairs import PreparedPairs, synthetic_pairs

SIGMA = 15.0
BEFORE = np.linspace(-12.0, 120.0, 12)


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def cut_model(before=BEFORE, sign=1.0, end=0.0):
    """Give what is measured of noise of std 15 once it is cut off, and the true means."""
    u = sign * (before - end) / SIGMA
    after = before + sign * SIGMA * lift(u)
    order = np.argsort(after)
    curve = NoiseCurve(after[order], SIGMA * cut_spread(u)[order])
    model = noise_model(0.0, Stabiliser(), curve)
    model.generator.hold_scale(draw())
    return model, after


def test_moments_of_what_is_cut_off():
    values = np.random.default_rng(0).standard_normal(400_000)
    for u in (-1.0, 0.0, 0.7, 4.0):
        cut = np.maximum(values + u, 0.0)
        assert lift(np.array(u)) == pytest.approx(cut.mean() - u, abs=0.005)
        assert cut_spread(np.array(u)) == pytest.approx(cut.std(), abs=0.005)


def test_a_stack_shows_how_it_was_recorded():
    rng = np.random.default_rng(1)
    values = rng.normal(10.0, 15.0, (2, 128, 128))
    cut = stack(np.rint(values).clip(0, None).astype(np.uint8), "TYX")
    assert Recording.of([cut], 0) == Recording(0.0, np.inf, 1.0, 0.0)
    few = np.rint(rng.normal(60.0, 15.0, (128, 128))).astype(np.uint8)
    few[0, 0], few[0, 1] = 0, 255
    found = Recording.of([stack(few)], 0)
    assert (found.lowest, found.highest) == (0.0, 255.0)
    twelve_bit = 16 * np.rint(4000 + 4 * values).clip(0, 4095).astype(np.uint16)
    found = Recording.of([stack(twelve_bit, "TYX")], 0)
    assert (found.lowest, found.highest, found.step) == (-np.inf, 16 * 4095.0, 16.0)
    both = np.stack([values, np.rint(values.clip(0))], axis=1).astype(np.float32)
    plain, other = (Recording.of([stack(both, "TCYX")], channel) for channel in (0, 1))
    assert (plain.lowest, plain.highest, plain.step) == (-np.inf, np.inf, 0.0)
    assert (other.lowest, other.step) == (0.0, 1.0)


@pytest.mark.parametrize(("sign", "end"), [(1.0, 0.0), (-1.0, 255.0)])
def test_the_noise_before_recording_is_found_from_that_after(sign, end):
    before = end + sign * BEFORE
    model, after = cut_model(before, sign, end)
    ends = (0.0, np.inf) if sign > 0 else (-np.inf, 255.0)
    recorded = RecordedNoise(model, Recording(*ends))
    assert recorded.sigmas == pytest.approx(np.full(12, SIGMA), rel=0.02)
    assert recorded.levels == pytest.approx(np.sort(before), abs=0.3)
    found = after + np.interp(after, recorded.recorded, recorded.shifts)
    assert found == pytest.approx(before, abs=0.3)


@pytest.mark.parametrize("mean", [4.0, 12.0, 100.0])
def test_copies_have_the_ends_the_steps_and_the_mean(mean):
    model, _ = cut_model()
    recorded = RecordedNoise(model, Recording(0.0, np.inf, 1.0, 0.0))
    copies = recorded.add(torch.full((2, 1, 300, 300), mean), draw(2)).numpy()
    assert copies.dtype == np.float32
    assert copies.min() >= 0
    assert np.array_equal(copies, np.rint(copies))
    assert copies.mean() == pytest.approx(mean, abs=0.15)
    assert copies.std() == pytest.approx(float(model.curve(np.array(mean))), rel=0.08)
    plain = model.add_noise(torch.full((1, 1, 300, 300), mean), draw(2))
    assert (float(plain.min()) < 0) == (mean < 100)


def test_photons_are_rounded_in_stack_units():
    model = noise_model(0.0, Stabiliser(2.0, 9.0), NoiseCurve(np.array([10.0, 30.0]), np.ones(2)))
    recorded = RecordedNoise(model, Recording(step=3.0, origin=1.0))
    clean = torch.full((1, 1, 64, 64), 20.0)
    copies = recorded.add(clean, draw(3)).numpy()
    values = model.stabiliser.algebraic_inverse(copies)
    assert np.abs((values - 1) / 3 - np.rint((values - 1) / 3)).max() < 1e-4
    assert copies.std() == pytest.approx(float(model.sample(1, 64, 64, draw(3)).std()), rel=0.05)


def test_the_algebraic_inverse_undoes_the_map_of_single_values():
    values = np.array([0.0, 3.0, 250.0, 60000.0])
    for stabiliser in (Stabiliser(2.0, 9.0), Stabiliser(offset=5.0, scale=7.0)):
        back = stabiliser.algebraic_inverse(stabiliser.forward(values))
        assert back == pytest.approx(values, rel=1e-5, abs=1e-3)
    photons = Stabiliser(2.0, 9.0)
    assert photons.inverse(photons.forward(np.array([3.0])))[0] > 3.3  # of a mean, so higher


def test_what_was_never_cut_off_nor_rounded_is_left_alone():
    model, clean = noise_model(), torch.zeros(1, 1, 20, 20)
    recorded = RecordedNoise(model, UNTOUCHED)
    assert torch.equal(recorded.add(clean, draw(4)), model.add_noise(clean, draw(4)))
    assert recorded.known(clean[0, 0]) is None
    curve = BrightnessCurve()
    assert uncut(curve, recorded) is curve


def test_the_dark_is_put_back_and_the_range_kept():
    model, after = cut_model()
    recorded = RecordedNoise(model, Recording(0.0, np.inf, 1.0, 0.0))
    back = uncut(BrightnessCurve(np.array([0.0, 200.0]), np.array([0.0, 2.0])), recorded)
    expected = np.maximum(BEFORE, 0.0) + 0.01 * after
    assert back(after) == pytest.approx(expected, abs=0.35)
    assert back(np.array([0.0]))[0] == 0.0
    bright, after = cut_model(255.0 - BEFORE, -1.0, 255.0)
    curve = BrightnessCurve()
    assert uncut(curve, RecordedNoise(bright, Recording(highest=255.0))) is curve
    # Where there is no noise at zero, since it is all photons, nothing was cut off there.
    photons = noise_model(
        0.0, Stabiliser(20.0, -80.0), NoiseCurve(np.array([1.0, 5.0]), np.ones(2))
    )
    left = uncut(BrightnessCurve(), RecordedNoise(photons, Recording(0.0, np.inf, 1.0, 0.0)))
    assert left(np.array([2.0, 5.0, 50.0])).tolist() == [2.0, 5.0, 50.0]


def batch_of(chosen, region, settings, *, seed):
    """Give a batch of pairs made from a region that is its own estimate."""
    random = draw(seed)
    pairs = synthetic_pairs(chosen, [region], [region], random, Run())
    return PreparedPairs(pairs, random, CPU).batch(settings)


def test_saturated_areas_teach_nothing_but_single_pixels_do():
    chosen = denoiser(noise_model(), collaborate=False)
    channel = replace(chosen.channels[0], recording=Recording(highest=9.0))
    image = torch.zeros(60, 60)
    image[20:40, 20:40] = 9.0
    image[5, 5] = 9.0
    known = RecordedNoise(channel.noise, channel.recording).known(image)
    assert float(known[22:38, 22:38].max()) == 0.0
    assert float(known[5, 5]) == 1.0
    assert float(known.mean()) == pytest.approx(1 - 400 / 3600, abs=0.01)
    settings = DenoiserSettings(batch=3, crop_px=60)
    source, target, weight = batch_of(chosen, Region(image, channel), settings, seed=5)
    assert source.shape == (3, 2, 60, 60)
    assert target.shape == weight.shape == (3, 1, 60, 60)
    assert torch.equal(weight == 0, target > 8.5) or float(weight.mean()) < 1
    untouched = Region(image, replace(channel, recording=UNTOUCHED))
    assert len(batch_of(chosen, untouched, DenoiserSettings(), seed=5)) == 2


def test_pairs_of_a_dark_scene_keep_their_mean():
    model, _ = cut_model()
    chosen = denoiser(model, network="dncnn", collaborate=False)
    channel = replace(chosen.channels[0], recording=Recording(0.0, np.inf, 1.0, 0.0))
    clean = torch.from_numpy(scene(96, 96, 6.0, 80.0).astype(np.float32))
    settings = DenoiserSettings(batch=64, crop_px=64)
    source, target = batch_of(chosen, Region(clean, channel), settings, seed=6)
    dark = target < 12
    assert float((source - target)[dark].mean()) == pytest.approx(0.0, abs=0.3)
    assert float(source.min()) == 0.0
    assert torch.equal(source, source.round())
