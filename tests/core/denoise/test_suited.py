"""A model used on another recording: its transform is that of the file, and that is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.made_up import denoiser, noise_model, stack
from training_core.denoise.suited import suited_to
from training_core.denoise.tiled import denoise
from training_core.noise.anscombe import Stabiliser
from training_core.run import Note, Run

OFFSET, READ = 100.0, 5.0
CAMERA = Stabiliser(1.0, READ**2 - OFFSET)


def recording(level: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Give a scene as the camera takes it, and what it would be without noise."""
    rows, columns = np.mgrid[:160, :160]
    light = 0.15 + np.exp(-((columns - 60) ** 2 + (rows - 60) ** 2) / 900)
    rng = np.random.default_rng(seed)
    noisy = rng.poisson(light * level) + rng.normal(0, READ, light.shape) + OFFSET
    return noisy.round(), light * level + OFFSET


def filters():
    """Give a model of the camera that passes the filter's estimate on."""
    made = denoiser(noise_model(stabiliser=CAMERA), mean=60.0, spread=20.0)
    torch.nn.init.zeros_(made.network.layers[-1].weight)
    torch.nn.init.zeros_(made.network.layers[-1].bias)
    return made


def told(notes: list[str]) -> Run:
    return Run(lambda event: notes.append(event.text) if isinstance(event, Note) else None)


@pytest.mark.parametrize("level", [2000.0, 200.0])
def test_another_recording_of_the_camera_changes_nothing(level):
    noisy, _ = recording(level)
    chosen, notes = filters(), []
    assert suited_to(chosen, stack(noisy.astype(np.uint16)), told(notes)) is chosen
    assert not notes


@pytest.mark.parametrize("scale", [0.1, 0.02])
def test_a_recording_that_was_rescaled_keeps_its_brightness(scale):
    noisy, clean = recording(2000.0)
    small = stack((noisy * scale).round().astype(np.uint8))
    notes: list[str] = []
    chosen = suited_to(filters(), small, told(notes))
    made = denoise(small, chosen).pixels
    assert made.mean() == pytest.approx(small.pixels.mean(), rel=0.005)
    assert made.min() == pytest.approx(clean.min() * scale, rel=0.15)
    before, after = (np.square(i - clean * scale).mean() for i in (small.pixels, made))
    assert after < 0.3 * before
    assert len(notes) == 1
    assert "are taken from this stack" in notes[0]


def test_without_that_values_would_be_lifted():
    noisy, _ = recording(2000.0)
    small = stack((noisy * 0.1).round().astype(np.uint8))
    lifted = denoise(small, filters()).pixels
    assert lifted.mean() > 1.03 * small.pixels.mean()


def loud(where: float):
    """Give a recording with 60 more of noise, stronger in some places by a share of that."""
    noisy, _ = recording(2000.0)
    rows, columns = np.mgrid[:160, :160]
    strength = 60 * (1 + where * np.sin(rows / 9) * np.sin(columns / 13))
    more = strength * np.random.default_rng(3).normal(size=noisy.shape)
    return stack((noisy + more).astype(np.float32))


def test_stronger_noise_is_taken_from_the_stack():
    notes: list[str] = []
    suited = suited_to(filters(), loud(where=0.0), told(notes))
    assert suited.channels[0].noise.stabiliser.sigma(400.0) == pytest.approx(62, rel=0.1)
    assert "are taken from this stack" in notes[0]


def test_what_is_stronger_in_places_may_be_texture_and_is_only_told():
    notes: list[str] = []
    chosen = filters()
    assert suited_to(chosen, loud(where=0.9), told(notes)) is chosen
    assert "noise may be left" in notes[0]


@pytest.mark.parametrize("learned_from", [None, "photographs, none of them this stack", []])
def test_a_story_without_names_knows_no_stack(learned_from):
    chosen, notes = replace(filters(), card={"trained_on": learned_from}), list[str]()
    suited_to(chosen, replace(loud(0.0), source=Path("this stack")), told(notes))
    assert "The noise of this stack is" in notes[0]


@pytest.mark.parametrize("shape", [(1, 160), (160, 3), (2, 2)])
def test_frames_too_narrow_to_measure_are_denoised_as_the_model_expects(shape):
    noisy = np.random.default_rng(0).normal(500, 20, shape).astype(np.float32)
    narrow, notes = stack(noisy, source=Path("n.tif")), []
    made = denoiser(noise_model())

    assert suited_to(made, narrow, told(notes)) is made
    assert notes[0].startswith("The frames of n.tif are too narrow to measure their noise in;")
    assert abs(float(np.mean(denoise(narrow, made).pixels)) - 500) < 20
