"""What was removed from a frame, against noise and structure that are known."""

from __future__ import annotations

import numpy as np
import pytest

from training_core.quality.removed import Removed, structure_in

SIDE = 256


def removed(lost: np.ndarray | float, *, seed: int = 0) -> Removed:
    """Give what was removed where photon noise and `lost`, in its std, were."""
    clean = np.tile(np.linspace(100, 1000, SIDE), (SIDE, 1))
    noise = np.random.default_rng(seed).standard_normal(clean.shape) + lost
    noisy = clean + np.sqrt(clean) * noise
    return Removed.of(noisy.astype(np.float32), clean.astype(np.float32))


def test_noise_alone_is_measured_at_every_brightness_and_holds_no_structure() -> None:
    found = removed(0.0)
    expected = np.sqrt(np.linspace(100, 1000, SIDE))
    inner = slice(16, -16)  # the brightness groups at the ends have their middles further in
    assert found.sigmas[:, inner].mean(axis=0) == pytest.approx(expected[inner], rel=0.06)
    assert found.sigma == pytest.approx(np.sqrt(550), rel=0.05)
    assert found.structure_share < 0.01
    assert np.abs(found.beyond).mean() == pytest.approx(0.0027, abs=0.0007)


def test_a_faint_line_that_was_removed_is_marked_and_little_else() -> None:
    line = np.zeros((SIDE, SIDE))
    line[127:129, 20:-20] = 1.0
    found = removed(line)
    assert found.structure[120:136, 20:-20].any(axis=0).mean() > 0.5
    assert found.structure[:100].mean() < 0.01


def test_changed_pixels_have_the_sign_of_the_change() -> None:
    spots = np.zeros((SIDE, SIDE))
    spots[50, 50], spots[60, 60] = 20.0, -20.0  # bright noise that was taken: made darker
    found = removed(spots).beyond
    assert (found[50, 50], found[60, 60]) == (-1.0, 1.0)
    assert set(np.unique(found)) == {-1.0, 0.0, 1.0}


def test_nothing_removed_is_no_structure() -> None:
    frame = np.random.default_rng(1).normal(100, 5, (64, 64)).astype(np.float32)
    found = Removed.of(frame, frame)
    assert (found.sigma, found.structure_share) == (0.0, 0.0)
    assert not found.beyond.any()


def test_a_frame_too_small_for_windows_is_not_judged() -> None:
    image = np.full((20, 20), 100.0, np.float32)
    assert not structure_in(image, image).any()


def test_outlines_run_around_what_is_marked() -> None:
    line = np.zeros((SIDE, SIDE))
    line[127:129, 20:-20] = 3.0
    found = removed(line)
    outlines = found.structure_outlines
    pieces = outlines.reshape(-1, 3, 2)
    assert np.isnan(pieces[:, 2]).all()
    lengths = np.abs(np.diff(pieces[:, :2], axis=1)).sum(axis=(1, 2))
    assert (lengths == 8).all()
    for (x, y), (right, low) in pieces[:, :2]:
        sides = {bool(found.structure[int(y) + dy, int(x) + dx])
                 for dx, dy in (((2, 2), (2, -2)) if y == low else ((2, 2), (-2, 2)))}  # fmt: skip
        assert sides == {True, False}, (x, y, right, low)


def test_noise_of_few_photons_is_no_structure() -> None:
    """Dark areas of which most pixels are empty, beside bright ones."""
    rng = np.random.default_rng(2)
    clean = np.where(np.arange(SIDE) < SIDE // 2, 0.05, 4.0) * np.ones((SIDE, 1))
    clean += np.linspace(0, 0.2, SIDE)[:, None]
    noisy = 10.0 * rng.poisson(clean)
    found = Removed.of(noisy.astype(np.float32), (10 * clean).astype(np.float32))
    assert found.structure_share < 0.03
    assert np.abs(found.beyond).mean() < 0.08


def test_noise_that_follows_the_place_is_no_structure_and_a_lost_line_is() -> None:
    rng = np.random.default_rng(3)
    strength = 20 + 60 * np.exp(-np.square(np.linspace(-2, 2, SIDE)))[:, None]
    noise = strength * rng.standard_normal((SIDE, SIDE))
    flat = np.zeros((SIDE, SIDE), np.float32)
    calm = Removed.of(noise.astype(np.float32), flat, by_place=True)
    assert calm.structure_share < 0.01
    assert calm.sigmas[128].mean() == pytest.approx(strength[128, 0], rel=0.1)
    noise[:, 100:103] += strength
    lost = Removed.of(noise.astype(np.float32), flat, by_place=True)
    assert lost.structure[:, 96:108].mean() > 0.4
    assert lost.structure[:, :80].mean() < 0.02
