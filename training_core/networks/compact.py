"""The compact denoiser, which corrects a filter's estimate in minutes on a processor."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional


class CompactDenoiser(nn.Module):
    """Corrects a filter's estimate; works on 2 x 2 pixel blocks and starts by changing nothing.

    Input channels: the noisy image and the filter's estimate of it.
    """

    multiple_px = 2
    channels = 2

    def __init__(self, width: int = 32, depth: int = 8) -> None:
        super().__init__()
        self.halo_px = 2 * depth + 2
        widths = [4 * self.channels, *[width] * (depth - 1)]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)]
            nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")  # type: ignore[arg-type]
            nn.init.zeros_(layers[-2].bias)  # type: ignore[arg-type]
        last = nn.Conv2d(width, 4, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.layers = nn.Sequential(*layers, last)

    def forward(self, images: Tensor) -> Tensor:
        """Map (batch, 2, height, width) to (batch, 1, height, width); any size."""
        height, width = images.shape[-2:]
        padded = functional.pad(images, (0, width % 2, 0, height % 2), mode="replicate")
        blocks = functional.pixel_unshuffle(padded, 2)
        correction = functional.pixel_shuffle(self.layers(blocks), 2)
        return images[:, 1:] + correction[..., :height, :width]
