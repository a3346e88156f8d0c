"""Flat areas: where nothing shows but what denoising leaves of noise alone, that is evened out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training_core.noise.strength_curve import NoiseCurve

from .dct_filter import (
    add_up,
    block_coefficients,
    block_waves,
    lay_blocks,
    local_sigma,
    pad_for_blocks,
)

Numbers = NDArray[np.float32]

CELLS_PX = (4, 8)  # pixels are averaged in cells of this side, the smaller first
BLOCK, STEP = 16, 4  # cells
RADII = (1.9, 3.9, 7.9)  # of the DCT's index, where the next of the bands begins
BANDS = len(RADII) + 1
TESTS = BANDS + 3
QUANTILE = 0.999  # of the blocks of noise alone that pass one of the tests
# The worst of 24 tests left .059 of the noise without it, .051 with it, .049 with 1.4.
MARGIN = 1.2  # over that quantile, for what so few blocks do not show
# The noise of Confocal_FISH reaches 5.7, and such a limit would erase real dots.
MOST = 3.0  # std of the noise: what stands out so far is no noise, unless much of it does


@dataclass(frozen=True, eq=False)
class FlatScale:
    """Evens out blocks of 16 x 16 cells that differ in nothing from denoised noise on a constant.

    Attributes
    ----------
    cell_px
        Side of a cell.
    powers
        Mean square of each DCT coefficient of the cells that denoising leaves of noise alone, for
        noise of variance 1, (256,) float32.
    limits
        What noise alone hardly ever exceeds, (7,) float32: four radial bands' mean square over
        `powers`, the mean square of what is finer than the cells over the noise's variance, and how
        far the brightest and the darkest pixel are from the block's mean, in std of the noise (at
        most 3, or what three pixels in a thousand of the noise itself exceed).
    """

    cell_px: int
    powers: Numbers
    limits: Numbers

    @property
    def halo_px(self) -> int:
        """How far an output pixel sees: the blocks over its cell and the cells beside it."""
        return self.cell_px * (BLOCK + 1)

    @property
    def grid_px(self) -> int:
        """Blocks begin on multiples of this."""
        return self.cell_px * STEP

    def __call__(self, estimate: Tensor, curve: NoiseCurve, strength: Tensor | None) -> Tensor:
        """Even out (1, 1, height, width); what is not flat stays as it is to the last bit."""
        cells, fine = in_cells(estimate, self.cell_px)
        coefficients = block_coefficients(cells[:1], BLOCK, STEP)
        limits = torch.from_numpy(self.limits).to(estimate.device)[:, None, None]
        flat = self._tested(cells, coefficients, curve, strength) <= limits
        flat = flat.all(dim=1, keepdim=True).float()
        if not flat.any():
            return estimate
        coefficients *= flat
        coefficients[:, 0] = 0  # the mean is signal
        waves = lay_blocks(
            coefficients, block_waves(BLOCK), STEP, cells.shape[-2:], torch.ones_like(flat)
        )
        away = torch.cat([waves, _share(flat, cells.shape[-2:])])
        slow, share = enlarged(away, self.cell_px, estimate.shape[-2:])
        made: Tensor = estimate - slow - share * fine
        return made

    def tests(self, estimate: Tensor, curve: NoiseCurve, strength: Tensor | None = None) -> Tensor:
        """Give for each block of (1, 1, height, width) what `limits` limits: (1, 7, rows, cols)."""
        cells, _ = in_cells(estimate, self.cell_px)
        return self._tested(cells, block_coefficients(cells[:1], BLOCK, STEP), curve, strength)

    def _tested(
        self, cells: Tensor, coefficients: Tensor, curve: NoiseCurve, strength: Tensor | None
    ) -> Tensor:
        mean = coefficients[:, :1] / BLOCK
        variance = local_sigma(curve, mean).square()
        if strength is not None:
            power, _ = in_cells(strength.square()[None, None], self.cell_px)
            power = pad_for_blocks(power[:1], BLOCK, STEP)
            variance = variance * functional.avg_pool2d(power, BLOCK, STEP)
        weights = torch.from_numpy(_bands() / np.maximum(self.powers, 1e-30)).to(mean.device)
        bands = torch.einsum("kc,bcij->bkij", weights, coefficients.square()) / variance
        padded = pad_for_blocks(cells[1:], BLOCK, STEP)
        fine = functional.avg_pool2d(padded[:1], BLOCK, STEP) / variance
        ends = functional.max_pool2d(padded[1:], BLOCK, STEP).transpose(0, 1)
        apart = (ends + torch.cat([-mean, mean], dim=1)) / variance.sqrt()
        return torch.cat([bands, fine, apart], dim=1)


def _share(flat: Tensor, shape: Sequence[int]) -> Tensor:
    """Give what share of the blocks over each cell is flat, (1, 1, rows, columns)."""
    ones = flat.new_ones(1, 1, BLOCK, BLOCK)
    laid = add_up(torch.cat([flat, torch.ones_like(flat)]), ones, STEP)
    share = laid[:1] / laid[1:]
    return share[..., BLOCK : BLOCK + shape[0], BLOCK : BLOCK + shape[1]]


def in_cells(image: Tensor, cell_px: int) -> tuple[Tensor, Tensor]:
    """Give of the cells of (1, 1, height, width) what the tests are about, and what is finer.

    Of each cell it is the mean, the mean square of what is finer, the greatest value and the
    greatest negated one, (4, 1, rows, columns).
    """
    below, right = (-n % cell_px for n in image.shape[-2:])
    whole = functional.pad(image, (0, right, 0, below), mode="replicate")
    mean = functional.avg_pool2d(whole, cell_px)
    fine = whole - enlarged(mean, cell_px, whole.shape[-2:])
    ends = functional.max_pool2d(torch.cat([whole, -whole]), cell_px)
    cells = torch.cat([mean, functional.avg_pool2d(fine.square(), cell_px), ends])
    return cells, fine[..., : image.shape[-2], : image.shape[-1]]


def enlarged(cells: Tensor, cell_px: int, shape: Sequence[int]) -> Tensor:
    """Interpolate images of cells to pixels, cut to a shape."""
    pixels = functional.interpolate(cells, scale_factor=float(cell_px), mode="bilinear")
    return pixels[..., : shape[0], : shape[1]]


def _bands() -> Numbers:
    """Give the weights that average over each band, (4, 256); the mean is in none."""
    down, across = np.divmod(np.arange(BLOCK**2), BLOCK)
    radius = np.hypot(down, across)
    band = np.digitize(radius, RADII)
    member = (band == np.arange(BANDS)[:, None]) & (radius > 0)
    weights: Numbers = (member / member.sum(axis=1, keepdims=True)).astype(np.float32)
    return weights


@dataclass(frozen=True, eq=False)
class FlatAreas:
    """Evens out the areas that show only what a denoiser leaves of noise, scale by scale.

    It is a test, not a filter: shrinking all slow waves costs weak structure everywhere, while a
    block that fails here keeps its values.
    """

    scales: tuple[FlatScale, ...]

    @property
    def halo_px(self) -> int:
        """How far an output pixel sees, rounded up to the grid."""
        return -(-sum(scale.halo_px for scale in self.scales) // self.grid_px) * self.grid_px

    @property
    def grid_px(self) -> int:
        """Tiles must begin on multiples of this."""
        return max((scale.grid_px for scale in self.scales), default=1)

    def __call__(
        self, estimate: Tensor, curve: NoiseCurve, strength: Tensor | None = None
    ) -> Tensor:
        """Even out the flat areas of a denoised frame in stabilised units, (height, width).

        `strength`, of the same size, is the share of the noise's std that was in each pixel of what
        was denoised; None for 1. What is not in a flat area keeps its value to the last bit.
        """
        made = estimate[None, None]
        for scale in self.scales:
            made = scale(made, curve, strength)
        return made[0, 0]

    def to_tensors(self) -> dict[str, Tensor]:
        """Give all there is to keep, for a file."""
        return {
            "cells_px": torch.tensor([scale.cell_px for scale in self.scales]),
            "powers": torch.from_numpy(np.stack([scale.powers for scale in self.scales])),
            "limits": torch.from_numpy(np.stack([scale.limits for scale in self.scales])),
        }

    @classmethod
    def from_tensors(cls, kept: Mapping[str, Tensor]) -> FlatAreas:
        """Build it from `to_tensors`; KeyError, RuntimeError or ValueError if they do not fit."""
        cells = [int(px) for px in kept["cells_px"]]
        powers = kept["powers"].float().reshape(len(cells), BLOCK**2).numpy()
        limits = kept["limits"].float().reshape(len(cells), TESTS).numpy()
        if not cells or min(cells) < 1:
            raise ValueError(f"Cells of {cells} px cannot be.")
        return cls(tuple(map(FlatScale, cells, powers, limits)))


def learned(
    left: Iterable[Tensor],
    curve: NoiseCurve,
    cells: Sequence[int] = CELLS_PX,
    most: float = MOST,
) -> FlatAreas:
    """Learn from denoised noise on a constant, each (height, width), scale by scale."""
    scales, images = [], [image[None, None] for image in left]
    for cell_px in cells:
        scale = _learned(images, curve, cell_px, most)
        images = [scale(image, curve, None) for image in images]
        scales.append(scale)
    return FlatAreas(tuple(scales))


def _learned(images: Sequence[Tensor], curve: NoiseCurve, cell_px: int, most: float) -> FlatScale:
    powers = torch.stack([_unit_powers(image, curve, cell_px) for image in images]).mean(dim=0)
    even = FlatScale(cell_px, powers.cpu().numpy(), np.zeros(TESTS, np.float32))
    tested = torch.cat([even.tests(image, curve).flatten(2)[0] for image in images], dim=1)
    limits = MARGIN * torch.quantile(tested, QUANTILE, dim=1)
    limits[-2:] = limits[-2:].clamp(max=most)
    return FlatScale(cell_px, even.powers, limits.cpu().numpy())


def _unit_powers(image: Tensor, curve: NoiseCurve, cell_px: int) -> Tensor:
    """Give the mean square of each coefficient over the noise's variance, (256,)."""
    coefficients = block_coefficients(in_cells(image, cell_px)[0][:1], BLOCK, STEP)
    variance = local_sigma(curve, coefficients[:, :1] / BLOCK).square()
    return (coefficients.square() / variance).mean(dim=(0, 2, 3))
