"""Values cut off at the ends of their range, and values below zero, keep their brightness."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.made_up import INSTANT, QUICKEST, stack
from training_core.pipeline import denoise_stack
from training_core.reporting.noise_analysis import analyse_noise
from training_core.stack import cast_like


def error(image: np.ndarray, clean: np.ndarray) -> float:
    return float(np.sqrt(np.mean((image - clean) ** 2)))


def test_a_saturated_recording():
    rows, columns = np.mgrid[:160, :160]
    clean = 10 + 60 * np.exp(-((columns - 50) ** 2 + (rows - 100) ** 2) / 3000)
    core = np.hypot(columns - 100, rows - 60) < 30
    clean[core] += 320
    noise = np.random.default_rng(23).normal(0, 14, clean.shape)
    given = stack((clean + noise).round().clip(0, 255).astype(np.uint8))

    result = cast_like(denoise_stack(given, INSTANT).denoised, given).pixels.astype(float)

    assert result[core].mean() > 253
    ring = (np.hypot(columns - 100, rows - 60) > 33) & (np.hypot(columns - 100, rows - 60) < 38)
    assert abs(result[ring].mean() - clean[ring].mean()) < 2  # no dark ring
    middle = (clean > 25) & (clean < 90)
    assert abs((result - clean)[middle].mean()) < 1
    assert error(result[middle], clean[middle]) < 5
    dark = clean < 12
    assert 10 <= result[dark].mean() <= given.pixels[dark].mean() + 0.3
    (analysis,) = analyse_noise(given)
    assert "11 % of the pixels are saturated at 255" in " ".join(analysis.warnings)


@pytest.mark.trains
def test_a_movie_whose_offset_was_taken_off():
    rows, columns = np.mgrid[:96, :96]
    photons = 2 * np.exp(-((columns - 42) ** 2 + (rows - 50) ** 2) / 400)
    rng = np.random.default_rng(32)
    movie = 40 * rng.poisson(photons, (6, 96, 96)) + rng.normal(0, 25, (6, 96, 96))
    given = stack(movie.round().astype(np.int16), "TYX")
    assert (given.pixels < 0).mean() > 0.3

    result = cast_like(denoise_stack(given, QUICKEST).denoised, given).pixels

    clean = 40 * photons
    dark = clean < 2
    assert (result.dtype, result.min() < 0) == (np.int16, True)
    assert abs(result[:, dark].mean() - clean[dark].mean()) < 0.3
    assert abs(result.mean() - given.pixels.mean()) < 0.25  # 1 % of the noise
    assert error(result, np.broadcast_to(clean, result.shape)) < 7
