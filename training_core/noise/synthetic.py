"""The noise of the published benchmarks, for images whose white is 255, and that of a camera."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from training_core.errors import SettingsError
from training_core.stack import Values

Shape = tuple[int, ...]
Seed = int | tuple[int, ...]  # a tuple names one of many independent draws

# The blue weight is the published .144, a slip for .114; it costs about .1 dB and is kept here so
# that figures can be compared with the tables.
PUBLISHED_GRAY = (0.299, 0.587, 0.144)
BOX_PX = 16


def gaussian(shape: Shape, sigma: float, seed: Seed) -> Values:
    """Draw independent noise N(0, sigma), grey levels, float64."""
    return np.random.default_rng(seed).normal(0.0, sigma, shape)


def mixture(shape: Shape, strength: float, seed: Seed) -> Values:
    """Draw noise of three kinds, pixel by pixel.

    A tenth is uniform in (-strength, strength), a fifth N(0, a) and the rest N(0, b), where (a, b)
    is (1, 0.1) up to a strength of 25 and (25, 15) above, as in the tables.
    """
    rng = np.random.default_rng(seed)
    wide, narrow = (1.0, 0.1) if strength <= 25 else (25.0, 15.0)
    kind = rng.uniform(size=shape)
    normal = rng.normal(size=shape) * np.where(kind < 0.3, wide, narrow)
    return np.where(kind < 0.1, rng.uniform(-strength, strength, shape), normal)


def correlated(shape: Shape, sigma: float, seed: Seed) -> Values:
    """Draw noise whose pixels share a part with those around them (16 x 16, zero border).

    0.7 n + 0.3 (sum of n over the box without its centre) / sqrt(255), with n ~ N(0, sigma); the
    last two axes of `shape` are height and width. An even box has its centre between pixels: the
    one left out is the upper left neighbour, and the pixel itself counts. Left out instead, it
    would make the noisy rows 0.18 dB better than they are.
    """
    own = gaussian(shape, sigma, seed)
    box = np.ones((*[1] * (len(shape) - 2), BOX_PX, BOX_PX))
    # Entry 7 of 16 falls on the pixel itself (convolution turns the box round), entry 8 before it.
    box[..., BOX_PX // 2, BOX_PX // 2] = 0
    around = signal.oaconvolve(own, box, mode="same", axes=(-2, -1))
    mixed: Values = 0.7 * own + 0.3 * around / (BOX_PX**2 - 1) ** 0.5
    return mixed


def poisson_gaussian(clean: NDArray[Any], gain: float, read_sigma: float, seed: int) -> Values:
    """Give a clean image as a camera counts it: shot noise and read noise, not rounded.

    The image, of any shape, holds expected grey levels above the camera's offset, none negative;
    `gain` is in grey levels per electron, and the variance is gain * clean + read_sigma^2.
    """
    rng = np.random.default_rng(seed)
    counted = gain * rng.poisson(np.asarray(clean, dtype=np.float64) / gain)
    return counted + rng.normal(0.0, read_sigma, counted.shape)


KINDS = {"G": gaussian, "Mix": mixture, "Cor": correlated}


def published_noise(column: str, shape: Shape, seed: Seed) -> Values:
    """Draw the noise of a column of the published tables, such as "G25", "Mix30" or "Cor15".

    Raises `SettingsError` if there is no such noise.
    """
    parts = re.fullmatch(r"(G|Mix|Cor)(\d+)", column)
    if parts is None:
        raise SettingsError(f"There is no noise {column!r}; write G, Mix or Cor and its strength.")
    return KINDS[parts[1]](shape, float(parts[2]), seed)


def published_gray(rgb: NDArray[Any]) -> Values:
    """Give the grey image (height, width) of the published tests from (height, width, 3), 0 to 262.

    Neither rounded nor clipped; portrait images are turned to landscape.
    """
    gray: Values = np.asarray(rgb, dtype=np.float64) @ PUBLISHED_GRAY
    return gray.T if gray.shape[0] > gray.shape[1] else gray
