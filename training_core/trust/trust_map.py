"""Where a result can be believed: bias, spread, a band of 90 %, and structure that noise made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import ndimage

from training_core.stack import Mask, Values

from .renoised import Copies

BAND_PX = 5  # over which scatter and bias are averaged: of 8 copies a single pixel tells little
# What a denoiser takes from its own result it took more of before, where there was more to take.
# Found on photographs with noise that was added and on FMD; `tests/benchmarks/trust.py` tries it.
SCATTER, TAKEN, FLOOR = 0.2, 7.0, 0.1
NORMAL_90 = 1.6449
DETAIL_PX, AROUND_PX = 3.0, 2.5  # coarser is no detail; what is averaged to judge it
VISIBLE = 0.15  # of the std of the noise: fainter detail is not looked at
KEPT = 0.4  # of a detail at least must come back from new noise


@dataclass(frozen=True, eq=False)
class TrustMap:
    """What copies tell of each pixel of a result; all (height, width), in stack units.

    Attributes
    ----------
    estimate
        The result.
    bias
        Mean of the copies less the result: what denoising takes, and adds, systematically.
    spread
        Std of the copies: what other noise would have made of the same scene.
    half_band
        The true value lies within so much of the result in about 90 % of the pixels.
    unsupported
        Detail that can be seen, of which less than 40 % comes back when the noise is another.
    visible
        Where there is detail that can be seen at all.
    """

    estimate: Values
    bias: Values
    spread: Values
    half_band: Values
    unsupported: Mask
    visible: Mask

    @classmethod
    def of(cls, copies: Copies, sigmas: Values) -> Self:
        """Judge a result by its copies; `sigmas` is the std of the noise at each pixel."""
        estimate, again = copies.estimate, copies.again
        count = len(again)
        bias, variance = again.mean(axis=0) - estimate, again.var(axis=0, ddof=1)
        # Of few copies their mean scatters itself, which is no bias.
        taken = np.maximum(np.square(bias) - variance / count, 0.0)
        scatter, lost = (
            ndimage.uniform_filter(v, BAND_PX, mode="reflect") for v in (variance, taken)
        )
        band = SCATTER * scatter + TAKEN * lost + np.square(FLOOR * sigmas)
        unsupported, visible = _unsupported(estimate, again, sigmas)
        return cls(
            estimate,
            bias,
            np.sqrt(variance),
            NORMAL_90 * np.sqrt(band),
            unsupported,
            visible,
        )

    @property
    def unsupported_share(self) -> float:
        """Share of the detail that can be seen which nothing but this noise supports, 0 to 1."""
        return float(self.unsupported.sum() / max(self.visible.sum(), 1))

    @property
    def half_width(self) -> float:
        """The usual half width of the band, a median."""
        return float(np.median(self.half_band))


def _unsupported(estimate: Values, again: Values, sigmas: Values) -> tuple[Mask, Mask]:
    """Tell which visible detail does not come back, and what is visible."""
    detail = _detail(estimate)
    power = _around(np.square(detail))
    kept = _around(_detail(again.mean(axis=0)) * detail)
    visible: Mask = power > np.square(VISIBLE) * _around(np.square(sigmas))
    return visible & (kept < KEPT * power), visible


def _detail(image: Values) -> Values:
    fine: Values = image - ndimage.gaussian_filter(image, DETAIL_PX, mode="reflect")
    return fine


def _around(values: Values) -> Values:
    averaged: Values = ndimage.gaussian_filter(values, AROUND_PX, mode="reflect")
    return averaged
