"""A part of a frame in the units of the noise, noisy or denoised, with what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from .channel import Channel

Estimator = Callable[["Region"], Tensor]  # makes a clean image of a noisy region


@dataclass(frozen=True, eq=False)
class Region:
    """A part of a frame, noisy or an estimate of what is clean, stabilised (height, width).

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


def on_channels(regions: Sequence[Region], changed: Mapping[Channel, Channel]) -> list[Region]:
    """Give regions with the channels that took the place of theirs, where any did."""
    return [replace(one, channel=changed.get(one.channel, one.channel)) for one in regions]
