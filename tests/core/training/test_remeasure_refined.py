"""Noise measured again on whole frames, where patches were too few, too calm or of one sort."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from tests.support.made_up import blurred_noise, covariance, scene
from training_core.noise.covariance import LAGS, autocovariance, detrended, spectrum
from training_core.noise.measurement import measure_noise
from training_core.run import SILENT, Cancelled, Run
from training_core.settings import NoiseModelSettings
from training_core.training import remeasure as noise_refinement
from training_core.training.remeasure import refined, reshaped_to

SIGMA = 40.0


def streaks(shape, seed):
    """Give noise of std 40 that is correlated along x, and not along y."""
    white = np.random.default_rng(seed).standard_normal(shape)
    blurred = gaussian_filter1d(white, 0.7, axis=-1, mode="wrap")
    return SIGMA * blurred / blurred.std()


def measured_on(patches, frames):
    return measure_noise(frames, patches, NoiseModelSettings(), linear=True)


def stack_sigma(measured):
    return float(measured.curve.sigmas.mean() * measured.stabiliser.scale)


@pytest.fixture(scope="module")
def streaked():
    """Frames with streaks everywhere, and patches that are calmer and know none."""
    frames = [(scene(192, 192) + streaks((192, 192), seed)).astype(np.float32) for seed in (1, 2)]
    calm = 0.8 * SIGMA * blurred_noise((80, 32, 32), 0.0, 3)
    patches = (130.0 + calm).astype(np.float32)
    return frames, patches, measured_on(patches, frames)


@pytest.fixture(scope="module")
def found(streaked):
    """What is measured again on these frames."""
    frames, patches, start = streaked
    return refined(start, frames, patches, SILENT)


def test_the_correlation_of_whole_frames_is_found(streaked, found):
    _, _, start = streaked
    true = covariance(0.7)[LAGS, LAGS + 1]
    assert abs(start.covariance[LAGS, LAGS + 1]) < 0.05
    assert found.covariance[LAGS, LAGS + 1] == pytest.approx(true, abs=0.12)
    assert found.covariance[LAGS + 1, LAGS] == pytest.approx(0.0, abs=0.08)
    assert found.covariance[LAGS, LAGS] == pytest.approx(1.0)
    assert found.covariance == pytest.approx(found.covariance[::-1, ::-1])


def test_the_level_of_whole_frames_is_found(streaked, found):
    _, _, start = streaked
    before, after = (abs(stack_sigma(m) / SIGMA - 1) for m in (start, found))
    assert after < 0.15
    assert after < 0.7 * before


def test_the_patches_become_like_the_frames(streaked, found):
    _, _, start = streaked
    assert found.noise.shape == start.noise.shape
    assert found.noise.std(axis=(1, 2)) == pytest.approx(1.0, abs=0.01)
    seen = autocovariance(found.noise, trendless=True)
    aim = found.covariance[LAGS, LAGS + 1]
    assert seen[LAGS, LAGS + 1] / seen[LAGS, LAGS] == pytest.approx(aim, abs=0.08)
    assert len(found.strengths) == len(start.strengths)


def test_what_is_right_already_stays():
    frames = [(scene(192, 192) + streaks((192, 192), 4)).astype(np.float32)]
    patches = (130.0 + streaks((80, 32, 32), 5)).astype(np.float32)
    start = measured_on(patches, frames)
    found = refined(start, frames, patches, SILENT)
    assert np.abs(found.covariance - start.covariance).max() < 0.1
    assert stack_sigma(found) == pytest.approx(stack_sigma(start), rel=0.06)


def test_only_what_is_seen_counts(streaked):
    frames, patches, start = streaked
    half = frames[0].copy()
    half[:, :96] = 130.0 + 3 * SIGMA * blurred_noise((192, 96), 0.0, 6)
    seen = [np.broadcast_to(np.arange(192) >= 104, (192, 192))]
    found, fooled = (refined(start, [half], patches, SILENT, s) for s in (seen, None))
    assert stack_sigma(found) == pytest.approx(SIGMA, rel=0.2)
    assert abs(stack_sigma(found) - SIGMA) < 0.7 * abs(stack_sigma(fooled) - SIGMA)


def test_where_nothing_is_seen_everything_counts(streaked, found):
    frames, patches, start = streaked
    nowhere = [np.zeros(frame.shape, bool) for frame in frames]
    blind, plain = refined(start, frames, patches, SILENT, nowhere), found
    assert np.array_equal(blind.covariance, plain.covariance)


@pytest.mark.parametrize("shape", [(40, 70), (33, 33), (24, 24)])
def test_small_frames_are_no_trouble(shape):
    frame = (130.0 + streaks(shape, 8)).astype(np.float32)
    patches = (130.0 + streaks((60, 16, 16), 9)).astype(np.float32)
    found = refined(measured_on(patches, [frame]), [frame], patches, SILENT)
    assert np.isfinite(found.covariance).all()
    assert np.isfinite(found.curve.sigmas).all()


def test_each_pass_goes_on_from_the_last(streaked, monkeypatch):
    frames, patches, start = streaked
    lags = []
    for passes in (1, 2, 4):
        monkeypatch.setattr(noise_refinement, "PASSES", passes)
        lags.append(refined(start, frames[:1], patches, SILENT).covariance[LAGS, LAGS + 1])
    assert all(before < after for before, after in pairwise(lags))


def test_it_can_be_cancelled(streaked):
    frames, patches, start = streaked
    run = Run(lambda event: None)
    run.cancel()
    with pytest.raises(Cancelled):
        refined(start, frames, patches, run)


@pytest.mark.parametrize("blur", [0.0, 0.6])
def test_patches_that_are_right_keep_every_wave(blur):
    noise = detrended(blurred_noise((600, 32, 32), blur, 11))
    aim = autocovariance(noise, trendless=True)
    shaped, _ = reshaped_to(noise, aim / aim[LAGS, LAGS])
    before, after = (
        spectrum(autocovariance(of, trendless=True), (64, 64)) for of in (noise, shaped)
    )
    slow = np.s_[:3, :3]
    assert after[slow].mean() == pytest.approx(before[slow].mean(), rel=0.1)
    assert after == pytest.approx(before, rel=0.2, abs=0.02)


def test_frames_without_anything_to_see_do_not_count(streaked):
    frames, patches, start = streaked
    loud = (130.0 + 4 * SIGMA * blurred_noise((192, 192), 0.0, 12)).astype(np.float32)
    whole, nothing = np.ones((192, 192), bool), np.zeros((192, 192), bool)
    plain = refined(start, frames[:1], patches, SILENT)
    mixed = [frames[0], loud, loud, loud]
    found = refined(start, mixed, patches, SILENT, [whole, nothing, nothing, nothing])
    assert found.covariance == pytest.approx(plain.covariance, abs=0.03)
    assert stack_sigma(found) == pytest.approx(stack_sigma(plain), rel=0.03)


def test_reshaped_patches_never_change_beyond_twice():
    white = blurred_noise((200, 32, 32), 0.0, 10).astype(np.float32)
    shaped, grown = reshaped_to(white, covariance(3.0))
    assert shaped.std(axis=(1, 2)) == pytest.approx(1.0, abs=0.01)
    before, after = (np.square(np.abs(np.fft.fft2(v))).mean(axis=0) for v in (white, shaped))
    change = after * np.mean(grown) ** 2 / before
    assert change[1:, 1:].max() < 4.5
    assert change[1:, 1:].min() > 0.2
