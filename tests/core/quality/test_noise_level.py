import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from training_core.quality.noise_level import estimate_noise_sigma
from training_core.stack import Stack, centre, sampled_frames

SAMPLES = Path(__file__).parents[3] / "resources" / "samples"


def noise(shape, sigma, blur=0.0, seed=0):
    field = np.random.default_rng(seed).standard_normal(shape)
    if blur:
        field = ndimage.gaussian_filter(field, blur, mode="wrap")
    return field * sigma / field.std()


def smooth_scene(shape):
    y, x = np.mgrid[: shape[0], : shape[1]] / shape[0]
    return 100 + 60 * np.sin(5 * x) * np.cos(4 * y) + 40 * (np.hypot(x - 0.6, y - 0.5) < 0.2)


@pytest.mark.parametrize("blur", [0.0, 0.7, 1.0])
def test_known_noise_on_a_scene_is_found_within_five_percent(blur):
    scene = smooth_scene((512, 512))
    found = estimate_noise_sigma(Stack(scene + noise(scene.shape, 9.0, blur), "YX"))
    assert found == pytest.approx(9.0, rel=0.05)


def test_the_usual_shortcut_would_miss_correlated_noise():
    field = noise((512, 512), 9.0, 1.0)
    shortcut = np.median(np.abs(field[1:, 1:] - field[:-1, :-1])) / 0.6745 / 2**0.5
    assert shortcut < 7.0


def test_shot_noise_is_averaged_over_all_brightnesses():
    rng = np.random.default_rng(0)
    scene = 20 + 180 * np.mgrid[:512, :512][1] / 512
    stack = Stack(rng.poisson(scene).astype(np.uint16), "YX")
    assert estimate_noise_sigma(stack) == pytest.approx(np.sqrt(scene.mean()), rel=0.05)


@pytest.mark.parametrize("name", ["fluorescence", "ct", "sem"])
def test_sample_stacks(name):
    noisy, clean = (tifffile.imread(SAMPLES / f"{name}_{k}.tif") for k in ("noisy", "clean"))
    found = estimate_noise_sigma(Stack(noisy, "YX" if noisy.ndim == 2 else "ZYX"))
    assert found == pytest.approx(np.std(noisy.astype(float) - clean), rel=0.05)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name", ["Confocal_FISH", "TwoPhoton_MICE", "WideField_BPAE_G", "WideField_BPAE_B"]
)
def test_real_micrographs_within_twelve_percent(shared_data, name):
    folder = shared_data / "fmd" / "test_mix"
    noisy = np.asarray(Image.open(folder / "raw" / f"{name}_1.png"))
    clean = np.asarray(Image.open(folder / "gt" / f"{name}.png"))
    # The ground truth is the mean of 50 frames, this one among them.
    truth = np.std(noisy.astype(float) - clean) * (50 / 49) ** 0.5
    assert estimate_noise_sigma(Stack(noisy, "YX")) == pytest.approx(truth, rel=0.12)


@pytest.mark.parametrize("shape", [(1, 1), (3, 64), (64, 64), (5, 512)])
def test_constant_and_tiny_stacks_have_no_noise(shape):
    assert estimate_noise_sigma(Stack(np.full(shape, 7, np.uint16), "YX")) == 0.0


@pytest.mark.parametrize("shape", [(5, 512), (20, 31), (100, 17)])
def test_small_frames_are_measured_roughly(shape):
    assert estimate_noise_sigma(Stack(noise(shape, 9.0), "YX")) == pytest.approx(9.0, rel=0.3)


def test_padding_does_not_count():
    padded = np.full((256, 256), -2000.0)
    padded[:, 100:] = noise((256, 156), 30.0)
    assert estimate_noise_sigma(Stack(padded, "YX")) == pytest.approx(30.0, rel=0.05)


def test_an_image_of_mostly_zeros_still_has_noise():
    counts = np.random.default_rng(0).poisson(0.3, (256, 256)).astype(np.uint8)
    assert estimate_noise_sigma(Stack(counts, "YX")) == pytest.approx(0.3**0.5, rel=0.05)


def test_a_rough_part_does_not_count():
    scene = np.full((256, 256), -1000.0)
    scene[40:216, 40:216] = 40.0
    scene[:, :48] = 2000 + noise((256, 48), 300.0, seed=1)  # rough all over, as bone can be
    found = estimate_noise_sigma(Stack(scene + noise(scene.shape, 6.0), "YX"))
    assert found == pytest.approx(6.0, rel=0.1)


def test_sampling_is_bounded_and_spread():
    long = Stack(np.zeros((100, 64, 64), np.uint8), "TYX")
    assert sampled_frames(long) == [0, 14, 28, 42, 57, 71, 85, 99]
    assert sampled_frames(Stack(np.zeros((3, 2048, 2048), np.uint8), "ZYX")) == [0]
    wide = np.arange(3000 * 10).reshape(10, 3000)
    np.testing.assert_array_equal(centre(wide), wide[:, 476:2524])


def test_a_large_frame_takes_under_two_seconds_of_computing():
    stack = Stack(noise((2048, 2048), 5.0).astype(np.float32), "YX")
    start = time.process_time()
    estimate_noise_sigma(stack)
    assert time.process_time() - start < 2.0
