"""The classical filters: what they take off, what they leave, and that tiles do not show."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.made_up import blurred_noise, covariance, scene, squared_error
from training_core.denoise.dct_filter import ShrinkageFilter, mirror
from training_core.denoise.nl_bayes import CollaborativeFilter
from training_core.noise.strength_curve import NoiseCurve
from training_core.run import Cancelled, Run

ONE = NoiseCurve(np.zeros(1), np.ones(1))


def tensor(image):
    return torch.from_numpy(np.asarray(image, np.float32))


def noisy_scene(blur, seed=1):
    clean = scene(96, 96, 0.0, 15.0)
    return clean, clean + blurred_noise(clean.shape, blur, seed)


@pytest.mark.parametrize("edges", [(0, 0, 0, 0), (3, 2, 1, 4), (9, 20, 13, 7)])
@pytest.mark.parametrize("shape", [(5, 8), (1, 6), (16, 2)])
def test_mirror_is_numpys_reflect(edges, shape):
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    left, right, top, below = edges
    expected = np.pad(image, ((top, below), (left, right)), mode="reflect")
    assert np.array_equal(mirror(tensor(image)[None, None], edges)[0, 0].numpy(), expected)


@pytest.mark.parametrize(
    ("blur", "size", "step", "least"), [(0, 8, 2, 6), (0, 16, 4, 5), (0.7, 8, 2, 3)]
)
def test_shrinkage_takes_noise_off(blur, size, step, least):
    clean, noisy = noisy_scene(blur)
    filtered = ShrinkageFilter(covariance(blur), ONE, size, step)(tensor(noisy)[None, None])
    assert filtered.shape == (1, 1, 96, 96)
    assert squared_error(noisy, clean) > least * squared_error(filtered[0, 0], clean)


def test_shrinkage_that_knows_the_spectrum_beats_one_that_does_not():
    clean, noisy = noisy_scene(1.0)
    image = tensor(noisy)[None, None]
    knowing = ShrinkageFilter(covariance(1.0), ONE)(image)[0, 0]
    ignorant = ShrinkageFilter(covariance(0.0), ONE)(image)[0, 0]
    assert squared_error(knowing, clean) < 0.7 * squared_error(ignorant, clean)


@pytest.mark.parametrize("blur", [0.0, 0.7])
def test_collaboration_takes_more_noise_off_what_repeats(blur):
    rows, columns = np.mgrid[:96, :96]
    clean = 2.5 * np.sign(np.sin((rows + columns) / 3))
    noisy = clean + blurred_noise(clean.shape, blur, seed=1)
    pilot = ShrinkageFilter(covariance(blur), ONE)(tensor(noisy)[None, None])[0, 0]
    filtered = CollaborativeFilter(covariance(blur), ONE)(tensor(noisy), pilot)
    assert squared_error(filtered, clean) < 0.6 * squared_error(pilot, clean)


def test_stronger_noise_in_bright_places_is_taken_off_there_too():
    clean = np.full((96, 96), 2.0)
    clean[:, 48:] = 30.0
    curve = NoiseCurve(np.array([2.0, 30.0]), np.array([0.5, 4.0]))
    noisy = clean + np.where(clean > 10, 4.0, 0.5) * blurred_noise(clean.shape, 0.0, seed=2)
    filtered = ShrinkageFilter(covariance(), curve)(tensor(noisy)[None, None])[0, 0].numpy()
    for side in (slice(0, 40), slice(56, 96)):
        before = squared_error(noisy[:, side], clean[:, side])
        assert before > 20 * squared_error(filtered[:, side], clean[:, side])


@pytest.mark.parametrize("shape", [(16, 16), (17, 33), (40, 30)])
def test_a_constant_image_stays_constant(shape):
    image = torch.full(shape, 12.5)
    for blur in (0.0, 0.7):
        shrunk = ShrinkageFilter(covariance(blur), ONE)(image[None, None])[0, 0]
        assert shrunk.shape == shape
        assert (shrunk - 12.5).abs().max() < 1e-4
        together = CollaborativeFilter(covariance(blur), ONE)(image, image)
        assert together.shape == shape
        assert (together - 12.5).abs().max() < 1e-4


def test_a_masked_area_gives_numbers():
    clean, noisy = noisy_scene(0.0)
    noisy[:, :60] = 0.0
    image = tensor(noisy)
    pilot = ShrinkageFilter(covariance(), ONE)(image[None, None])[0, 0]
    filtered = CollaborativeFilter(covariance(), ONE)(image, pilot)
    assert filtered[:, :40].abs().max() < 0.05
    assert squared_error(filtered[:, 72:], clean[:, 72:]) < 0.3


def test_the_mean_is_kept():
    _, noisy = noisy_scene(0.0)
    pilot = ShrinkageFilter(covariance(), ONE)(tensor(noisy)[None, None])[0, 0]
    filtered = CollaborativeFilter(covariance(), ONE)(tensor(noisy), pilot)
    assert float(filtered.mean()) == pytest.approx(noisy.mean(), abs=0.02)


@pytest.mark.parametrize("size", [15, 8])
def test_images_smaller_than_the_search_window(size):
    noisy = tensor(5.0 + blurred_noise((size, 40), 0.0, seed=3))
    filtered = CollaborativeFilter(covariance(), ONE)(noisy, torch.full((size, 40), 5.0))
    assert filtered.shape == (size, 40)
    assert float((filtered - 5.0).square().mean()) < 0.1


def test_collaboration_can_be_cancelled():
    run = Run()
    run.cancel()
    image = torch.zeros(32, 32)
    with pytest.raises(Cancelled):
        CollaborativeFilter(covariance(), ONE)(image, image, run)
