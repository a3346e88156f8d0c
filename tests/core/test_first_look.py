"""A look: the numbers of the instant preset, in any region, with the noise measured once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.made_up import INSTANT, scene, squared_error, stack
from training_core import first_look
from training_core.errors import InputError
from training_core.first_look import SAMPLED_PX, Look, sampled
from training_core.noise.local_strength import EvenNoise
from training_core.pipeline import denoise_stack, train
from training_core.place import PatchLocation
from training_core.run import Cancelled, Run
from training_core.settings import PatchSettings
from training_core.stack import Stack

ALONE = replace(INSTANT, denoiser=replace(INSTANT.denoiser, neighbours="off"))
PARTS = [(0, 0, 40, 50), (17, 33, 61, 20), (90, 70, 38, 58)]


def noisy_scene(height=128, width=128, sigma=25.0, seed=1):
    clean = scene(height, width, 60, 200)
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return clean, stack((clean + noise).astype(np.float32))


def whole(look, index=0):
    return look.region(index, PatchLocation(0, 0, *look.stack.frame_shape))


def body():
    """Give two slices of a phantom in HU, padded outside of the field, and where that is."""
    y, x = np.mgrid[:160, :160]
    rng = np.random.default_rng(24)
    inside = ((x - 80) / 62) ** 2 + ((y - 80) / 48) ** 2 < 1
    hu = np.where(inside, 40.0, -1000.0) + rng.normal(0, 20, (2, 160, 160))
    outside = np.hypot(x - 80, y - 80) > 79
    hu = np.rint(hu).astype(np.int16)
    hu[:, outside] = -3024
    return stack(hu, "ZYX", value_unit="HU"), outside


def taken_unlike():
    """Give a movie of which one frame has three times the gain."""
    rng = np.random.default_rng(5)
    photons = rng.poisson(scene(128, 128, 60, 400), (6, 128, 128)).astype(float)
    photons[3] *= 3
    return stack(photons.astype(np.float32), "TYX")


@pytest.mark.parametrize("kind", ["micrograph", "ct", "unlike"])
def test_a_look_has_the_numbers_of_the_instant_preset(kind):
    given = {
        "micrograph": lambda: noisy_scene()[1],
        "ct": lambda: body()[0],
        "unlike": taken_unlike,
    }
    noisy, index = given[kind](), {"unlike": 3}.get(kind, 0)
    wanted = denoise_stack(noisy, ALONE).denoised.frame(index).astype(float)
    made = whole(Look(noisy, "cpu"), index)
    sigma = (noisy.frame(index) - wanted).std()
    assert np.sqrt(np.square(made - wanted).mean()) < 0.1 * sigma
    assert abs((made - wanted).mean()) < 0.05 * sigma


@pytest.mark.parametrize("kind", ["micrograph", "ct", "unlike"])
def test_any_region_is_as_in_the_whole_frame(kind):
    given = {
        "micrograph": lambda: noisy_scene()[1],
        "ct": lambda: body()[0],
        "unlike": taken_unlike,
    }
    look, index = Look(given[kind](), "cpu"), {"unlike": 3}.get(kind, 0)
    frame = whole(look, index)
    for part in PARTS:
        place = PatchLocation(*part)
        made = look.region(index, place)
        assert made.shape == part[2:]
        np.testing.assert_allclose(made, frame[place.slices], rtol=1e-5, atol=1e-3)


def test_noise_is_taken_off_and_brightness_stays():
    clean, noisy = noisy_scene()
    made = whole(Look(noisy, "cpu"))
    assert squared_error(made, clean) < squared_error(noisy.pixels, clean) / 10
    assert made.mean() == pytest.approx(noisy.pixels.mean(), rel=0.004)


def test_brightness_stays_where_half_of_the_noise_lies_below_zero():
    rows, columns = np.mgrid[:96, :96]
    photons = 2 * np.exp(-((columns - 42) ** 2 + (rows - 50) ** 2) / 400)
    rng = np.random.default_rng(32)
    movie = 40 * rng.poisson(photons, (6, 96, 96)) + rng.normal(0, 25, (6, 96, 96))
    given = stack(movie.round().astype(np.int16), "TYX")
    look = Look(given, "cpu")
    for index in (0, 4):
        made = whole(look, index)
        assert abs(made.mean() - given.pixels[index].mean()) < 0.25 * 25
        assert (
            squared_error(made, 40 * photons) < squared_error(given.pixels[index], 40 * photons) / 4
        )


def test_the_noise_is_measured_once_for_all_frames_and_channels(monkeypatch):
    rng = np.random.default_rng(3)
    dim = scene(96, 128, 200, 900) + rng.normal(0, 30, (2, 96, 128))
    bright = scene(96, 128, 9000, 20000) + rng.normal(0, 400, (2, 96, 128))
    both = Stack(np.stack([dim, bright], axis=1).astype(np.uint16), "ZCYX", channels=("a", "b"))
    asked, measure = [], first_look.with_known_noise
    monkeypatch.setattr(
        first_look, "with_known_noise", lambda *a: asked.append(a[0]) or measure(*a)
    )
    look = Look(both, "cpu")
    assert not look.is_measured
    for index, sigma in ((3, 400), (0, 30), (2, 30)):
        made = whole(look, index)
        assert (made.dtype, look.is_measured) == (np.float32, True)
        assert 0.7 * sigma < (both.frame(index) - made).std() < 1.2 * sigma
    assert [len(stacks) for stacks in asked] == [1]


def test_what_is_no_measurement_comes_back():
    given, outside = body()
    look = Look(given, "cpu")
    assert (whole(look, 1)[outside] == -3024).all()
    assert (look.region(1, PatchLocation(0, 0, 20, 20))[outside[:20, :20]] == -3024).all()
    assert isinstance(look._denoiser.even_noise, EvenNoise)
    pixels = (
        np.random.default_rng(0).poisson(scene(128, 128, 60, 300), (3, 128, 128)).astype(np.uint16)
    )
    pixels[1] = 7
    assert np.array_equal(whole(Look(stack(pixels, "TYX"), "cpu"), 1), pixels[1])


def test_a_blank_channel_stays():
    pixels = (
        np.random.default_rng(0).poisson(scene(128, 128, 60, 300), (2, 128, 128)).astype(np.uint16)
    )
    pixels[0] = 100
    look = Look(stack(pixels, "CYX"), "cpu")
    assert np.array_equal(whole(look, 0), pixels[0])
    assert whole(look, 1).std() < pixels[1].std()


def test_of_a_large_stack_a_sample_is_measured():
    pixels = np.arange(20 * 2 * 400 * 500, dtype=np.uint32).reshape(20, 2, 400, 500)
    lost = (np.array([0, 200 * 500 + 250]), np.array([np.nan, np.nan]))
    given = Stack(pixels, "TCYX", channels=("a", "b"), not_finite={39: lost, 2: lost})
    sample = sampled(given)
    height, width = sample.frame_shape
    assert (sample.axes, sample.shape[:2], sample.channels) == ("ICYX", (8, 2), ("a", "b"))
    assert 0.95 * SAMPLED_PX < 8 * height * width <= SAMPLED_PX
    top, left = (400 - height) // 2, (500 - width) // 2
    for row, time in enumerate((0, 3, 5, 8, 11, 14, 16, 19)):
        wanted = pixels[time, :, top : top + height, left : left + width]
        assert np.array_equal(sample.pixels[row], wanted)
    ((index, (places, values)),) = sample.not_finite.items()
    assert (index, len(places), len(values)) == (15, 1, 1)
    assert divmod(int(places[0]), width) == (200 - top, 250 - left)
    small = stack(np.zeros((4, 64, 64)), "TYX")
    assert sampled(small) is small


def test_where_the_middle_has_no_smooth_patches_all_is_measured():
    rng = np.random.default_rng(2)
    pixels = rng.normal(100, 10, (1100, 1300))
    pixels[30:-30, 130:-130] = 100  # of the middle, no pixel has noise
    look = Look(stack(pixels.astype(np.float32)), "cpu")
    made = look.region(0, PatchLocation(200, 0, 64, 64))
    assert made.std() < 3
    assert look._denoiser.channels[0].noise.stabiliser.sigma(100) == pytest.approx(10, rel=0.2)


@pytest.mark.parametrize("kind", ["small", "constant", "no noise"])
def test_what_cannot_be_trained_on_is_refused_in_the_same_sentence(kind):
    pixels = {
        "small": np.random.default_rng(0).random((20, 15)),
        "constant": np.full((20, 20), 7),
        "no noise": np.repeat(np.repeat(np.arange(64.0).reshape(8, 8), 8, 0), 8, 1),
    }[kind]
    with pytest.raises(InputError) as training:
        train([stack(pixels)], ALONE)
    with pytest.raises(InputError) as looking:
        whole(Look(stack(pixels), "cpu"))
    assert str(looking.value) == str(training.value)


def test_patches_are_as_large_as_they_are_asked_for():
    noisy = stack(np.random.default_rng(0).poisson(90, (40, 40)).astype(np.uint16))
    with pytest.raises(InputError, match="Found 4 smooth patches"):
        whole(Look(noisy, "cpu"))
    small = PatchSettings(patch_size_px=16, stride_px=4)
    assert whole(Look(noisy, "cpu", small)).std() < 0.5 * noisy.pixels.std()


def test_a_cancelled_look_ends_and_the_next_one_works():
    run, look = Run(), Look(noisy_scene()[1], "cpu")
    run.cancel()
    with pytest.raises(Cancelled):
        look.region(0, PatchLocation(0, 0, 16, 16), run)
    assert look.region(0, PatchLocation(0, 0, 16, 16)).shape == (16, 16)
