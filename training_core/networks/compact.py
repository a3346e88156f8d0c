"""Small networks that learn in minutes on a processor: noise generator, critic and denoiser."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from training_core.noise.covariance import LAGS, spectrum

if TYPE_CHECKING:
    from torch import Tensor

    from training_core.noise.covariance import Values

KERNEL_PX = 2 * LAGS + 1


class StationaryGenerator(nn.Module):
    """g1 for any size: a map of white noise becomes noise with even statistics everywhere.

    A linear convolution gives the correlation; it starts as the square root of the measured
    spectrum. A small non-linear path, which starts at nothing, bends every value alike and so gives
    the shape of the histogram; were it to see neighbours, it would undo the correlation.
    `shift` and `gain` hold mean 0 and std 1 exactly.
    """

    margin_px = LAGS
    shift: Tensor
    gain: Tensor

    def __init__(self, covariance: Values | None = None, width: int = 8) -> None:
        super().__init__()
        self.width = width
        self.linear = nn.Conv2d(1, 1, KERNEL_PX, bias=False)
        last = nn.Conv2d(width, 1, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.bend = nn.Sequential(nn.Conv2d(1, width, 1), nn.Tanh(), last)
        self.register_buffer("shift", torch.zeros(()))
        self.register_buffer("gain", torch.ones(()))
        if covariance is not None:
            self.start_at(covariance)

    def start_at(self, covariance: Values) -> None:
        """Give the linear path the measured spectrum."""
        root = np.fft.irfft2(np.sqrt(spectrum(covariance, (64, 64))), (64, 64))
        kernel = np.fft.fftshift(root)[32 - LAGS : 33 + LAGS, 32 - LAGS : 33 + LAGS]
        kernel /= np.sqrt(np.square(kernel).sum())
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(kernel.astype(np.float32))[None, None])

    def forward(self, white: Tensor) -> Tensor:
        """Map (batch, 1, height + 30, width + 30) normal numbers to (batch, 1, height, width)."""
        noise = self.linear(white)
        noise = noise + self.bend(noise)
        scaled: Tensor = (noise - self.shift) * self.gain
        return scaled

    @torch.no_grad()
    def sample(self, count: int, height: int, width: int, draw: torch.Generator) -> Tensor:
        """Make noise, (count, 1, height, width) float32; `draw` is on the processor."""
        edge = 2 * self.margin_px
        white = torch.randn(count, 1, height + edge, width + edge, generator=draw)
        noise: Tensor = self(white.to(self.linear.weight.device))
        return noise

    @torch.no_grad()
    def hold_scale(self, draw: torch.Generator) -> None:
        """Set `shift` and `gain` so that a large sample has mean 0 and std 1."""
        self.shift.zero_()
        self.gain.fill_(1.0)
        device = self.linear.weight.device
        sample = self(torch.randn(4, 1, 286, 286, generator=draw).to(device))
        self.shift.copy_(sample.mean())
        self.gain.copy_(1 / sample.std())


class MeasuredGenerator(StationaryGenerator):
    """One that stayed as it was measured, and stands in for one that has not converged."""


class LocalCritic(nn.Module):
    """Scores every small region of a noise crop; spectrally normalised (Miyato et al., 2018)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(1, width, 5)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(width, width, 5, stride=2)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(width, width, 3)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(width, 1, 2)),  # of 16 px, the smallest crop, 2 px are left
        )

    def forward(self, crops: Tensor) -> Tensor:
        """Map (batch, 1, 16 or more, 16 or more) to local scores."""
        scores: Tensor = self.layers(crops)
        return scores


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
