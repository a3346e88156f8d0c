"""Case 17: values far from zero, and of any size, are denoised as those near zero are."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.made_up import INSTANT, QUICKEST, stack
from training_core.noise.anscombe import fit_stabiliser
from training_core.pipeline import denoise_stack
from training_core.quality.noise_level import estimate_noise_sigma
from training_core.reporting.noise_analysis import analyse_noise
from training_core.stack import Stack, cast_like

SIDE = 112
y, x = np.mgrid[:SIDE, :SIDE]
CLEAN = 20 * np.exp(-((x - 56) ** 2 + (y - 56) ** 2) / 300)
FORMS = [  # offset, unit, dtype
    (1e9, 1.0, "float64"),
    (2e9, 20.0, "uint32"),
    (0.0, 1e-7, "float32"),
    (-1e8, 20.0, "int32"),
    (1e6, 1.0, "float32"),
    (0.0, 1e-20, "float32"),
    (0.0, 1e25, "float32"),
    (-1e13, 3.0, "float64"),
    (1e15, 30.0, "int64"),
]


def recorded(offset: float, unit: float, dtype: str) -> Stack:
    noisy = CLEAN + np.random.default_rng(17).normal(0, 1, CLEAN.shape)
    values = offset + unit * noisy
    return stack((np.rint(values) if dtype[0] in "iu" else values).astype(dtype))


def error(pixels, offset: float, unit: float) -> float:
    return float(np.sqrt(np.square((pixels - np.float64(offset)) / unit - CLEAN).mean()))


@pytest.mark.parametrize(("offset", "unit", "dtype"), FORMS)
def test_noise_of_std_1_is_found_and_removed_alike(offset, unit, dtype):
    given = recorded(offset, unit, dtype)
    assert estimate_noise_sigma(given) / unit == pytest.approx(1, rel=0.05)
    noise = analyse_noise(given)[0].noise
    assert noise
    assert noise.sigmas[1] / unit == pytest.approx(1, rel=0.1)
    made = cast_like(denoise_stack(given, INSTANT).denoised, given)
    assert made.dtype == given.dtype
    assert error(made.pixels, offset, unit) < 0.35


@pytest.mark.parametrize(("offset", "unit", "dtype"), FORMS[:2])
@pytest.mark.trains
def test_training_far_from_zero_is_training_near_it(offset, unit, dtype):
    made = denoise_stack(recorded(offset, unit, dtype), QUICKEST).denoised.pixels
    assert made.dtype == np.float64
    assert error(made, offset, unit) < 0.6


@pytest.mark.parametrize("offset", [0.0, -1e9, 1e12])
def test_photon_noise_is_known_over_any_offset(offset):
    light = 200 + 3000 * np.exp(-((x - 56) ** 2 + (y - 56) ** 2) / 900)
    counts = offset + np.random.default_rng(1).poisson(light)
    found = fit_stabiliser([counts])
    assert found.gain == pytest.approx(1, rel=0.1)
    assert found.sigma(offset + 1000) == pytest.approx(1000**0.5, rel=0.1)
