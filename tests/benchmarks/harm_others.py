"""Make images of the kinds of ../shared/cases/harm that were not in sight when those were mended.

Usage: harm_others.py OUT DATA, as ../shared/cases/harm/make.py, whose scenes it uses. Writes
NAME_noisy.tif, NAME_truth.tif and meta.json with the peak of each.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

SIDE = 256
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
draw = np.random.default_rng(99)


def make() -> None:
    """Write all images into the folder of the first argument."""
    scripts = Path(__file__).resolve().parents[3] / "shared/cases/harm/make.py"
    named = importlib.util.spec_from_file_location("harm_make", scripts)
    assert named is not None
    assert named.loader is not None
    kinds: Any = importlib.util.module_from_spec(named)
    named.loader.exec_module(kinds)
    for family in (weak, textures, pixels, photons, cameras, stacks, under_cells):
        family(kinds)
    (kinds.D / "meta.json").write_text(json.dumps(kinds.META))


def white(shape: tuple[int, ...] = (SIDE, SIDE)) -> np.ndarray:
    """Give noise of std 1."""
    return draw.standard_normal(shape)


def blurred(blur: Any) -> np.ndarray:
    """Give noise of std 1 that is correlated as a Gaussian makes it."""
    made = ndimage.gaussian_filter(white(), blur)
    return made / made.std()


def falling() -> np.ndarray:
    """Give texture of std 1 whose amplitude falls with the frequency."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE))
    frequency[0, 0] = 1
    made = np.fft.ifft2(np.fft.fft2(white()) / frequency).real
    return made / made.std()


def as_float(kinds: Any, name: str, truth: np.ndarray, noise: np.ndarray) -> None:
    """Write an image of float32 with additive noise."""
    kinds.save(name, (truth + noise).astype(np.float32), truth, 255)


def weak(kinds: Any) -> None:
    """Photographs and EM sections with weak noise."""
    photographs = sorted((kinds.S / "bsd68").glob("*.png"))
    for number in (3, 14, 31, 55, 60):
        image = kinds.rd(photographs[number])
        image = (image if image.ndim == 2 else image[..., 0])[20:276, 40:296].astype(float)
        for sigma in (3, 8):
            name = f"bsd{number}_s{sigma}"
            kinds.save(name, kinds.u8(image + sigma * white()), image, 255)
    section = kinds.rd(kinds.S / "stacks/em_sstem_vnc/01.tif")[100:356, 500:756].astype(float)
    for sigma in (5, 15):
        kinds.save(f"em1_s{sigma}", kinds.u8(section + sigma * white()), section, 255)
    kinds.save("em1_corr8", kinds.u8(section + 8 * blurred(0.7)), section, 255)


