"""Warnings: each harm is recognised for what it is, and a good estimate is left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from tests.support.made_up import CPU, blurred_noise, noise_model, scene
from training_core.denoise.channel import Channel
from training_core.denoise.region import Region
from training_core.noise.anscombe import Stabiliser
from training_core.selection.sure import RiskEstimator
from training_core.selection.warnings import find_warnings

SIZE = 192


def dots():
    """Give an image full of fine bright detail."""
    image = np.full((SIZE, SIZE), 40.0)
    places = np.random.default_rng(5).integers(4, SIZE - 4, (2, 150))
    image[tuple(places)] += 900.0
    return gaussian_filter(image, 2.0)


def warnings(change, *, clean=None, blur=0.0, sigma=2.0, corrected=True, error=0.05):
    """Judge an estimate that `change` makes of the clean image and its noise."""
    clean = dots() if clean is None else clean
    noise = sigma * blurred_noise(clean.shape, blur, 4)
    channel = Channel(noise_model(blur, Stabiliser(scale=sigma)))
    forward = channel.noise.stabiliser.forward
    noisy = Region(torch.from_numpy(forward(clean + noise)), channel)
    trials = RiskEstimator([noisy], 0, CPU).trials
    made = torch.from_numpy(forward(change(clean, noise)))
    return find_warnings(trials, [made], error, corrected=corrected)


def ramp():
    return 20.0 + scene(SIZE, SIZE, 0.0, 200.0)


HARMS = {
    "it leaves noise": lambda x, n: x + 0.4 * n,
    "it takes structure": lambda x, n: gaussian_filter(x, 3.0),
    "a region's mean intensity": lambda x, n: x + 2.0 * (np.indices(x.shape)[1] < 96),
    "follows the image": lambda x, n: x.mean() + 0.9 * (x - x.mean()),
}


@pytest.mark.parametrize("blur", [0.0, 0.8])
@pytest.mark.parametrize("left", [0.0, 0.2, -0.1])
def test_of_a_good_estimate_nothing_warns(blur, left):
    assert warnings(lambda x, n: x + left * gaussian_filter(n, 1.0), blur=blur) == ()


@pytest.mark.parametrize("reason", HARMS)
def test_each_harm_is_recognised(reason):
    found = warnings(HARMS[reason])
    assert any(reason in warning for warning in found)
    assert not any(warning.endswith(".") for warning in found)  # they are told within a sentence


def test_brightness_that_will_be_corrected_is_no_harm():
    def darker(clean, noise):
        return 0.97 * clean

    assert warnings(darker, clean=ramp()) == ()
    found = warnings(darker, clean=ramp(), corrected=False)
    assert "moves by -3." in " ".join(found)


def test_a_constant_image_is_judged_too():
    flat = np.full((64, 64), 100.0)
    assert warnings(lambda x, n: x, clean=flat) == ()
    (warning,) = warnings(lambda x, n: x + n, clean=flat)
    assert "0.00 of the noise's power" in warning


def test_of_a_hard_scene_even_the_best_estimate_keeps_some_noise():
    def leaves(clean, noise):
        return clean + 0.25 * noise  # .56 of the noise's power is taken away

    assert warnings(leaves, error=0.05)
    assert not warnings(leaves, error=0.3)


def test_a_score_worse_than_the_noisy_image_is_told():
    def kept(clean, noise):
        return clean

    assert warnings(kept, error=1.0) == ()
    assert warnings(kept, error=float("nan")) == ()
    (warning,) = warnings(kept, error=1.234)
    assert warning == "by the blind score it is worse than the noisy image (123 % left)"
