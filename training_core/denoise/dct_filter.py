"""Classical filters that know the spectrum of the noise: the first estimate and the last pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from scipy.fft import dct
from torch.nn import functional

from training_core.noise.covariance import dct_variances, patch_covariance
from training_core.run import SILENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from training_core.noise.covariance import NoiseCurve, Values
    from training_core.run import Run

THRESHOLD = 2.7  # times the std of a coefficient: below it a coefficient is taken for noise
PATCH_PX, STEP_PX = 8, 4
REACH_PX = 12  # similar patches are looked for so far away
SIMILAR = 128
FAR = 1e4  # stands outside the frame, where no patch may be taken
CHUNK = 2048


@dataclass(frozen=True, eq=False)
class ShrinkageFilter:
    """Overlapping DCT shrinkage for noise of a known spectrum and intensity dependence.

    A first pass keeps the coefficients that stand out of the noise; a second one weighs each by
    the power that the first estimate has there (empirical Wiener filter; Yaroslavsky 1996).
    """

    covariance: Values
    curve: NoiseCurve
    size_px: int = PATCH_PX
    step_px: int = 2

    halo_px: ClassVar[int] = 2 * PATCH_PX  # of the size used inside a denoiser

    def __call__(self, noisy: Tensor, strength: Tensor | None = None) -> Tensor:
        """Filter stabilised frames, (batch, 1, height, width) float32, any size.

        `strength`, of the same size, says what share of the noise's std is in each pixel; None: 1.
        """
        first = self._pass(noisy, None, strength)
        return self._pass(noisy, first, strength)

    def _pass(self, noisy: Tensor, pilot: Tensor | None, strength: Tensor | None) -> Tensor:
        coefficients = self.coefficients(noisy)
        guide = coefficients if pilot is None else self.coefficients(pilot)
        variance = self.variances(guide)
        if strength is not None:
            power = pad_for_blocks(strength.square(), self.size_px, self.step_px)
            variance = variance * functional.avg_pool2d(power, self.size_px, self.step_px)
        if pilot is None:
            kept = (guide.square() > THRESHOLD**2 * variance).float()
        else:
            kept = guide.square() / (guide.square() + variance)
        kept[:, 0] = 1  # the mean is signal
        weight = 1 / (kept.square() * variance).sum(dim=1, keepdim=True)
        made = coefficients * kept
        return lay_blocks(made, self.size_px, self.step_px, noisy.shape[-2:], weight)

    def coefficients(self, images: Tensor) -> Tensor:
        """Transform the blocks of (b, 1, height, width): (b, size^2, rows, columns)."""
        return block_coefficients(images, self.size_px, self.step_px)

    def variances(self, guide: Tensor) -> Tensor:
        """Scale the noise's variance per coefficient by its local strength: (b, size^2, h, w)."""
        unit = torch.from_numpy(dct_variances(self.covariance, self.size_px).astype(np.float32))
        sigma = local_sigma(self.curve, guide[:, :1] / self.size_px)
        return unit.reshape(1, -1, 1, 1).to(guide.device) * sigma.square()


def block_coefficients(images: Tensor, size_px: int, step_px: int) -> Tensor:
    """Transform overlapping blocks of (b, 1, height, width): (b, size^2, rows, columns)."""
    padded = pad_for_blocks(images, size_px, step_px)
    return functional.conv2d(padded, _waves(size_px).to(images.device), stride=step_px)


def pad_for_blocks(image: Tensor, size_px: int, step_px: int) -> Tensor:
    """Mirror the border, wide enough that every pixel lies in all its blocks."""
    below, right = ((-(n + size_px)) % step_px for n in image.shape[-2:])
    return mirror(image, (size_px, size_px + right, size_px, size_px + below))


def lay_blocks(
    coefficients: Tensor, size_px: int, step_px: int, shape: Sequence[int], weight: Tensor
) -> Tensor:
    """Give the images of (height, width) whose pixels are the weighted mean of all blocks there."""
    device, (height, width) = coefficients.device, shape
    waves, ones = _waves(size_px).to(device), torch.ones(1, 1, size_px, size_px, device=device)
    total = functional.conv_transpose2d(coefficients * weight, waves, None, step_px)
    count = functional.conv_transpose2d(weight, ones, None, step_px)
    return (total / count)[..., size_px : size_px + height, size_px : size_px + width]


def _waves(size_px: int) -> Tensor:
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


