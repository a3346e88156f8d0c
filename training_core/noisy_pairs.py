"""Noisy pairs made from an estimate and the learned noise: what each round learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from .checkpoint import NO_PART
from .neighbour_average import averaged
from .networks import NoiseGenerator
from .prepared_pairs import Pair
from .prepared_pairs import PreparedPairs as PreparedPairs
from .published_pairs import PublishedPairs
from .recording import RecordedNoise
from .recorruption import recorrupted_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor, nn

    from .channel import Channel
    from .checkpoint import Part
    from .denoiser import Denoiser
    from .run import Run

    Teacher = Sequence["Estimate"] | Sequence[nn.Module]

PREPARED_PX = 3_000_000  # noisy copies of this many pixels are made ahead in each round
FEWEST_COPIES, MOST_COPIES = 1, 12


@dataclass(frozen=True, eq=False)
class Estimate:
    """What is known so far of the clean image of one region, stabilised (height, width).

    It lies where the denoiser is, or in main memory where only crops of it are looked at.
    A noisy one may have `neighbours`, (count, height, width). `strength` (height, width) is the
    share of the noise's std that is left once they are averaged with it; None for all of it.
    """

    image: Tensor
    channel: Channel
    neighbours: Tensor | None = None
    strength: Tensor | None = None

    @property
    def is_averaged(self) -> bool:
        """Whether neighbouring frames were averaged with it already."""
        return self.neighbours is None and self.strength is not None


def make_pairs(
    denoiser: Denoiser,
    noisy: Sequence[Estimate],
    teacher: Teacher,
    draw: torch.Generator,
    run: Run,
    *,
    anchor: float = 0.0,
) -> PreparedPairs | PublishedPairs:
    """Choose by what the generator can make: noise of any size, or 64 x 64 pixels.

    Parameters
    ----------
    noisy
        The noisy regions, stabilised.
    teacher
        Their estimates, or for g1 the network of each channel that makes estimates of crops.
    anchor
        Share of recorrupted pairs of the noisy regions; not for g1.
    """
    if _published(denoiser):
        return PublishedPairs(denoiser, noisy, cast("Sequence[nn.Module]", teacher), draw, run)
    estimates = cast("Sequence[Estimate]", teacher)
    pairs = synthetic_pairs(denoiser, noisy, estimates, draw, run)
    anchored: list[Pair] = []
    if anchor:
        copies = copies_of(estimates)
        anchored = recorrupted_pairs(denoiser, noisy, estimates, copies, draw=draw, run=run)
    return PreparedPairs(pairs, draw, denoiser.device, anchored=anchored, anchor=anchor)


def synthetic_pairs(
    denoiser: Denoiser,
    noisy: Sequence[Estimate],
    estimates: Sequence[Estimate],
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
    return pairs


def recorded_pairs(
    denoiser: Denoiser, noisy: Sequence[Estimate], estimates: Sequence[Estimate]
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


def _noisy(estimate: Estimate, recorded: RecordedNoise, draw: torch.Generator) -> Tensor:
    """Give a noisy copy, (1, 1, height, width)."""
    clean = estimate.image[None, None]
    if estimate.strength is None:
        return recorded.add(clean, draw)
    # An average of frames has neither the ends nor the steps of one.
    return clean + estimate.strength * recorded.noise.apart_from(clean, draw)


def copies_of(estimates: Sequence[Estimate]) -> int:
    """Give how many noisy copies of each are made ahead."""
    area = sum(estimate.image.numel() for estimate in estimates)
    return min(max(PREPARED_PX // area, FEWEST_COPIES), MOST_COPIES)


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
        image = region.image.to(denoiser.device)
        return denoiser.estimate(image, region.channel, run, region.neighbours)

    return with_channels(part.collect(len(noisy), make, run), noisy)


def with_channels(images: Sequence[Tensor], noisy: Sequence[Estimate]) -> list[Estimate]:
    """Say of each image what is known of the noisy one, and bring it to its device."""
    return [
        Estimate(image.to(region.image.device), region.channel, strength=region.strength)
        for image, region in zip(images, noisy, strict=True)
    ]


def _published(denoiser: Denoiser) -> bool:
    return isinstance(denoiser.channels[0].noise.generator, NoiseGenerator)
