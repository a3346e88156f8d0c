"""Frames whose noise is unlike: found, brought to one strength and back, and all others let be."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.made_up import scene
from training_core.noise.local_strength import FrameLevels
from training_core.stack import Stack

SIZE = 160


def noisy_stack(sigmas, axes="TYX"):
    draw = np.random.default_rng(0)
    clean = scene(SIZE, SIZE)
    frames = [clean + sigma * draw.standard_normal(clean.shape) for sigma in sigmas]
    return Stack(np.stack(frames).astype(np.float32), axes=axes)


def photons(exposures, gains):
    draw = np.random.default_rng(1)
    light = scene(SIZE, SIZE, 10.0, 60.0)
    frames = [g * draw.poisson(t * light) + 100 for t, g in zip(exposures, gains, strict=True)]
    return Stack(np.stack(frames).astype(np.float32), axes="TYX")


def test_levels_are_the_ratios_of_the_noise():
    found = FrameLevels.of(noisy_stack([4, 8, 16, 32, 8]))
    assert found is not None
    assert found.levels / found.levels[1] == pytest.approx([0.5, 1, 2, 4, 1], rel=0.06)
    assert found.levels[1] == 1  # the usual one is left as it is
    assert found.sentence.startswith("The noise of 3 frames is 0.48 to 3.9 times as strong as")


def test_a_gain_that_was_changed_is_found_with_photon_noise():
    found = FrameLevels.of(photons([1, 1, 1], [1, 1, 3]))
    assert found is not None
    assert found.levels == pytest.approx([1, 1, 3], rel=0.2)


@pytest.mark.parametrize(
    "stack",
    [
        noisy_stack([10, 10, 10, 10]),
        noisy_stack([10, 12, 11, 10]),  # within what is not worth a change
        photons([1, 0.5, 0.25], [1, 1, 1]),  # bleaching: alike at the same brightness
        photons([1, 4, 1], [1, 1, 1]),  # a longer exposure
        noisy_stack([10]),
    ],
    ids=["equal", "nearly", "bleached", "exposed", "one frame"],
)
def test_frames_of_one_camera_are_let_be(stack):
    assert FrameLevels.of(stack) is None


def test_structure_in_some_frames_is_no_noise():
    stack = noisy_stack([5, 5, 5, 5])
    texture = 40 * np.random.default_rng(2).standard_normal((SIZE, SIZE // 2))
    pixels = stack.pixels.copy()
    pixels[2:, :, SIZE // 2 :] += texture  # half of two frames is busy
    assert FrameLevels.of(Stack(pixels, axes="TYX")) is None


def test_channels_are_compared_each_for_itself():
    one, two = noisy_stack([5, 5, 20]).pixels, 10 * noisy_stack([3, 3, 3]).pixels
    found = FrameLevels.of(Stack(np.stack([one, two]), axes="CTYX"))
    assert found is not None
    assert found.levels == pytest.approx([1, 1, 4, 1, 1, 1], rel=0.06)


def test_what_nobody_changed_comes_back_to_the_last_bit():
    stack = noisy_stack([4, 8, 32])
    found = FrameLevels.of(stack)
    evened = found.evened(stack)
    assert FrameLevels.of(evened) is None
    for index in range(3):
        assert np.array_equal(found.restored(evened.frame(index), stack, index), stack.frame(index))
    brighter = [found.restored(evened.frame(i) + np.float32(1.0), stack, i) for i in range(3)]
    change = np.stack(brighter) - stack.pixels
    assert change.mean(axis=(1, 2)) == pytest.approx(found.levels, rel=1e-3)
