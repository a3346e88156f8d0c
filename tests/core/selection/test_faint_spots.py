"""How much of faint spots is left: all by what does nothing, and none by what wipes them out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from tests.support.made_up import blurred_noise, noise_model
from training_core.denoise.channel import Channel
from training_core.denoise.region import Region
from training_core.run import SILENT
from training_core.selection.faint_spots import CONTRASTS, SPOT_PX, FaintSpots, faint_spots

SIZE = 200


def noisy_region():
    image = 50 + blurred_noise((SIZE, SIZE), 0.0, 0)
    return Region(torch.from_numpy(image.astype(np.float32)), Channel(noise_model()))


def left_by(estimator, **more):
    return faint_spots([noisy_region()], estimator, SILENT, **more)


def test_what_does_nothing_keeps_all_spots():
    found = left_by(lambda region: region.image)
    assert found.kept == pytest.approx([1.0] * len(CONTRASTS), abs=1e-4)
    assert found.half == CONTRASTS[0]
    assert found.sigma == pytest.approx(1.0, rel=0.01)


def test_a_blurred_spot_counts_for_less():
    def blur(region):
        return torch.from_numpy(gaussian_filter(region.image.numpy(), SPOT_PX))

    half = 2 * SPOT_PX**2 / (3 * SPOT_PX**2)  # overlap of Gaussians of variance 1 and 2
    assert left_by(blur).kept == pytest.approx([half] * len(CONTRASTS), rel=0.03)


def test_what_keeps_only_what_stands_out_loses_the_faint():
    def cut(region):
        return torch.where(region.image - 50 > 5, region.image, 50)

    found = left_by(cut)
    assert found.kept[0] < 0.05
    assert found.kept[-1] > 0.5
    assert 2 < found.half <= 8
    assert left_by(cut, put_back=0.8).kept[0] == pytest.approx(0.8, abs=0.02)


def test_where_all_are_lost_there_is_no_contrast():
    found = left_by(lambda region: torch.full_like(region.image, 50.0))
    assert found.kept == (0.0,) * len(CONTRASTS)
    assert math.isinf(found.half)
    assert found.to_dict()["half"] is None


def test_the_contrast_lies_where_half_is_left():
    assert FaintSpots((0.1, 0.2, 0.4, 0.6, 0.9), 1.0).half == pytest.approx(8**0.5)
    assert FaintSpots((0.6, 0.2, 0.4, 0.6, 0.9), 1.0).half == pytest.approx(8**0.5)


def test_neighbouring_frames_show_the_spots_too():
    region = noisy_region()
    near = region.image[None].repeat(2, 1, 1)

    def mean(given):
        return torch.cat([given.image[None], given.neighbours]).mean(dim=0)

    found = faint_spots([Region(region.image, region.channel, near)], mean, SILENT)
    assert found.kept == pytest.approx([1.0] * len(CONTRASTS), abs=1e-4)
