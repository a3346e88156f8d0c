"""The published networks: the noise generator g1, the critics, DnCNN and the U-Net for CT.

Each denoising network carries `halo_px`, how far an output pixel sees, and `multiple_px`, the grid
on which tiles must begin for a tiled result to equal the whole one.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

LATENT = 128  # as published, as is the size that g1 makes
GENERATED_PX = 64
Network = TypeVar("Network", bound=nn.Module)


class NoiseGenerator(nn.Module):
    """g1, the DCGAN generator: a latent vector becomes 64 x 64 pixels of noise in (-1, 1)."""

    def __init__(self, latent: int = LATENT, width: int = 64) -> None:
        super().__init__()
        self.latent = latent
        widths = [latent, width, width // 2, width // 4, width // 8]
        layers: list[nn.Module] = []
        for level, (before, after) in enumerate(pairwise(widths)):
            step, edge = (1, 0) if level == 0 else (2, 1)  # 1 -> 4, then 8, 16, 32 pixels
            layers += [
                nn.ConvTranspose2d(before, after, 4, step, edge, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.ConvTranspose2d(widths[-1], 1, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        """Map (batch, latent) to (batch, 1, 64, 64)."""
        noise: Tensor = self.layers(latent[:, :, None, None])
        return noise

    @torch.no_grad()
    def sample(self, count: int, height: int, width: int, draw: torch.Generator) -> Tensor:
        """Make noise of any size, (count, 1, height, width), laid in tiles of 64 px."""
        rows, columns = -(-height // GENERATED_PX), -(-width // GENERATED_PX)
        latent = torch.randn(count * rows * columns, self.latent, generator=draw)
        device = next(self.parameters()).device
        made = self((latent.pin_memory() if device.type == "cuda" else latent).to(device))
        laid = made.reshape(count, rows, columns, GENERATED_PX, GENERATED_PX).transpose(2, 3)
        tiled: Tensor = laid.reshape(count, 1, rows * GENERATED_PX, columns * GENERATED_PX)
        return tiled[..., :height, :width]


class Critic(nn.Module):
    """c1 and c2: how real a crop looks, as the mean of local scores."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        widths = [1, width, 2 * width, 4 * width]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [
                nn.Conv2d(before, after, 4, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, bias=False))

    def forward(self, crops: Tensor) -> Tensor:
        """Map (batch, 1, height, width) to (batch,)."""
        scores: Tensor = self.layers(crops)
        return scores.mean(dim=(1, 2, 3), dtype=crops.dtype)  # sums too many numbers for bfloat16


class DnCNN(nn.Module):
    """Predicts the noise and takes it off; the denoiser and g3 have 17 layers, g2 has 15.

    `sigmoid` squeezes the result into (0, 1), as g2 does.
    """

    multiple_px = 1

    def __init__(self, depth: int = 17, width: int = 64, *, sigmoid: bool = False) -> None:
        super().__init__()
        self.halo_px = depth  # one pixel per 3 x 3 convolution
        self.sigmoid = sigmoid
        layers: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1, bias=False), nn.ReLU(True)]
        for _ in range(depth - 2):
            layers += [
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, 3, padding=1, bias=False))

    def forward(self, noisy: Tensor) -> Tensor:
        """Map (batch, 1, height, width) to the same shape."""
        clean: Tensor = noisy - self.layers(noisy)
        return torch.sigmoid(clean) if self.sigmoid else clean


class UNet(nn.Module):
    """The Noise2Noise U-Net of the CT experiments; some levels share their weights."""

    multiple_px = 32
    halo_px = 192  # 189 pixels, rounded up to the grid of the five poolings

    def __init__(self, width: int = 48, *, sigmoid: bool = False) -> None:
        super().__init__()
        self.sigmoid = sigmoid
        wide, wider = 2 * width, 3 * width
        self.first = nn.Sequential(*_conv(1, width), *_conv(width, width), nn.MaxPool2d(2))
        self.down = nn.Sequential(*_conv(width, width), nn.MaxPool2d(2))  # levels 2 to 5
        self.bottom = nn.Sequential(*_conv(width, width), _double(width))
        self.rise = nn.Sequential(*_conv(wide, wide), *_conv(wide, wide), _double(wide))
        self.up = nn.Sequential(*_conv(wider, wide), *_conv(wide, wide), _double(wide))  # three
        self.last = nn.Sequential(
            *_conv(wide + 1, 64), *_conv(64, 32), nn.Conv2d(32, 1, 3, padding=1)
        )

    def forward(self, noisy: Tensor) -> Tensor:
        """Map (batch, 1, height, width) to the same shape; any size."""
        height, width = noisy.shape[-2:]
        right, below = -width % self.multiple_px, -height % self.multiple_px
        padded = functional.pad(noisy, (0, right, 0, below), mode="replicate")
        clean = (padded - self._residual(padded))[..., :height, :width]
        return torch.sigmoid(clean) if self.sigmoid else clean

    def _residual(self, x: Tensor) -> Tensor:
        levels = [x, self.first(x)]  # full size, 1/2
        for _ in range(3):
            levels.append(self.down(levels[-1]))  # 1/4, 1/8, 1/16
        merged = self.bottom(self.down(levels[-1]))  # 1/32, and back to 1/16
        merged = self.rise(torch.cat([merged, levels.pop()], dim=1))  # 1/8
        while len(levels) > 1:
            merged = self.up(torch.cat([merged, levels.pop()], dim=1))  # 1/4, 1/2, full size
        residual: Tensor = self.last(torch.cat([merged, levels.pop()], dim=1))
        return residual


def _conv(before: int, after: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)


def _double(width: int) -> nn.Module:
    return nn.ConvTranspose2d(width, width, 3, stride=2, padding=1, output_padding=1)


def paper_network(kind: str, depth: int = 17, *, sigmoid: bool = False) -> DnCNN | UNet:
    """Build the round's denoiser or a part of the adversarial stage.

    A "dncnn" of this depth with the framework's initial weights, or a "unet", He-normal with zero
    bias.
    """
    if kind == "dncnn":
        return DnCNN(depth, sigmoid=sigmoid)
    network = UNet(sigmoid=sigmoid)
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return network


def init_adversarial(network: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of g1, g2, g3, c1 or c2 as published: N(0, 0.02), batch norm N(1, 0.02)."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(part.weight, 0.0, 0.02, generator=generator)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, 0.02, generator=generator)
            nn.init.zeros_(part.bias)


def fold_batch_norm(network: Network) -> Network:
    """Give a copy for inference whose convolutions carry the batch norm that follows them."""
    folded = deepcopy(network).eval()
    for chain in [part for part in folded.modules() if isinstance(part, nn.Sequential)]:
        for index in range(len(chain) - 1):
            conv, norm = chain[index], chain[index + 1]
            if isinstance(norm, nn.BatchNorm2d) and isinstance(
                conv, nn.Conv2d | nn.ConvTranspose2d
            ):
                transposed = isinstance(conv, nn.ConvTranspose2d)
                chain[index] = fuse_conv_bn_eval(conv, norm, transpose=transposed)
                chain[index + 1] = nn.Identity()
    return folded


def takes_estimate(network: nn.Module) -> bool:
    """Whether a network wants the shrinkage filter's estimate as a second channel."""
    return int(getattr(network, "channels", 1)) > 1


def takes_sigma(network: nn.Module) -> bool:
    """Whether a network wants the std of the noise in each pixel and a second estimate as well."""
    return int(getattr(network, "channels", 1)) > 2
