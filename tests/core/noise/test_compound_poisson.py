"""Noise of few photons: what is drawn, what is found of it blind, and how results are judged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from tests.support.made_up import CPU, noise_model, scene, squared_error
from training_core.denoise.channel import Channel
from training_core.denoise.model_file import channel_from, channel_state
from training_core.denoise.region import Region
from training_core.noise.anscombe import Stabiliser, fit_stabiliser
from training_core.noise.compound_poisson import Photons, chances, fit_photons
from training_core.noise.figures import Recording
from training_core.noise.model import GaussianNoise, PhotonNoise, RecordedNoise
from training_core.noise.strength_curve import NoiseCurve
from training_core.run import SILENT
from training_core.selection.sure import RiskEstimator
from training_core.selection.warnings import find_warnings

TUBE = Photons(background=3.5, gain=20.0, spread=0.4)


def draws(photons, mean, count=400_000, seed=0):
    uniform = np.random.default_rng(seed).random(count)
    return photons.values(np.full(count, float(mean)), uniform)


def exposure(clean, seed=0, photons=TUBE):
    return photons.values(clean, np.random.default_rng(seed).random(clean.shape))


def model(photons=TUBE):
    """Give a noise model as `measure_noise` finds it for these photons."""
    base = noise_model(
        stabiliser=Stabiliser(photons.gain, -photons.gain * photons.background),
        curve=NoiseCurve(np.array([1.0, 3.0, 6.0]), np.array([0.3, 0.8, 1.0])),
    )
    return PhotonNoise(
        base.stabiliser, base.curve, base.covariance, base.generator, None, 100, photons
    )


@pytest.mark.parametrize("mean", [4.0, 10.0, 60.0, 700.0, 1500.0])
def test_cumulants_are_those_of_compound_poisson_noise(mean):
    values, above = draws(TUBE, mean), mean - TUBE.background
    assert values.mean() == pytest.approx(mean, rel=0.01)
    assert values.var() == pytest.approx(TUBE.gain * above, rel=0.04)
    assert TUBE.variance(np.array(mean)) == pytest.approx(TUBE.gain * above)
    third = TUBE.gain**2 * (1 + 2 * TUBE.spread) / (1 + TUBE.spread) * above
    assert ((values - values.mean()) ** 3).mean() == pytest.approx(third, rel=0.1)


def test_pixels_without_a_photon_have_the_background():
    values = draws(TUBE, 10.0)
    expected = np.exp(-(10.0 - TUBE.background) / TUBE.pulse)
    assert (values == TUBE.background).mean() == pytest.approx(expected, abs=0.005)
    assert (draws(TUBE, 2.0) == TUBE.background).all()


def test_values_follow_the_random_numbers():
    rising = TUBE.values(np.full(1000, 30.0), np.linspace(0.001, 0.999, 1000))
    assert rising[:300].max() < rising[-100:].min()
    assert np.isfinite(TUBE.values(np.full(2, 30.0), np.array([0.0, 1.0]))).all()


def test_one_more_photon_is_as_likely_as_it_is_strong():
    pulses = TUBE.one_more(np.random.default_rng(0).random(200_000))
    assert pulses.mean() == pytest.approx(TUBE.gain, rel=0.01)  # E[G^2] / E[G]


def test_chances_are_ranks():
    ranks = chances(np.array([[3.0, -1.0], [8.0, 0.0]], np.float32))
    assert ranks.tolist() == [[0.625, 0.125], [0.875, 0.375]]


def smooth_scene(low, high, size=256):
    return gaussian_filter(scene(size, size, low, high), 6)


def test_few_photons_are_found_blind():
    frames = [exposure(smooth_scene(4.0, 40.0), seed).astype(np.float32) for seed in range(4)]
    read = 0.5 * np.random.default_rng(9).standard_normal(frames[0].shape)
    frames = [np.rint(frame + read).astype(np.float32) for frame in frames]
    found = fit_photons(frames, fit_stabiliser(frames))
    assert found.gain == pytest.approx(TUBE.gain, rel=0.1)
    assert found.background == pytest.approx(TUBE.background, abs=0.4)
    assert 0.15 < found.spread < 0.7
    assert found.read == pytest.approx(np.sqrt(0.5**2 + 1 / 12), abs=0.2)


def test_more_spread_is_told_from_less():
    spreads = []
    for spread in (0.1, 0.8):
        photons = Photons(0.0, 10.0, spread)
        frames = [exposure(smooth_scene(5.0, 40.0), n, photons).astype("f4") for n in range(4)]
        spreads.append(fit_photons(frames, fit_stabiliser(frames)).spread)
    assert spreads[0] < 0.3 < spreads[1]


def test_many_photons_and_noise_without_any_are_no_case_for_it():
    many = [exposure(smooth_scene(400.0, 4000.0)).astype(np.float32)]
    assert fit_photons(many, fit_stabiliser(many)) is None
    camera = exposure(smooth_scene(4.0, 90.0))
    camera = (camera + 15 * np.random.default_rng(1).standard_normal(camera.shape)).astype("f4")
    assert fit_photons([camera], fit_stabiliser([camera])) is None
    assert fit_photons(many, Stabiliser(scale=2.0)) is None


def test_read_noise_that_was_cut_off_is_no_background_light():
    rng = np.random.default_rng(1)
    clean = smooth_scene(2.0, 20.0)
    cut = np.maximum(rng.poisson(clean) + rng.normal(0.0, 2.0, clean.shape), 0.0).astype("f4")
    assert fit_photons([cut], fit_stabiliser([cut])) is None


def test_masked_pixels_are_no_read_noise():
    tube = Photons(100.0, 20.0, 0.4)
    frame = exposure(smooth_scene(101.0, 150.0), 1, tube).astype(np.float32)
    fitted = fit_stabiliser([frame])
    frame[:2, :] = 0.0  # under 1 % of it
    assert fit_photons([frame], fitted).read < 2.0


def test_noisy_copies_have_the_shape_of_their_brightness():
    noise, draw = model(), torch.Generator().manual_seed(0)
    for mean in (8.0, 50.0):
        place = noise.stabiliser.forward(np.linspace(3.5, 2 * mean, 4000))
        exact = np.interp(mean, noise.stabiliser.inverse(place), place)
        clean = torch.full((1, 1, 256, 256), float(exact))
        for noisy in (
            noise.add_noise(clean, draw),
            RecordedNoise(noise, Recording(0.0, 255.0, 0.01)).add(clean, draw),
        ):
            values = noise.stabiliser.algebraic_inverse(noisy.numpy())
            assert values.mean() == pytest.approx(mean, rel=0.03)
            assert values.var() == pytest.approx(TUBE.gain * (mean - 3.5), rel=0.05)
            none = np.exp(-(mean - 3.5) / TUBE.pulse)
            assert (values < 3.6).mean() == pytest.approx(none, abs=0.01)


def test_the_model_file_keeps_them():
    again = channel_from(channel_state(Channel(model())), CPU)
    assert again.noise.photons == TUBE
    plain = channel_from(channel_state(Channel(noise_model())), CPU)
    assert isinstance(plain.noise, GaussianNoise)


def test_noise_that_is_added_again_tells_nothing_of_the_image():
    noise, draw = model(), torch.Generator().manual_seed(0)
    dark, bright = (torch.full((1, 1, 64, 64), level) for level in (1.0, 3.0))
    first = noise.apart_from(dark, draw)
    second = noise.apart_from(bright, torch.Generator().manual_seed(0))
    torch.testing.assert_close(first / 0.3, second / 0.8)  # alike but for how strong it is


def blurring(noise, width):
    """Blur in stack units, where no bias comes of it."""

    def made(noisy):
        values = noise.stabiliser.algebraic_inverse(noisy.image.numpy())
        smooth = gaussian_filter(values, width)
        grid = np.linspace(1.3, 40.0, 4000, dtype=np.float32)
        back = np.interp(smooth, noise.stabiliser.inverse(grid), grid)
        return torch.from_numpy(back.astype(np.float32))

    return made


def test_the_score_is_the_true_error_where_photons_are_few():
    clean, noise = smooth_scene(4.0, 40.0), model()
    image = torch.from_numpy(noise.stabiliser.forward(exposure(clean, 3)))
    channel = Channel(noise)
    judge = RiskEstimator([Region(image, channel)], 0, CPU)
    (trial,) = judge.trials
    cut = (256 - trial.noisy.image.shape[0]) // 2
    inner = slice(cut, 256 - cut)
    assert judge.powers[channel] == pytest.approx(
        TUBE.variance(clean[inner, inner]).mean(), rel=0.1
    )
    errors = []
    for width in (0.7, 3.0, 30.0):
        score, (made,) = judge.judge(blurring(noise, width), SILENT)
        restored = noise.stabiliser.inverse(made.numpy())
        true = squared_error(restored, clean[inner, inner]) / judge.powers[channel]
        assert score.error == pytest.approx(true, abs=1.5 * score.range)
        errors.append(score.error)
    assert errors[1] < errors[0]
    assert errors[1] < errors[2]


def test_channels_in_other_units_weigh_the_same():
    clean, noise = smooth_scene(4.0, 40.0), model()
    counted, plain = Channel(noise), Channel(noise_model())
    few = torch.from_numpy(noise.stabiliser.forward(exposure(clean, 3)))
    many = torch.randn(few.shape, generator=torch.Generator().manual_seed(0))
    judge = RiskEstimator([Region(few, counted), Region(many, plain)], 0, CPU)
    score, _ = judge.judge(lambda noisy: noisy.image, SILENT)
    half = score.parts.size // 2
    assert score.parts[:half].mean() == pytest.approx(1.0, abs=0.2)
    assert score.parts[half:].mean() == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("repeats", [0, 1])
def test_the_best_estimate_of_few_photons_moves_no_region(repeats):
    clean, noise = smooth_scene(4.0, 20.0), model(Photons(3.5, 20.0, 0.5))
    channel = Channel(noise)
    noisy = [
        Region(torch.from_numpy(noise.stabiliser.forward(exposure(clean, seed))), channel)
        for seed in range(1 + repeats)
    ]
    judge = RiskEstimator(noisy[:1], 0, CPU, others=[noisy[1:]] if repeats else [])
    grid = np.linspace(1.3, 40.0, 4000, dtype=np.float32)
    best = np.interp(clean, noise.stabiliser.inverse(grid), grid).astype(np.float32)
    size = judge.trials[0].noisy.image.shape[0]
    cut = (256 - size) // 2
    made = [torch.from_numpy(best[cut : cut + size, cut : cut + size])]
    warnings = find_warnings(judge.trials, made, 0.0, corrected=False)
    assert not [warning for warning in warnings if "region" in warning]
