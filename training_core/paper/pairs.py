"""Noisy pairs as published: g1's noise, twice, on what the teacher makes of random noisy crops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from training_core.compute.crops import HEIGHT, Crops, Epochs
from training_core.compute.device import mixed
from training_core.compute.optimiser_step import Parts
from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.region import Region
from training_core.networks.published import NoiseGenerator, fold_batch_norm
from training_core.run import Run
from training_core.settings import DenoiserSettings, Settings

from .gan import published_windows


class PublishedPairs:
    """z1 = x^ + g1(r1) and z2 = x^ + g1(r2), where x^ is the teacher's estimate of a noisy crop.

    Crops of the stabilised noisy regions lie in 20 500 windows, drawn once for a seed and gone
    through in random order. The teacher of each channel, g2 or the denoiser of the previous round,
    sees each crop once, without its surroundings, as the original's does. `draw` gives everything
    random but the windows.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        noisy: Sequence[Region],
        teachers: Sequence[nn.Module],
        draw: torch.Generator,
        run: Run,
    ) -> None:
        run.check()
        self.draw, self.device = draw, denoiser.device
        self.noisy_targets = denoiser.settings.denoiser.targets == "noisy"
        self.bfloat16 = denoiser.settings.precision == "auto"
        self.parts = Parts(self.device, run)
        self.channels = [
            _ChannelCrops(channel, noisy, teacher, denoiser.settings, draw)
            for channel, teacher in zip(denoiser.channels, teachers, strict=True)
        ]

    @torch.no_grad()
    def batch(self, settings: DenoiserSettings) -> tuple[Tensor, Tensor]:
        """Give sources and targets, both (batch, 1, crop, crop), of one channel."""
        chosen = self.channels[int(torch.randint(len(self.channels), (), generator=self.draw))]
        noisy = chosen.draw_noisy(settings.batch, self.draw)
        clean = self.parts.fit(partial(self._estimate, chosen.teacher, noisy), len(noisy))
        source = clean + self._noise(chosen, clean)
        return source, clean + self._noise(chosen, clean) if self.noisy_targets else clean

    def _estimate(self, teacher: nn.Module, noisy: Tensor, parts: int) -> Tensor:
        with mixed(self.device, wanted=self.bfloat16):
            return torch.cat([teacher(some).float() for some in noisy.chunk(parts)])

    def _noise(self, chosen: _ChannelCrops, like: Tensor) -> Tensor:
        return chosen.g1.sample(len(like), like.shape[2], like.shape[3], self.draw)

    def state(self) -> dict[str, Any]:
        """Give what the next batch depends on, but the teachers, which the caller has."""
        return {
            "draw": self.draw.get_state(),
            "parts": self.parts.count,
            "epochs": [channel.epochs.state() for channel in self.channels],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`; the generator of random numbers, shared with others, is set too."""
        self.draw.set_state(state["draw"])
        self.parts.count = state["parts"]
        for channel, epochs in zip(self.channels, state["epochs"], strict=True):
            channel.epochs.restore(epochs)


class _ChannelCrops:
    """The noisy windows of one channel, its teacher and its noise."""

    def __init__(
        self,
        channel: Channel,
        noisy: Sequence[Region],
        teacher: nn.Module,
        settings: Settings,
        draw: torch.Generator,
    ) -> None:
        images = [region.image for region in noisy if region.channel is channel]
        self.teacher = fold_batch_norm(teacher).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.g1 = cast("NoiseGenerator", channel.noise.generator)
        self.crops = Crops(images, next(teacher.parameters()).device)
        size = settings.denoiser.crop_px
        self.windows = published_windows(self.crops, size, settings.seed)
        self.size = min(size, int(self.windows[:, HEIGHT:].min()))
        self.epochs = Epochs(len(self.windows), draw)

    def draw_noisy(self, batch: int, draw: torch.Generator) -> Tensor:
        return self.crops.cut(self.windows[self.epochs.next(batch)], self.size, draw)
