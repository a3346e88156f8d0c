"""What the analysis says of noise that is known exactly."""

from __future__ import annotations

import io
import json
import time

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from tests.support.made_up import blurred_noise, covariance, scene
from training_core.noise.compound_poisson import Photons
from training_core.noise.covariance import LAGS
from training_core.noise.figures import PixelValues
from training_core.reporting.noise_analysis import analyse_noise
from training_core.run import Cancelled, Run
from training_core.stack import Stack


def photons(gain, read_noise, *, low=100.0, high=1500.0, side=320, seed=1):
    """Give a scene as a camera with photon and read noise counts it, and the scene."""
    clean = scene(side, side, low, high)
    rng = np.random.default_rng(seed)
    noisy = gain * rng.poisson(clean / gain) + rng.normal(0.0, read_noise, clean.shape)
    return Stack(noisy.astype(np.float32), "YX"), clean


def even(sigma, blur=0.0, *, side=320, seed=2, **more):
    """Give a scene with noise that does not depend on it; both are blurred, as by one optics."""
    clean = gaussian_filter(scene(side, side), blur) if blur else scene(side, side)
    noisy = clean + sigma * blurred_noise(clean.shape, blur, seed)
    return Stack(noisy.astype(np.float32), "YX", **more)


@pytest.mark.parametrize(("gain", "read_noise"), [(2.0, 20.0), (8.0, 30.0), (25.0, 60.0)])
def test_gain_and_noise_of_a_camera(gain, read_noise):
    stack, _ = photons(gain, read_noise)

    (found,) = analyse_noise(stack)

    noise = found.noise
    assert noise.gain == pytest.approx(gain, rel=0.15)
    expected = [(gain * level + read_noise**2) ** 0.5 for level in noise.levels]
    assert noise.sigmas == pytest.approx(expected, rel=0.06)
    assert noise.variance_ratio == pytest.approx((expected[2] / expected[0]) ** 2, rel=0.15)
    assert noise.levels[0] < 150 < 1400 < noise.levels[2]
    assert noise.read_noise == pytest.approx(read_noise, rel=0.25)
    assert found.route.stabilise
    assert "grows with intensity as photon noise does" in found.sentence
    assert "neighbouring pixels are independent" in found.sentence


def test_of_large_channels_squares_tell_the_noise_of_each():
    channels = [photons(gain, 20.0, side=640)[0].pixels for gain in (2.0, 8.0)]

    found = analyse_noise(Stack(np.stack(channels), "CYX"))

    assert [one.noise.gain for one in found] == pytest.approx([2.0, 8.0], rel=0.15)
    assert [one.noise.read_noise for one in found] == pytest.approx([20.0, 20.0], rel=0.3)


def test_few_photons_are_counted():
    tube = Photons(background=3.5, gain=20.0, spread=0.4)
    clean = gaussian_filter(scene(256, 256, 4.0, 60.0), 8)
    chance = np.random.default_rng(2).random((4, *clean.shape))
    noisy = np.rint(tube.values(np.stack([clean] * 4), chance)).astype(np.uint8)
    (found,) = analyse_noise(Stack(noisy, "TYX"))
    _, middle, _ = found.noise.levels
    assert found.noise.photons == pytest.approx((middle - 3.5) / tube.pulse, rel=0.3)
    assert any("single photons" in sentence for sentence in found.route.sentences)
    assert found.to_dict()["photons"] == found.noise.photons


def test_few_photons_are_as_noisy_as_they_are():
    """Where the transform leaves less than unit noise, the fit has to answer for it."""
    clean = scene(320, 320, 8.0, 120.0)
    noisy = 20.0 * np.random.default_rng(9).poisson(clean / 20.0)

    noise = analyse_noise(Stack(noisy.astype(np.uint16), "YX"))[0].noise

    assert noise.gain == pytest.approx(20.0, rel=0.1)
    assert noise.sigmas == pytest.approx([(20.0 * level) ** 0.5 for level in noise.levels], rel=0.1)


def test_a_burnt_in_bar_is_no_noise():
    pixels = np.rint(even(15.0).pixels).astype(np.uint16)
    pixels[-80:] = 7  # the bar below the image of an electron microscope; rounding leaves 1e-30

    noise = analyse_noise(Stack(pixels, "YX"))[0].noise

    assert noise.gain is None
    assert noise.sigmas == pytest.approx((15.0,) * 3, rel=0.1)


def test_an_offset_hides_the_read_noise():
    stack, _ = photons(10.0, 5.0)

    (found,) = analyse_noise(stack.with_pixels(stack.pixels + np.float32(500)))

    assert found.noise.gain == pytest.approx(10.0, rel=0.15)
    assert found.noise.read_noise is None


