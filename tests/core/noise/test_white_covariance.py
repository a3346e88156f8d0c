"""Nearly white noise is told from structure by its finest waves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tests.support.made_up import blurred_noise, covariance
from training_core.noise.covariance import LAGS, autocovariance, detrended
from training_core.noise.strength_curve import fit_curve
from training_core.noise.white_covariance import WaveSpectra, reshaped

SIDE = 256


def without_structure(frames: list[np.ndarray], patches: np.ndarray) -> np.ndarray | None:
    found = WaveSpectra.of(frames)
    return None if found is None else found.without_structure(patches)


def everywhere(seed=0):
    """Give structure without a calm place, as optics pass it: nothing finer than 4 px."""
    rough = np.random.default_rng(seed).standard_normal((SIDE, SIDE))
    smooth = gaussian_filter(rough, 2.0)
    return (1.5 * smooth / smooth.std()).astype(np.float32)


def leaked(frame):
    patches = np.stack([frame[y : y + 32, x : x + 32] for y in range(0, 192, 24) for x in (0, 96)])
    return autocovariance(detrended(patches))


def lag_1(found):
    return found[LAGS, LAGS + 1] / found[LAGS, LAGS]


@pytest.mark.parametrize("neighbours", [0.0, 0.08])
def test_structure_everywhere_is_not_taken_for_correlation(neighbours):
    noise = blurred_noise((SIDE, SIDE), 0, 1)
    noise = (noise + neighbours * np.roll(noise, 1, axis=1)).astype(np.float32)
    frame = everywhere() + noise
    found = without_structure([frame], leaked(frame))
    assert lag_1(leaked(frame)) > 0.4
    assert lag_1(found) < 0.6 * lag_1(leaked(frame))
    middle = np.abs(np.fft.fft2(np.roll(found, (-LAGS, -LAGS), (0, 1))))[5:12, 0]
    assert middle.max() / middle.min() < 1.6  # flat in waves of 3 to 6 px
    assert found[LAGS, LAGS] == pytest.approx(1.0)


def test_white_noise_alone_stays_white():
    frame = blurred_noise((SIDE, SIDE), 0, 2).astype(np.float32)
    found = without_structure([frame], leaked(frame))
    off = found.copy()
    off[LAGS, LAGS] = 0
    assert np.abs(off).max() < 0.03


def test_correlated_noise_is_left_to_the_patches():
    frame = blurred_noise((SIDE, SIDE), 0.7, 3).astype(np.float32)
    assert without_structure([frame], covariance(0.7)) is None


def test_small_frames_say_nothing():
    frame = blurred_noise((40, 40), 0, 4).astype(np.float32)
    assert without_structure([frame], covariance()) is None
    assert without_structure([frame, frame], covariance()) is None


def test_masked_windows_do_not_count():
    frame = blurred_noise((SIDE, SIDE), 0, 5).astype(np.float32)
    patches = leaked(frame)
    whole = without_structure([frame], patches)
    frame[: SIDE // 2] = 0
    np.testing.assert_allclose(without_structure([frame], patches), whole, atol=0.02)


def test_patches_lose_what_is_too_strong():
    frame = everywhere(1) + blurred_noise((SIDE, SIDE), 0, 6).astype(np.float32)
    patches = np.stack([frame[y : y + 32, x : x + 32] for y in range(0, 224, 32) for x in (0, 64)])
    unit = detrended(patches)
    made, share = reshaped(unit, covariance())
    assert lag_1(autocovariance(unit)) > 0.3
    assert abs(lag_1(autocovariance(made))) < 0.12
    assert ((share > 0.2) & (share < 0.95)).all()
    np.testing.assert_allclose(made.std(axis=(1, 2)), 1, rtol=1e-4)


def textured(neighbours, seed, side=384):
    """Give noise of variance 1 on texture as fine as photographs have, but for a third of it."""
    rng = np.random.default_rng(seed)
    texture = gaussian_filter(rng.standard_normal((side, side)), 1.0)
    wide = gaussian_filter(rng.standard_normal((side, side)), 30)
    amount = np.clip((wide - np.quantile(wide, 0.35)) / wide.std() * 2, 0, None)
    white = rng.standard_normal((side, side))
    noise = (white + neighbours * np.roll(white, 1, axis=1)) / np.hypot(1, neighbours)
    return (amount * texture / texture.std() + noise).astype(np.float32)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("neighbours", "near"), [(0.0, 0.001), (0.06, 0.012)])
def test_fine_texture_makes_white_noise_neither_correlated_nor_stronger(neighbours, near, seed):
    frame = textured(neighbours, seed)
    found = without_structure([frame], covariance())
    assert lag_1(found) == pytest.approx(neighbours, abs=near)
    assert found[LAGS + 1, LAGS] == pytest.approx(0.0, abs=0.001)
    assert fit_curve([frame], found).sigmas.mean() == pytest.approx(1.0, abs=0.02)