@dataclass(frozen=True, eq=False)
class CollaborativeFilter:
    """Filters similar patches together, by what a pilot estimate says of their covariance.

    For each patch of a grid the most similar ones nearby are found in the pilot; their mean and
    covariance give the best linear estimate x = m + C (C + N)^-1 (z - m) for noise with the
    covariance N (Lebrun, Buades and Morel, SIAM J. Imaging Sci. 6, 2013, Eqn (2.10)).
    """

    covariance: Values
    curve: NoiseCurve

    halo_px: ClassVar[int] = 2 * (REACH_PX + PATCH_PX)

    def __call__(
        self, noisy: Tensor, pilot: Tensor, run: Run = SILENT, strength: Tensor | None = None
    ) -> Tensor:
        """Filter a stabilised frame (height, width) with its pilot, both float32.

        `strength`, of the same size, says what share of the noise's std is in each pixel; None: 1.
        """
        height, width = noisy.shape
        edges = (0, self._missing(width), 0, self._missing(height))
        noisy, pilot = (mirror(x[None, None], edges) for x in (noisy, pilot))
        power = None
        if strength is not None:
            power = mirror(strength.square()[None, None], edges)
            power = functional.avg_pool2d(power, PATCH_PX, 1).flatten()
        members = self._similar(pilot, run)
        total, count = self._estimate(noisy, pilot, members, power, run)
        return (total / count)[:height, :width]

    def _missing(self, length: int) -> int:
        """How many pixels the grid of patches lacks at the far end."""
        return max(PATCH_PX - length, 0) or -(length - PATCH_PX) % STEP_PX

    def _similar(self, pilot: Tensor, run: Run) -> Tensor:
        """Give the flat positions of the most similar patches, (grid, SIMILAR) int64."""
        height, width = pilot.shape[-2:]
        rows, columns = height - PATCH_PX + 1, width - PATCH_PX + 1
        edge = (REACH_PX,) * 4
        around = functional.pad(pilot, edge, value=FAR)
        side = 2 * REACH_PX + 1
        distances = []
        for dy in range(side):
            run.check()
            for dx in range(side):
                moved = around[..., dy : dy + height, dx : dx + width]
                distances.append(_on_grid((pilot - moved).square()))
        apart = torch.stack(distances, dim=1)
        apart[
            :, side * side // 2
        ] = -1.0  # itself, also where all around are equal: none is left out
        nearest = apart.topk(SIMILAR, dim=1, largest=False, sorted=True)
        y, x = torch.meshgrid(
            torch.arange(0, rows, STEP_PX, device=pilot.device),
            torch.arange(0, columns, STEP_PX, device=pilot.device),
            indexing="ij",
        )
        down = y.reshape(-1, 1) + nearest.indices // side - REACH_PX
        across = x.reshape(-1, 1) + nearest.indices % side - REACH_PX
        down, across = down.clamp(0, rows - 1), across.clamp(0, columns - 1)
        return down * columns + across

    def _estimate(
        self, noisy: Tensor, pilot: Tensor, members: Tensor, power: Tensor | None, run: Run
    ) -> tuple[Tensor, Tensor]:
        """Sum the estimates of all patches over the frame, and how many there are per pixel."""
        shape = noisy.shape[-2:]
        seen = functional.unfold(noisy, PATCH_PX)[0].T.contiguous()
        guess = functional.unfold(pilot, PATCH_PX)[0].T.contiguous()
        unit = patch_covariance(self.covariance, PATCH_PX).astype(np.float32)
        noise = torch.from_numpy(unit).to(noisy.device)
        total, count = torch.zeros_like(seen), seen.new_zeros(len(seen))
        for group in torch.split(members, CHUNK):
            run.check()
            share = None if power is None else power[group].mean(dim=1).reshape(-1, 1, 1)
            estimates = self._group(seen[group], guess[group], noise, share)
            total.index_add_(0, group.reshape(-1), estimates.reshape(-1, PATCH_PX**2))
            count.index_add_(0, group.reshape(-1), seen.new_ones(group.numel()))
        every = count.expand(PATCH_PX**2, -1)[None]
        return (
            functional.fold(total.T[None], shape, PATCH_PX)[0, 0],
            functional.fold(every.contiguous(), shape, PATCH_PX)[0, 0],
        )

    def _group(self, seen: Tensor, guess: Tensor, noise: Tensor, share: Tensor | None) -> Tensor:
        """Estimate groups of patches, each (groups, members, 64); `share` of the noise's power."""
        middle = guess.mean(dim=1, keepdim=True)
        spread = guess - middle
        signal = spread.transpose(1, 2) @ spread / (guess.shape[1] - 1)
        sigma = local_sigma(self.curve, middle.mean(dim=2, keepdim=True))
        power = sigma.square() if share is None else sigma.square() * share
        both = signal + power * noise
        both.diagonal(dim1=1, dim2=2).add_(1e-4)
        mean = seen.mean(dim=1, keepdim=True)
        weighed: Tensor = torch.linalg.solve(both, (seen - mean).transpose(1, 2))
        return mean + (signal @ weighed).transpose(1, 2)


def _on_grid(squares: Tensor) -> Tensor:
    """Average (1, 1, height, width) over patches on the grid, (grid,), alike wherever they lie."""
    tall = functional.avg_pool2d(squares, (PATCH_PX, 1), stride=(STEP_PX, 1))
    return functional.avg_pool2d(tall, (1, PATCH_PX), stride=(1, STEP_PX)).reshape(-1)
