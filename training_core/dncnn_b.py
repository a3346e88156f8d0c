"""DnCNN-B, the blind denoiser trained with clean photographs: comparison row and first look.

Zhang et al., Beyond a Gaussian Denoiser, TIP 2017: 20 layers, noise of standard deviation 0 to 55.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from .networks import DnCNN
from .orientations import turn
from .precision import mixed
from .run import SILENT, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from .run import Run

    Image = NDArray[np.float32]

DEPTH = 20
LARGEST_SIGMA = 55 / 255
AVERAGING = 0.999
SETTLING = 100  # batches that measure the batch norm of the averaged weights


class Photographs:
    """Draws noisy and clean crops of clean images, turned at random; the same for the same seed."""

    def __init__(
        self, images: Sequence[Image], batch: int, crop_px: int, seed: int, device: torch.device
    ) -> None:
        self.images = [torch.from_numpy(np.ascontiguousarray(i)).to(device) for i in images]
        self.batch, self.crop_px, self.device = batch, crop_px, device
        self.draw = torch.Generator().manual_seed(seed)

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Give noisy and clean crops, both (batch, 1, crop, crop) float32, white at 1."""
        clean = torch.stack([self._crop() for _ in range(self.batch)])
        strengths = torch.rand(self.batch, 1, 1, 1, generator=self.draw) * LARGEST_SIGMA
        noise = strengths * torch.randn(clean.shape, generator=self.draw)
        return clean + noise.to(self.device), clean

    def _crop(self) -> Tensor:
        image = self.images[self._below(len(self.images))]
        top, left = (self._below(n - self.crop_px + 1) for n in image.shape)
        cut = image[None, top : top + self.crop_px, left : left + self.crop_px]
        return turn(cut, self._below(8))

    def _below(self, limit: int) -> int:
        return int(torch.randint(limit, (), generator=self.draw))


class BlindTraining:
    """The network in training, its average, and one step; all that a checkpoint has to keep."""

    def __init__(self, photographs: Photographs, rate: float) -> None:
        self.photographs, self.rate = photographs, rate
        self.trained = DnCNN(DEPTH).to(photographs.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.kept = deepcopy(self.trained)
        self.optimiser = torch.optim.Adam(self.trained.parameters(), rate)

    def step(self, number: int, done: float) -> Tensor:
        """Take step `number` (from 1) at the share `done` of the schedule; give the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * max((1 + math.cos(math.pi * done)) / 2, 1e-3)
        noisy, clean = self.photographs.pairs()
        with mixed(clean.device):
            made = self.trained(noisy)
        loss = nn.functional.mse_loss(made, clean)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.trained.parameters(), 1.0)
        self.optimiser.step()
        share = max(1 - AVERAGING, 10 / (number + 10))
        with torch.no_grad():
            for mine, theirs in zip(self.kept.parameters(), self.trained.parameters(), strict=True):
                mine.lerp_(theirs, share)
        return loss.detach()

    @torch.no_grad()
    def settled(self) -> DnCNN:
        """Give the averaged network with batch norm measured for its weights, in eval mode."""
        network = deepcopy(self.kept).train()
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.reset_running_stats()
                part.momentum = None  # a plain mean over all batches
        for _ in range(SETTLING):
            network(self.photographs.pairs()[0])
        return network.eval()
