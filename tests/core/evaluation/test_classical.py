"""The classical rows: each filter finds its parameters and helps where it should."""

from __future__ import annotations

import importlib
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tests.support.made_up import blurred_noise, scene, squared_error
from training_core.evaluation import classical

FILTERS = [classical.non_local_means, classical.total_variation, classical.wavelet]


@pytest.fixture(scope="module")
def clean():
    return gaussian_filter(scene(96, 128), 1.5)


@pytest.fixture(scope="module")
def noisy(clean):
    return clean + 20 * blurred_noise(clean.shape, 0, seed=1)


def test_the_blind_sigma_is_near_the_truth(noisy):
    assert classical.blind_sigma(noisy, "natural") == pytest.approx(20, rel=0.05)
    assert classical.blind_sigma(noisy, "micrograph") == pytest.approx(20, rel=0.15)


def test_only_the_estimate_for_micrographs_sees_correlated_noise(clean):
    noisy = 0.0 * clean + 200 + 20 * blurred_noise(clean.shape, 1.0, seed=2)
    assert classical.blind_sigma(noisy, "natural") < 8
    assert classical.blind_sigma(noisy, "micrograph") == pytest.approx(20, rel=0.15)


def test_the_tuned_blur_finds_the_best_width(clean, noisy):
    widths = np.arange(0.2, 4.0, 0.05)
    errors = [squared_error(gaussian_filter(noisy, width), clean) for width in widths]
    assert squared_error(classical.tuned_blur(noisy, clean), clean) <= min(errors) * 1.001


def test_the_blur_is_tuned_on_what_is_scored(clean, noisy):
    """Noise that is clipped away before scoring asks for no blur."""
    window = (-160.0, 240.0)
    noisy, clean = np.hstack([clean, 10 * noisy + 3000]), np.hstack([clean, 10 * clean + 3000])
    plain, clipped = (classical.tuned_blur(noisy, clean, w) for w in (classical.ANY_VALUE, window))
    assert squared_error(clipped, noisy) < 0.01 * squared_error(plain, noisy)


def test_no_blur_is_best_without_noise(clean):
    np.testing.assert_allclose(classical.tuned_blur(clean, clean), clean, atol=1e-3)


@pytest.mark.parametrize("function", FILTERS)
def test_each_filter_takes_most_of_the_noise_of_a_smooth_scene(function, clean, noisy):
    sigma = classical.blind_sigma(noisy, "natural")
    assert squared_error(function(noisy, sigma), clean) < 0.25 * squared_error(noisy, clean)


@pytest.mark.parametrize("function", FILTERS)
def test_the_unit_does_not_matter(function, noisy):
    once = function(noisy, 20.0)
    np.testing.assert_allclose(function(noisy / 255, 20 / 255) * 255, once, rtol=1e-3)


def test_cycle_spinning_helps(clean, noisy, monkeypatch):
    spun = squared_error(classical.wavelet(noisy, 20.0), clean)
    monkeypatch.setattr(classical, "CYCLES", 1)
    assert spun < 0.9 * squared_error(classical.wavelet(noisy, 20.0), clean)


def test_bm3d_is_told_sigma_and_its_result_is_taken_back_from_the_stabilised_domain(monkeypatch):
    """The package itself is not needed: a blur stands in for it."""
    told = []

    def stand_in(image, sigma):
        told.append(sigma)
        return gaussian_filter(image, 2.0)

    monkeypatch.setattr(importlib, "import_module", lambda name: SimpleNamespace(bm3d=stand_in))
    rng = np.random.default_rng(3)
    clean = np.repeat(np.linspace(20.0, 400.0, 256)[None], 256, axis=0)
    noisy = 4.0 * rng.poisson(clean / 4.0)
    made = classical.stabilised_bm3d(noisy)
    assert told[0] == 1.0
    assert made[32:-32, 32:-32].mean() == pytest.approx(clean[32:-32, 32:-32].mean(), rel=0.01)
    assert squared_error(made, clean) < 0.05 * squared_error(noisy, clean)
    classical.bm3d(noisy, 7.0)
    assert told[1] == 7.0


def test_bm3d_is_never_called_twice_at_once(monkeypatch):
    """The package ends the whole process when it is."""
    inside, most = [], []

    def stand_in(image, sigma):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return image

    monkeypatch.setattr(importlib, "import_module", lambda name: SimpleNamespace(bm3d=stand_in))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: classical.bm3d(np.zeros((8, 8)), 1.0), range(8)))
    assert max(most) == 1


def test_bm3d_is_there_when_its_package_is(monkeypatch):
    monkeypatch.setattr(classical, "find_spec", lambda name: None)
    assert not classical.has_bm3d()
    monkeypatch.setattr(classical, "find_spec", lambda name: name == "bm3d")
    assert classical.has_bm3d()
