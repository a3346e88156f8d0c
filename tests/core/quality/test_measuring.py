"""Profiles, regions and histograms, against values that are known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import made_up
from training_core.errors import InputError
from training_core.noise.anscombe import Stabiliser
from training_core.quality.measuring import (
    Histograms,
    Outline,
    Profile,
    RegionFigures,
    noise_sigmas,
    table,
)

RAMP = np.add.outer(10.0 * np.arange(40), np.arange(60.0))  # 10 y + x


def test_a_profile_reads_values_a_pixel_apart() -> None:
    found = Profile.along([RAMP, -RAMP], (10.5, 5.5), (20.5, 5.5))
    assert found.distances.tolist() == list(range(11))
    assert found.values[0] == pytest.approx(50 + np.arange(10, 21))
    assert found.values[1] == pytest.approx(-found.values[0])


def test_a_band_averages_beside_the_line() -> None:
    image = np.zeros((21, 30))
    image[10] = 3.0
    found = Profile.along([image], (5.5, 10.5), (25.5, 10.5), width_px=3)
    assert found.values[0] == pytest.approx(np.ones(21))
    down = Profile.along([image], (15.5, 2.5), (15.5, 18.5), width_px=5)
    assert down.values[0] == pytest.approx(image[2:19, 0])


def test_a_slanted_line_is_as_long_as_it_is() -> None:
    found = Profile.along([RAMP], (0.5, 0.5), (30.5, 20.5))
    steps = np.arange(int(np.hypot(30, 20)) + 1)
    x, y = (steps * side / np.hypot(30, 20) for side in (30, 20))
    assert found.values[0] == pytest.approx(10 * y + x)


def test_a_line_or_band_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="shorter than a pixel"):
        Profile.along([RAMP], (5, 5), (5.2, 5))
    with pytest.raises(InputError, match="0 px wide"):
        Profile.along([RAMP], (5, 5), (15, 5), width_px=0)


def test_outlines_hold_the_pixels_whose_middle_is_inside() -> None:
    box = Outline(((30.0, 20.0), (10.0, 5.0))).mask(RAMP.shape)
    assert np.array_equal(np.argwhere(box).min(axis=0), [5, 10])
    assert box.sum() == 20 * 15
    triangle = Outline(((0, 0), (20, 0), (0, 20))).mask(RAMP.shape)
    assert triangle.sum() == pytest.approx(200, abs=12)
    with pytest.raises(InputError, match="holds no pixel"):
        Outline(((100, 100), (120, 120))).mask(RAMP.shape)


@pytest.mark.parametrize("blur", [0.0, 1.0])
def test_the_error_of_a_sum_is_that_of_repeated_noise(blur: float) -> None:
    """For white and for correlated noise, 20 stack units strong."""
    noise = made_up.noise_model(blur, Stabiliser(scale=20.0))
    inside = Outline(((8, 8), (24, 20))).mask((32, 32))
    draws = 20.0 * made_up.blurred_noise((4000, 32, 32), blur, 3)
    sums = draws[:, inside].sum(axis=1)
    flat = np.full((32, 32), 100.0, np.float32)
    figures = RegionFigures.of(flat + draws[0], flat, inside, noise)
    assert figures.sum_error == pytest.approx(sums.std(), rel=0.06)
    assert figures.mean_error == pytest.approx(sums.std() / inside.sum(), rel=0.06)
    assert figures.noise_sigma == pytest.approx(20.0, rel=1e-3)
    assert figures.raw_sum == pytest.approx(inside.sum() * 100 + sums[0], rel=1e-6)


def test_photon_noise_grows_with_the_region() -> None:
    noise = made_up.noise_model(0.0, Stabiliser(gain=2.0, read_variance=16.0))
    clean = np.array([[100.0, 10_000.0]])
    assert noise_sigmas(noise, clean)[0] == pytest.approx(np.sqrt([216, 20_016]), rel=0.01)


def test_figures_of_a_region_and_of_its_contrast() -> None:
    noisy = np.zeros((20, 40))
    noisy[:, ::2] = 2.0
    noisy[:, 20:] += 100.0
    denoised = noisy.copy()
    denoised[:, 20:] = 101.0 + np.tile([-0.5, 0.5], 10)
    masks = [Outline(((0, 0), (20, 20))), Outline(((20, 0), (40, 20)))]
    dark, bright = (RegionFigures.of(noisy, denoised, m.mask(noisy.shape)) for m in masks)
    assert (dark.raw_mean, dark.raw_std, dark.pixels) == (1.0, 1.0, 400)
    assert (bright.mean, bright.std, bright.snr) == (101.0, 0.5, 202.0)
    assert bright.cnr(dark) == pytest.approx((100.0, 100 / np.sqrt((0.25 + 1) / 2)))
    assert bright.noise_sigma == pytest.approx(np.std(noisy[:, 20:] - denoised[:, 20:]))


def test_by_place_the_residual_says_how_strong_and_the_model_how_far() -> None:
    noise = made_up.noise_model(1.0, Stabiliser(scale=99.0))
    flat = np.zeros((32, 32), np.float32)
    noisy = 5.0 * made_up.blurred_noise((32, 32), 1.0, 4)
    inside = np.ones((32, 32), bool)
    figures = RegionFigures.of(noisy, flat, inside, noise, by_place=True)
    white = RegionFigures.of(noisy, flat, inside)
    assert figures.noise_sigma == white.noise_sigma == pytest.approx(5.0, rel=0.15)
    assert figures.sum_error > 3 * white.sum_error


def test_histograms_share_their_bins_and_count_all_but_the_tails() -> None:
    one = np.arange(100, dtype=np.uint16).reshape(10, 10)
    found = Histograms.of([one, one + 50], bins=30)
    assert found.counts.shape == (2, 30)
    assert (found.counts.sum(axis=1) >= 99).all()
    assert -1 < found.edges[0] < 1
    assert 147 < found.edges[-1] < 152
    inside = np.zeros((10, 10), bool)
    inside[0] = True
    assert Histograms.of([one], inside, bins=9).counts.sum() >= 9


def test_a_table_can_be_pasted_into_a_spreadsheet() -> None:
    assert table([("a", "b"), (1, 2.0 / 3)], ",") == "a,b\n1,0.6666667\n"
