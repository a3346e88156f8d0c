"""How an image is scored against its reference: as in the published tables, or as is usual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from skimage.metrics import structural_similarity

from training_core.errors import SettingsError
from training_core.quality.measures import SOFT_TISSUE_HU, decibels
from training_core.stack import Image

from .published_tables import Kind

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
UNIFORM = {"win_size": 7}


@dataclass(frozen=True, slots=True)
class Score:
    """PSNR in dB, infinite for an image equal to its reference, and mean SSIM, at most 1."""

    psnr: float
    ssim: float


@dataclass(frozen=True, slots=True)
class Protocol:
    """A way to score.

    Attributes
    ----------
    name
        "published" or "sane".
    describes
        Data range, clipping and SSIM window in a sentence, to be printed beside every figure.
    low, high
        The ends of the full range; the peak of the PSNR is their distance.
    clips
        Whether both images are first clipped to them.
    wang
        SSIM with the Gaussian window (sigma 1.5) of Wang et al. (2004), 11 x 11 pixels; else 7 x 7
        uniform with sample covariance, the default of scikit-image.
    spread
        SSIM counts from `low`, not from 0, and takes greatest - least value of the denoised image
        as its range, not `high` - `low`.
    """

    name: str
    describes: str
    low: float = 0.0
    high: float = 255.0
    clips: bool = False
    wang: bool = False
    spread: bool = False

    @property
    def data_range(self) -> float:
        """The peak of the PSNR, in the units of the images."""
        return self.high - self.low

    def score(self, image: Image, clean: Image) -> Score:
        """Score a denoised image against its reference, both (height, width), in the same units.

        Height and width are at least 7 pixels, 11 where `wang` is set.
        """
        one, two = (np.asarray(a, dtype=np.float64) for a in (image, clean))
        if self.clips:
            one, two = (np.clip(a, self.low, self.high) for a in (one, two))
        psnr = decibels(float(np.mean(np.square(one - two))), self.data_range)
        # A flat image has no spread; the published division by it would give NaN.
        spread, zero = (float(np.ptp(one)), self.low) if self.spread else (0.0, 0.0)
        window: dict[str, Any] = WANG if self.wang else UNIFORM
        measure: Any = structural_similarity
        ssim = measure(one - zero, two - zero, data_range=spread or self.data_range, **window)
        return Score(psnr, float(ssim))


PUBLISHED = Protocol(
    "published",
    "Published protocol: both images clipped to [0, 255], peak 255; SSIM in 7 x 7 uniform windows, "
    "range = max - min of the denoised image.",
    clips=True,
    spread=True,
)
# White is an attenuation of 0.4 / cm, twice that of water at the energies of CT; black is none.
PUBLISHED_CT = Protocol(
    "published",
    "Published protocol: both images clipped to [-1000, 1000] HU, peak 2000 HU; SSIM in 7 x 7 "
    "uniform windows, range = max - min of the denoised image.",
    -1000.0,
    1000.0,
    clips=True,
    spread=True,
)
SANE = Protocol(
    "sane",
    "Usual protocol: nothing clipped, peak 255; SSIM in Gaussian windows of sigma 1.5, range 255.",
    wang=True,
)
SANE_MICROGRAPH = Protocol(
    "sane",
    "Usual protocol: nothing clipped, peak 255; SSIM in 7 x 7 uniform windows (as in the figures "
    "known for these images), range 255.",
)
SANE_CT = Protocol(
    "sane",
    "Usual protocol: both images clipped to the window [-160, 240] HU, peak 400 HU; SSIM in "
    "Gaussian windows of sigma 1.5, range 400 HU.",
    *SOFT_TISSUE_HU,
    clips=True,
    wang=True,
)
PROTOCOLS: dict[str, dict[Kind, Protocol]] = {
    "published": {"natural": PUBLISHED, "micrograph": PUBLISHED, "ct": PUBLISHED_CT},
    "sane": {"natural": SANE, "micrograph": SANE_MICROGRAPH, "ct": SANE_CT},
}


def protocol_for(name: str, kind: Kind) -> Protocol:
    """Give the protocol `name` for a kind of images.

    Raises `SettingsError` if there is no such protocol.
    """
    if name not in PROTOCOLS:
        raise SettingsError(f"There is no protocol {name!r}; choose published or sane.")
    return PROTOCOLS[name][kind]
