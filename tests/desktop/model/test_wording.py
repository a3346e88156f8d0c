from __future__ import annotations

import numpy as np
import pytest

from g2g_desktop.model.wording import (
    axes_help,
    axes_text,
    file_text,
    pixel_size_text,
    pixels_text,
)
from training_core.stack import PixelSize, Stack
from training_core.wording import bytes_text


def stack(axes: str = "ZYX", dtype: str = "uint16", **more: object) -> Stack:
    shape = tuple({"Z": 41, "C": 2, "T": 3, "Y": 5, "X": 7}[axis] for axis in axes)
    return Stack(np.zeros(shape, dtype), axes, **more)


def test_axes_are_written_as_chips_and_in_words() -> None:
    assert axes_text(stack("ZCYX")) == "Z 41 · C 2 · Y 5 · X 7"
    assert axes_help(stack("ZCYX")) == "depth 41, channels 2, 7 pixels wide, 5 high"


@pytest.mark.parametrize(
    ("dtype", "unit", "text"),
    [
        ("uint8", "", "8 bit"),
        ("uint16", "", "16 bit"),
        ("int16", "HU", "16 bit, signed, HU"),
        ("float32", "", "32-bit float"),
    ],
)
def test_bit_depth_in_words(dtype: str, unit: str, text: str) -> None:
    assert pixels_text(stack(dtype=dtype, value_unit=unit)) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (PixelSize(), ""),
        (PixelSize(0.108, 0.108), "0.108 µm"),
        (PixelSize(0.108, 0.108, 0.3), "0.108 µm · Z 0.3 µm"),
        (PixelSize(0.1, 0.2), "0.1 µm x 0.2 µm"),
        (PixelSize(700.0, 700.0, 5000.0), "0.7 mm · Z 5 mm"),
    ],
)
def test_pixel_size_in_words(size: PixelSize, text: str) -> None:
    assert pixel_size_text(stack(pixel_size=size)) == text


def test_what_a_file_holds_in_words() -> None:
    made = stack("ZCYX", pixel_size=PixelSize(0.108, 0.108, 0.3))
    text = "Z 41 · C 2 · 7 × 5 · 0.108 µm · Z 0.3 µm · 32-bit float"
    assert file_text(made, np.dtype(np.float32)) == text
    assert file_text(stack("YX"), np.dtype(np.uint8)) == "7 × 5 · 8 bit"


@pytest.mark.parametrize(
    ("count", "text"),
    [(512, "512 B"), (36_864, "36.9 kB"), (12_400_000, "12.4 MB"), (5_000_000_000, "5 GB")],
)
def test_sizes_in_words(count: int, text: str) -> None:
    assert bytes_text(count) == text
