"""Case 14: what is not a number teaches nothing and comes back; a plane of it refuses nothing."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.made_up import QUICKEST
from training_core.io.readers import open_stack
from training_core.pipeline import denoise_stack
from training_core.quality.noise_level import estimate_noise_sigma
from training_core.reporting.noise_analysis import analyse_noise
from training_core.run import Note, Run

SIDE, SIGMA = 128, 0.002
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
INSIDE = np.hypot(ROWS - 64, COLUMNS - 64) < 58
CLEAN = 0.02 + 0.01 * (COLUMNS > 64)


def masked(folder, *, lost_plane):
    """Write planes with noise as strong everywhere, of which a disc is seen."""
    import tifffile

    draw = np.random.default_rng(14)
    pixels = (CLEAN + draw.normal(0, SIGMA, (2, SIDE, SIDE))).astype(np.float32)
    pixels[:, ~INSIDE] = np.nan
    if lost_plane:
        pixels[1] = np.nan
    tifffile.imwrite(folder / "masked.tif", pixels, imagej=True, metadata={"axes": "ZYX"})
    return pixels, open_stack(folder / "masked.tif")


def test_noise_is_measured_inside_and_is_no_photon_noise(tmp_path):
    _, given = masked(tmp_path, lost_plane=False)
    (found,) = analyse_noise(given)
    assert found.noise.sigmas[1] == pytest.approx(SIGMA, rel=0.1)
    assert found.noise.sigmas[2] < 1.3 * found.noise.sigmas[0]  # in the dark as in the bright


@pytest.mark.parametrize("lost", ["disc", "lattice", "lines"])
@pytest.mark.parametrize(
    ("value", "dtype"),
    [(np.nan, "f4"), (-np.inf, "f4"), (-3.4028235e38, "f4"), (1e300, "f8"), (-1.7976e308, "f8")],
)
def test_what_stands_for_no_value_is_not_measured_wherever_it_lies(tmp_path, lost, value, dtype):
    where = {"disc": ~INSIDE, "lattice": ROWS % 2 + COLUMNS % 2 == 0, "lines": ROWS % 4 == 0}[lost]
    noisy = CLEAN + np.random.default_rng(14).normal(0, SIGMA, CLEAN.shape)
    np.save(tmp_path / "a.npy", np.where(where, value, noisy).astype(dtype))

    given = open_stack(tmp_path / "a.npy")

    assert estimate_noise_sigma(given) == pytest.approx(SIGMA, rel=0.15)
    assert given.warnings == (
        f"{where.sum()} pixels are NaN or infinite; they teach nothing and stay as they are.",
    )
    np.testing.assert_array_equal(given.file_frame(0), np.load(tmp_path / "a.npy"))


@pytest.mark.trains
@pytest.mark.parametrize("lost_plane", [False, True])
def test_what_is_lost_comes_back_lost_and_the_rest_is_denoised(tmp_path, lost_plane):
    pixels, given = masked(tmp_path, lost_plane=lost_plane)
    notes = []
    run = Run(lambda event: notes.append(event.text) if isinstance(event, Note) else None)
    made = denoise_stack(given, QUICKEST, run=run).denoised
    result = np.stack([made.file_frame(index) for index in range(2)])
    assert np.array_equal(np.isnan(result), np.isnan(pixels))
    for half in (COLUMNS < 60, COLUMNS > 68):
        where = INSIDE & half
        assert result[0][where].mean() == pytest.approx(CLEAN[where].mean(), rel=0.01)
    error = float(np.sqrt(np.square(result[0] - CLEAN)[INSIDE].mean()))
    assert error < 0.35 * SIGMA
