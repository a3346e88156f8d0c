"""Pairs that were made ahead of a round, and the crops that are cut from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch

from .orientations import turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from .channel import Channel
    from .checkpoint import State
    from .settings import DenoiserSettings


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
        wanted = (target.reshape(1, *target.shape[-2:]) - channel.mean) / channel.spread
        images = torch.cat([source[0], wanted]).cpu()
        return cls(images, channel.noise.orientations, None if weight is None else weight.cpu())

    def with_weight(self) -> Tensor:
        """Give images and weight together, (inputs + 2, height, width)."""
        weight = torch.ones(self.images.shape[-2:]) if self.weight is None else self.weight
        return torch.cat([self.images, weight[None]])


class PreparedPairs:
    """Pairs from noise of any size: whole noisy copies are made ahead, crops are cut from them.

    Made ahead since the filter whose result the network sees needs the surroundings of a crop.

    Parameters
    ----------
    pairs
        What crops are cut from.
    anchored
        Recorrupted pairs of the real image, which make up the share `anchor` of each batch.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        draw: torch.Generator,
        device: torch.device,
        *,
        anchored: Sequence[Pair] = (),
        anchor: float = 0.0,
    ) -> None:
        self.pairs, self.anchored = pairs, anchored
        self.draw, self.device = draw, device
        self.anchor = anchor if anchored else 0.0
        self.weighted = any(pair.weight is not None for pair in (*pairs, *anchored))

    def batch(self, settings: DenoiserSettings) -> tuple[Tensor, ...]:
        """Give sources (batch, inputs, crop, crop) and targets (batch, 1, crop, crop).

        Where pixels do not count alike, also how much each counts, (batch, 1, crop, crop).
        """
        which = torch.randint(len(self.pairs), (settings.batch,), generator=self.draw).tolist()
        pairs = [self.pairs[i] for i in which]
        if count := round(self.anchor * settings.batch):
            real = torch.randint(len(self.anchored), (count,), generator=self.draw).tolist()
            pairs[:count] = [self.anchored[i] for i in real]
        smallest = min(min(pair.images.shape[-2:]) for pair in (*self.pairs, *self.anchored))
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
