"""A stronger backbone for GPUs: a U-Net of residual blocks on four scales."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

SCALES = 4
BLOCKS = 2  # per scale and direction; DRUNet has 4


class ResidualBlock(nn.Module):
    """Adds to its input what two convolutions make of it; at first nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        before, after = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        nn.init.kaiming_normal_(before.weight, nonlinearity="relu")
        nn.init.zeros_(after.weight)  # else each block would double the variance
        self.layers = nn.Sequential(before, nn.ReLU(inplace=True), after)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, width, height, width) to the same shape."""
        corrected: Tensor = x + self.layers(x)
        return corrected


class ResidualUNet(nn.Module):
    """Corrects a filter's estimate on four scales; starts by changing nothing.

    Built as DRUNet is (Zhang et al., IEEE TPAMI 44, 2021): residual blocks without batch norm or
    bias, so that twice the contrast gives twice the correction; scales change by 2 x 2
    convolutions, and skips are added. Input channels: the noisy image and the filter's estimate.

    Parameters
    ----------
    width
        Channels at full resolution; each coarser scale has twice as many.
    """

    multiple_px = 2 ** (SCALES - 1)
    channels = 2
    halo_px = 104  # 97 pixels, rounded up to the grid of the coarsest scale

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = [width << scale for scale in range(SCALES)]
        self.first = nn.Conv2d(self.channels, width, 3, padding=1, bias=False)
        self.down = nn.ModuleList(
            nn.Sequential(*_blocks(w), nn.Conv2d(w, 2 * w, 2, stride=2, bias=False))
            for w in widths[:-1]
        )
        self.bottom = nn.Sequential(*_blocks(widths[-1]))
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(2 * w, w, 2, stride=2, bias=False), *_blocks(w))
            for w in reversed(widths[:-1])
        )
        self.last = nn.Conv2d(width, 1, 3, padding=1, bias=False)
        nn.init.zeros_(self.last.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Map (batch, 2, height, width) to (batch, 1, height, width); any size."""
        height, width = images.shape[-2:]
        right, below = -width % self.multiple_px, -height % self.multiple_px
        x = self.first(functional.pad(images, (0, right, 0, below), mode="replicate"))
        passed_on = []
        for down in self.down:
            passed_on.append(x)
            x = down(x)
        x = x + self.bottom(x)
        for up in self.up:
            x = up(x) + passed_on.pop()
        correction: Tensor = self.last(x)[..., :height, :width]
        return images[:, 1:] + correction


def _blocks(width: int) -> list[nn.Module]:
    return [ResidualBlock(width) for _ in range(BLOCKS)]
