"""Patches with the reason why they were taken or refused, and areas painted in and out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.made_up import stack
from training_core.areas import Area
from training_core.patches.gallery import Choice, choices_of, patch_gallery, seen_patch
from training_core.patches.painted import painted_windows
from training_core.patches.purity import judged_patches
from training_core.patches.smooth_patches import find_smooth_patches
from training_core.patches.window_scores import score_windows
from training_core.settings import PatchSettings

if TYPE_CHECKING:
    from training_core.stack import Stack

SMALL = PatchSettings(patch_size_px=16, stride_px=8)


def scene(frames: int = 2) -> Stack:
    """Give noise above, cells with noise in the middle, a saturated and an even strip below."""
    rows, columns = np.mgrid[:160, :256]
    cells = np.where((rows > 48) & (rows < 112), 150 * np.sin(rows / 4) * np.sin(columns / 5), 0)
    noise = np.random.default_rng(1).normal(0, 10, (frames, 160, 256))
    pixels = np.rint(400 + cells + noise)
    pixels[:, 112:136] = np.minimum(pixels[:, 112:136] + 395, 800)
    pixels[:, 136:] = 300
    return stack(pixels.astype(np.uint16), "TYX")


def inside(locations: np.ndarray, area: Area, size: int = 16) -> np.ndarray:
    tops, lefts = locations[:, 1], locations[:, 2]
    (top, left), (bottom, right) = area.corners
    rows = (tops >= top) & (tops + size <= bottom)
    return rows & (lefts >= left) & (lefts + size <= right)


def touches(locations: np.ndarray, area: Area, size: int = 16) -> np.ndarray:
    tops, lefts = locations[:, 1], locations[:, 2]
    (top, left), (bottom, right) = area.corners
    rows = (tops + size > top) & (tops < bottom)
    return rows & (lefts + size > left) & (lefts < right)


def test_nothing_is_taken_that_was_painted_out() -> None:
    out = Area.of("out:0,0,48,100")
    before = find_smooth_patches(scene(), SMALL)
    assert touches(before.locations, out).any()
    painted = PatchSettings(patch_size_px=16, stride_px=8, areas=(out,))
    found = find_smooth_patches(scene(), painted)
    assert found.count > 20
    assert not touches(found.locations, out).any()


@pytest.mark.parametrize("strictness", [None, 0.1])
def test_what_was_painted_in_is_taken_whatever_it_holds(strictness: float | None) -> None:
    cells = Area.of("in:56,64,40,80")
    plain = PatchSettings(strictness, 16, 8)
    assert not inside(find_smooth_patches(scene(), plain).locations, cells).any()
    painted = PatchSettings(strictness, 16, 8, areas=(cells,))
    found = find_smooth_patches(scene(), painted)
    assert inside(found.locations, cells).sum() == 2 * 4 * 9  # all windows of both frames
    assert "hold structure" in judged_patches(scene(), painted).verdict.sentence


def test_saturated_windows_are_not_taken_even_where_they_were_painted_in() -> None:
    below = Area.of("in:112,0,48,256")
    found = find_smooth_patches(
        scene(), PatchSettings(patch_size_px=16, stride_px=8, areas=(below,))
    )
    assert not inside(found.locations, below).any()


def test_the_later_of_two_areas_counts() -> None:
    areas = (Area.of("out:0,0,64,64"), Area.of("free:0,0,32,64"), Area.of("in:0,0,16,64"))
    forced, out = painted_windows(areas, (64, 80), 16, 16)
    assert forced.tolist() == [[True] * 4 + [False]] + 3 * [[False] * 5]
    assert out.tolist() == 2 * [[False] * 5] + 2 * [[True] * 4 + [False]]


def test_where_all_is_painted_out_the_remedy_is_to_paint_less() -> None:
    every = PatchSettings(patch_size_px=16, areas=(Area.of("out:0,0,4000,4000"),))
    found = find_smooth_patches(scene(), every)
    assert (found.count, found.verdict.level) == (0, "red")
    assert "Paint less out" in found.verdict.sentence
    assert found.verdict.remedy == PatchSettings(patch_size_px=16)


def test_the_gallery_shows_what_was_taken_and_why_the_rest_was_not() -> None:
    image, settings = (
        scene(3),
        PatchSettings(patch_size_px=16, stride_px=8, areas=(Area.of("out:0,0,40,40"),)),
    )
    patches = find_smooth_patches(image, settings)
    seen = patch_gallery(image, patches, settings)
    count = Counter(one.choice for one in seen)
    assert count[Choice.TAKEN] == 24
    assert {Choice.CLIPPED, Choice.CONSTANT, Choice.PAINTED, Choice.STRUCTURE} <= set(count)
    assert max(n for choice, n in count.items() if choice is not Choice.TAKEN) == 8
    taken = {tuple(place) for place in patches.locations.tolist()}
    for one in seen:
        pixels = image.frame(one.frame)[one.place.slices]
        assert np.array_equal(one.picture, pixels)
        assert one.mean == pytest.approx(pixels.mean())
        assert one.sigma == pytest.approx(pixels.std(), rel=1e-5)
        here = (one.frame, one.place.top, one.place.left)
        assert (here in taken) is (one.choice is Choice.TAKEN) is (one.reason == "")
    holds = [one for one in seen if one.choice is Choice.STRUCTURE]
    assert all(one.unevenness > 1.5 for one in holds)
    assert np.mean([48 - 16 < one.place.top < 112 for one in holds]) > 0.7
    assert {one.reason for one in holds} == {"Holds structure"}


def test_by_the_published_rule_the_reason_is_the_tolerance() -> None:
    settings = PatchSettings(0.1, 16, 8)
    windows = score_windows(scene().frame(0), settings)
    chosen = windows.select(0.1)
    choices = choices_of(windows, chosen, settings)
    row, column = np.argwhere(choices == Choice.UNEVEN)[0]
    one = seen_patch(windows, choices, settings, 0, (row, column))
    assert one.unevenness == pytest.approx(windows.scores[row, column])
    assert one.unevenness > 0.1
    assert one.reason == "More uneven than the tolerance"
