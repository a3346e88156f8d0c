import numpy as np
import pytest

from training_core.errors import SettingsError
from training_core.noise.synthetic import (
    correlated,
    gaussian,
    mixture,
    poisson_gaussian,
    published_gray,
    published_noise,
)

SHAPE = (1000, 1000)


def test_gaussian():
    noise = gaussian(SHAPE, 25, seed=1)
    assert noise.std() == pytest.approx(25, rel=0.005)
    assert noise.mean() == pytest.approx(0, abs=0.1)
    assert np.mean(np.abs(noise) < 25) == pytest.approx(0.6827, abs=0.002)


@pytest.mark.parametrize(("strength", "wide", "narrow"), [(15, 1, 0.1), (50, 25, 15)])
def test_mixture_has_its_three_parts(strength, wide, narrow):
    noise = mixture(SHAPE, strength, seed=2)
    variance = 0.1 * strength**2 / 3 + 0.2 * wide**2 + 0.7 * narrow**2
    fourth = 0.1 * strength**4 / 5 + 0.2 * 3 * wide**4 + 0.7 * 3 * narrow**4
    assert noise.var() == pytest.approx(variance, rel=0.01)
    assert np.mean(noise**4) == pytest.approx(fourth, rel=0.03)


def test_correlated_away_from_the_border_has_the_computed_correlation():
    noise = correlated(SHAPE, 10, seed=3)[16:-16, 16:-16]
    # Kernel: .7 in the middle and .3 / sqrt(255) on 255 pixels of the box, the middle among them.
    side = 0.3 / 255**0.5
    variance = (0.7 + side) ** 2 + 254 * side**2
    lag = 2 * 0.7 * side + (16 * 15 - 2) * side**2
    assert noise.var() == pytest.approx(100 * variance, rel=0.02)
    found = np.mean(noise[:, 1:] * noise[:, :-1]) / noise.var()
    assert found == pytest.approx(lag / variance, abs=0.01)


def test_correlated_noise_of_a_stack_stays_within_its_frames():
    frames = correlated((2, 40, 40), 10, seed=4)
    own = gaussian((2, 40, 40), 10, seed=4)
    box = own[1, 12:28, 12:28].sum() - own[1, 19, 19]
    assert frames[1, 20, 20] == pytest.approx(0.7 * own[1, 20, 20] + 0.3 * box / 255**0.5)


def test_poisson_gaussian_variance_is_a_straight_line():
    for level in (0.0, 40.0, 300.0):
        noisy = poisson_gaussian(np.full(SHAPE, level), 2.5, 3.0, seed=5)
        assert noisy.mean() == pytest.approx(level, abs=0.15)
        assert noisy.var() == pytest.approx(2.5 * level + 9.0, rel=0.01)


@pytest.mark.parametrize("column", ["G15", "Mix25", "Mix30", "Cor15"])
def test_the_seed_decides(column):
    first = published_noise(column, (32, 32), 7)
    np.testing.assert_array_equal(first, published_noise(column, (32, 32), 7))
    assert not np.array_equal(first, published_noise(column, (32, 32), 8))
    assert not np.array_equal(first, published_noise(column, (32, 32), (7, 0, 1)))


def test_unknown_noise_is_refused():
    with pytest.raises(SettingsError, match="Salt10"):
        published_noise("Salt10", (4, 4), 0)


def test_published_gray():
    rgb = np.zeros((3, 2, 3), np.uint8)
    rgb[2, 0] = (100, 200, 250)
    gray = published_gray(rgb)
    assert gray.shape == (2, 3)
    assert gray[0, 2] == pytest.approx(29.9 + 117.4 + 36.0)
