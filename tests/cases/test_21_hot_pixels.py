"""Case 21: a hot pixel is not smeared, whoever denoises, and `info` tells of it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import maximum_filter

from tests.support.made_up import INSTANT, QUICKEST, stack
from training_core.pipeline import denoise_stack
from training_core.reporting.noise_analysis import analyse_noise, tell

FRAMES, SIDE = 2, 128


def camera():
    rng = np.random.default_rng(21)
    y, x = np.mgrid[:SIDE, :SIDE]
    clean = 150 + 250 * np.exp(-((x - 64) ** 2 + (y - 64) ** 2) / 700)
    data = rng.poisson(clean, (FRAMES, SIDE, SIDE)).astype(float)
    hot = rng.random((SIDE, SIDE)) < 0.003
    data[:, hot] += rng.uniform(800, 4000, hot.sum())
    return stack(data.round().astype(np.uint16), "TYX"), clean, hot


@pytest.mark.parametrize("method", ["bundled", pytest.param("trained", marks=pytest.mark.trains)])
def test_around_a_hot_pixel_the_error_falls(method):
    given, clean, hot = camera()
    made = denoise_stack(given, INSTANT).denoised if method == "bundled" else None
    error = (made or denoise_stack(given, QUICKEST).denoised).pixels - clean
    near, far = maximum_filter(hot, 5) & ~hot, ~maximum_filter(hot, 9)
    assert np.sqrt(np.square(error[:, near]).mean()) < 6  # of 12.9; expected is below 13
    assert abs(error[:, near].mean()) < 1
    assert np.sqrt(np.square(error[:, far]).mean()) < 5
    assert np.median(abs(error[:, hot])) < 10


def test_info_tells_how_many_there_are():
    given, _, hot = camera()
    found = analyse_noise(given)[0]
    assert found.hot == pytest.approx(FRAMES * hot.sum(), rel=0.1)
    assert f"{found.hot} hot or dead pixels" in tell(found)
    assert found.to_dict()["hot_pixels"] == found.hot
    assert found.noise.gain == pytest.approx(1, rel=0.25)