# The trend of a 32 px patch takes the slow part of correlated noise with it: 4, 6 and 14 % of std.
@pytest.mark.parametrize(("blur", "error"), [(0.0, 0.05), (0.6, 0.08), (0.8, 0.1), (1.2, 0.2)])
def test_correlation_of_even_noise(blur, error):
    (found,) = analyse_noise(even(20.0, blur, side=400))

    noise = found.noise
    assert noise.gain is None
    assert found.route == found.route.__class__(False, 8, found.route.sentences)
    assert noise.sigmas == pytest.approx((20.0,) * 3, rel=error)
    expected = covariance(blur)[LAGS, LAGS : LAGS + 4]
    assert np.abs(noise.correlation_x[:4] - expected).max() < 0.03 + 0.1 * blur
    assert np.abs(noise.correlation_y[:4] - expected).max() < 0.03 + 0.1 * blur
    reach = {0.0: 0.0, 0.6: 1.9, 0.8: 2.6, 1.2: 3.7}[blur]  # where the exact one falls below 0.1
    assert noise.correlation_px == pytest.approx(reach, abs=0.1 + 0.6 * blur)
    assert "hardly depends on intensity" in found.sentence
    assert ("correlated over about" in found.sentence) == bool(blur)


def test_power_spectrum_is_white_or_falls():
    white = analyse_noise(even(20.0))[0].noise.power
    blurred = analyse_noise(even(20.0, 0.8))[0].noise.power

    assert white.shape == (16,)
    assert white[2:] == pytest.approx(np.ones(14), abs=0.15)  # below it the trend is taken off
    frequency = (np.arange(16) + 0.5) / 32
    expected = np.exp(-4 * (np.pi * 0.8 * frequency) ** 2)
    assert np.abs(blurred[3:] / blurred[3] - expected[3:] / expected[3]).max() < 0.12


def test_noise_that_differs_between_x_and_y_is_only_flipped():
    stack = even(20.0, side=256)
    noise = blurred_noise((256, 257), 0.0, seed=3)
    smeared = scene(256, 256) + 15 * (noise[:, 1:] + noise[:, :-1])

    (found,) = analyse_noise(stack.with_pixels(smeared.astype(np.float32)))

    assert found.noise.correlation_x[1] == pytest.approx(0.5, abs=0.05)
    assert found.noise.correlation_y[1] == pytest.approx(0.0, abs=0.05)
    assert found.route.orientations == 4
    assert any("not turned by a quarter" in sentence for sentence in found.route.sentences)


@pytest.mark.parametrize("axis", [0, 1])
def test_line_noise_is_told(axis):
    rng = np.random.default_rng(4)
    lines = rng.normal(0.0, 15.0, (256, 1) if axis == 0 else (1, 256))
    noisy = scene(256, 256) + rng.normal(0.0, 15.0, (256, 256)) + lines

    (found,) = analyse_noise(Stack(noisy.astype(np.float32), "YX"))

    told = " ".join(found.warnings)
    assert f"Whole {('rows', 'columns')[axis]} shift together" in told


def test_a_saturated_camera_is_told():
    stack, _ = photons(20.0, 10.0, low=1000.0, high=3900.0)
    pixels = np.rint(stack.pixels).clip(0, 4095).astype(np.uint16)
    share = float((pixels == 4095).mean())

    (found,) = analyse_noise(Stack(pixels, "YX"))

    assert 0.02 < share < 0.2
    assert (found.values.highest, found.values.saturated_share) == (4095, pytest.approx(share))
    assert found.values.lowest_share == 0
    assert found.values.step == 1
    assert f"{100 * share:.2g} % of the pixels are saturated at 4095" in found.warnings[0]


def test_pixels_without_photons_are_told():
    rng = np.random.default_rng(5)
    pixels = rng.normal(10.0, 10.0, (256, 256)).clip(0).astype(np.float32)

    values = PixelValues.of([pixels])

    assert values.lowest == 0
    assert values.lowest_share == pytest.approx(0.159, abs=0.01)  # below minus one sigma
    assert values.saturated_share == 0
    assert values.step == 0


@pytest.mark.parametrize(
    ("values", "step"),
    [
        (np.arange(100, dtype=np.uint16) * 16, 16.0),
        (np.arange(256, dtype=np.float32) / np.float32(255), 1 / 255),
        (np.arange(-50, 50, dtype=np.int16), 1.0),
        (np.random.default_rng(6).normal(0, 1, 500).astype(np.float32), 0.0),
        (np.full(16, 7, np.uint8), 0.0),
        (np.array([0, 2**63 + 2, 2**64 - 2], np.uint64), 2.0),
    ],
    ids=["shifted", "unit", "signed", "continuous", "constant", "64 bit"],
)
def test_the_step_of_the_values(values, step):
    frame = np.resize(values, (40, 40))
    assert PixelValues.of([frame]).step == pytest.approx(step, rel=1e-3)


