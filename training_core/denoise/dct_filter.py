"""Shrinkage of overlapping DCT blocks by the spectrum of the noise: the first look at an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct
from torch import Tensor
from torch.nn import functional

from training_core.noise.covariance import dct_variances
from training_core.noise.strength_curve import NoiseCurve
from training_core.stack import Values

BLOCK_PX, STEP_PX = 8, 2  # 16 px lose .25 dB on Confocal_FISH and .29 on WideField_BPAE_G
WIDE_BLOCK_PX, WIDE_STEP_PX = 16, 4  # and gain 2.5 dB on WideField_BPAE_B, where all is smooth
NOTHING = 1e-8  # of the noise's mean variance: as good as no noise in a coefficient
THRESHOLD = 2.7  # times the std of a coefficient: below it a coefficient is taken for noise


@dataclass(frozen=True, eq=False)
class ShrinkageFilter:
    """Overlapping DCT shrinkage for noise of a known spectrum and intensity dependence.

    A first pass keeps the coefficients that stand out of the noise; a second one weighs each by
    the power that the first estimate has there (empirical Wiener filter; Yaroslavsky 1996).
    """

    covariance: Values
    curve: NoiseCurve
    size_px: int = BLOCK_PX
    step_px: int = STEP_PX

    @classmethod
    def wide(cls, covariance: Values, curve: NoiseCurve) -> Self:
        """Give the filter with large blocks, which leaves less of the slow noise."""
        return cls(covariance, curve, WIDE_BLOCK_PX, WIDE_STEP_PX)

    def __call__(self, noisy: Tensor, strength: Tensor | None = None) -> Tensor:
        """Filter stabilised frames, (batch, 1, height, width) float32, any size.

        `strength`, of the same size, says what share of the noise's std is in each pixel; None: 1.
        """
        seen = self.coefficients(noisy)
        variance = self._variance(seen, strength)
        first = self._laid(seen, (seen.square() > THRESHOLD**2 * variance).float(), variance, noisy)
        guide = self.coefficients(first)
        variance, power = self._variance(guide, strength), guide.square_()
        return self._laid(seen, power.div_(power + variance), variance, noisy)

    def coefficients(self, images: Tensor) -> Tensor:
        """Transform the blocks of (b, 1, height, width): (b, size^2, rows, columns).

        Each in units of the std that noise of std 1 has in it.
        """
        waves = block_waves(self.size_px).to(images.device) / self._units(images.device)
        return functional.conv2d(self.padded(images), waves, stride=self.step_px)

    def padded(self, images: Tensor) -> Tensor:
        """Mirror the border of (b, 1, height, width), so that blocks lie around each pixel."""
        return pad_for_blocks(images, self.size_px, self.step_px)

    def sigma(self, mean: Tensor) -> Tensor:
        """Give the std of the noise at each mean."""
        return local_sigma(self.curve, mean)

    def _units(self, device: torch.device) -> Tensor:
        """Give the std of noise of std 1 in each coefficient, (size^2, 1, 1, 1)."""
        variances = block_variances(self.covariance, self.size_px)
        return variances.clamp(min=NOTHING * float(variances.mean())).sqrt().to(device)

    def _variance(self, guide: Tensor, strength: Tensor | None) -> Tensor:
        """Give the variance of the noise in each block, (b, 1, rows, columns)."""
        size = self.size_px
        mean = guide[:, :1] * (self._units(guide.device)[0] / size)
        variance = self.sigma(mean).square()
        if strength is None:
            return variance
        power = pad_for_blocks(strength.square(), size, self.step_px)
        return variance * functional.avg_pool2d(power, size, self.step_px)

    def _laid(self, seen: Tensor, kept: Tensor, variance: Tensor, noisy: Tensor) -> Tensor:
        """Give the image of which a share of each coefficient is kept; `kept` is used up."""
        units = self._units(seen.device)
        kept[:, 0] = 1  # the mean is signal
        left = functional.conv2d(kept.square(), units.square().reshape(1, -1, 1, 1))
        waves = block_waves(self.size_px).to(seen.device) * units
        weight = 1 / (left * variance)
        return lay_blocks(kept.mul_(seen), waves, self.step_px, noisy.shape[-2:], weight)


def block_variances(covariance: Values, size_px: int) -> Tensor:
    """Give the variance of noise of std 1 in each coefficient of a block, (size^2, 1, 1, 1)."""
    variances = dct_variances(covariance, size_px).astype(np.float32)
    return torch.from_numpy(variances).reshape(-1, 1, 1, 1)


def block_coefficients(images: Tensor, size_px: int, step_px: int) -> Tensor:
    """Transform overlapping blocks of (b, 1, height, width): (b, size^2, rows, columns)."""
    padded = pad_for_blocks(images, size_px, step_px)
    return functional.conv2d(padded, block_waves(size_px).to(images.device), stride=step_px)


def pad_for_blocks(image: Tensor, size_px: int, step_px: int) -> Tensor:
    """Mirror the border, wide enough that every pixel lies in all its blocks."""
    below, right = ((-(n + size_px)) % step_px for n in image.shape[-2:])
    return mirror(image, (size_px, size_px + right, size_px, size_px + below))


def lay_blocks(
    coefficients: Tensor, waves: Tensor, step_px: int, shape: Sequence[int], weight: Tensor
) -> Tensor:
    """Give the images of (height, width) whose pixels are the weighted mean of all blocks there.

    Blocks are sums of `waves`, as strong as the `coefficients`, which are used up.
    """
    size = waves.shape[-1]
    total = add_up(coefficients.mul_(weight), waves, step_px)
    image = total / add_up(weight, torch.ones(1, 1, size, size), step_px)
    height, width = shape
    return image[..., size : size + height, size : size + width]


def add_up(blocks: Tensor, waves: Tensor, step_px: int) -> Tensor:
    """Add up waves, (count, 1, size, size), as strong as blocks have them, where the blocks lie.

    Blocks are (b, count, rows, columns), every `step_px` pixels, a divisor of the size. What
    `conv_transpose2d` gives, as a convolution in cells of `step_px`: four times as fast.
    """
    count, _, size, _ = waves.shape
    across = size // step_px
    cells = waves.reshape(count, across, step_px, across, step_px).flip(1, 3)
    kernels = cells.permute(2, 4, 0, 1, 3).reshape(step_px**2, count, across, across)
    added = functional.conv2d(blocks, kernels.to(blocks.device), padding=across - 1)
    return functional.pixel_shuffle(added, step_px)


def block_waves(size_px: int) -> Tensor:
    """Give the cosine waves of a block, (size^2, 1, size, size)."""
    one = dct(np.eye(size_px), axis=0, norm="ortho").astype(np.float32)
    waves = np.einsum("ui,vj->uvij", one, one).reshape(-1, 1, size_px, size_px)
    return torch.from_numpy(np.ascontiguousarray(waves))


def local_sigma(curve: NoiseCurve, mean: Tensor) -> Tensor:
    """Give the noise's std at each local mean."""
    return torch.from_numpy(curve(mean.detach().cpu().numpy())).to(mean.device)


def mirror(image: Tensor, edges: tuple[int, int, int, int]) -> Tensor:
    """Mirror the border of (batch, 1, height, width), also of images narrower than the edge."""
    left, right, top, below = edges
    rows, columns = image.shape[-2:]
    down = torch.from_numpy(_bounce(rows, top, below)).to(image.device)
    across = torch.from_numpy(_bounce(columns, left, right)).to(image.device)
    return image.index_select(-2, down).index_select(-1, across)


def _bounce(length: int, before: int, after: int) -> NDArray[np.intp]:
    """Give the indices -before .. length + after - 1, reflected into 0 .. length - 1."""
    period = max(2 * (length - 1), 1)
    index = np.abs(np.arange(-before, length + after)) % period
    bounced: NDArray[np.intp] = np.minimum(index, period - index)
    return bounced
