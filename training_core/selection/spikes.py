"""The blind score for noise whose power is in a few pixels: what one more such pixel changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from training_core.denoise.region import Estimator, Region
from training_core.noise.model import kurtosis

CELLS_PX = {8: 2, 16: 3, 32: 4}  # sides of cells of which one pixel is drawn anew, and how often


@dataclass(frozen=True, eq=False)
class TailTrial:
    """The pixels of a noisy crop that are drawn anew, and the noise that they are given.

    For independent noise n of variance s^2, E[n f(x + n)] = s^2 E[(f(x + m) - f(z)) / m], where m
    is drawn by m^2 times its chance to be n, and z has nothing to do with m. Gaussian noise may as
    well be moved a little (Stein's lemma); what a little noise changes says nothing of a denoiser
    that leaves alone what is little and takes away what is much. x is taken from the estimate.

    It holds for one pixel drawn anew at a time. Several at a time must be no more than there are
    far values anyway, so cells have at least as many pixels as the kurtosis of the noise.
    """

    sigma: Tensor  # std of the noise, (height, width), stabilised like the rest
    cell: int  # side of the cells, in pixels
    picked: tuple[Tensor, ...]  # which pixels are drawn anew in each try, (height, width) bool
    noise: tuple[Tensor, ...]  # m of these pixels, (height, width) float32, 1 elsewhere

    @classmethod
    def of(cls, crop: Region, sigma: Tensor, draw: torch.Generator) -> Self | None:
        """Choose pixels and noise for a crop whose noise is as strong as `sigma` says.

        None where frames were averaged, whose noise has other tails.
        """
        if crop.is_averaged:
            return None
        unit, (height, width) = crop.channel.noise.noise_values(draw), crop.image.shape
        least = kurtosis(unit)
        cell = next((side for side in CELLS_PX if side**2 >= least), max(CELLS_PX))
        picked, noise = [], []
        for _ in range(CELLS_PX[cell]):
            where = _one_of_each_cell(height, width, cell, draw).to(sigma.device)
            chosen = torch.multinomial(unit.square(), where.numel(), True, generator=draw)
            drawn = sigma * unit[chosen].view(height, width).to(sigma)
            picked.append(where)
            noise.append(torch.where(where, drawn, 1.0))
        return cls(sigma, cell, tuple(picked), tuple(noise))

    def loss(self, noisy: Region, made: Tensor, estimator: Estimator) -> Tensor:
        """Estimate the squared error of a stabilised estimate `made` of the crop per pixel."""
        loss = (noisy.image - made).square() - self.sigma.square()
        for picked, noise in zip(self.picked, self.noise, strict=True):
            image = torch.where(picked, made + noise, noisy.image)
            change = (estimator(replace(noisy, image=image)) - made) / noise
            freedom = self.sigma.square() * change * picked * self.cell**2
            loss = loss + 2 / len(self.picked) * freedom
        return loss


def _one_of_each_cell(height: int, width: int, cell: int, draw: torch.Generator) -> Tensor:
    """Pick a pixel of each cell, (height, width) bool; of cells at the border perhaps none."""
    rows, columns = torch.arange(0, height, cell), torch.arange(0, width, cell)
    down, across = torch.randint(cell, (2, len(rows), len(columns)), generator=draw)
    y, x = (rows[:, None] + down).flatten(), (columns + across).flatten()
    inside = (y < height) & (x < width)
    picked = torch.zeros(height, width, dtype=torch.bool)
    picked[y[inside], x[inside]] = True
    return picked
