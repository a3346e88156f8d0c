"""The stabiliser: exact where it is linear, unbiased where it is not, fitted blind."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

from tests.support.made_up import blurred_noise, scene
from training_core.noise.anscombe import Stabiliser, fit_stabiliser


def test_linear_map_is_exact():
    linear = Stabiliser(offset=20.0, scale=4.0)
    assert linear.forward(np.array([20, 24, 12], np.uint16)).tolist() == [0.0, 1.0, -2.0]
    assert linear.inverse(np.array([0.0, 1.0, -2.0], np.float32)).tolist() == [20.0, 24.0, 12.0]


@pytest.mark.parametrize("mean", [1, 2, 3, 5, 10, 30, 100])
@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (2.5, 100.0)])
def test_inverse_of_the_mean_is_unbiased(mean, gain, offset):
    # gain * Poisson + offset has the variance gain * (value - offset)
    stabiliser = Stabiliser(gain, -gain * offset)
    counts = np.arange(400)
    chance = poisson.pmf(counts, mean)
    forward = stabiliser.forward(gain * counts + offset).astype(np.float64)
    back = stabiliser.inverse(np.array([chance @ forward], np.float32))[0] - offset
    assert back == pytest.approx(gain * mean, rel=5e-3)


def test_variance_is_one_from_twenty_photons_on():
    stabiliser = Stabiliser(3.0, 36.0)
    rng = np.random.default_rng(0)
    for mean in (60.0, 300.0, 3000.0):
        values = 3.0 * rng.poisson(mean / 3.0, 200_000) + rng.normal(0.0, 6.0, 200_000)
        assert stabiliser.forward(values).std() == pytest.approx(1.0, abs=0.01)


def test_both_ways_are_monotone_and_finite_below_zero():
    stabiliser = Stabiliser(2.0, 5.0)
    values = np.linspace(-50.0, 500.0, 5000)
    assert np.all(np.diff(stabiliser.forward(values)) >= 0)
    stabilised = np.linspace(-3.0, 40.0, 5000).astype(np.float32)
    assert np.all(np.diff(stabiliser.inverse(stabilised)) >= 0)
    assert np.isfinite(stabiliser.inverse(stabilised)).all()


def test_dict_round_trip():
    stabiliser = Stabiliser(1.5, -3.0, 2.0, 0.25)
    assert Stabiliser.from_dict(stabiliser.to_dict()) == stabiliser


@pytest.mark.parametrize(("gain", "read"), [(4.0, 12.0), (0.5, 2.0)])
def test_gain_is_found_blind(gain, read):
    rng = np.random.default_rng(3)
    clean = scene(256, 256, 100.0, 1500.0)
    frames = [
        (gain * rng.poisson(clean / gain) + rng.normal(0, read, clean.shape)).astype(np.float32)
        for _ in range(2)
    ]
    found = fit_stabiliser(frames)
    assert found.gain == pytest.approx(gain, rel=0.1)


def test_gain_is_found_where_half_the_frame_is_masked():
    clean = scene(256, 256, 100.0, 1500.0)
    noisy = 4.0 * np.random.default_rng(4).poisson(clean / 4.0)
    noisy[:, 128:] = 0.0
    assert fit_stabiliser([noisy.astype(np.float32)]).gain == pytest.approx(4.0, rel=0.3)


@pytest.mark.parametrize("blur", [0.0, 0.7])
def test_noise_that_does_not_grow_needs_no_transform(blur):
    clean = scene(256, 256)
    noisy = clean + 20.0 * blurred_noise(clean.shape, blur, seed=5)
    found = fit_stabiliser([noisy.astype(np.float32)])
    assert found.gain == 0.0
    # the trend that is taken off first holds a little of the correlated noise
    assert found.scale == pytest.approx(20.0, rel=0.15 if blur else 0.05)


def test_a_frame_with_nothing_in_it_is_survived():
    found = fit_stabiliser([np.full((64, 64), 7.0, np.float32)])
    assert found.gain == 0.0
    assert found.scale > 0


def test_large_values_with_little_noise_lie_around_zero():
    # 10 000 times the noise is what stands outside the frame when similar patches are looked for
    noisy = 1e5 + 2.0 * blurred_noise((96, 96), 0.0, seed=6)
    found = fit_stabiliser([noisy.astype(np.float32)])
    assert np.abs(found.forward(noisy)).max() < 6.0