def test_noise_below_one_step_is_told():
    noisy = np.rint(even(0.5).pixels / 1.0).astype(np.uint16)
    assert any(
        "rounding hides most" in told for told in analyse_noise(Stack(noisy, "YX"))[0].warnings
    )


def test_jpeg_is_told():
    plain = np.rint(even(12.0, side=256).pixels / 2).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(plain).save(file, "JPEG", quality=60)

    assert not PixelValues.of([plain]).blocky
    assert PixelValues.of([np.asarray(Image.open(file))]).blocky


def test_an_enlarged_image_is_told():
    small = even(20.0, side=160).pixels
    large = np.asarray(Image.fromarray(small).resize((480, 480), Image.Resampling.BICUBIC))

    assert any(
        "finest detail is missing" in told for told in analyse_noise(Stack(large, "YX"))[0].warnings
    )
    assert not any("finest detail" in told for told in analyse_noise(even(20.0, 0.6))[0].warnings)


def test_every_channel_is_analysed_by_itself():
    stack = Stack(
        np.stack([even(10.0).pixels, even(40.0, 0.7, seed=7).pixels]), "CYX", channels=("DAPI",)
    )

    first, second = analyse_noise(stack)

    assert (first.channel, second.channel) == ("DAPI", "2")
    assert first.noise.sigmas[1] == pytest.approx(10.0, rel=0.08)
    assert second.noise.sigmas[1] == pytest.approx(40.0, rel=0.08)
    assert first.noise.correlation_px == 0 < second.noise.correlation_px


def test_a_long_stack_is_sampled_and_the_count_is_said():
    pixels = scene(128, 128) + 9.0 * blurred_noise((40, 128, 128), 0.0, seed=8)

    (found,) = analyse_noise(Stack(pixels.astype(np.float32), "TYX"))

    assert (found.frames, found.of_frames) == (8, 40)
    assert "Measured on 8 of 40 frames." in found.sentence
    assert found.noise.sigmas[1] == pytest.approx(9.0, rel=0.1)


def test_ct_is_learned_as_it_is():
    stack, _ = photons(2.0, 20.0)
    (found,) = analyse_noise(Stack(stack.pixels - np.float32(1000), "YX", value_unit="HU"))

    assert found.noise.gain is None
    assert not found.route.stabilise
    assert "CT values" in found.route.sentences[0]
    assert " HU" in found.sentence
    assert "dark" not in found.sentence
    assert "HU in others" in found.sentence


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        (np.zeros((8, 8), np.uint8), "at least 16"),
        (np.full((64, 64), 7, np.uint16), "could not be measured"),
        (scene(64, 64).astype(np.float32), "could not be measured"),
        (even(9.0, side=40).pixels, "at least 60 are needed"),
    ],
    ids=["small", "constant", "noiseless", "few patches"],
)
def test_what_cannot_be_measured_is_said(pixels, told):
    (found,) = analyse_noise(Stack(pixels, "YX"))

    assert found.noise is None
    assert found.confidence == "none"
    assert told in found.sentence
    facts = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert facts["sigma"] is None
    assert facts["route"]["sentences"] == []


def test_facts_are_plain():
    facts = analyse_noise(even(20.0, 0.6))[0].to_dict()

    again = json.loads(json.dumps(facts, allow_nan=False))
    assert set(again) >= {"gain", "sigma", "correlation_x", "power_spectrum", "sentence", "route"}
    assert set(again["sigma"]) == {"dark", "middle", "bright"}
    assert len(again["correlation_x"]) == 4
    assert again["correlation_x"][0] == 1.0
    assert again["confidence"] == "good"


def test_few_patches_are_uncertain():
    (found,) = analyse_noise(even(9.0, side=128))

    assert found.confidence == "low"
    assert f"only {found.patches} smooth patches" in found.sentence


def test_it_can_be_cancelled():
    run = Run()
    run.cancel()
    with pytest.raises(Cancelled):
        analyse_noise(even(9.0), run=run)


def test_a_megapixel_takes_no_longer_than_finding_patches_a_few_times():
    stack = even(20.0, side=1024)
    started = time.perf_counter()
    analyse_noise(stack)
    assert time.perf_counter() - started < 6  # a bound for a busy machine; .5 s when it is not


def test_lost_pixels_lie_where_they_are_in_a_frame_that_is_cut():
    pixels = np.random.default_rng(4).normal(100, 5, (64, 4096)).astype(np.float32)
    places = np.flatnonzero(np.arange(pixels.size) % 4096 > 3000)
    pixels.flat[places] = 100
    lost = {0: (places, np.full(places.size, np.nan, np.float32))}

    noise = analyse_noise(Stack(pixels, "YX", not_finite=lost))[0].noise

    assert noise is not None
    assert noise.sigmas[1] == pytest.approx(5, rel=0.05)
