"""Noisy pairs made from an estimate and the learned noise: what each round learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch

from .checkpoint import NO_PART
from .networks import NoiseGenerator
from .orientations import turn
from .published_pairs import PublishedPairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from .checkpoint import Part, State
    from .denoiser import Channel, Denoiser
    from .run import Run
    from .settings import DenoiserSettings

    Teacher = Sequence["Estimate"] | Sequence[nn.Module]

PREPARED_PX = 3_000_000  # noisy copies of this many pixels are made ahead in each round
FEWEST_COPIES, MOST_COPIES = 1, 12


@dataclass(frozen=True, eq=False)
class Estimate:
    """What is known so far of the clean image of one region, stabilised (height, width).

    It lies where the denoiser is, or in main memory where only crops of it are looked at.
    """

    image: Tensor
    channel: Channel


class PreparedPairs:
    """Pairs from noise of any size: whole noisy copies are made ahead, crops are cut from them.

    Made ahead since the filter whose result the network sees needs the surroundings of a crop.
    """

    def __init__(
        self, denoiser: Denoiser, estimates: Sequence[Estimate], draw: torch.Generator, run: Run
    ) -> None:
        self.draw, self.device = draw, denoiser.device
        area = sum(estimate.image.numel() for estimate in estimates)
        copies = min(max(PREPARED_PX // area, FEWEST_COPIES), MOST_COPIES)
        noisy_targets = denoiser.settings.denoiser.targets == "noisy"
        self.pairs: list[tuple[Tensor, tuple[int, ...]]] = []
        for estimate in estimates:
            channel = estimate.channel
            clean = (estimate.image[None] - channel.mean) / channel.spread
            for _ in range(copies):
                run.check()
                source = denoiser.inputs(self._noisy(estimate), channel)[0]
                target = clean
                if noisy_targets:
                    target = (self._noisy(estimate)[0] - channel.mean) / channel.spread
                pair = torch.cat([source, target]).cpu()
                self.pairs.append((pair, channel.noise.orientations))

    def _noisy(self, estimate: Estimate) -> Tensor:
        return estimate.channel.noise.add_noise(estimate.image[None, None], self.draw)

    def batch(self, settings: DenoiserSettings) -> tuple[Tensor, Tensor]:
        """Give sources (batch, inputs, crop, crop) and targets (batch, 1, crop, crop)."""
        which = torch.randint(len(self.pairs), (settings.batch,), generator=self.draw).tolist()
        smallest = min(min(pair.shape[-2:]) for pair, _ in self.pairs)
        size = min(settings.crop_px, smallest)
        cut = [_crop(pair, ways, size, self.draw) for pair, ways in (self.pairs[i] for i in which)]
        both = torch.stack(cut).to(self.device)
        return both[:, :-1], both[:, -1:]

    def state(self) -> State:
        """Give what the next batch depends on; the copies are made again from the estimates."""
        return {"draw": self.draw.get_state()}

    def restore(self, state: State) -> None:
        """Go on from a `state`; the generator of random numbers, shared with others, is set."""
        self.draw.set_state(state["draw"])


def make_pairs(
    denoiser: Denoiser,
    noisy: Sequence[Estimate],
    teacher: Teacher,
    draw: torch.Generator,
    run: Run,
) -> PreparedPairs | PublishedPairs:
    """Choose by what the generator can make: noise of any size, or 64 x 64 pixels.

    Parameters
    ----------
    noisy
        The noisy regions, stabilised.
    teacher
        Their estimates, or for g1 the network of each channel that makes estimates of crops.
    """
    if _published(denoiser):
        return PublishedPairs(denoiser, noisy, cast("Sequence[nn.Module]", teacher), draw, run)
    return PreparedPairs(denoiser, cast("Sequence[Estimate]", teacher), draw, run)


def next_teacher(
    denoiser: Denoiser, noisy: Sequence[Estimate], run: Run, part: Part = NO_PART
) -> Teacher:
    """Give what the next round learns from: the denoiser's estimates, or the denoiser itself."""
    if _published(denoiser):
        return [denoiser.network] * len(denoiser.channels)
    return estimate_all(denoiser, noisy, part, run)


def estimate_all(
    denoiser: Denoiser, noisy: Sequence[Estimate], part: Part, run: Run
) -> list[Estimate]:
    """Denoise every region; `part` keeps those that are done."""

    def make(number: int) -> Tensor:
        region = noisy[number]
        return denoiser.estimate(region.image.to(denoiser.device), region.channel, run)

    return with_channels(part.collect(len(noisy), make, run), noisy)


def with_channels(images: Sequence[Tensor], noisy: Sequence[Estimate]) -> list[Estimate]:
    """Say of each image to which channel it belongs: that of the noisy one, on its device."""
    return [
        Estimate(image.to(region.image.device), region.channel)
        for image, region in zip(images, noisy, strict=True)
    ]


def _published(denoiser: Denoiser) -> bool:
    return isinstance(denoiser.channels[0].noise.generator, NoiseGenerator)


def _crop(images: Tensor, ways: Sequence[int], size: int, draw: torch.Generator) -> Tensor:
    """Cut a random crop, turned in one of the ways, (inputs, size, size)."""
    height, width = images.shape[-2:]
    top = int(torch.randint(height - size + 1, (), generator=draw))
    left = int(torch.randint(width - size + 1, (), generator=draw))
    way = ways[int(torch.randint(len(ways), (), generator=draw))]
    return turn(images[..., top : top + size, left : left + size], way)
