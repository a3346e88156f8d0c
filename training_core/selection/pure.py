"""Stein's estimate for few photons, where what one more photon changes stands for a derivative."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training_core.denoise.region import Estimator, Region
from training_core.noise.model import PhotonNoise

if TYPE_CHECKING:
    from training_core.stack import Values

# A photon is added to one pixel of each such cell. What one does to the pixel of another counts,
# too: at most 2 / 64 of the noise's power, and the more the wider a result is smoothed.
CELL_PX = 8
TRIES = 2
RARE = 1e-3  # photons: added to a pixel's chance of being the one


@dataclass(frozen=True, eq=False)
class PhotonTrial:
    """The photons that are added to a noisy crop, and what its noise should be.

    For pulses G of a compound Poisson number, E[(y - x) f(y)] = c E[G (f(y + G) - f(y))] with c
    photons to be expected (Chen 1975; for images Luisier, Blu and Unser, IEEE TIP 20, 2011, where
    all pulses are alike). In stack units, all tensors (height, width).

    Attributes
    ----------
    values
        The noisy crop.
    variance
        Of its noise.
    added
        Pairs: the crop with photons added, stabilised, and what a change of the estimate there
        counts, 0 elsewhere.
    """

    values: Tensor
    variance: Tensor
    added: tuple[tuple[Tensor, Tensor], ...]

    @classmethod
    def of(cls, crop: Region, guess: Tensor, draw: torch.Generator) -> Self | None:
        """Choose where photons are added; None where they are many or frames were averaged."""
        noise = crop.channel.noise
        if not isinstance(noise, PhotonNoise) or crop.is_averaged:
            return None
        photons = noise.photons
        values = noise.stabiliser.algebraic_inverse(crop.image.cpu().numpy())
        mean = noise.stabiliser.inverse(guess.cpu().numpy())
        above = np.maximum(mean - photons.background, 0.0)
        above *= max(values.mean() - photons.background, 0.0) / max(above.mean(), 1e-30)
        mean = photons.background + above
        added = []
        for _ in range(TRIES):
            weights = _picked(photons.counts(mean), draw) * photons.pulse
            chance = torch.rand(mean.shape, generator=draw, dtype=torch.float64).numpy()
            more = np.where(weights > 0, photons.one_more(chance), 0.0)
            jumped = noise.stabiliser.forward(values + more)
            added.append((_sent(jumped, crop), _sent(weights, crop)))
        return cls(_sent(values, crop), _sent(photons.variance(mean), crop), tuple(added))

    def loss(self, noisy: Region, made: Tensor, estimator: Estimator) -> Tensor:
        """Estimate the squared error of a stabilised estimate `made` of the crop per pixel."""
        clean = _restored(made, noisy)
        loss = (self.values - clean).square() - self.variance
        for image, weights in self.added:
            changed = _restored(estimator(replace(noisy, image=image)), noisy) - clean
            loss = loss + 2 / len(self.added) * weights * changed
        return loss


def _picked(counts: Values, draw: torch.Generator) -> Values:
    """Pick a pixel per cell, rather one with many photons; give its photons over its chance."""
    weights = np.zeros_like(counts)
    height, width = counts.shape
    for top in range(0, height, CELL_PX):
        for left in range(0, width, CELL_PX):
            cell = (slice(top, top + CELL_PX), slice(left, left + CELL_PX))
            chance = counts[cell].ravel() + RARE
            chance /= chance.sum()
            where = int(torch.multinomial(torch.from_numpy(chance), 1, generator=draw))
            y, x = divmod(where, counts[cell].shape[1])
            weights[top + y, left + x] = counts[cell][y, x] / chance[where]
    return weights


def _restored(stabilised: Tensor, crop: Region) -> Tensor:
    """Give the mean in stack units of a stabilised estimate."""
    return _sent(crop.channel.noise.stabiliser.inverse(stabilised.cpu().numpy()), crop)


def _sent(values: NDArray[np.floating], crop: Region) -> Tensor:
    return torch.from_numpy(values).to(crop.image.device, torch.float32)
