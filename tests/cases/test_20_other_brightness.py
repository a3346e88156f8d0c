"""Case 20: a kept model keeps the brightness of a dimmer recording, and of one in 8 bits."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.support.made_up import QUICKEST, stack
from training_core.denoise.suited import suited_to
from training_core.denoise.tiled import denoise
from training_core.pipeline import train
from training_core.run import Note, Run

y, x = np.mgrid[:128, :128]
SCENE = 0.15 + np.exp(-((x - 50) ** 2 + (y - 50) ** 2) / 900)
SCENE += 0.6 * (((x - 90) / 25) ** 2 + ((y - 95) / 15) ** 2 < 1)


def recording(level: float) -> tuple[np.ndarray, np.ndarray]:
    """Give what a camera of gain 1, read noise 5 and offset 100 records, and without noise."""
    rng = np.random.default_rng(20)
    noisy = rng.poisson(SCENE * level) + rng.normal(0, 5, SCENE.shape) + 100
    return noisy.round().clip(0, 65535), SCENE * level + 100


@cache
def model():
    return train([stack(recording(2000.0)[0].astype(np.uint16))], QUICKEST).denoiser


@pytest.mark.trains
@pytest.mark.parametrize(
    ("level", "bits", "told"),
    [(2000.0, 16, False), (200.0, 16, False), (2000.0, 8, True), (200.0, 8, True)],
)
def test_brightness_stays_the_error_falls_and_unlike_noise_is_told(level, bits, told):
    noisy, clean = recording(level)
    scale = 255 / noisy.max() if bits == 8 else 1.0
    pixels = (noisy * scale).round().astype(np.uint8 if bits == 8 else np.uint16)
    notes: list[str] = []
    run = Run(lambda event: notes.append(event.text) if isinstance(event, Note) else None)
    given = stack(pixels, source=Path("other.tif"))
    made = denoise(given, suited_to(model(), given, run)).pixels
    assert made.mean() == pytest.approx(pixels.mean(), rel=0.005)
    before, after = (np.square(i - clean * scale).mean() for i in (pixels, made))
    assert after < 0.5 * before
    assert bool(notes) == told
    assert all("e+" not in note for note in notes)  # no ratio to a noise of nothing


@pytest.mark.trains
@pytest.mark.parametrize(
    ("scale", "offset", "dtype"),
    [
        (16, 0, np.uint16),
        (1e5, 0, np.uint32),
        (1e12, 0, np.float32),
        (1 / 65535, 0, np.float32),
        (1, -20_000, np.int16),
        (1, 1e9, np.float64),
        (-1, 0, np.float32),
    ],
)
def test_another_scale_or_offset_is_another_camera_and_no_other_noise(scale, offset, dtype):
    noisy, clean = recording(2000.0)
    pixels = (noisy * scale + offset).astype(dtype)
    given = stack(pixels, source=Path("other.tif"))
    made = denoise(given, suited_to(model(), given)).pixels
    before, after = (np.square((i - offset) / scale - clean).mean() for i in (pixels, made))
    assert after < 0.3 * before
    assert ((made - offset) / scale).mean() == pytest.approx(noisy.mean(), rel=0.005)