def textures(kinds: Any) -> None:
    """Texture that is alike everywhere, alone and with cells; patterns."""
    for blur, size, sigma in ((0.6, 12, 5), (0.8, 12, 5), (1.0, 15, 4), (1.0, 25, 10), (2, 8, 8)):
        as_float(kinds, f"texture{blur}_s{sigma}", 100 + size * blurred(blur), sigma * white())
    lit = 100 + 12 * blurred(0.8) + 40 * COLUMNS / SIDE
    as_float(kinds, "texture_lit", lit, 5 * white())
    cells = 60 + 120 * kinds.fluor(SIDE, 17)
    as_float(kinds, "texture_cells", cells + 8 * blurred(0.8), 4 * white())
    weave = np.sign(np.sin(2 * np.pi * COLUMNS / 5) * np.sin(2 * np.pi * ROWS / 7))
    as_float(kinds, "weave", 100 + 15 * ndimage.gaussian_filter(weave, 0.7), 8 * white())
    board = (-1.0) ** (ROWS + COLUMNS) * (ndimage.gaussian_filter(white(), 20) > 0)
    as_float(kinds, "checkerboard", 100 + 10 * board, 6 * white())
    joints = (ROWS % 16 < 2) | ((COLUMNS + 8 * (ROWS // 16 % 2)) % 24 < 2)
    as_float(kinds, "bricks", 100 + 20.0 * joints, 6 * white())
    as_float(kinds, "pink", 100 + 25 * falling(), 5 * white())


def pixels(kinds: Any) -> None:
    """Faults of single pixels, and impulses."""
    scene = 40 + 120 * kinds.fluor(SIDE, 7)
    for share, size in ((0.005, 80), (0.05, 60)):
        far = (draw.random(scene.shape) < share) * draw.choice([-1, 1], scene.shape) * size
        as_float(kinds, f"impulses{share}", scene, 3 * white() + far)
    chance = draw.random(scene.shape)
    salted = np.where(chance < 0.01, 255, np.where(chance > 0.99, 0, scene + 4 * white()))
    kinds.save("salt_8bit", kinds.u8(salted), scene, 255)
    counted = 200 + 2 * (draw.poisson(scene) + 2 * white())
    places = draw.choice(SIDE**2, 400, replace=False)
    counted.flat[places[:200]] += draw.uniform(200, 3000, 200)
    counted.flat[places[200:]] = 60
    kinds.save("hot_and_dead", kinds.u16(counted), 200 + 2 * scene, 400)


def photons(kinds: Any) -> None:
    """Few photons, over an offset and in steps."""
    for most in (1, 3, 12):
        mean = 0.1 + 0.8 * most * kinds.fluor(SIDE, 50 + most)
        kinds.save(f"photons{most}", draw.poisson(mean).astype(np.uint8), mean, most)
    mean = 0.2 + 6 * kinds.fluor(SIDE, 61)
    kinds.save("photons_offset", kinds.u16(100 + 10 * draw.poisson(mean)), 100 + 10 * mean, 60)


def cameras(kinds: Any) -> None:
    """Padding of other values, other noise, other numbers."""
    mean = 2 + 60 * kinds.fluor(SIDE, 7)
    clean = 100 + 2.2 * mean
    noisy = 100 + 2.2 * draw.poisson(mean) + 3.5 * white()
    disc = np.hypot(ROWS - 128, COLUMNS - 128) > 110
    for name, outside, value in (("mean", disc, 130), ("most", COLUMNS >= 200, 65535)):
        padded, truth = (np.where(outside, value, image) for image in (noisy, clean))
        kinds.save(f"padded_{name}", kinds.u16(padded), truth, 132)
    scene = 40 + 120 * kinds.fluor(SIDE, 7)
    as_float(kinds, "speckle", scene, scene * (draw.gamma(8, 1 / 8, scene.shape) - 1))
    as_float(kinds, "correlated", scene, 8 * blurred(1.2))
    as_float(kinds, "laplace", scene, draw.laplace(0, 8, scene.shape))
    as_float(kinds, "uneven", scene, (3 + 12 * COLUMNS / SIDE) * white())
    kinds.save(
        "columns", kinds.u16(200 + scene + 5 * white() + 8 * white((1, SIDE))), 200 + scene, 255
    )
    kinds.save("steps_of_8", kinds.u8(np.rint((scene + 10 * white()) / 8) * 8), scene, 255)
    kinds.save(
        "tiny_values", (1e-9 * (scene + 9 * white())).astype(np.float32), 1e-9 * scene, 2.55e-7
    )


def stacks(kinds: Any) -> None:
    """Frames and channels of unlike noise, motion, bleaching."""
    scene = 40 + 120 * kinds.fluor(SIDE, 7)[:160, :160]
    sigmas = np.array([3, 3, 12, 3, 24, 6])[:, None, None]
    frames = np.stack([scene] * len(sigmas))
    kinds.save(
        "frames_unlike", kinds.u16(frames + sigmas * white(frames.shape)), frames, 255, axes="TYX"
    )
    two = np.stack([scene, 200 + 800 * kinds.fluor(SIDE, 8)[:160, :160]])
    noise = np.array([5, 60])[:, None, None] * white(two.shape)
    kinds.save("channels_unlike", kinds.u16(two + noise), two, 800, axes="CYX")
    moved = np.stack([np.roll(scene, 3 * step, axis=1) for step in range(8)])
    kinds.save("moving", kinds.u16(moved + 9 * white(moved.shape)), moved, 255, axes="TYX")
    bleached = np.stack([scene * (1 - 0.1 * step) for step in range(8)])
    counted = 100 + 2 * draw.poisson(bleached) + 3 * white(bleached.shape)
    kinds.save("bleaching", kinds.u16(counted), 100 + 2 * bleached, 280, axes="TYX")


def under_cells(kinds: Any) -> None:
    """Texture under cells, and noise like it, which grows with light where a detector smeared it.

    Of the last two the texture or the noise on it grows so, too.
    """
    for number, blur, size, sigma in ((1, 0.8, 8, 4), (2, 1.0, 15, 3), (5, 1.0, 12, 4)):
        cells = 60 + 120 * kinds.fluor(SIDE, number)
        as_float(kinds, f"cells{number}_{blur}", cells + size * blurred(blur), sigma * white())
    cells = 60 + 120 * kinds.fluor(2 * SIDE, 6)[:SIDE, :SIDE]
    as_float(kinds, "cells_few", cells + 6 * blurred(0.8), 3 * white())
    cells = 60 + 120 * kinds.fluor(SIDE, 3)
    as_float(kinds, "cells_pink", cells + 20 * falling(), 4 * white())
    as_float(kinds, "cells_smeared", cells, 8 * blurred(0.8) + 4 * white())
    photons = ndimage.gaussian_filter(2 * draw.poisson(cells / 2) - cells, 0.6)
    as_float(kinds, "cells_photons", cells, photons + 2 * white())
    grained = cells * (1 + 0.1 * blurred(0.8))
    as_float(kinds, "cells_grained", grained, 4 * white())
    counted = cells + 8 * blurred(0.8)
    as_float(kinds, "cells_counted", counted, draw.poisson(counted) - counted)


if __name__ == "__main__":
    sys.exit(make())
