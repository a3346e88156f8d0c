"""Random crops of many images, cut on the device without waiting for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .device import free_bytes

SHARE_OF_MEMORY = 4  # one part in four of the free memory may hold images
INDEX, ROW_LENGTH, HEIGHT, WIDTH = range(4)  # columns of a table of windows


class Crops:
    """Images (height, width) float32 as one flat buffer, from which a batch of crops is one gather.

    The buffer lies on the device, or in main memory where it would fill the device. Everything
    random is drawn on the processor, so that a seed means the same crops on every device.
    """

    def __init__(self, images: Sequence[Tensor], device: torch.device) -> None:
        self.device = device
        sizes = torch.tensor([image.shape for image in images])
        areas = sizes.prod(dim=1)
        fits = 4 * int(areas.sum()) <= free_bytes(device) // SHARE_OF_MEMORY
        place = device if fits else torch.device("cpu")
        self.values = torch.cat([image.flatten() for image in images]).to(place)
        starts = areas.cumsum(0) - areas
        self.whole = torch.stack([starts, sizes[:, 1], sizes[:, 0], sizes[:, 1]], dim=1)

    def windows(self, count: int, side: int, draw: torch.Generator) -> Tensor:
        """Draw square windows, every place alike; smaller where an image is.

        (count, 4) int64: first index in the buffer, length of a row, height and width.
        """
        sides = self.whole[:, HEIGHT:].clamp(max=side)
        spare = self.whole[:, HEIGHT:] - sides + 1
        image = torch.multinomial(
            spare.prod(dim=1).double(), count, replacement=True, generator=draw
        )
        return _inside(self.whole[image], sides[image], draw)

    def cut(self, windows: Tensor, size: int, draw: torch.Generator) -> Tensor:
        """Cut a random, randomly flipped crop out of each window: (count, 1, size, size)."""
        table = _inside(windows, torch.full((len(windows), 2), size), draw)
        table[:, HEIGHT:] = torch.randint(2, (len(windows), 2), generator=draw)  # whether to flip
        first, row_length, *flips = send(table, self.values.device)[:, :, None].unbind(dim=1)
        ahead = torch.arange(size, device=self.values.device)
        down, along = (torch.where(flip == 1, size - 1 - ahead, ahead) for flip in flips)
        index = (first + down * row_length)[:, :, None] + along[:, None, :]
        return send(self.values[index][:, None], self.device)


def _inside(windows: Tensor, sides: Tensor, draw: torch.Generator) -> Tensor:
    """Place a smaller window (its sides are (count, 2)) anywhere in each window."""
    spare = windows[:, HEIGHT:] - sides + 1
    moved = (torch.rand(spare.shape, generator=draw) * spare).long()
    first = windows[:, INDEX] + moved[:, 0] * windows[:, ROW_LENGTH] + moved[:, 1]
    return torch.cat([first[:, None], windows[:, ROW_LENGTH, None], sides], dim=1)


class Epochs:
    """Goes through things in random order, batch by batch; a rest smaller than that is left out."""

    def __init__(self, count: int, draw: torch.Generator) -> None:
        self.draw, self.count = draw, count
        self.order, self.position = torch.empty(0, dtype=torch.int64), 0

    def next(self, batch: int) -> Tensor:
        """Give the numbers of the next batch."""
        if self.position + batch > len(self.order):
            self.order, self.position = torch.randperm(self.count, generator=self.draw), 0
        self.position += batch
        return self.order[self.position - batch : self.position]

    def state(self) -> dict[str, Any]:
        """Give the order and how far it was followed."""
        return {"order": self.order, "position": self.position}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        self.order, self.position = state["order"], state["position"]


def send(values: Tensor, device: torch.device) -> Tensor:
    """Copy to a device; to a GPU from pinned memory, while the processor goes on."""
    if device.type == "cuda" and values.device.type == "cpu":
        values = values.pin_memory()
    return values.to(device, non_blocking=device.type == "cuda")
