"""Stacks that are learned from together ought to have the same noise."""

import numpy as np
import pytest

from tests.support.made_up import QUICKEST, scene
from training_core.noise.measurement import note_unlike
from training_core.pipeline import train
from training_core.place import choose_regions
from training_core.run import Note, Run
from training_core.stack import Stack


def photons(gain, seed, size=192):
    """Give a scene of 10 to 80 photons, each counting `gain` grey levels."""
    counts = np.random.default_rng(seed).poisson(scene(size, size, 10.0, 80.0))
    return Stack((gain * counts).astype(np.float32), "YX", metadata={})


def warnings(stacks):
    heard = []

    def hear(event):
        if isinstance(event, Note) and event.warning:
            heard.append(event.text)

    note_unlike(stacks, choose_regions(stacks, 3.0, 0), Run(hear))
    return heard


def test_stretched_stacks_are_told():
    (told,) = warnings([photons(2.0, 1), photons(8.0, 2), photons(2.0, 3)])
    assert "train one for each" in told
    figures = [float(word) for word in told.split() if word.replace(".", "").isdigit()]
    assert figures == [pytest.approx(8.0, rel=0.15), pytest.approx(2.0, rel=0.15)]


@pytest.mark.parametrize("gains", [(2.0, 2.0, 2.0), (2.0,), (2.0, 2.4)])
def test_stacks_of_one_camera_are_not(gains):
    assert not warnings([photons(gain, seed) for seed, gain in enumerate(gains)])


def test_noise_that_counts_no_photons_is_not():
    rng = np.random.default_rng(4)
    made = [scene(192, 192) + sigma * rng.standard_normal((192, 192)) for sigma in (5.0, 20.0)]
    assert not warnings([Stack(pixels.astype(np.float32), "YX") for pixels in made])


def test_small_or_many_stacks_are_not_measured():
    assert not warnings([photons(2.0, 1, 96), photons(8.0, 2, 96)])
    assert not warnings([photons(2.0 + 6.0 * (n % 2), n, 128) for n in range(17)])


@pytest.mark.trains
def test_a_training_tells_it():
    heard = []
    run = Run(lambda event: heard.append(event.text) if isinstance(event, Note) else None)
    train([photons(2.0, 1), photons(8.0, 2)], QUICKEST, run=run)
    assert any("One model cannot suit both" in text for text in heard)
