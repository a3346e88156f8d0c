"""Noisy pairs made from an estimate and the learned noise: what each round learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from training_core.compute.checkpoint import Part, State
from training_core.costs import PAIRS
from training_core.denoise.channel import Channel
from training_core.denoise.denoiser import Denoiser
from training_core.denoise.neighbours import averaged
from training_core.denoise.region import Region
from training_core.networks.pretrained import PretrainedDenoiser
from training_core.noise.local_strength import WHY as NOISE_TURNS
from training_core.noise.model import RecordedNoise
from training_core.place import turn
from training_core.run import Run, Stage
from training_core.settings import DenoiserSettings
from training_core.stack import Stack

PREPARED_PX = 3_000_000  # noisy copies of this many pixels are made ahead in each round
FEWEST_COPIES, MOST_COPIES = 1, 12


def synthetic_pairs(
    denoiser: Denoiser,
    noisy: Sequence[Region],
    estimates: Sequence[Region],
    draw: torch.Generator,
    run: Run,
) -> list[Pair]:
    """Make noisy copies of estimates, recorded as the file's pixels were."""
    twice = denoiser.settings.denoiser.targets == "noisy"
    pairs = []
    for number, estimate in enumerate(estimates):
        channel, clean, weight = estimate.channel, estimate.image[None, None], None
        recorded = RecordedNoise(channel.noise, channel.recording)
        if noisy:
            weight = recorded.known(noisy[number].image)
        for _ in range(copies_of(estimates)):
            run.check()
            copy, target = _noisy(estimate, recorded, draw), clean
            source = denoiser.inputs(copy, channel, estimate.strength)
            if twice:
                target = _noisy(estimate, recorded, draw)
            pairs.append(Pair.of(source, target, channel, weight))
            run.did(PAIRS, source[0, 0].numel() / 1e6)
    return pairs


def learns_from_recorded(denoiser: Denoiser, repeats: Sequence[Stack], run: Run) -> bool:
    """Tell whether noise that turns from place to place is learned from as it was recorded; say so.

    With repeats what is chosen is chosen by them, and no noise need be known for that.
    """
    recorded = isinstance(denoiser.network, PretrainedDenoiser) and not repeats
    if recorded:
        run.note(f"{NOISE_TURNS}.")
        run.shorten(Stage.ROUNDS, 1 / denoiser.settings.denoiser.rounds)
    return recorded


def recorded_pairs(
    denoiser: Denoiser, noisy: Sequence[Region], estimates: Sequence[Region]
) -> list[Pair]:
    """Pair the noisy regions themselves with their estimates, where made noise is not like theirs.

    What the network sees is what it will see, down to the averaging of neighbouring frames.
    """
    pairs = []
    for region, estimate in zip(noisy, estimates, strict=True):
        channel = region.channel
        seen, strength = averaged(region.image, region.neighbours, channel.noise)
        source = denoiser.inputs(seen[None, None], channel, strength)
        pairs.append(Pair.of(source, estimate.image, channel, None))
    return pairs


def _noisy(estimate: Region, recorded: RecordedNoise, draw: torch.Generator) -> Tensor:
    """Give a noisy copy, (1, 1, height, width)."""
    clean = estimate.image[None, None]
    if estimate.strength is None:
        return recorded.add(clean, draw)
    # An average of frames has neither the ends nor the steps of one.
    return clean + estimate.strength * recorded.noise.apart_from(clean, draw)


def copies_of(estimates: Sequence[Region]) -> int:
    """Give how many noisy copies of each are made ahead."""
    return copies_for(sum(estimate.image.numel() for estimate in estimates))


def copies_for(pixels: int) -> int:
    """Give how many noisy copies are made ahead of estimates that have so many pixels together."""
    return min(max(PREPARED_PX // pixels, FEWEST_COPIES), MOST_COPIES)


def estimate_all(denoiser: Denoiser, noisy: Sequence[Region], part: Part, run: Run) -> list[Region]:
    """Denoise every region; `part` keeps those that are done."""

    def make(number: int) -> Tensor:
        region = noisy[number]
        image = region.image.to(denoiser.device)
        return denoiser.estimate(image, region.channel, run, region.neighbours)

    return with_channels(part.collect(len(noisy), make, run), noisy)


def with_channels(images: Sequence[Tensor], noisy: Sequence[Region]) -> list[Region]:
    """Say of each image what is known of the noisy one, and bring it to its device."""
    return [
        Region(image.to(region.image.device), region.channel, strength=region.strength)
        for image, region in zip(images, noisy, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class Pair:
    """A noisy copy of a region, normalised, in main memory.

    `images` are the network's inputs and the target, (inputs + 1, height, width). `weight`, None
    or (height, width), says how much each pixel counts. `orientations` leave the noise as it is.
    """

    images: Tensor
    orientations: tuple[int, ...]
    weight: Tensor | None = None

    @classmethod
    def of(cls, source: Tensor, target: Tensor, channel: Channel, weight: Tensor | None) -> Self:
        """Take what the network sees, (1, inputs, height, width), and a stabilised target."""
        wanted = channel.normalised(target.reshape(1, *target.shape[-2:]))
        images = torch.cat([source[0], wanted]).cpu()
        return cls(images, channel.noise.orientations, None if weight is None else weight.cpu())

    def with_weight(self) -> Tensor:
        """Give images and weight together, (inputs + 2, height, width)."""
        weight = torch.ones(self.images.shape[-2:]) if self.weight is None else self.weight
        return torch.cat([self.images, weight[None]])


class PreparedPairs:
    """Pairs from noise of any size: whole noisy copies are made ahead, crops are cut from them.

    Made ahead since the filter whose result the network sees needs the surroundings of a crop.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        draw: torch.Generator,
        device: torch.device,
    ) -> None:
        self.pairs, self.draw, self.device = pairs, draw, device
        self.weighted = any(pair.weight is not None for pair in pairs)

    def batch(self, settings: DenoiserSettings) -> tuple[Tensor, ...]:
        """Give sources (batch, inputs, crop, crop) and targets (batch, 1, crop, crop).

        Where pixels do not count alike, also how much each counts, (batch, 1, crop, crop).
        """
        which = torch.randint(len(self.pairs), (settings.batch,), generator=self.draw).tolist()
        pairs = [self.pairs[i] for i in which]
        smallest = min(min(pair.images.shape[-2:]) for pair in self.pairs)
        size = min(settings.crop_px, smallest)
        whole = [pair.with_weight() if self.weighted else pair.images for pair in pairs]
        ways = [pair.orientations for pair in pairs]
        cut = [_crop(*each, size, self.draw) for each in zip(whole, ways, strict=True)]
        both = torch.stack(cut).to(self.device)
        if self.weighted:
            return both[:, :-2], both[:, -2:-1], both[:, -1:]
        return both[:, :-1], both[:, -1:]

    def state(self) -> State:
        """Give what the next batch depends on; the copies are made again from the estimates."""
        return {"draw": self.draw.get_state()}

    def restore(self, state: State) -> None:
        """Go on from a `state`; the generator of random numbers, shared with others, is set."""
        self.draw.set_state(state["draw"])


def _crop(images: Tensor, ways: Sequence[int], size: int, draw: torch.Generator) -> Tensor:
    """Cut a random crop, turned in one of the ways, (inputs, size, size)."""
    height, width = images.shape[-2:]
    top = int(torch.randint(height - size + 1, (), generator=draw))
    left = int(torch.randint(width - size + 1, (), generator=draw))
    way = ways[int(torch.randint(len(ways), (), generator=draw))]
    return turn(images[..., top : top + size, left : left + size], way)
