"""The average of a frame with its neighbours, wherever they show the same but for the noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from .shrinkage import PATCH_PX, STEP_PX, ShrinkageFilter

if TYPE_CHECKING:
    from torch import Tensor

    from .noise_model import NoiseModel
    from .noise_statistics import NoiseCurve, Values

SURPRISING = 4.0  # std by which noise alone hardly ever moves a coefficient, or a mean of many
BANDS = (2, 4, 8)  # the lowest so many coefficients each way are also judged together
UNKNOWN = 0.01  # of the noise's variance: rounding and the like, which no measured spectrum holds


@dataclass(frozen=True, eq=False)
class NeighbourAverage:
    """Averages a frame and its neighbours block by block, unless noise cannot explain a difference.

    The noise of neighbours is independent, so averaging takes it off and leaves what they share.
    Blocks in which any DCT coefficient of the difference, or the mean square of the lowest ones,
    stands out of the noise of both frames are not averaged: what moves leaves no ghost.
    """

    covariance: Values
    curve: NoiseCurve

    halo_px: ClassVar[int] = PATCH_PX

    def __call__(self, frame: Tensor, neighbours: Tensor) -> tuple[Tensor, Tensor]:
        """Average stabilised (height, width) with (count, height, width), all float32.

        Returns
        -------
        tuple
            The average, and the share of the noise's std that is left in each pixel of it.
        """
        weights = self._weights(torch.cat([frame[None], neighbours])[:, None])
        total = 1 + weights.sum(dim=0)
        image = (frame + (weights * neighbours).sum(dim=0)) / total
        return image, (1 + weights.square().sum(dim=0)).sqrt() / total

    def _weights(self, frames: Tensor) -> Tensor:
        """Give how many of the blocks over each pixel match the first frame, from 0 to 1."""
        height, width = frames.shape[-2:]
        matching = self._matching(frames).float()
        ones = matching.new_ones(1, 1, PATCH_PX, PATCH_PX)
        blocks = torch.cat([matching, torch.ones_like(matching[:1])])
        laid = functional.conv_transpose2d(blocks, ones, None, STEP_PX)
        inside = slice(PATCH_PX, PATCH_PX + height), slice(PATCH_PX, PATCH_PX + width)
        return (laid[:-1] / laid[-1])[:, 0, *inside]

    def _matching(self, frames: Tensor) -> Tensor:
        """Tell in which blocks the others differ from the first by noise alone: (n, 1, h, w)."""
        blocks = ShrinkageFilter(self.covariance, self.curve, PATCH_PX, STEP_PX)
        coefficients = blocks.coefficients(frames)
        variance = blocks.variances(coefficients)
        variance += UNKNOWN * variance.mean(dim=1, keepdim=True)
        apart = (coefficients[1:] - coefficients[:1]).square() / (variance[1:] + variance[:1])
        alike = apart.amax(dim=1) < SURPRISING**2
        square = apart.reshape(len(apart), PATCH_PX, PATCH_PX, *apart.shape[2:])
        for band in BANDS:
            most = 1 + SURPRISING * (2 / band**2) ** 0.5  # a mean of squares of normal numbers
            alike &= square[:, :band, :band].mean(dim=(1, 2)) < most
        return alike[:, None]


def averaged(
    noisy: Tensor, neighbours: Tensor | None, noise: NoiseModel
) -> tuple[Tensor, Tensor | None]:
    """Give a frame averaged with its neighbours and the share of noise left; None for all of it."""
    if neighbours is None or not len(neighbours):
        return noisy, None
    return NeighbourAverage(noise.covariance, noise.curve)(noisy, neighbours)
