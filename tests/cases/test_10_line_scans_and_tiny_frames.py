"""Tiny frames are measured together, and lines that make one image are told to."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.made_up import stack
from training_core.errors import InputError
from training_core.reporting.noise_analysis import analyse_noise
from training_core.stack import check_trainable, sampled_frames


def photons(*shape: int, mean: float | np.ndarray = 100.0) -> np.ndarray:
    """Give Poisson counts: noise of 10 at a mean of 100."""
    return np.random.default_rng(10).poisson(mean, shape).astype(np.uint16)


@pytest.mark.parametrize(("count", "side"), [(200, 20), (400, 18), (400, 32)])
def test_many_tiny_frames_hold_enough_to_measure(count: int, side: int):
    (analysis,) = analyse_noise(stack(photons(count, side, side), "TYX"))

    assert analysis.noise is not None
    assert analysis.noise.sigmas[1] == pytest.approx(10, rel=0.1)
    assert analysis.patches >= 60


def test_more_than_eight_frames_are_looked_at_only_where_they_are_tiny():
    def looked_at(*shape: int) -> int:
        return len(sampled_frames(stack(np.zeros(shape, np.uint8), "TYX")))

    assert [looked_at(900, 20, 20), looked_at(50, 20, 20), looked_at(200, 64, 64)] == [656, 50, 8]
    assert [looked_at(200, 96, 96), looked_at(20, 512, 512), looked_at(3, 2048, 2048)] == [8, 8, 1]


@pytest.mark.parametrize("shape", [(24, 800), (800, 24)])
def test_a_strip_is_an_image(shape: tuple[int, int]):
    strip = stack(photons(*shape))

    (analysis,) = analyse_noise(strip)

    check_trainable(strip)
    assert analysis.noise is not None
    assert analysis.noise.sigmas[1] == pytest.approx(10, rel=0.15)


def test_the_image_of_a_line_over_time():
    line = 50 + 200 * np.exp(-((np.arange(256) - 90) ** 2) / 400)

    (analysis,) = analyse_noise(stack(photons(400, 256, mean=line)))

    assert analysis.noise is not None
    assert analysis.noise.sigmas[0] == pytest.approx(7, rel=0.1)


def test_frames_of_one_line_are_told_to_make_an_image():
    with pytest.raises(InputError) as refused:
        check_trainable(stack(photons(400, 1, 256), "TYX"))

    assert "400 frames of stack are single lines, which make one image of 256 x 400 pixels" in str(
        refused.value
    )
    assert "Make Montage with 1 column and 400 rows" in str(refused.value)
