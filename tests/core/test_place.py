"""Places in a frame: cutting with them and putting back leaves every pixel where it was."""

from __future__ import annotations

import numpy as np
import pytest

from training_core.place import PatchLocation, tiles


@pytest.mark.parametrize("shape", [(64, 64), (65, 31), (5, 200), (16, 16)])
@pytest.mark.parametrize("tile", [8, 32, 64, 512])
@pytest.mark.parametrize("halo", [0, 8, 48])
def test_tiles_with_halo_put_a_frame_together_again(shape, tile, halo):
    frame = np.arange(shape[0] * shape[1]).reshape(shape)
    again = np.full(shape, -1)
    times = np.zeros(shape, int)
    for place in tiles(shape, tile):
        around = place.grown(halo, shape)
        again[place.slices] = frame[around.slices][place.within(around).slices]
        times[place.slices] += 1
        assert place.height <= tile
        assert place.width <= tile
    assert np.array_equal(again, frame)
    assert np.all(times == 1)


def test_the_halo_ends_at_the_frame():
    place = PatchLocation(10, 40, 8, 16)
    assert place.grown(12, (64, 60)) == PatchLocation(0, 28, 30, 32)
    assert place.within(PatchLocation(4, 30, 40, 30)) == PatchLocation(6, 10, 8, 16)
