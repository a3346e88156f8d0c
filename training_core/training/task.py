"""How a training is to be done: settings, device, whom to tell, and what keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from training_core.compute.checkpoint import NO_CHECKPOINT, Checkpoint
from training_core.denoise.region import Region
from training_core.run import SILENT, Run
from training_core.settings import Settings

if TYPE_CHECKING:
    from training_core.denoise.channel import Channel


@dataclass(frozen=True, eq=False)
class Task:
    """What all stages of a training share; none of it changes while they run."""

    settings: Settings
    device: torch.device
    run: Run = SILENT
    checkpoint: Checkpoint = NO_CHECKPOINT


@dataclass(frozen=True, eq=False)
class EstimateTask:
    """What first estimates are made from: stabilised noisy regions, and where to work.

    Where the noise `turns` from place to place, neither a filter that takes it for alike everywhere
    nor the blind score can be trusted.
    """

    settings: Settings
    noisy: Sequence[Region]
    device: torch.device
    run: Run = SILENT
    checkpoint: Checkpoint = NO_CHECKPOINT
    turns: bool = False

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Give the channels of the regions, each once."""
        return tuple(dict.fromkeys(region.channel for region in self.noisy))

    def images(self, channel: Channel) -> list[Tensor]:
        """Give the noisy regions of a channel."""
        return [region.image for region in self.noisy if region.channel is channel]
