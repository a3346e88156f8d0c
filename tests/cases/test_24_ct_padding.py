"""Case 24: what a CT scanner pads comes back exactly, and bends nothing beside it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.made_up import INSTANT, QUICKEST, stack
from training_core.pipeline import denoise_stack

SIDE = 160
y, x = np.mgrid[:SIDE, :SIDE]
RADIUS = np.hypot(x - 79.5, y - 79.5)
BODY = ((x - 80) / 55) ** 2 + ((y - 80) / 42) ** 2 < 1
LESION = (x - 70) ** 2 + (y - 75) ** 2


def slices(field_px: float, padding: int):
    """Give a phantom in HU with noise of 20 HU, its field round and padded, and the padding."""
    rng = np.random.default_rng(24)
    hu = np.where(((x - 80) / 62) ** 2 + ((y - 80) / 48) ** 2 < 1, 40.0, -1000.0)
    hu[LESION < 12**2] = 55
    hu = np.rint(hu + rng.normal(0, 20, (2, SIDE, SIDE))).clip(-1024).astype(np.int16)
    outside = field_px < RADIUS
    hu[:, outside] = padding
    return stack(hu, "ZYX", value_unit="HU"), outside


@pytest.mark.parametrize(
    ("method", "field_px", "padding"),
    [
        ("bundled", 79, -3024),
        ("bundled", 79.3, -3024),
        ("bundled", 70, -2000),
        pytest.param("trained", 79, -3024, marks=pytest.mark.trains),
    ],
)
def test_padding_stays_and_there_is_no_ring(method, field_px, padding):
    given, outside = slices(field_px, padding)
    made = denoise_stack(given, INSTANT).denoised if method == "bundled" else None
    pixels = (made or denoise_stack(given, QUICKEST).denoised).pixels
    assert (pixels[:, outside] == padding).all()
    edge = ~outside & (field_px - 4 < RADIUS)
    assert pixels[:, edge].mean() == pytest.approx(given.pixels[:, edge].mean(), abs=3)
    assert pixels[:, edge].min() > -1110
    inside = BODY & (LESION > 17**2)
    assert pixels[:, inside].std() < 0.6 * given.pixels[:, inside].std()
