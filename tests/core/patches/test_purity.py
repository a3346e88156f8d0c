"""Patches of noise alone, and patches that hold structure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tests.support.made_up import stack
from training_core.patches.purity import judged_patches, structured_share
from training_core.patches.smooth_patches import find_smooth_patches
from training_core.settings import PatchSettings

ALL = PatchSettings(strictness=1.0, patch_size_px=96, stride_px=24)


def noise(shape: tuple[int, int] = (256, 256), blur: float = 0.0) -> np.ndarray:
    made = np.random.default_rng(1).normal(0, 1, shape)
    made = gaussian_filter(made, blur) if blur else made
    return 100 + 10 * made / made.std()


def cells(height: float) -> np.ndarray:
    rows, columns = np.mgrid[:256, :256]
    grid = np.sin(rows / 5) * np.sin(columns / 7)
    return np.where(columns < 128, 0.0, height * grid)


@pytest.mark.parametrize("settings", [ALL, PatchSettings(), PatchSettings(1.0, 32, 8)])
@pytest.mark.parametrize("blur", [0.0, 0.8])
def test_pure_noise_holds_no_structure(settings: PatchSettings, blur: float) -> None:
    pure = stack(noise(blur=blur).astype(np.float32))
    found = find_smooth_patches(pure, settings)
    assert found.count
    assert structured_share(pure, found) < 0.02


def test_cells_that_count_as_smooth_are_said_to_be_structure() -> None:
    image = stack((noise() + cells(10.0)).astype(np.float32))
    every = judged_patches(image, ALL)
    assert every.verdict.level == "red"
    assert "hold structure, not noise alone" in every.verdict.sentence
    assert every.verdict.remedy == PatchSettings()
    chosen = judged_patches(image, PatchSettings())
    assert chosen.verdict.level == "green"
    assert (chosen.locations[:, 2] < 128).mean() > 0.9


def test_of_several_channels_the_worst_is_told() -> None:
    both = np.stack([noise(), noise() + cells(10.0)]).astype(np.float32)
    found = judged_patches(stack(both, axes="CYX"), ALL)
    assert found.verdict.level == "red"
    assert found.verdict.sentence.startswith("Channel 2: ")


def test_a_channel_that_is_left_as_it_is_is_not_judged() -> None:
    both = np.stack([noise(), np.full((256, 256), 7.0)]).astype(np.float32)
    found = judged_patches(stack(both, axes="CYX"))
    assert found.verdict.level == "green"
    assert set(found.locations[:, 0]) == {0}
    alone = judged_patches(stack(both[1:], axes="CYX"))
    assert alone.verdict.level == "red"
