"""What was removed, place by place: noise is even, structure is not, and texture is no noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tests.support.made_up import blurred_noise, scene
from training_core.quality.residual import Residual

SIZE = 256
CLEAN = scene(SIZE, SIZE)


@pytest.mark.parametrize("blur", [0.0, 0.8])
def test_noise_that_is_removed_is_measured_and_even(blur):
    noise = 10 * blurred_noise((SIZE, SIZE), blur, 0)
    found = Residual.of([CLEAN + noise], [CLEAN + 0.1 * noise])
    assert found.noise_left == pytest.approx(0.1, abs=0.01)
    assert found.noise_sigma == pytest.approx(10, rel=0.06)
    assert found.uneven == pytest.approx(0.0, abs=0.06)


def test_noise_that_grows_with_brightness_is_even():
    noise = np.sqrt(CLEAN) * blurred_noise((SIZE, SIZE), 0.0, 1)
    found = Residual.of([CLEAN + noise], [CLEAN])
    assert found.uneven == pytest.approx(0.0, abs=0.1)


def test_frames_may_differ_in_their_noise():
    frames = [s * blurred_noise((SIZE, SIZE), 0.0, n) for n, s in enumerate((4, 32))]
    found = Residual.of([CLEAN + noise for noise in frames], [CLEAN, CLEAN])
    assert found.uneven == pytest.approx(0.0, abs=0.06)


def test_texture_everywhere_is_not_taken_for_noise():
    texture = 25 * blurred_noise((SIZE, SIZE), 1.5, 2)
    noise = 10 * blurred_noise((SIZE, SIZE), 0.0, 3)
    found = Residual.of([100 + texture + noise], [100 + texture])
    assert found.noise_left < 0.25
    assert found.noise_sigma == pytest.approx(10, rel=0.1)
    assert found.uneven == pytest.approx(0.0, abs=0.06)


def test_single_far_values_that_were_removed_are_no_structure():
    far = np.zeros((SIZE, SIZE))
    far.flat[np.random.default_rng(6).choice(SIZE**2, SIZE**2 // 500, replace=False)] = 200
    noise = 5 * blurred_noise((SIZE, SIZE), 0.0, 7)
    assert Residual.of([CLEAN + noise + far], [CLEAN]).uneven < 0.15


def test_structure_that_was_removed_is_uneven():
    bars = np.where(np.indices((SIZE, SIZE))[0] // 4 % 2, 15.0, -15.0)
    bars[:, : SIZE // 2] = 0
    noise = 5 * blurred_noise((SIZE, SIZE), 0.0, 4)
    kept = Residual.of([100 + bars + noise], [100 + bars])
    lost = Residual.of([100 + bars + noise], [100 + gaussian_filter(bars, 8)])
    assert kept.uneven == pytest.approx(0.0, abs=0.06)
    # Power 25 of noise everywhere, about 225 of bars in one half.
    assert lost.uneven == pytest.approx(112 / (112 + 25), abs=0.06)


def test_what_was_left_alone_tells_only_of_the_finest_waves():
    noise = 10 * blurred_noise((SIZE, SIZE), 0.0, 5)
    found = Residual.of([CLEAN + noise], [CLEAN + noise])
    assert found.noise_left == 1.0
    assert found.noise_sigma == pytest.approx(10, rel=0.06)
    assert found.uneven is None


@pytest.mark.parametrize("shape", [(3, 40), (64, 64)])
def test_without_any_variation_nothing_is_known(shape):
    flat = np.full(shape, 7.0)
    assert Residual.of([flat], [flat]) == Residual(None, 0.0, None)
