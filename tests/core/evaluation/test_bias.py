"""Brightness of denoised images, and noise alone, against values worked out by hand."""

import numpy as np
import pytest
import torch

from tests.support.made_up import blurred_noise, denoiser, noise_model, scene
from training_core.denoise.denoiser import Denoiser
from training_core.evaluation.scores import Bias, flat_residual, measure_bias

CLEAN = scene(96, 96)
WIDE = scene(256, 256)
BLEACHED = np.linspace(0.7, 1.3, WIDE.shape[1]) * WIDE  # more and more to the left
NOISE = 20 * blurred_noise((96, 96), 0.0, seed=1)


def test_an_image_that_is_right_has_no_bias():
    bias = measure_bias(CLEAN + NOISE - NOISE.mean(), CLEAN, CLEAN)
    assert bias.mean_shift_percent == pytest.approx(0, abs=1e-9)
    assert bias.slope_on_reference == pytest.approx(1)
    assert bias.calibration == pytest.approx(1, abs=0.01)


def test_a_bleached_reference_is_no_bias_of_the_denoiser():
    bright = 1.1 * CLEAN + 5
    bias = measure_bias(bright, bright, CLEAN)
    assert bias.slope_on_reference == pytest.approx(1.1)
    assert bias.slope == pytest.approx(1)
    assert bias.calibration == pytest.approx(1)
    assert bias.calibration_by_place == pytest.approx(1)
    assert (bias.mean_shift_percent, bias.worst_bin_percent) == (0, 0)


def test_lost_contrast_is_under_1_in_the_slope_and_over_1_in_the_calibration():
    flat = CLEAN.mean() + 0.9 * (CLEAN - CLEAN.mean())
    bias = measure_bias(CLEAN, flat, CLEAN)
    assert bias.slope == pytest.approx(0.9)
    assert bias.calibration == pytest.approx(1 / 0.9)
    assert bias.calibration_by_place == pytest.approx(1 / 0.9)
    brightest = np.sort(CLEAN.ravel())[-CLEAN.size // 16 :].mean()
    expected = -10 * (brightest - CLEAN.mean()) / CLEAN.mean()
    assert bias.worst_bin_percent == pytest.approx(expected)


def test_the_posterior_mean_is_calibrated_though_its_slope_is_below_1():
    rng = np.random.default_rng(0)
    clean = rng.normal(100, 20, (256, 256))
    noisy = clean + rng.normal(0, 10, clean.shape)
    bias = measure_bias(noisy, 100 + 0.8 * (noisy - 100), clean)
    assert bias.slope == pytest.approx(0.8, abs=0.01)
    assert bias.calibration == pytest.approx(1, abs=0.01)
    assert bias.calibration_by_place == pytest.approx(1, abs=0.01)


def test_what_bleached_in_one_place_only_is_no_bias_of_the_denoiser():
    bias = measure_bias(BLEACHED, BLEACHED, WIDE)
    assert bias.calibration < 0.95
    assert bias.calibration_by_place == pytest.approx(1, abs=0.015)


@pytest.mark.parametrize("kept", [0.8, 1.2])
def test_contrast_is_missed_by_place_where_it_bleached_too(kept):
    made = BLEACHED.mean() + kept * (BLEACHED - BLEACHED.mean())
    bias = measure_bias(BLEACHED, made, WIDE)
    assert bias.calibration_by_place == pytest.approx(1 / kept, rel=0.015)


def test_shifts_are_in_percent_of_the_mean_or_of_the_range():
    bias = measure_bias(CLEAN, CLEAN + 3, CLEAN)
    assert bias.mean_shift_percent == pytest.approx(300 / CLEAN.mean())
    hu = CLEAN - CLEAN.mean()
    low, high = np.percentile(hu, (0.1, 99.9))
    assert measure_bias(hu, hu + 3, hu).mean_shift_percent == pytest.approx(300 / (high - low))


def test_a_flat_image_divides_by_nothing():
    flat = np.full((8, 8), 5.0)
    assert measure_bias(flat, flat, flat) == Bias(0.0, 1.0, 1.0, 1.0, 1.0, 0.0)
    assert measure_bias(0 * flat, 0 * flat, 0 * flat).mean_shift_percent == 0


def test_images_together_have_the_worst_shift_and_the_mean_slope():
    together = Bias.of([Bias(0.1, 1.0, 0.9, 1.2, 1.1, -3.0), Bias(-0.2, 0.8, 1.0, 1.0, 0.9, 1.0)])
    assert together == Bias(-0.2, *(pytest.approx(v) for v in (0.9, 0.95, 1.1, 1.0)), -3.0)


class Half(torch.nn.Module):
    """Leaves half of the noise around its mean."""

    halo_px, multiple_px, channels = 0, 1, 1

    def forward(self, images):
        return images / 2


@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_what_is_left_of_noise_alone(mean):
    made = denoiser(noise_model(blur=1.0), mean=mean, collaborate=False)
    left = Denoiser(Half(), made.channels, made.settings, made.device)
    assert flat_residual(left) == pytest.approx(0.5)
