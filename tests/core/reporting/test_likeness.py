"""What is said of a model and a stack that it was not trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.made_up import denoiser, noise_model, stack
from training_core.noise.anscombe import Stabiliser
from training_core.reporting.findings import Judgement, Level, Trust, judge
from training_core.reporting.likeness import likeness
from training_core.stack import PixelSize

CAMERA = Stabiliser(2.0, 25.0 - 2 * 100.0)
CARD = {
    "trained_on": ["cells.tif"],
    "dtype": "uint16",
    "axes": "YX",
    "value_unit": "",
    "pixel_size_um": [0.1, 0.1, None],
}


def recorded(gain: float = 2.0, scale: float = 1.0) -> np.ndarray:
    """Give a scene with flat areas as a camera of this gain takes it."""
    columns = np.mgrid[:192, :192][1]
    light = np.where(columns < 96, 60.0, 240.0) * scale
    rng = np.random.default_rng(2)
    noisy = gain * rng.poisson(light) + rng.normal(0, 5, light.shape) + 100
    return noisy.round().astype(np.uint16)


def model():
    return replace(denoiser(noise_model(stabiliser=CAMERA), mean=20.0, spread=10.0), card=CARD)


def levels(found) -> dict[str, Level]:
    return {fact.name: fact.level for fact in found.facts}


def seen(pixels: np.ndarray, **changes: object):
    return replace(stack(pixels), pixel_size=PixelSize(0.1, 0.1), **changes)


def test_a_stack_of_the_same_camera_suits():
    found = likeness(model(), seen(recorded()))
    assert set(levels(found).values()) == {Level.GREEN}
    assert found.level is Level.GREEN
    assert found.sentence == ""


def test_another_gain_is_told_with_both_figures():
    found = likeness(model(), seen(recorded(gain=8.0)))
    assert levels(found)["Gain"] is Level.RED
    value = next(fact.value for fact in found.facts if fact.name == "Gain")
    assert value.startswith("2.0 → ")
    assert found.level is Level.RED
    assert "gain" in found.sentence


def test_ct_is_not_for_a_model_of_micrographs():
    found = likeness(model(), seen(recorded().astype(np.int16), value_unit="HU"))
    assert levels(found)["Kind of image"] is Level.RED
    assert "Noise level" not in levels(found)  # which has nothing to do with that of CT


@pytest.mark.parametrize(("um", "level"), [(0.12, "GREEN"), (0.2, "AMBER"), (1.0, "RED")])
def test_another_pixel_size_is_told(um, level):
    other = replace(seen(recorded()), pixel_size=PixelSize(um, um))
    assert levels(likeness(model(), other))["Pixel size"] is Level[level]


def test_channels_that_were_not_learned_are_told():
    two = seen(np.stack([recorded(), recorded()]), axes="CYX")
    assert levels(likeness(model(), two))["Channels"] is Level.AMBER


def test_of_the_stack_it_was_trained_on_nothing_is_compared(tmp_path):
    own = replace(seen(recorded()), source=tmp_path / "cells.tif")
    found = likeness(model(), own)
    assert (found.own, found.facts, found.whole) == (True, (), None)


def test_a_model_that_does_not_suit_decides_the_verdict():
    found = likeness(model(), seen(recorded(gain=8.0)))
    assert judge([], found.whole) == Judgement(Trust.NO, found.sentence)
    assert judge([]).trust is Trust.SAFE
