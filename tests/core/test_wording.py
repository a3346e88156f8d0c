"""Figures that people read: never an exponent where none is needed."""

from __future__ import annotations

import pytest

from training_core.wording import figure, length, percent, pixel_value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (412, "412"),
        (12.345, "12.35"),
        (999.96, "1000"),
        (1234.5, "1234"),
        (54_321.7, "54322"),
        (-1.5, "-1.5"),
        (float("inf"), "\N{INFINITY}"),
        (float("nan"), "nan"),
    ],
)
def test_grey_values_are_whole_from_1000_on(value: float, text: str) -> None:
    assert pixel_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(120.0, "120"), (1234.5, "1234"), (99.7, "100"), (9.96, "10.0"), (0.5, "0.5")],
)
def test_figures_have_no_exponent(value: float, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (1.0, "100 %"),
        (0.0996, "10 %"),
        (0.0123, "1.2 %"),
        (0.00123, "0.12 %"),
        (2e-5, "0.002 %"),
        (1e-7, "less than 0.001 %"),
    ],
)
def test_shares_have_no_exponent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("um", "text"), [(0.065, "65 nm"), (0.0999, "99.9 nm"), (0.1, "0.1 µm"), (1400, "1.4 mm")]
)
def test_lengths_have_the_unit_that_suits_them(um: float, text: str) -> None:
    assert length(um) == text
