import runpy
from pathlib import Path

import numpy as np
import pytest
import tifffile

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "resources" / "samples"
SCENES = runpy.run_path(str(ROOT / "packaging" / "sample_scenes.py"))

SHAPES = {
    "fluorescence": ("ZYX", (3, 256, 256), np.uint16),
    "ct": ("ZYX", (3, 256, 256), np.int16),
    "sem": ("YX", (384, 384), np.uint8),
}


def read(name):
    return tifffile.imread(SAMPLES / f"{name}.tif")


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("kind", ["noisy", "clean"])
def test_axes_shape_and_dtype(name, kind):
    axes, shape, dtype = SHAPES[name]
    with tifffile.TiffFile(SAMPLES / f"{name}_{kind}.tif") as file:
        series = file.series[0]
        assert (series.axes, series.shape, series.dtype) == (axes, shape, np.dtype(dtype))


def test_pixel_sizes_are_inside():
    with tifffile.TiffFile(SAMPLES / "fluorescence_noisy.tif") as file:
        numerator, denominator = file.pages[0].tags["XResolution"].value
        assert denominator / numerator == pytest.approx(0.108, rel=1e-6)
        assert file.imagej_metadata["unit"] == "um"
        assert file.imagej_metadata["spacing"] == 0.3
    with tifffile.TiffFile(SAMPLES / "ct_noisy.tif") as file:
        assert 'PhysicalSizeX="1400"' in file.ome_metadata


def test_the_script_gives_the_shipped_pixels():
    noisy, clean = SCENES["sem"]()
    np.testing.assert_array_equal(noisy, read("sem_noisy"))
    np.testing.assert_array_equal(clean, read("sem_clean"))


def test_fluorescence_noise_grows_with_brightness_as_counting_does():
    noisy, clean = (read(f"fluorescence_{kind}").astype(float) for kind in ("noisy", "clean"))
    electrons = (clean - SCENES["CAMERA_OFFSET"]) / SCENES["COUNTS_PER_ELECTRON"]
    expected = SCENES["COUNTS_PER_ELECTRON"] ** 2 * (
        electrons + SCENES["READ_NOISE_ELECTRONS"] ** 2
    )
    for low, high in ((0, 8), (8, 20), (20, 60)):
        chosen = (electrons >= low) & (electrons < high)
        ratio = (noisy - clean)[chosen].var() / expected[chosen].mean()
        assert ratio == pytest.approx(1.0, abs=0.03)


def test_ct_noise_depends_on_direction():
    difference = read("ct_noisy").astype(float) - read("ct_clean")
    liver = difference[:, 100:150, 50:110]
    along_x = np.mean(liver[..., 1:] * liver[..., :-1]) / liver.var()
    along_y = np.mean(liver[:, 1:] * liver[:, :-1]) / liver.var()
    assert along_x > 0.3
    assert along_y < along_x - 0.3
    assert abs(liver.mean()) < 3


def test_everything_together_is_small():
    assert sum(file.stat().st_size for file in SAMPLES.glob("*.tif")) < 3_000_000
