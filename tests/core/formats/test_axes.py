"""Axes of files become axes of stacks without moving a value to a wrong place."""

from __future__ import annotations

import numpy as np
import pytest

from training_core.formats.axes import arrange


def test_plain_axes_stay_as_they_are():
    pixels = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)

    arranged = arrange(pixels, "TZYX")

    assert arranged.axes == "TZYX"
    assert arranged.pixels is pixels or np.shares_memory(arranged.pixels, pixels)
    assert arranged.warnings == []


@pytest.mark.parametrize("letter", ["Q", "I", "R", "P"])
def test_unknown_axes_are_named_i(letter: str):
    assert arrange(np.zeros((7, 4, 5)), f"{letter}YX").axes == "IYX"


def test_two_unknown_axes_are_merged_in_order():
    pixels = np.arange(2 * 3 * 2 * 2).reshape(2, 3, 2, 2)

    arranged = arrange(pixels, "QRYX")

    assert arranged.axes == "IYX"
    np.testing.assert_array_equal(arranged.pixels, pixels.reshape(6, 2, 2))


def test_frames_come_last():
    pixels = np.arange(4 * 5 * 3).reshape(4, 5, 3)

    arranged = arrange(pixels, "YXZ")

    assert arranged.axes == "ZYX"
    np.testing.assert_array_equal(arranged.pixels[2], pixels[..., 2])


def test_equal_colours_are_one_gray_image():
    gray = np.arange(20, dtype=np.uint8).reshape(4, 5)

    arranged = arrange(np.stack([gray] * 3, axis=-1), "YXS", "RGB")

    assert arranged.axes == "YX"
    np.testing.assert_array_equal(arranged.pixels, gray)
    assert arranged.warnings == []


def test_colours_become_named_channels_with_a_warning():
    pixels = np.arange(2 * 4 * 5 * 3).reshape(2, 4, 5, 3)

    arranged = arrange(pixels, "ZYXS", "RGB")

    assert arranged.axes == "ZCYX"
    assert arranged.channels == ("Red", "Green", "Blue")
    np.testing.assert_array_equal(arranged.pixels[1, 2], pixels[1, ..., 2])
    assert arranged.warnings == ["It is a colour image (RGB); its 3 colours are read as channels."]


def test_opacity_is_kept_apart():
    pixels = np.stack([np.full((2, 2), 9), np.full((2, 2), 255)], axis=0)

    arranged = arrange(pixels, "SYX", opacity=1)

    assert arranged.axes == "YX"
    np.testing.assert_array_equal(arranged.pixels, np.full((2, 2), 9))
    assert arranged.warnings == ["The opacity (alpha) of its pixels stays as it is."]
    np.testing.assert_array_equal(arranged.opacity, np.full((2, 2), 255))


def test_opacity_is_in_the_order_of_the_pictures():
    pixels = np.arange(2 * 3 * 4 * 5 * 4).reshape(2, 3, 4, 5, 4)

    arranged = arrange(pixels, "TZYXS", "RGB", opacity=1)

    assert (arranged.axes, arranged.opacity.shape) == ("TZCYX", (2, 3, 4, 5))
    np.testing.assert_array_equal(arranged.opacity, pixels[..., 3])


def test_samples_without_a_colour_are_channels_without_a_warning():
    arranged = arrange(np.zeros((4, 5, 2)), "YXS")

    assert (arranged.axes, arranged.pixels.shape, arranged.warnings) == ("CYX", (2, 4, 5), [])


def test_samples_beside_channels_are_merged_as_images():
    pixels = np.arange(2 * 4 * 5 * 3).reshape(2, 4, 5, 3)

    arranged = arrange(pixels, "CYXS")

    assert arranged.axes == "CIYX"
    np.testing.assert_array_equal(arranged.pixels[1, 2], pixels[1, ..., 2])


def test_single_leading_axes_are_dropped_but_not_single_rows():
    arranged = arrange(np.zeros((1, 3, 1, 1, 8)), "TZCYX")

    assert (arranged.axes, arranged.pixels.shape) == ("ZYX", (3, 1, 8))
