"""Training DnCNN-B with clean photographs and white noise.

Zhang et al., Beyond a Gaussian Denoiser, IEEE TIP 26, 2017: noise of standard deviation 0 to 55 of
255 on crops of photographs in four sizes. Here with Adam, a cosine and averaged weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training_core.compute.checkpoint import Checkpoint
from training_core.compute.state_file import State
from training_core.errors import InputError
from training_core.networks.dncnn_b import DEPTH
from training_core.networks.published import DnCNN, fold_batch_norm
from training_core.pretraining.start_network import AveragedTraining, TrainingSize, train_on
from training_core.run import SILENT, Run
from training_core.stack import Image

LARGEST_SIGMA = 55 / 255
SCALES = (1.0, 0.9, 0.8, 0.7)
SETTLING = 100  # batches that measure the batch norm of the averaged weights


@dataclass(frozen=True, slots=True)
class BlindSettings(TrainingSize):
    """How DnCNN-B is trained; the defaults are the size of the published training."""

    steps: int = 150_000
    batch: int = 128
    crop_px: int = 50
    learning_rate: float = 1e-3
    seed: int = 0


FULL = BlindSettings()
SMALL = BlindSettings(steps=12_000, batch=16, crop_px=64)


class Photographs:
    """Draws noisy and clean crops of clean images, turned at random; the same for the same seed.

    All images, in four sizes, lie on the device in one row of pixels, from which one indexing
    takes a whole batch: cutting crop by crop would keep a GPU waiting.

    Parameters
    ----------
    images
        Clean images, (height, width) float32, white at 1.

    Raises
    ------
    InputError
        If no image is as large as a crop.
    """

    def __init__(
        self, images: Sequence[Image], settings: BlindSettings, device: torch.device
    ) -> None:
        self.batch, self.crop_px, self.device = settings.batch, settings.crop_px, device
        sized = [made for image in images for made in _in_all_sizes(image, self.crop_px)]
        if not sized:
            raise InputError(
                f"None of the {len(images)} photographs is {self.crop_px} x {self.crop_px} pixels "
                "or larger; choose another folder."
            )
        self.pixels = torch.cat([image.flatten() for image in sized]).to(device)
        shapes = torch.tensor([image.shape for image in sized])
        areas = shapes.prod(dim=1)
        self.starts = (areas.cumsum(0) - areas).to(device)
        self.heights, self.widths = (lengths.to(device) for lengths in shapes.unbind(1))
        self.draw = torch.Generator(device).manual_seed(settings.seed)

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Give noisy and clean crops, both (batch, 1, crop, crop) float32, white at 1."""
        clean = self.pixels[self._places()]
        sigma = LARGEST_SIGMA * self._uniform()
        noise = torch.randn(clean.shape, generator=self.draw, device=self.device)
        return clean + sigma * noise, clean

    def _places(self) -> Tensor:
        """Draw where the pixels of each crop lie in the row, (batch, 1, crop, crop) int64."""
        line = torch.arange(self.crop_px, device=self.device)
        down, across = torch.meshgrid(line, line, indexing="ij")
        turned, upside, mirrored = (self._uniform() < 0.5 for _ in range(3))
        down, across = torch.where(turned, across, down), torch.where(turned, down, across)
        down = torch.where(upside, self.crop_px - 1 - down, down)
        across = torch.where(mirrored, self.crop_px - 1 - across, across)
        which = (self._uniform() * len(self.starts)).long()
        top = (self._uniform() * (self.heights[which] - self.crop_px + 1)).long()
        left = (self._uniform() * (self.widths[which] - self.crop_px + 1)).long()
        return self.starts[which] + (top + down) * self.widths[which] + left + across

    def _uniform(self) -> Tensor:
        """Draw one number for each crop, (batch, 1, 1, 1) in [0, 1)."""
        return torch.rand(self.batch, 1, 1, 1, generator=self.draw, device=self.device)


def _in_all_sizes(image: Image, smallest: int) -> list[Tensor]:
    whole = torch.from_numpy(np.ascontiguousarray(image))
    sized = [whole] + [
        functional.interpolate(
            whole[None, None],
            scale_factor=scale,
            mode="bicubic",
            antialias=True,
            recompute_scale_factor=True,
        )[0, 0].clamp(0, 1)
        for scale in SCALES[1:]
    ]
    return [made for made in sized if min(made.shape) >= smallest]


class BlindTraining(AveragedTraining[DnCNN]):
    """DnCNN-B in training."""

    def __init__(
        self, photographs: Photographs, settings: BlindSettings, run: Run = SILENT
    ) -> None:
        super().__init__(lambda: DnCNN(DEPTH), settings, photographs.device, run)
        self.photographs = photographs

    def batch(self) -> tuple[Tensor, Tensor]:
        """Draw noisy and clean crops, white at 1."""
        return self.photographs.pairs()

    @torch.no_grad()
    def settled(self) -> DnCNN:
        """Give the averaged network with batch norm measured for its weights and folded in."""
        network: DnCNN = deepcopy(self.kept).train()
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.reset_running_stats()
                part.momentum = None  # a plain mean over all batches
        state = self.photographs.draw.get_state()  # asked or not, training goes on the same
        for _ in range(min(SETTLING, self.steps_done)):
            network(self.photographs.pairs()[0])
        self.photographs.draw.set_state(state)
        return fold_batch_norm(network)

    def state(self) -> State:
        """Give all that the next step depends on, for a checkpoint."""
        return super().state() | {"draw": self.photographs.draw.get_state()}

    def restore(self, state: State) -> None:
        """Go on from where `state` was given."""
        super().restore(state)
        self.photographs.draw.set_state(state["draw"])


def train_dncnn_b(
    images: Sequence[Image],
    settings: BlindSettings = FULL,
    *,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    run: Run = SILENT,
) -> BlindTraining:
    """Train DnCNN-B, or go on where the checkpoint ends; see `train_on` for what that raises.

    Parameters
    ----------
    images
        Clean photographs, (height, width) float32, white at 1.

    Returns
    -------
    BlindTraining
        `settled()` of it is the network; finished when `steps_done` is `settings.steps`.

    Raises
    ------
    InputError
        If no photograph is as large as a crop.
    """
    training = BlindTraining(Photographs(images, settings, device), settings, run)
    train_on(training, "dncnn_b", images, checkpoint, run)
    return training
