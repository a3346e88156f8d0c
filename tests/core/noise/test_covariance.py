"""What is measured of the noise, against noise of known covariance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dctn

from tests.support.made_up import blurred_noise, covariance, scene
from training_core.noise.covariance import (
    LAGS,
    autocovariance,
    dct_variances,
    detrended,
    patch_covariance,
    spectrum,
)
from training_core.noise.strength_curve import NoiseCurve, fit_curve


def fade(size):
    reach = min(LAGS + 1, size // 2)
    line = np.clip(2 - 2 * np.abs(np.arange(-LAGS, LAGS + 1)) / reach, 0, 1)
    return np.outer(line, line)


@pytest.mark.parametrize("blur", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("size", [16, 32, 48])
def test_autocovariance_of_known_noise(blur, size):
    patches = blurred_noise((1500, size, size), blur, seed=1).astype(np.float32)
    measured = autocovariance(patches)
    assert measured.shape == (31, 31)
    assert np.abs(measured - covariance(blur) * fade(size)).max() < 0.015
    assert np.allclose(measured, measured[::-1, ::-1], atol=1e-5)


def test_autocovariance_knows_directions():
    rows = np.random.default_rng(2).standard_normal((800, 32, 1)).astype(np.float32)
    striped = np.repeat(rows, 32, axis=2)
    measured = autocovariance(striped)
    assert measured[LAGS, LAGS + 1] == pytest.approx(1.0, abs=0.02)
    assert measured[LAGS + 1, LAGS] == pytest.approx(0.0, abs=0.02)


def test_detrended_takes_ramps_off_and_keeps_the_noise():
    noise = blurred_noise((200, 32, 32), 0.0, seed=3)
    y, x = np.mgrid[:32, :32] / 32
    ramped = (5.0 * noise + 300 * x - 80 * y * y).astype(np.float32)
    unit = detrended(ramped)
    assert len(unit) == 200
    assert unit.std() == pytest.approx(1.0, abs=0.01)
    flat = detrended(noise.astype(np.float32))
    assert np.abs(unit - flat).max() < 0.01
    assert np.abs(autocovariance(unit) - covariance() * fade(32)).max() < 0.03


def test_detrended_leaves_dead_patches_out():
    noise = blurred_noise((50, 16, 16), 0.0, seed=4).astype(np.float32)
    noise[:10] *= 0.2
    assert len(detrended(noise)) == 40
    assert detrended(np.zeros((0, 16, 16), np.float32)).shape == (0, 16, 16)


@pytest.mark.parametrize("blur", [0.0, 0.7])
@pytest.mark.parametrize("size", [8, 16])
def test_dct_variances_are_those_of_the_noise(blur, size):
    noise = blurred_noise((20_000, size + 16, size + 16), blur, seed=5)[:, 8:-8, 8:-8]
    empirical = np.square(dctn(noise, axes=(1, 2), norm="ortho")).mean(axis=0)
    expected = dct_variances(covariance(blur), size)
    assert np.abs(empirical - expected).max() < 0.06 * expected.max()
    assert expected.mean() == pytest.approx(1.0, rel=1e-3)  # the transform keeps the power


def test_patch_covariance_is_that_of_the_noise():
    matrix = patch_covariance(covariance(0.8), 8)
    assert np.allclose(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > -1e-10
    noise = blurred_noise((20_000, 24, 24), 0.8, seed=6)[:, 8:16, 8:16].reshape(20_000, 64)
    assert np.abs(noise.T @ noise / 20_000 - matrix).max() < 0.06


@pytest.mark.parametrize("blur", [0.0, 0.9])
def test_measured_patch_covariance_is_positive(blur):
    measured = autocovariance(blurred_noise((60, 32, 32), blur, seed=7).astype(np.float32))
    values = np.linalg.eigvalsh(patch_covariance(measured, 8))
    assert values.min() > -0.02 * values.max()


def test_spectrum_holds_the_variance():
    power = spectrum(3.0 * covariance(0.5), (64, 64))
    assert power.min() >= 0
    assert np.fft.irfft2(power, (64, 64))[0, 0] == pytest.approx(3.0, rel=1e-3)


def test_curve_interpolates_and_stays_constant_outside():
    curve = NoiseCurve(np.array([1.0, 3.0]), np.array([0.5, 1.5]))
    given = curve(np.array([0.0, 1.0, 2.0, 9.0]))
    assert given.tolist() == [0.5, 0.5, 1.0, 1.5]
    assert given.dtype == np.float32


@pytest.mark.parametrize("blur", [0.0, 0.6])
def test_curve_of_noise_that_grows(blur):
    clean = np.tile(np.linspace(0.0, 50.0, 320), (320, 1))
    sigma = 1.0 + clean / 50.0
    noisy = clean + sigma * blurred_noise(clean.shape, blur, seed=8)
    curve = fit_curve([noisy.astype(np.float32)], covariance(blur))
    assert np.all(np.diff(curve.levels) > 0)
    for level in (10.0, 25.0, 40.0):
        # the smoothest windows of a class are a little quieter than all of them
        assert curve(np.array(level)) == pytest.approx(1.0 + level / 50.0, rel=0.12)


def test_curve_ignores_a_masked_half():
    noisy = scene(256, 256) + 10.0 * blurred_noise((256, 256), 0.0, seed=9)
    noisy[:, :128] = 0.0
    curve = fit_curve([noisy.astype(np.float32)], covariance())
    assert curve(np.array(150.0)) == pytest.approx(10.0, rel=0.12)


@pytest.mark.parametrize(("blur", "size"), [(0.0, 16), (0.6, 32), (1.2, 32), (1.2, 64)])
def test_what_the_trend_took_is_given_back(blur, size):
    patches = blurred_noise((1500 * 256 // size**2 * 4, size, size), blur, seed=8)
    unit = detrended(patches.astype(np.float32))
    taken, back = (
        c / c[LAGS, LAGS] for c in (autocovariance(unit), autocovariance(unit, trendless=True))
    )
    truth = covariance(blur) * fade(size)
    assert np.abs(back - truth).max() < min(0.012, 0.7 * np.abs(taken - truth).max())
    assert back.sum() == pytest.approx(truth.sum(), rel=0.15)
    assert abs(taken.sum() / truth.sum() - 1) > 0.3


def test_giving_back_is_bounded_where_whole_rows_correlate():
    rng = np.random.default_rng(9)
    lined = rng.standard_normal((400, 32, 1)) + rng.standard_normal((400, 32, 32))
    back = autocovariance(detrended(lined.astype(np.float32)), trendless=True)
    along = back[LAGS] / back[LAGS, LAGS]
    assert along[LAGS + 5] == pytest.approx(0.5, abs=0.04)
    assert np.abs(back).max() == back[LAGS, LAGS]
