"""Real noise patches, re-sampled: what stands in for a generator that has not converged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from training_core.place import turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

KEPT = 512  # patches: 2 MB of a model file at 32 px
OVERLAP = 4  # a seam is one fourth of a patch wide


class ResampledNoise(nn.Module):
    """Noise of any size, laid out of random patches of real noise.

    Patches lie in a grid that is shifted at random, each flipped and rotated as the noise allows;
    where two overlap, the squares of their weights add to 1, so that the variance is even.
    """

    patches: Tensor
    ways: Tensor

    def __init__(self, patches: Tensor, ways: Tensor) -> None:
        super().__init__()
        self.register_buffer("patches", patches)
        self.register_buffer("ways", ways)

    @classmethod
    def of(cls, noise: NDArray[np.float32], ways: Sequence[int]) -> ResampledNoise:
        """Keep at most 512 of the patches, (count, size, size), brought to mean 0 and std 1."""
        some = np.linspace(0, len(noise) - 1, min(KEPT, len(noise))).round().astype(int)
        kept = torch.from_numpy(noise[some])
        kept = kept - kept.mean()
        power = _weights(kept.shape[-1]).square()  # near its edges a detrended patch is weaker
        sigma = (power * kept.square()).mean(dim=0).sum().div(power.sum()).sqrt()
        return cls(kept / sigma, torch.tensor(ways))

    @torch.no_grad()
    def sample(self, count: int, height: int, width: int, draw: torch.Generator) -> Tensor:
        """Make unit noise, (count, 1, height, width) float32; `draw` decides all of it."""
        size = self.patches.shape[-1]
        step = size - size // OVERLAP
        rows, columns = (-(-(length + size) // step) for length in (height, width))
        tiles = self._tiles(count * rows * columns, draw) * _weights(size).to(self.patches.device)
        laid = functional.fold(
            tiles.reshape(count, rows * columns, size * size).transpose(1, 2),
            (rows * step + size - step, columns * step + size - step),
            size,
            stride=step,
        )
        first = size - step + torch.randint(step, (count, 2), generator=draw)
        cut = [
            image[:, y : y + height, x : x + width]
            for image, (y, x) in zip(laid, first.tolist(), strict=True)
        ]
        return torch.stack(cut)

    def _tiles(self, count: int, draw: torch.Generator) -> Tensor:
        """Draw patches in random orientations, (count, size, size)."""
        which = torch.randint(len(self.patches), (count,), generator=draw)
        ways = self.ways.cpu()[torch.randint(len(self.ways), (count,), generator=draw)]
        tiles = self.patches[which.to(self.patches.device)]
        for way in self.ways.tolist():
            mine = (ways == way).to(tiles.device)
            tiles[mine] = turn(tiles[mine], way)
        return tiles


def _weights(size: int) -> Tensor:
    """Give weights (size, size) that rise and fall over the seams, power-complementary."""
    seam = size // OVERLAP
    rise = torch.sin(torch.pi / 2 * (torch.arange(seam) + 0.5) / seam)
    line = torch.cat([rise, torch.ones(size - 2 * seam), rise.flip(0)])
    return torch.outer(line, line)
