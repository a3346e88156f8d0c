"""The length and the text of the scale bar."""

from __future__ import annotations

import pytest

from g2g_desktop.viewer.scale_bar import length_text, round_length_um


@pytest.mark.parametrize(
    ("um_per_px", "length_um"),
    [(0.1, 10.0), (0.0357, 2.0), (0.036, 5.0), (1.0, 100.0), (0.001, 0.1), (20.0, 2000.0)],
)
def test_the_length_is_the_largest_round_one_that_fits(um_per_px: float, length_um: float) -> None:
    assert round_length_um(um_per_px, 140.0) == pytest.approx(length_um)
    assert length_um / um_per_px <= 140.0


def test_an_exact_fit_is_taken() -> None:
    assert round_length_um(0.05, 100.0) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("length_um", "text"),
    [(5.0, "5 µm"), (0.2, "200 nm"), (500.0, "500 µm"), (2000.0, "2 mm"), (1.0, "1 µm")],
)
def test_the_text_has_the_unit_with_the_fewest_digits(length_um: float, text: str) -> None:
    assert length_text(length_um) == text
