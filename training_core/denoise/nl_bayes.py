"""NL-Bayes: similar patches filtered together, by what a pilot estimate says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training_core.noise.covariance import patch_covariance
from training_core.noise.strength_curve import NoiseCurve
from training_core.run import SILENT, Run
from training_core.stack import Values

from .dct_filter import local_sigma, mirror

PATCH_PX, STEP_PX = 8, 4
REACH_PX = 12  # similar patches are looked for so far away
SIMILAR = 128
FAR = 1e4  # stands outside the frame, where no patch may be taken
CHUNK = 2048


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
