"""The blind score for noise whose power is in a few pixels: what one more such pixel changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from .blind_score import Estimator
    from .noise_model import NoiseModel
    from .noisy_pairs import Estimate

HEAVY = 7.0  # kurtosis, 3 for Gaussian noise
MOST_SHARED = 0.1  # correlation of neighbouring pixels: spots have more than .2
SAMPLE_PX = 512  # side of the noise that is looked at
CELL_PX = 8  # one pixel of each such cell is replaced
TRIES = 2


def is_heavy_tailed(noise: NoiseModel) -> bool:
    """Tell whether a few pixels hold most of the power of learned noise, and each for itself.

    A small thing that the optics have seen is never of one pixel: what would be taken for tails
    then is correlated.
    """
    if noise.photons is not None or noise.correlation > MOST_SHARED:
        return False
    unit = _sample(noise, torch.Generator().manual_seed(0))
    return float(unit.pow(4).mean() / unit.square().mean().square()) > HEAVY


def _sample(noise: NoiseModel, draw: torch.Generator) -> Tensor:
    return noise.sample(1, SAMPLE_PX, SAMPLE_PX, draw).flatten().cpu()


@dataclass(frozen=True, eq=False)
class TailTrial:
    """The pixels of a noisy crop that are drawn anew, and the noise that they are given.

    For independent noise n of variance s^2, E[n f(x + n)] = s^2 E[(f(x + m) - f(z)) / m], where m
    is drawn by m^2 times its chance to be n, and z has nothing to do with m. Gaussian noise may as
    well be moved a little (Stein's lemma); what a little noise changes says nothing of a denoiser
    that leaves alone what is little and takes away what is much. x is taken from the estimate.

    Attributes
    ----------
    sigma
        Std of the noise, (height, width), stabilised like the rest.
    picked
        Which pixels are drawn anew in each try, (height, width) bool.
    noise
        m of these pixels, (height, width) float32, 1 elsewhere.
    """

    sigma: Tensor
    picked: tuple[Tensor, ...]
    noise: tuple[Tensor, ...]

    @classmethod
    def of(cls, crop: Estimate, sigma: Tensor, draw: torch.Generator) -> Self | None:
        """Choose pixels and noise for a crop whose noise is as strong as `sigma` says.

        None where frames were averaged, whose noise has other tails.
        """
        if crop.neighbours is None and crop.strength is not None:
            return None
        unit, (height, width) = _sample(crop.channel.noise, draw), crop.image.shape
        picked, noise = [], []
        for _ in range(TRIES):
            where = _one_of_each_cell(height, width, draw).to(sigma.device)
            chosen = torch.multinomial(unit.square(), where.numel(), True, generator=draw)
            drawn = sigma * unit[chosen].view(height, width).to(sigma.device)
            picked.append(where)
            noise.append(torch.where(where, drawn, 1.0))
        return cls(sigma, tuple(picked), tuple(noise))

    def loss(self, noisy: Estimate, made: Tensor, estimator: Estimator) -> Tensor:
        """Estimate the squared error of a stabilised estimate `made` of the crop per pixel."""
        loss = (noisy.image - made).square() - self.sigma.square()
        for picked, noise in zip(self.picked, self.noise, strict=True):
            image = torch.where(picked, made + noise, noisy.image)
            change = (estimator(replace(noisy, image=image)) - made) / noise
            freedom = self.sigma.square() * change * picked * CELL_PX**2
            loss = loss + 2 / len(self.picked) * freedom
        return loss


def _one_of_each_cell(height: int, width: int, draw: torch.Generator) -> Tensor:
    """Pick a pixel of each cell, (height, width) bool; of cells at the border perhaps none."""
    rows, columns = torch.arange(0, height, CELL_PX), torch.arange(0, width, CELL_PX)
    down, across = torch.randint(CELL_PX, (2, len(rows), len(columns)), generator=draw)
    y, x = (rows[:, None] + down).flatten(), (columns + across).flatten()
    inside = (y < height) & (x < width)
    picked = torch.zeros(height, width, dtype=torch.bool)
    picked[y[inside], x[inside]] = True
    return picked
