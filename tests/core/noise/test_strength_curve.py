"""The calmest windows are taken from every brightness, so that none is left out."""

from __future__ import annotations

import numpy as np

from training_core.noise.strength_curve import CLASSES, FEWEST, calmest


def test_each_brightness_gives_its_calmest_tenth():
    brightness = np.repeat(np.arange(CLASSES, dtype=float), 400)
    restless = np.tile(np.arange(400.0), CLASSES) + 1000 * brightness  # the bright ones vary more
    chosen = calmest(brightness + np.linspace(0, 0.5, brightness.size), restless)
    assert len(chosen) == CLASSES
    for number, windows in enumerate(chosen):
        np.testing.assert_array_equal(windows[:30] - 400 * number, np.arange(30))
        assert len(windows) == 40


def test_few_windows_of_a_brightness_are_all_taken():
    chosen = calmest(np.arange(32.0), np.ones(32))
    assert sum(map(len, chosen)) >= 32
    assert max(map(len, chosen)) <= FEWEST


def test_windows_of_one_brightness_are_one_class():
    (windows,) = calmest(np.ones(50), np.arange(50.0))
    np.testing.assert_array_equal(windows, np.arange(50))
