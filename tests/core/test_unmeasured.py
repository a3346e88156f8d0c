"""Padding, NaN and hot pixels are known by their place; nothing is learned from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.made_up import QUICKEST, denoiser, noise_model, scene, stack
from training_core.denoise.tiled import denoise
from training_core.noise.anscombe import Stabiliser
from training_core.patches.smooth_patches import split_channels
from training_core.pipeline import denoise_stack
from training_core.run import Note, Run
from training_core.unmeasured import hot_pixels, measured, unmeasured

SIDE, SIGMA = 160, 10.0


def noisy(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (scene(SIDE, SIDE) + SIGMA * rng.standard_normal((SIDE, SIDE))).round()


def padded(value: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Give an image of which all but a disc is padding, and where that is."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    outside = np.hypot(rows - 80, columns - 80) > 70
    return np.where(outside, value, noisy()), outside


def with_hot_pixels(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    image, rng = noisy(), np.random.default_rng(1)
    places = rng.choice(SIDE**2, count, replace=False)
    image.flat[places] += rng.uniform(120, 500, count)
    return image, places


@pytest.mark.parametrize("value", [0.0, -3024.0, 150.0])
def test_padding_is_found_whatever_its_value(value):
    image, outside = padded(value)
    found = unmeasured(stack(image), 0)
    assert (found == outside).mean() > 0.995
    assert found[~outside].mean() < 0.005


@pytest.mark.parametrize("shape", ["columns", "rows", "disc"])
def test_padding_with_the_greatest_value_is_found_too(shape):
    image, outside = padded()
    if shape != "disc":
        outside = np.zeros((SIDE, SIDE), bool)
        outside[:, 110:] = True
        outside = outside if shape == "columns" else outside.T
    image = np.where(outside, 65535.0, noisy())
    assert np.array_equal(unmeasured(stack(image), 0), outside)


@pytest.mark.parametrize("value", [0, 110, 65535])
@pytest.mark.parametrize("wide", [(1, 0, 0, 0), (3, 3, 2, 1), (0, 0, 0, 8)])
def test_few_lines_along_the_edges_are_padding(wide, value):
    top, bottom, left, right = wide
    outside = np.ones((SIDE, SIDE), bool)
    outside[top : SIDE - bottom, left : SIDE - right] = False
    image = np.where(outside, value, noisy()).astype(np.uint16)
    assert np.array_equal(unmeasured(stack(image), 0), outside)


@pytest.mark.parametrize("mean", [0.01, 0.1, 0.3, 1.0])
def test_dark_photon_counts_are_no_padding(mean):
    counts = np.random.default_rng(2).poisson(mean, (256, 256)).astype(np.uint8)
    assert unmeasured(stack(counts), 0) is None


def test_saturated_areas_are_no_padding():
    assert unmeasured(stack(noisy().clip(0, 250)), 0) is None


def test_what_is_around_goes_on_with_its_noise():
    image, outside = padded()
    filled = measured(stack(image)).pixels
    assert np.array_equal(filled[~outside], image[~outside])
    ring = outside & (np.hypot(*(np.mgrid[:SIDE, :SIDE] - 80)) < 80)
    difference = np.diff(filled, axis=1)[ring[:, 1:]]
    assert np.median(np.abs(difference)) / 0.6745 == pytest.approx(SIGMA * 2**0.5, rel=0.2)
    whole = stack(noisy())
    assert np.array_equal(measured(whole).pixels, whole.pixels)


@pytest.mark.trains
def test_padding_comes_back_exactly_and_bends_no_brightness():
    image, outside = padded()
    settings = replace(QUICKEST, denoiser=replace(QUICKEST.denoiser, keep_brightness=True))
    made = denoise_stack(stack(image.astype(np.uint16)), settings).denoised.pixels
    assert np.array_equal(made[outside], image[outside])
    inside = ~outside
    assert made[inside].mean() == pytest.approx(image[inside].mean(), rel=0.003)
    clean = scene(SIDE, SIDE)
    before, after = (np.square(i - clean)[inside].mean() for i in (image, made))
    assert after < 0.6 * before


@pytest.mark.parametrize("dead", [False, True])
def test_hot_and_dead_pixels_are_found_and_hardly_others(dead):
    image, places = with_hot_pixels()
    if dead:
        image.flat[places[::2]] = noisy().flat[places[::2]] - 200
    found = np.flatnonzero(hot_pixels(stack(image), 0))
    assert len(np.intersect1d(found, places)) >= 0.85 * len(places)
    assert len(np.setdiff1d(found, places)) <= 1


def test_hot_pixels_on_the_border_are_found_too():
    image, _ = with_hot_pixels(0)
    places = [(0, 9), (0, 40), (-1, 20), (30, 0), (50, -1), (0, 0), (-1, -1), (1, 25)]
    for place in places:
        image[place] += 100 * SIGMA
    found = hot_pixels(stack(image), 0)
    assert all(found[place] for place in places)
    assert found.sum() <= len(places) + 1


def test_what_is_usual_is_not_learned_from_padding():
    rows, columns = np.mgrid[:128, :128]
    distance = np.hypot(rows - 64, columns - 64)
    image = np.where(distance < 40, 40, -1000)
    image = image + np.random.default_rng(1).normal(0, 20, image.shape).round()
    assert hot_pixels(stack(np.where(distance < 45, image, 0)), 0) is None


@pytest.mark.parametrize("kind", ["none", "spots", "too many", "photons", "HU"])
def test_what_is_no_hot_pixel(kind):
    image, more = noisy(), {}
    rng = np.random.default_rng(3)
    if kind == "spots":  # as narrow as optics make them
        rows, columns = np.mgrid[:SIDE, :SIDE]
        for y, x in rng.uniform(5, SIDE - 5, (30, 2)):
            image += 400 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 0.9**2))
    elif kind == "too many":  # noise of few far values
        places = rng.choice(SIDE**2, SIDE**2 // 20, replace=False)
        image.flat[places] += rng.choice([-1, 1], len(places)) * 200
    elif kind == "photons":
        image = 30.0 * rng.poisson(0.2, (SIDE, SIDE))
    elif kind == "HU":
        image, _ = with_hot_pixels()
        more = {"value_unit": "HU"}
    assert hot_pixels(stack(image, **more), 0) is None


@pytest.mark.parametrize("repair", [True, False])
def test_hot_pixels_are_repaired_and_told_unless_they_are_to_stay(repair):
    image, places = with_hot_pixels()
    chosen = denoiser(noise_model(stabiliser=Stabiliser(scale=SIGMA)), repair_hot_pixels=repair)
    notes: list[str] = []
    run = Run(lambda event: notes.append(event.text) if isinstance(event, Note) else None)
    made = denoise(stack(image), chosen, run=run).pixels
    clean = scene(SIDE, SIDE)
    left = np.abs(made - clean).flat[places].mean()
    assert (left < 100) == repair
    assert any("hot or dead" in note for note in notes) == repair


def test_a_part_of_a_stack_knows_its_own_lost_pixels():
    pixels = np.stack([noisy(0), noisy(1), noisy(2), noisy(3)]).reshape(2, 2, SIDE, SIDE)
    lost = {3: (np.arange(7), np.full(7, np.nan))}
    whole = stack(pixels.astype(np.float32), "TCYX", not_finite=lost)
    parts = split_channels(whole)
    assert [unmeasured(part, 0) for part in parts] == [None, None]
    assert unmeasured(whole, 3).sum() == 7
