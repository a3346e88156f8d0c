"""Networks that correct a filter's estimate: one of any size, and the bundled one."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional

from training_core.errors import ModelError
from training_core.resources import resource

NAME = "pretrained"
WEIGHTS = "pretrained.safetensors"
WIDTH, BLOCKS = 64, 5
CONTEXT = 0.1  # the estimate may be a hundred times the noise, what is to be corrected is not


class _Block(nn.Module):
    """Adds to its input what two convolutions make of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(width, width, 3, padding=1)
        self.b = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.a.weight, nonlinearity="relu")
        nn.init.kaiming_normal_(self.b.weight)
        with torch.no_grad():
            self.b.weight.mul_(0.1)
        for layer in (self.a, self.b):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        corrected: Tensor = x + self.b(functional.relu(self.a(x)))
        return corrected


class PretrainedDenoiser(nn.Module):
    """Corrects a filter's estimate on 2 x 2 pixel blocks; without weights it changes nothing.

    Input channels: the noisy image, the filter's estimate of it, the std that the noise has in each
    pixel, in units of the noise's usual std, and the estimate of the filter with large blocks, in
    which less of the slow noise is left. What the filter took away and what it left are given
    apart, since bfloat16 would round the noise off on top of a bright image.
    """

    multiple_px = 2
    channels = 4
    halo_px = 2 * (2 * BLOCKS + 2) + 2

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(4 * self.channels, WIDTH, 3, padding=1)
        self.body = nn.Sequential(*(_Block(WIDTH) for _ in range(BLOCKS)))
        self.tail = nn.Conv2d(WIDTH, 4, 3, padding=1)
        nn.init.kaiming_normal_(self.head.weight)
        nn.init.zeros_(self.tail.weight)
        for layer in (self.head, self.tail):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Map (batch, 4, height, width) to (batch, 1, height, width); any size."""
        height, width = images.shape[-2:]
        noisy, estimate, sigma, wide = (images[:, n : n + 1] for n in range(4))
        seen = torch.cat([noisy - estimate, CONTEXT * estimate, sigma - 1, wide - estimate], dim=1)
        padded = functional.pad(seen, (0, width % 2, 0, height % 2), mode="replicate")
        features = self.body(self.head(functional.pixel_unshuffle(padded, 2)))
        correction = functional.pixel_shuffle(self.tail(features), 2)
        return estimate + correction[..., :height, :width]


def with_all_inputs(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give weights that were kept before the network saw as much: what was added has no say.

    First it saw two images, then the std of the noise as well.
    """
    head = weights.get("head.weight")
    if head is None or head.ndim != 4 or head.shape[1] not in (4 * 2, 4 * 3):
        return dict(weights)
    unseen = head.new_zeros(len(head), 4 * PretrainedDenoiser.channels - head.shape[1], 3, 3)
    return {**weights, "head.weight": torch.cat([head, unseen], dim=1)}


def load_pretrained(network: PretrainedDenoiser) -> None:
    """Give a network the bundled weights.

    Raises
    ------
    ModelError
        If they are missing or damaged.
    """
    fill_with_bundled(network, WEIGHTS)


def save_pretrained(network: PretrainedDenoiser, path: Path) -> None:
    """Write the weights, float32."""
    write_weights(network, path)


def fill_with_bundled(network: nn.Module, name: str) -> None:
    """Give a network the weights of a bundled file.

    Raises
    ------
    ModelError
        If the file is missing, damaged or of another network.
    """
    try:
        network.load_state_dict(load_file(resource(name)))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelError(
            f"The bundled denoiser {name} is missing or damaged; install g2g desktop again."
        ) from error


def write_weights(network: nn.Module, path: Path) -> None:
    """Write the weights of a network, float32, to be bundled."""
    weights = {name: v.detach().cpu().contiguous() for name, v in network.state_dict().items()}
    path.write_bytes(save(weights))


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
