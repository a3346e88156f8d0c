"""One plane becomes a PNG with the same pixels, and tells how it was made and how large it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from training_core.errors import OutputError
from training_core.export.writers import cannot_keep, write_stack
from training_core.io.readers import open_stack
from training_core.stack import PixelSize, Stack

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("colours", ["", "RGB"])
def test_a_plane_comes_back(tmp_path: Path, dtype: str, colours: str):
    pixels = RNG.integers(0, np.iinfo(dtype).max, (3, 33, 47)).astype(dtype)
    names = ("Red", "Green", "Blue")
    stack = (
        Stack(pixels, "CYX", channels=names, metadata={"colours": "RGB"})
        if colours
        else Stack(pixels[0], "YX")
    )

    again = open_stack(write_stack(stack, tmp_path / "a.png", description={"seed": 3}))

    assert (again.axes, again.dtype, again.kind) == (stack.axes, np.dtype(dtype), "png")
    np.testing.assert_array_equal(again.pixels, stack.pixels)
    assert again.channels == stack.channels


def test_another_program_finds_the_note_and_the_pixel_size(tmp_path: Path):
    stack = Stack(RNG.integers(0, 9, (20, 30)).astype(np.uint8), "YX", PixelSize(0.25, 0.5))

    with Image.open(write_stack(stack, tmp_path / "a.png", description={"seed": 3})) as image:
        image.load()
        np.testing.assert_array_equal(np.asarray(image), stack.pixels)
        note = image.text["Description"]
        assert image.info["dpi"] == pytest.approx((0.0254 / 0.25e-6, 0.0254 / 0.5e-6), rel=1e-4)
        assert image.text["Software"].startswith("g2g desktop")
    assert json.loads(note[note.index("{") :]) == {"seed": 3}


def test_what_is_lost_is_told_and_what_does_not_fit_is_refused(tmp_path: Path):
    pixels = np.zeros((2, 20, 30), np.uint16)
    plane = Stack(pixels[0], "YX", PixelSize(0.1, 0.1), value_unit="HU")
    assert cannot_keep(plane, tmp_path / "a.png") == (
        "PNG cannot keep the pixel size and the unit of the values."
    )
    for stack, why in (
        (Stack(pixels, "ZYX"), "PNG holds one plane"),
        (Stack(pixels[0].astype(np.float32), "YX"), "its pixels are float32"),
    ):
        with pytest.raises(OutputError, match=f"a.png cannot be written: .*{why}.*ends in .tif"):
            write_stack(stack, tmp_path / "a.png")
    with pytest.raises(OutputError, match="PNG cannot be compressed with zstd"):
        write_stack(plane, tmp_path / "a.png", compression="zstd")
    assert list(tmp_path.iterdir()) == []
