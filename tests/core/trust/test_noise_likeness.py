"""Real and made noise compared where it is known how like they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support import made_up
from training_core.errors import TooFewPatchesError
from training_core.noise.anscombe import Stabiliser
from training_core.patches.smooth_patches import find_smooth_patches
from training_core.settings import PatchSettings
from training_core.trust.noise_likeness import noise_likeness

if TYPE_CHECKING:
    from training_core.noise.likeness import NoiseLikeness


def likeness(real_blur: float, made_blur: float) -> NoiseLikeness:
    pixels = 200 + 15 * made_up.blurred_noise((256, 256), real_blur, 2)
    stack = made_up.stack(pixels.astype(np.float32))
    patches = find_smooth_patches(stack, PatchSettings(patch_size_px=16, stride_px=16))
    model = made_up.denoiser(made_up.noise_model(made_blur, Stabiliser(scale=15.0, offset=200.0)))
    return noise_likeness(stack, patches, model)


def test_noise_of_one_kind_is_alike_in_all_that_is_shown() -> None:
    found = likeness(0.0, 0.0)
    assert found.match.good
    assert "looks like the real noise" in found.sentence
    assert found.along_x[:, :2].ravel() == pytest.approx([1, 0, 1, 0], abs=0.05)
    assert found.counts.sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-3)
    assert found.spectrum[0] == pytest.approx(found.spectrum[1], rel=0.3)
    assert found.spectrum[:, 4:] == pytest.approx(np.ones((2, 12)), abs=0.3)  # white
    assert np.median(found.sigmas) == pytest.approx(15.0, rel=0.1)
    assert found.curve[1] == pytest.approx(np.full(64, 15.0), rel=1e-3)
    assert found.real.shape == found.made.shape == (3 * 17 - 1, 4 * 17 - 1)


def test_noise_of_another_kind_differs_and_is_said_to() -> None:
    found = likeness(0.7, 0.0)
    assert not found.match.good
    assert found.along_y[0, :2] == pytest.approx([1.0, made_up.covariance(0.7)[16, 15]], abs=0.1)
    assert found.along_x[0, 1] > found.along_x[1, 1] + 0.3
    assert "differs from the real noise" in found.sentence


def test_too_few_patches_are_refused() -> None:
    pixels = np.random.default_rng(0).normal(100, 5, (2, 64, 64)).astype(np.float32)
    stack = made_up.stack(pixels, "CYX")
    patches = find_smooth_patches(stack, PatchSettings(patch_size_px=16, stride_px=16))
    kept = patches.locations[patches.locations[:, 0] == 0]
    object.__setattr__(patches, "locations", kept)
    with pytest.raises(TooFewPatchesError, match="Only 0 smooth patches"):
        noise_likeness(stack, patches, made_up.denoiser(made_up.noise_model()), 1)
