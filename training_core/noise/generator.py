"""What makes noise of any size: a generator that learned it, its critic, and re-sampled patches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from training_core.place import turn
from training_core.stack import Values

from .covariance import AROUND, LAGS, spectrum

KEPT = 512  # patches: 2 MB of a model file at 32 px
OVERLAP = 4  # a seam is one fourth of a patch wide


class ResampledNoise(nn.Module):
    """Noise of any size, laid out of random patches of real noise.

    Patches lie in a grid that is shifted at random, each flipped and rotated as the noise allows;
    where two overlap, the squares of their weights add to 1, so that the variance is even.
    """

    patches: Tensor
    ways: Tensor

    def __init__(self, patches: Tensor, ways: Tensor) -> None:
        super().__init__()
        self.register_buffer("patches", patches)
        self.register_buffer("ways", ways)

    @classmethod
    def of(cls, noise: NDArray[np.float32], ways: Sequence[int]) -> ResampledNoise:
        """Keep at most 512 of the patches, (count, size, size), brought to mean 0 and std 1."""
        some = np.linspace(0, len(noise) - 1, min(KEPT, len(noise))).round().astype(int)
        kept = torch.from_numpy(noise[some])
        kept = kept - kept.mean()
        power = _weights(kept.shape[-1]).square()  # near its edges a detrended patch is weaker
        sigma = (power * kept.square()).mean(dim=0).sum().div(power.sum()).sqrt()
        return cls(kept / sigma, torch.tensor(ways))

    @torch.no_grad()
    def sample(self, count: int, height: int, width: int, draw: torch.Generator) -> Tensor:
        """Make unit noise, (count, 1, height, width) float32; `draw` decides all of it."""
        size = self.patches.shape[-1]
        step = size - size // OVERLAP
        rows, columns = (-(-(length + size) // step) for length in (height, width))
        tiles = self._tiles(count * rows * columns, draw) * _weights(size).to(self.patches.device)
        laid = functional.fold(
            tiles.reshape(count, rows * columns, size * size).transpose(1, 2),
            (rows * step + size - step, columns * step + size - step),
            size,
            stride=step,
        )
        first = size - step + torch.randint(step, (count, 2), generator=draw)
        cut = [
            image[:, y : y + height, x : x + width]
            for image, (y, x) in zip(laid, first.tolist(), strict=True)
        ]
        return torch.stack(cut)

    def _tiles(self, count: int, draw: torch.Generator) -> Tensor:
        """Draw patches in random orientations, (count, size, size)."""
        which = torch.randint(len(self.patches), (count,), generator=draw)
        ways = self.ways.cpu()[torch.randint(len(self.ways), (count,), generator=draw)]
        tiles = self.patches[which.to(self.patches.device)]
        for way in self.ways.tolist():
            mine = (ways == way).to(tiles.device)
            tiles[mine] = turn(tiles[mine], way)
        return tiles


def _weights(size: int) -> Tensor:
    """Give weights (size, size) that rise and fall over the seams, power-complementary."""
    seam = size // OVERLAP
    rise = torch.sin(torch.pi / 2 * (torch.arange(seam) + 0.5) / seam)
    line = torch.cat([rise, torch.ones(size - 2 * seam), rise.flip(0)])
    return torch.outer(line, line)


KERNEL_PX = 2 * LAGS + 1


class _WideConvolution(nn.Conv2d):
    """A convolution of one channel, without a bias, by way of spectra.

    With 31 x 31 weights that takes a thirtieth of the time on a processor, and differs by a
    hundred-thousandth of the result's std at most.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch calls it so
        """Map (batch, 1, height + 30, width + 30) to (batch, 1, height, width)."""
        height, width = input.shape[-2:]
        # Circular: what runs over the border falls on what is cut off.
        shape = next_fast_len(height, real=True), next_fast_len(width, real=True)
        turned = torch.fft.rfft2(self.weight.flip(-2, -1), s=shape)
        whole: Tensor = torch.fft.irfft2(torch.fft.rfft2(input, s=shape) * turned, s=shape)
        return whole[..., KERNEL_PX - 1 : height, KERNEL_PX - 1 : width]


class StationaryGenerator(nn.Module):
    """g1 for any size: a map of white noise becomes noise with even statistics everywhere.

    A linear convolution gives the correlation; it starts as the square root of the measured
    spectrum. A small non-linear path, which starts at nothing, bends every value alike and so gives
    the shape of the histogram; were it to see neighbours, it would undo the correlation.
    `shift` and `gain` hold mean 0 and std 1 exactly.
    """

    shift: Tensor
    gain: Tensor

    def __init__(self, covariance: Values | None = None, width: int = 8) -> None:
        super().__init__()
        self.width = width
        self.linear = _WideConvolution(1, 1, KERNEL_PX, bias=False)
        last = nn.Conv2d(width, 1, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.bend = nn.Sequential(nn.Conv2d(1, width, 1), nn.Tanh(), last)
        self.register_buffer("shift", torch.zeros(()))
        self.register_buffer("gain", torch.ones(()))
        if covariance is not None:
            kernel = np.fft.irfft2(np.sqrt(spectrum(covariance, (64, 64))), (64, 64))[AROUND]
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
        white = torch.randn(count, 1, height + 2 * LAGS, width + 2 * LAGS, generator=draw)
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
