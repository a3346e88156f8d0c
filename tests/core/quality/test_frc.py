import numpy as np
import pytest

from training_core.quality.frc import decorrelation_frequency, resolution_um, ring_correlation
from training_core.stack import PixelSize, Stack

SIDE = 256


def frequencies():
    return np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE))


def points_seen_up_to(limit, seed=1):
    """Random points through optics that pass frequencies up to `limit` cycles per pixel."""
    points = np.random.default_rng(seed).poisson(0.03, (SIDE, SIDE)) * 100.0
    transfer = np.clip(1 - frequencies() / limit, 0, None)
    return np.fft.ifft2(np.fft.fft2(points) * transfer).real


def noise(sigma, seed):
    return np.random.default_rng(seed).normal(0, sigma, (SIDE, SIDE))


@pytest.mark.parametrize("limit", [0.08, 0.15, 0.3])
@pytest.mark.parametrize("relative_noise", [0.0, 0.2])
def test_decorrelation_finds_the_limit_of_the_optics(limit, relative_noise):
    frame = points_seen_up_to(limit)
    frame = frame + noise(relative_noise * frame.std() + 1e-9, 2)
    assert decorrelation_frequency(frame) == pytest.approx(limit, rel=0.1)


def test_nothing_is_found_in_pure_noise_or_a_constant():
    assert decorrelation_frequency(noise(1.0, 3)) is None
    assert decorrelation_frequency(np.full((SIDE, SIDE), 5.0)) is None


def test_ring_correlation_of_equal_and_of_unrelated_frames():
    frame = noise(1.0, 4)
    np.testing.assert_allclose(ring_correlation(frame, 3 * frame + 7), 1.0, atol=1e-9)
    unrelated = ring_correlation(frame, noise(1.0, 5))
    assert np.abs(unrelated[8:]).mean() < 0.05


def test_ring_correlation_with_noise_of_equal_power_is_one_over_root_two():
    frame = noise(1.0, 6)
    curve = ring_correlation(frame, frame + noise(1.0, 7))
    assert curve[10:].mean() == pytest.approx(0.5**0.5, abs=0.02)


def test_repeats_are_compared_with_raw_frames():
    scene = points_seen_up_to(0.2)
    noisy = np.stack([scene + noise(0.05 * scene.std(), seed) for seed in range(3)])
    stack = Stack(noisy, "TYX", PixelSize(0.1, 0.1))
    found, method = resolution_um(stack, stack.with_pixels(np.stack([scene] * 3)))
    assert method == "frc"
    assert found == pytest.approx(0.1 / 0.2, rel=0.1)


def test_detail_invented_in_every_frame_does_not_count():
    scene = points_seen_up_to(0.1)
    noisy = np.stack([scene + noise(0.05 * scene.std(), seed) for seed in range(2)])
    invented = points_seen_up_to(0.4, seed=9) - points_seen_up_to(0.1, seed=9)
    stack = Stack(noisy, "TYX", PixelSize(0.1, 0.1))
    found, method = resolution_um(stack, stack.with_pixels(np.stack([scene + invented] * 2)))
    assert method == "frc"
    assert found > 1.0
    assert 0.1 / decorrelation_frequency(scene + invented) < 0.4


def test_frames_of_different_scenes_are_judged_singly():
    frames = np.stack([points_seen_up_to(0.2, seed) for seed in range(2)])
    stack = Stack(frames, "IYX", PixelSize(0.1, 0.1))
    found, method = resolution_um(stack, stack)
    assert method == "decorrelation"
    assert found == pytest.approx(0.5, rel=0.1)


def test_no_pixel_size_or_a_small_frame_gives_none():
    frames = points_seen_up_to(0.2)
    assert resolution_um(Stack(frames, "YX"), Stack(frames, "YX")) == (None, None)
    small = Stack(frames[:40, :40], "YX", PixelSize(0.1, 0.1))
    assert resolution_um(small, small) == (None, None)
