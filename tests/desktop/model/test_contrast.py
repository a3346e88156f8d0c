"""How the window between black and white is read off the values of a stack."""

from __future__ import annotations

import numpy as np

from g2g_desktop.model.contrast import MOST_VALUES, SATURATED_PERCENT, IntensitySample, shades
from training_core.stack import Stack


def ramp(count: int) -> IntensitySample:
    return IntensitySample(np.arange(count, dtype=np.float32))


def test_the_window_leaves_half_of_the_saturation_outside_at_each_end() -> None:
    sample = ramp(100_001)
    assert sample.window(0.35) == (175, 99_825)
    assert sample.window(2.0) == (1000, 99_000)
    assert sample.window(0.0) == (0, 100_000)


def test_the_few_bright_pixels_of_an_empty_picture_stay_visible() -> None:
    values = np.zeros((100, 100), np.uint16)
    values[50, 50] = 900
    assert IntensitySample.of_image(values).window(0.35) == (0, 900)


def test_a_constant_picture_has_a_window_that_can_be_drawn() -> None:
    assert IntensitySample.of_image(np.full((8, 8), 7, np.uint8)).window(0.35) == (7, 8)


def test_a_large_stack_is_sampled_over_all_its_frames() -> None:
    pixels = np.broadcast_to(np.arange(40, dtype=np.uint16)[:, None, None], (40, 1000, 1000))
    sample = IntensitySample.of(Stack(pixels, "ZYX"))
    assert 0.5 * MOST_VALUES < len(sample.values) <= 1.1 * MOST_VALUES
    assert sample.range == (0, 39)
    assert len(np.unique(sample.values)) == 16


def test_one_channel_is_sampled_alone() -> None:
    pixels = np.zeros((3, 2, 16, 16), np.uint16)
    pixels[:, 1] = 500
    stack = Stack(pixels, "TCYX")
    assert IntensitySample.of(stack, 0).range == (0, 1)
    assert IntensitySample.of(stack, 1).range == (500, 501)


def test_the_histogram_counts_every_value_once() -> None:
    counts = ramp(1000).histogram(10, (0.0, 1000.0))
    assert counts.tolist() == [100] * 10


def test_an_image_is_first_shown_from_black_to_white() -> None:
    image = np.arange(1001, dtype=np.uint16).reshape(77, 13)
    grey = shades(image)
    low, high = IntensitySample.of_image(image).window(SATURATED_PERCENT[0])
    assert (grey.dtype, grey.shape) == (np.uint8, (77, 13))
    assert (grey.ravel()[0], grey.ravel()[-1]) == (0, 255)
    middle = image.ravel()[500]
    assert grey.ravel()[500] == int((middle - low) * 255 / (high - low))
