"""ImageJ's own form for more than 4 GB: one page, and a header that counts the planes behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from training_core.io.readers import open_stack

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("byteorder", [">", "<"])
@pytest.mark.parametrize(("axis", "counts"), [("Z", "slices"), ("T", "frames")])
def test_planes_behind_the_only_page_are_read_where_they_are(
    tmp_path: Path, byteorder: str, axis: str, counts: str
):
    count, path = 1100, tmp_path / "big.tif"
    plane = np.random.default_rng(30).poisson(100, (32, 64)).astype(np.uint16)
    header = f"ImageJ=1.54f\nimages={count}\n{counts}={count}\nunit=um\nspacing=1.0\nloop=false\n"
    tifffile.imwrite(
        path, plane, byteorder=byteorder, description=header, metadata=None, software=None
    )
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[0]
    with path.open("r+b") as file:  # sparse between the first plane and the last
        file.seek(start + (count - 1) * plane.nbytes)
        file.write(plane.astype(plane.dtype.newbyteorder(byteorder)).tobytes())

    stack = open_stack(path)

    assert (stack.axes, stack.shape, stack.warnings) == (f"{axis}YX", (count, 32, 64), ())
    np.testing.assert_array_equal(stack.raw_frame(0), plane)
    np.testing.assert_array_equal(stack.raw_frame(count - 1), plane)
    assert not stack.raw_frame(500).any()
    assert not isinstance(stack.pixels, np.ndarray)  # nothing was read ahead of its use
