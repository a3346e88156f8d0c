"""Texture is not taken for correlated noise, and correlated noise not for texture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, rotate

from tests.support.made_up import QUICKEST, blurred_noise, covariance, scene, stack
from training_core.compute.checkpoint import NO_CHECKPOINT
from training_core.noise.covariance import coloured
from training_core.noise.measurement import measure_noise
from training_core.noise.white_covariance import is_surely_noise, may_be_texture, safe_sigma
from training_core.patches.smooth_patches import cut_noise_patches
from training_core.pipeline import denoise_stack
from training_core.reporting.noise_analysis import analyse_noise
from training_core.run import SILENT, Note, Run

SIDE = 256
SIGMA = 8.0


def tissue(seed: int = 0) -> np.ndarray:
    """Give texture as cells have it: fine everywhere, here weaker, there stronger."""
    grain = blurred_noise((SIDE, SIDE), 1.2, seed)
    place = gaussian_filter(np.random.default_rng(seed + 1).standard_normal((SIDE, SIDE)), 12)
    return 120 + 30 * grain * np.exp(0.3 * place / place.std())


def textured(seed: int = 0) -> np.ndarray:
    noise = SIGMA * np.random.default_rng(seed + 2).standard_normal((SIDE, SIDE))
    return (tissue(seed) + noise).astype(np.float32)


def measured(image: np.ndarray, **changes: str):
    settings = replace(QUICKEST.noise_model, **changes)
    frame = stack(image)
    patches = cut_noise_patches([frame], QUICKEST.patches, SILENT, NO_CHECKPOINT)[0]
    return measure_noise([image], patches, settings, linear=False)


@pytest.mark.parametrize("seed", [0, 1])
def test_texture_is_doubted_and_the_safe_strength_taken(seed):
    found = measured(textured(seed))
    assert found.doubted
    sigma = float(found.curve.sigmas[0]) * found.stabiliser.scale
    assert 0.7 * SIGMA < sigma < 2 * SIGMA
    assert np.abs(found.covariance).sum() == 1  # each pixel for itself


@pytest.mark.parametrize("blur", [0.6, 0.8, 1.0])
def test_texture_that_is_alike_everywhere_is_doubted_where_nothing_else_is_seen(blur):
    noise = 5.0 * np.random.default_rng(3).standard_normal((SIDE, SIDE))
    image = 100 + 12 * blurred_noise((SIDE, SIDE), blur, 9) + noise
    assert measured(image.astype(np.float32)).doubted


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("blur", "size", "sigma"), [(0.8, 8, 4), (1.0, 15, 3)])
def test_texture_under_cells_is_doubted_since_it_grows_with_no_light(blur, size, sigma, seed):
    noise = sigma * np.random.default_rng(seed + 20).standard_normal((SIDE, SIDE))
    image = scene(SIDE, SIDE) + size * blurred_noise((SIDE, SIDE), blur, seed) + noise
    assert measured(image.astype(np.float32)).doubted


@pytest.mark.parametrize("seed", [0, 1])
def test_light_that_a_detector_smeared_is_believed_though_read_noise_lies_on_it(seed):
    draw = np.random.default_rng(seed)
    light = np.maximum(scene(SIDE, SIDE), 1)
    photons = gaussian_filter(2 * draw.poisson(light / 2) - light, 0.6)
    image = light + photons + 2 * draw.standard_normal((SIDE, SIDE))
    found = measured(image.astype(np.float32))
    assert not found.doubted
    assert found.covariance[15, 16] > 0.25


@pytest.mark.parametrize("order", [1, 3])
def test_noise_of_an_image_that_was_turned_is_believed(order):
    noise = SIGMA * np.random.default_rng(5).standard_normal((SIDE + 64, SIDE + 64))
    image = rotate(scene(SIDE + 64, SIDE + 64) + noise, 7, order=order, reshape=False)
    assert not measured(image[32:-32, 32:-32].astype(np.float32)).doubted


def test_nobody_doubts_that_noise_is_smeared_where_its_growth_was_not_looked_at():
    learned = white_under(covariance(0.8))
    frame = [stabilised_scene(learned)]
    assert may_be_texture(frame, learned, grows=False)
    assert not may_be_texture(frame, learned, grows=True)


@pytest.mark.parametrize("share", [0.003, 0.05])
def test_what_rounding_leaves_is_no_floor_of_white_noise(share):
    learned = white_under(covariance(1.2), share)
    assert may_be_texture([stabilised_scene(learned)], learned, grows=False) == (share == 0.05)


def test_stripes_are_no_texture():
    learned = covariance(0.0)
    learned[:, 15] = 0.4 * np.maximum(1 - np.abs(np.arange(-15, 16)) / 15, 0)
    learned[15, 15] = 1.0
    assert not may_be_texture([stabilised_scene(learned)], learned, grows=False)


def white_under(smeared: np.ndarray, share: float = 0.2) -> np.ndarray:
    """Give the autocovariance of smeared noise with white noise on it, that share of the power."""
    return (1 - share) * smeared + share * covariance(0.0)


def stabilised_scene(learned: np.ndarray) -> np.ndarray:
    """Give a scene under unit noise of an autocovariance."""
    noise = coloured(np.random.default_rng(6).standard_normal((SIDE, SIDE)), learned)
    return (scene(SIDE, SIDE) / 8 + noise).astype(np.float32)


def test_texture_whose_power_falls_with_the_frequency_is_doubted():
    frequency = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(SIDE)]))
    frequency[0, 0] = 1.0
    draw = np.random.default_rng(11)
    waves = np.fft.ifft2(np.fft.fft2(draw.standard_normal((SIDE, SIDE))) / frequency).real
    image = 100 + 25 * waves / waves.std() + 5 * draw.standard_normal((SIDE, SIDE))
    assert measured(image.astype(np.float32)).doubted


def test_slow_texture_leaves_no_doubt_of_white_noise():
    slow = 8 * blurred_noise((SIDE, SIDE), 2.0, 12)
    image = 100 + slow + SIGMA * np.random.default_rng(13).standard_normal((SIDE, SIDE))
    found = measured(image.astype(np.float32))
    assert not found.doubted
    sigma = float(found.curve.sigmas.mean()) * found.stabiliser.scale
    assert sigma == pytest.approx(SIGMA, rel=0.15)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("blur", [0.6, 0.8])
def test_correlated_noise_on_a_scene_with_flat_areas_is_believed(blur, seed):
    image = scene(SIDE, SIDE) + SIGMA * blurred_noise((SIDE, SIDE), blur, seed)
    found = measured(image.astype(np.float32))
    assert not found.doubted
    assert found.covariance[15, 16] == pytest.approx(covariance(blur)[15, 16], abs=0.1)


def test_it_is_said_when_the_image_is_opened():
    (analysis,) = analyse_noise(stack(textured()))
    assert any("cannot be told apart" in warning for warning in analysis.warnings)
    assert analysis.noise is not None
    assert analysis.noise.sigmas[1] < 2 * SIGMA


def test_white_noise_leaves_nothing_to_doubt():
    white = np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(np.float32)
    assert not may_be_texture([white], covariance(0.0), grows=False)


@pytest.mark.parametrize(("neighbours", "doubted"), [(0.1, False), (0.14, True)])
def test_a_trace_of_correlation_leaves_no_doubt_even_of_texture(neighbours, doubted):
    learned = covariance(0.0)
    for across, down in ((14, 15), (16, 15), (15, 14), (15, 16)):
        learned[down, across] = neighbours
    frame = [textured() / np.float32(SIGMA)]
    assert may_be_texture(frame, learned, grows=True) == doubted


def test_who_knows_the_camera_is_believed():
    correlated = measured(textured(), correlation="correlated")
    assert not correlated.doubted
    assert float(correlated.curve.sigmas.mean()) * correlated.stabiliser.scale > 2 * SIGMA
    independent = measured(textured(), correlation="independent")
    assert not independent.doubted
    assert np.abs(independent.covariance).sum() == 1


@pytest.mark.parametrize("sigma", [0.5, 8.0])
def test_the_safe_strength_is_right_where_the_image_is_flat(sigma):
    image = scene(SIDE, SIDE) + sigma * np.random.default_rng(4).standard_normal((SIDE, SIDE))
    assert safe_sigma([image.astype(np.float32)]) == pytest.approx(sigma, rel=0.08)


def test_strength_is_sure_where_the_finest_waves_are_even():
    white = SIGMA * np.random.default_rng(6).standard_normal((SIDE, SIDE))
    smooth = gaussian_filter(np.random.default_rng(7).standard_normal((SIDE, SIDE)), 2.0)
    assert is_surely_noise([white])
    assert is_surely_noise([white + 40 * SIGMA * smooth])  # texture everywhere, but none as fine
    places = np.linspace(0.2, 3, SIDE)
    sharp = places * SIGMA * np.random.default_rng(8).standard_normal((SIDE, SIDE))
    assert not is_surely_noise([white / 4 + sharp])  # as fine as noise, here more than there
    assert not is_surely_noise([np.zeros((SIDE, SIDE))])


def test_padding_says_nothing_of_the_noise():
    image = np.random.default_rng(5).normal(100, 4, (SIDE, SIDE)).astype(np.float32)
    image[:, : SIDE // 3] = 0
    assert safe_sigma([image]) == pytest.approx(4.0, rel=0.1)


@pytest.mark.trains
def test_a_doubted_image_is_hardly_changed_and_that_is_said():
    notes: list[str] = []
    run = Run(lambda event: notes.append(event.text) if isinstance(event, Note) else None)
    noisy, clean = textured(), tissue()
    outcome = denoise_stack(stack(noisy), QUICKEST, run=run)
    error = float(np.square(outcome.denoised.pixels - clean).mean())
    assert error < 1.02 * float(np.square(noisy - clean).mean())
    assert outcome.denoiser.card["doubted"] == [1]
    assert any("cannot be told apart" in note for note in notes)
