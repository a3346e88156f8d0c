"""What was painted by hand: which pixels it holds, and with how few corners it is kept."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import polygon2mask

from training_core.areas import MOST_CORNERS, Area
from training_core.patches.painted import drawn_area, filled, painted_windows


def circle(count: int, radius: float = 40.0, middle: float = 50.0) -> list[tuple[float, float]]:
    """Give x, y of the corners of a polygon that is nearly a circle."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return [(middle + radius * np.cos(a), middle + radius * np.sin(a)) for a in angles]


@pytest.mark.parametrize("seed", range(5))
def test_pixels_are_inside_by_their_middle(seed: int) -> None:
    """As scikit-image says, which takes many times as long for a large frame."""
    corners = np.random.default_rng(seed).uniform(-10, 70, (7, 2))
    assert np.array_equal(filled(corners, (60, 48)), polygon2mask((60, 48), corners - 0.5))


def test_outlines_that_touch_share_no_pixel_and_miss_none() -> None:
    middle = [20, 17]
    ends = [[0, 0], [0, 40], [40, 40], [40, 0]]
    parts = [[middle, a, b] for a, b in zip(ends, ends[1:] + ends[:1], strict=True)]
    held = sum(filled(np.array(part), (40, 40)).astype(int) for part in parts)
    assert np.array_equal(held, np.ones((40, 40)))


def test_a_painted_polygon_takes_windows_as_its_pixels_say() -> None:
    areas = (Area.of("in:0,0/0,96/96,0"), Area.of("out:96,96/96,40/40,96"))
    forced, out = painted_windows(areas, (96, 96), 32, 32)
    assert forced.tolist() == [[True, True, False], [True, False, False], 3 * [False]]
    assert out.tolist() == [3 * [False], [False, False, True], [False, True, True]]


def test_a_freehand_outline_is_kept_with_few_corners() -> None:
    area = drawn_area("out", circle(900), (100, 100))
    assert area is not None
    assert 10 < len(area.corners) < 60
    drawn = filled(np.array(circle(900))[:, ::-1], (100, 100))
    kept = filled(np.array(area.corners), (100, 100))
    assert np.count_nonzero(drawn != kept) < 0.03 * np.count_nonzero(drawn)


def test_an_outline_with_a_thousand_teeth_is_still_a_setting() -> None:
    x = np.arange(4000.0)
    teeth = [*zip(x, np.where(x % 2, 10.0, 20.0), strict=True), (4000.0, 90.0), (0.0, 90.0)]
    area = drawn_area("in", teeth, (100, 4000))
    assert area is not None
    assert len(area.corners) <= MOST_CORNERS
    assert Area.of(str(area)) == area


def test_what_is_drawn_is_cut_off_at_the_frame() -> None:
    assert drawn_area("in", [(30.0, 40.0), (-9.0, 8.4)], (64, 32)) == Area.of("in:8,0,32,30")
    cut = drawn_area("in", [(-20.0, -20.0), (80.0, -20.0), (80.0, 200.0)], (64, 32))
    assert cut is not None
    assert max(row for row, _ in cut.corners) == 64
    assert max(column for _, column in cut.corners) == 32


@pytest.mark.parametrize(
    "points",
    [
        [(5.0, 5.0), (5.2, 30.0)],
        [(5.0, 5.0)] * 9,
        [(5.0, 5.0), (9.0, 9.0), (20.0, 20.0)],
        [(-9.0, 4.0), (-5.0, 8.0), (-2.0, 30.0)],
    ],
)
def test_a_slip_of_the_hand_is_no_area(points: list[tuple[float, float]]) -> None:
    assert drawn_area("in", points, (64, 64)) is None
