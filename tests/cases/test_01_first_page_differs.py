"""A file of pages is the image that most of it is, wherever its first page is another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from training_core.io.readers import open_stack

if TYPE_CHECKING:
    from pathlib import Path

MOVIE = np.random.default_rng(1).poisson(200, (12, 48, 64)).astype(np.uint16)


def test_pages_of_one_size_are_one_image_however_they_are_stored(tmp_path: Path):
    path = tmp_path / "movie.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(MOVIE[0], metadata=None, contiguous=False, description="scan 1")
        for frame in MOVIE[1:]:
            tif.write(frame, metadata=None, contiguous=False, compression="zlib")

    stack = open_stack(path)

    assert (stack.axes, stack.shape, stack.warnings) == ("IYX", (12, 48, 64), ())
    np.testing.assert_array_equal(stack.pixels, MOVIE)


@pytest.mark.parametrize("marked", [0, 1])
@pytest.mark.parametrize("first", [True, False])
def test_a_preview_is_not_the_image(tmp_path: Path, marked: int, first: bool):
    path = tmp_path / "preview.tif"
    small = MOVIE[0, ::4, ::4]
    with tifffile.TiffWriter(path) as tif:
        if first:
            tif.write(small, metadata=None, contiguous=False, subfiletype=marked)
        for frame in MOVIE:
            tif.write(frame, metadata=None, contiguous=False, compression="zlib")
        if not first:
            tif.write(small, metadata=None, contiguous=False, subfiletype=marked)

    stack = open_stack(path)

    np.testing.assert_array_equal(stack.pixels, MOVIE)
    told = "It holds 2 images"
    if marked:
        told += " of different sizes or types; only the largest, 12 x 48 x 64 pixels of uint16"
    else:
        told += f", and number {1 + first} is read: IYX 12 x 48 x 64 uint16"
    assert len(stack.warnings) == 1
    assert stack.warnings[0].startswith(told)
