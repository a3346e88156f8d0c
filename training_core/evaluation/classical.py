"""The classical filters a learned denoiser has to beat, each set by what is known without training.

Images are (height, width) float64 in any unit; sigma is the standard deviation of their noise in
the same unit. The constants were chosen on noisy BSD400 images at sigma 15, 25 and 50, never on the
images that are scored.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from itertools import product
from threading import Lock
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize_scalar
from skimage import restoration

from training_core.noise.anscombe import fit_stabiliser
from training_core.quality.measures import Window
from training_core.quality.noise_level import estimate_noise_sigma
from training_core.stack import Stack, Values

from .published_tables import Kind

ANY_VALUE = (-np.inf, np.inf)
WIDEST_BLUR_PX = 12.0
CYCLES = 3  # pixels that the wavelet's grid is moved by, along x and y
LEAST_SIGMA = 1e-6  # the filters divide by it

filters: Any = restoration  # only partly typed
_one_at_a_time = Lock()  # the package bm3d starts threads of its own, and aborts when called twice


def blind_sigma(noisy: Values, kind: Kind) -> float:
    """Estimate the noise that the filters below are told; no reference is seen.

    Photographs with added noise: the median of the finest wavelet coefficients (Donoho and
    Johnstone, Biometrika 81, 1994; scikit-image), which assumes white noise and is nearest to the
    truth on textures. Micrographs and CT: `NoiseLevel`, which also sees correlated noise.
    """
    if kind == "natural":
        return max(float(filters.estimate_sigma(noisy)), LEAST_SIGMA)
    return max(estimate_noise_sigma(Stack(noisy, "YX")), LEAST_SIGMA)


def tuned_blur(noisy: Values, clean: Values, window: Window = ANY_VALUE) -> Values:
    """Blur by the Gaussian with the highest PSNR: it **sees the reference**.

    As in the protocols both images are clipped to `window` first, in their unit.
    """
    reference = np.clip(clean, *window)

    def error(blur_px: float) -> float:
        blurred = np.clip(gaussian_filter(noisy, blur_px), *window)
        return float(np.mean(np.square(blurred - reference)))

    found = minimize_scalar(error, bounds=(0, WIDEST_BLUR_PX), method="bounded")
    return gaussian_filter(noisy, float(found.x))


def non_local_means(noisy: Values, sigma: float) -> Values:
    """Average similar 5 x 5 patches up to 6 px away, h = 0.6 sigma.

    Buades, Coll and Morel, CVPR 2005; the fast variant of Darbon et al., ISBI 2008, in scikit-image
    with the parameters of its example.
    """
    how = {"patch_size": 5, "patch_distance": 6, "h": 0.6 * sigma, "fast_mode": True}
    return np.asarray(filters.denoise_nl_means(noisy, sigma=sigma, **how))


def total_variation(noisy: Values, sigma: float) -> Values:
    """Minimise the total variation with weight 0.8 sigma.

    Chambolle, J. Math. Imaging Vis. 20, 2004, in scikit-image.
    """
    return np.asarray(filters.denoise_tv_chambolle(noisy, weight=0.8 * sigma))


def wavelet(noisy: Values, sigma: float) -> Values:
    """Shrink db2 wavelet coefficients softly by BayesShrink, averaged over 9 shifts of the grid.

    Chang, Yu and Vetterli, IEEE TIP 9, 2000, in scikit-image; cycle spinning after Coifman and
    Donoho, 1995, which brings about 1 dB.
    """
    total = np.zeros_like(noisy)
    for shift in product(range(CYCLES), repeat=2):
        moved = np.roll(noisy, shift, (0, 1))
        made = filters.denoise_wavelet(
            moved, sigma=sigma, wavelet="db2", method="BayesShrink", rescale_sigma=True
        )
        total += np.roll(made, (-shift[0], -shift[1]), (0, 1))
    return total / CYCLES**2


def has_bm3d() -> bool:
    """Whether the package `bm3d` is installed; its licence allows no commercial use."""
    return find_spec("bm3d") is not None


def bm3d(noisy: Values, sigma: float) -> Values:
    """Filter similar patches together, told white noise of sigma.

    Dabov, Foi, Katkovnik and Egiazarian, IEEE TIP 16, 2007; the authors' package with its "np"
    profile.
    """
    package: Any = importlib.import_module("bm3d")
    with _one_at_a_time:
        return np.asarray(package.bm3d(noisy, sigma), dtype=np.float64)


def stabilised_bm3d(noisy: Values) -> Values:
    """Filter by BM3D between the generalised Anscombe transform and its exact unbiased inverse.

    Makitalo and Foi, IEEE TIP 22, 2013; gain and read noise are fitted blind by `fit_stabiliser`.
    The transform makes the standard deviation 1, and that is told, also where few photons leave
    less: what is measured instead costs 2 dB on Confocal_FISH.
    """
    stabiliser = fit_stabiliser([noisy.astype(np.float32)])
    stabilised = stabiliser.forward(noisy).astype(np.float64)
    return stabiliser.inverse(bm3d(stabilised, 1.0).astype(np.float32))
