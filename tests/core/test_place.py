"""Places in a frame: every pixel stays where it was, and which parts are learned from."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.made_up import stack
from training_core.place import PatchLocation, choose_regions, tiles


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


def total_px(regions):
    return sum(region.values.size for region in regions)


def test_a_small_stack_is_used_whole():
    pixels = np.random.default_rng(0).integers(0, 4000, (3, 40, 50)).astype(np.uint16)
    regions = choose_regions([stack(pixels, "TYX")], 1.5, seed=0)
    assert total_px(regions) == pixels.size
    found = sorted(region.values.tobytes() for region in regions)
    assert found == sorted(frame.astype(np.float32).tobytes() for frame in pixels)
    assert all(region.values.dtype == np.float32 for region in regions)


def test_the_area_is_kept_to():
    pixels = np.random.default_rng(1).integers(0, 99, (8, 600, 600)).astype(np.uint8)
    regions = choose_regions([stack(pixels, "TYX")], 0.5, seed=0)
    assert 0.5e6 <= total_px(regions) < 0.5e6 + 512 * 512
    assert all(max(region.values.shape) <= 512 for region in regions)


def test_slivers_at_the_end_are_left_out():
    # the published noise model needs 64 px, and one sliver would narrow every crop
    regions = choose_regions([stack(np.zeros((560, 1072), np.uint8))], 10.0, seed=0)
    assert min(min(region.values.shape) for region in regions) >= 64


def test_narrow_frames_are_used_all_the_same():
    regions = choose_regions([stack(np.zeros((20, 700), np.uint8))], 10.0, seed=0)
    assert sorted(region.values.shape for region in regions) == [(20, 188), (20, 512)]


def test_contrast_comes_first():
    pixels = np.random.default_rng(2).normal(0, 1, (12, 128, 128)).astype(np.float32)
    pixels[7, 32:96, 32:96] += 50.0
    for seed in range(4):
        first = choose_regions([stack(pixels, "TYX")], 0.04, seed=seed)[0]
        assert np.array_equal(first.values, pixels[7])


def test_every_channel_gets_its_share():
    pixels = np.zeros((4, 3, 128, 128), np.float32)
    pixels += 100.0 * np.arange(3)[:, None, None]
    regions = choose_regions([stack(pixels, "TCYX")], 0.05, seed=0)
    assert {region.channel for region in regions} == {0, 1, 2}
    for region in regions:
        assert np.all(region.values == 100.0 * region.channel)
    per_channel = [total_px([r for r in regions if r.channel == c]) for c in range(3)]
    assert per_channel == [2 * 128 * 128] * 3


def test_several_stacks_and_seeds():
    rng = np.random.default_rng(3)
    stacks = [stack(rng.normal(n, 1, (6, 64, 64)).astype(np.float32), "TYX") for n in (0, 1000)]
    regions = choose_regions(stacks, 1.0, seed=0)
    assert sum(region.values.mean() > 500 for region in regions) == 6
    chosen = [
        [region.values.tobytes() for region in choose_regions(stacks, 0.02, seed)]
        for seed in (0, 0, 1)
    ]
    assert chosen[0] == chosen[1]
    assert chosen[0] != chosen[2]


@pytest.mark.parametrize("frames", [1, 250])
def test_all_of_a_long_stack_if_asked_for(frames):
    regions = choose_regions([stack(np.zeros((frames, 64, 64), np.uint8), "TYX")], 1000.0, seed=0)
    assert len(regions) == frames


def test_all_candidates_may_be_needed():
    # more area is asked for than the candidates hold whose contrast is measured
    pixels = np.zeros((250, 64, 64), np.uint8)
    area = 230 * 64 * 64 / 1e6
    assert len(choose_regions([stack(pixels, "TYX")], area, seed=0)) == 230
