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


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_all_pages_are_read_where_the_text_of_imagej_counts_fewer(tmp_path: Path, compression):
    path = tmp_path / "movie.tif"
    text = "ImageJ=1.53t\nimages=2\nframes=2\nunit=micron\n"
    tifffile.imwrite(path, MOVIE, metadata=None, description=text, compression=compression)

    stack = open_stack(path)

    assert stack.axes == "TYX"
    np.testing.assert_array_equal(stack.pixels, MOVIE)


@pytest.mark.parametrize("counts", ["images=x", "images=12.0", "slices=1e3", "frames=\nimages=y"])
def test_counts_that_are_no_numbers_cost_no_image(tmp_path: Path, counts: str):
    path = tmp_path / "movie.tif"
    text = f"ImageJ=1.53t\n{counts}\nunit=micron\n"
    tifffile.imwrite(path, MOVIE, metadata=None, description=text, resolution=(5, 5))

    stack = open_stack(path)

    assert stack.pixel_size.x_um == pytest.approx(0.2)
    np.testing.assert_array_equal(stack.pixels, MOVIE)


@pytest.mark.parametrize(
    ("said", "axes", "count", "told"),
    [
        ({"SizeZ": 5}, "ZYX", 5, "name 5 of its 12 pages; the others are left out"),
        ({"SizeX": 32}, "IYX", 12, "do not fit what is in the file"),
        ({"SizeT": 0, "SizeZ": 12}, "IYX", 12, "do not fit what is in the file"),
    ],
)
def test_ome_metadata_that_do_not_fit_are_told(tmp_path: Path, said, axes, count, told):
    path = tmp_path / "movie.ome.tif"
    sizes = {"SizeX": 64, "SizeY": 48, "SizeZ": 1, "SizeC": 1, "SizeT": 1} | said
    attributes = " ".join(f'{name}="{value}"' for name, value in sizes.items())
    text = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" Type="uint16" DimensionOrder="XYCZT" {attributes}><TiffData/>'
        "</Pixels></Image></OME>"
    )
    tifffile.imwrite(path, MOVIE, metadata=None, description=text)

    stack = open_stack(path)

    assert stack.axes == axes
    np.testing.assert_array_equal(stack.pixels, MOVIE[:count])
    assert len(stack.warnings) == 1
    assert told in stack.warnings[0]
