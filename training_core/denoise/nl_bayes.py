"""NL-Bayes: similar patches filtered together, by what a pilot estimate says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training_core.noise.covariance import patch_covariance
from training_core.noise.strength_curve import NoiseCurve
from training_core.run import SILENT, Run
from training_core.stack import Values

from .dct_filter import local_sigma, mirror

PATCH_PX = 8  # and the step of the grid: 4 px gain .03 dB at most and take three times as long
REACH_PX = 12  # similar patches are looked for so far away
SIDE = 2 * REACH_PX + 1
SIMILAR = 128  # 90 have 32.47 dB for 32.50 on TwoPhoton_MICE
FAR = 1e4  # stands outside the frame, where no patch may be taken
BAND = 8  # rows of the grid whose patches are compared at a time: what fits into the cache
FIRM = 1e-4  # keeps the covariance regular where there is hardly any noise
SMALL = 16  # matrices up to this side are factorised as they are


@dataclass(frozen=True, eq=False)
class CollaborativeFilter:
    """Filters similar patches together, by what a pilot estimate says of their covariance.

    For each patch of a grid the most similar ones nearby are found in the pilot; their mean and
    covariance give the best linear estimate x = m + C (C + N)^-1 (z - m) for noise with the
    covariance N (Lebrun, Buades and Morel, SIAM J. Imaging Sci. 6, 2013, Eqn (2.10)).

    It goes by rows of the grid, so that what it works on stays in the cache, and the grid gives
    every sum its order: what a pixel becomes does not depend on the tile it is in.
    """

    covariance: Values
    curve: NoiseCurve

    halo_px: ClassVar[int] = 2 * (REACH_PX + PATCH_PX)

    def __call__(
        self, noisy: Tensor, pilot: Tensor, run: Run = SILENT, strength: Tensor | None = None
    ) -> Tensor:
        """Filter a stabilised frame (height, width) with its pilot, both float32.

        `strength`, of the same size, says what share of the noise's std is in each pixel; None: 1.
        """
        height, width = noisy.shape
        edges = (0, _missing(width), 0, _missing(height))
        noisy, pilot = (mirror(x[None, None], edges)[0, 0] for x in (noisy, pilot))
        power = None
        if strength is not None:
            power = mirror(strength.square()[None, None], edges)
            power = functional.avg_pool2d(power, PATCH_PX, 1)[0, 0]
        unit = patch_covariance(self.covariance, PATCH_PX).astype(np.float32)
        noise = torch.from_numpy(unit).to(noisy.device)
        rows, columns = (n - PATCH_PX + 1 for n in noisy.shape)
        total = noisy.new_zeros(rows, columns, PATCH_PX, PATCH_PX)
        count = noisy.new_zeros(rows, columns)
        for y, shifts in _similar(pilot, run):
            run.check()
            top, below = max(y - REACH_PX, 0), min(y + REACH_PX + 1, rows)
            places = _positions(shifts, y - top, below - top, columns)
            seen, guess = (
                _patches(image[top : below + PATCH_PX - 1], places.flatten())
                for image in (noisy, pilot)
            )
            share = None if power is None else power[top:below].flatten()[places].mean(dim=1)
            made = self._together(seen, guess, noise, share)
            sums, times = _gathered(made, places.flatten(), (below - top) * columns)
            total[top:below] += sums.view_as(total[top:below])
            count[top:below] += times.view_as(count[top:below])
        alike = count[..., None, None].expand(rows, columns, PATCH_PX, PATCH_PX)
        return (_laid(total) / _laid(alike))[:height, :width]

    def _together(self, seen: Tensor, guess: Tensor, noise: Tensor, share: Tensor | None) -> Tensor:
        """Estimate groups of `SIMILAR` patches, all (patches, 64); `share` of the noise's power.

        As z - N (C + N)^-1 (z - m), which is the same and rounds less where the signal is strong.
        """
        seen, guess = (x.view(-1, SIMILAR, PATCH_PX**2) for x in (seen, guess))
        middle = guess.mean(dim=1, keepdim=True)
        guess = guess.sub_(middle)
        signal = torch.bmm(guess.transpose(1, 2), guess).div_(SIMILAR - 1)
        power = local_sigma(self.curve, middle.mean(dim=2, keepdim=True)).square()
        own = noise * (power if share is None else power * share.reshape(-1, 1, 1))
        own.diagonal(dim1=1, dim2=2).add_(FIRM)
        root = inverse_root(signal.add_(own))
        weights = torch.bmm(root.transpose(1, 2), torch.bmm(root, own))
        away = torch.sub(seen, seen.mean(dim=1, keepdim=True), out=guess)
        return seen.baddbmm_(away, weights, alpha=-1).flatten(0, 1)


def inverse_root(matrices: Tensor) -> Tensor:
    """Give R with R'R = A^-1 for positive definite A, (count, n, n): the inverse Cholesky factor.

    By halves, so that nearly all of it is products of matrices, which run at full speed where the
    factorisation of many small ones does not.
    """
    size = matrices.shape[-1]
    if size <= SMALL:
        factor = torch.linalg.cholesky_ex(matrices).L
        one = torch.eye(size, device=matrices.device).expand_as(factor)
        small: Tensor = torch.linalg.solve_triangular(factor, one, upper=False)
        return small
    half = size // 2
    first = inverse_root(matrices[:, :half, :half])
    across = torch.bmm(matrices[:, half:, :half], first.transpose(1, 2))
    rest = torch.baddbmm(matrices[:, half:, half:], across, across.transpose(1, 2), alpha=-1)
    second = inverse_root(rest)
    root = torch.empty_like(matrices)
    root[:, :half, :half], root[:, :half, half:], root[:, half:, half:] = first, 0, second
    root[:, half:, :half] = torch.bmm(torch.bmm(second, across), first).neg_()
    return root


def _missing(length: int) -> int:
    """How many pixels the grid of patches lacks at the far end."""
    return -length % PATCH_PX


def _similar(pilot: Tensor, run: Run) -> Iterator[tuple[int, Tensor]]:
    """Give each row of the grid, and where the patches most similar to those in it are.

    As numbers of shifts, row by row from (-reach, -reach) on, (patches, SIMILAR) int64.
    """
    height, width = pilot.shape
    around = functional.pad(pilot[None, None], (REACH_PX,) * 4, value=FAR)[0, 0]
    across = around.unfold(1, width, 1).transpose(0, 1)  # (shifts, height + 2 reach, width)
    for top in range(0, height, BAND * PATCH_PX):
        band = pilot[top : top + BAND * PATCH_PX]
        apart = []
        for y in range(top, top + SIDE):
            run.check()
            apart.append(_on_grid((band - across[:, y : y + len(band)]).square_()))
        distances = torch.cat(apart)
        # Itself comes first, also where all around are equal: none is left out.
        distances[SIDE * REACH_PX + REACH_PX] = -1.0
        ranked = distances.movedim(0, -1).contiguous().topk(SIMILAR, largest=False, sorted=False)
        for row, shifts in enumerate(ranked.indices):
            yield top + PATCH_PX * row, shifts


def _on_grid(squares: Tensor) -> Tensor:
    """Sum (count, height, width) over the patches of the grid, alike wherever they lie."""
    count, height, width = squares.shape
    sums = squares.view(count, height // PATCH_PX, PATCH_PX, width)
    for half in (4, 2, 1):
        sums = sums[:, :, :half] + sums[:, :, half:]
    sums = sums.view(count, height // PATCH_PX, width // PATCH_PX, PATCH_PX)
    for half in (4, 2, 1):
        sums = sums[..., :half] + sums[..., half:]
    return sums[..., 0]


def _positions(shifts: Tensor, middle: int, rows: int, columns: int) -> Tensor:
    """Give the flat positions, among `rows` x `columns`, of patches shifted from row `middle`."""
    x = PATCH_PX * torch.arange(len(shifts), device=shifts.device)[:, None]
    down = (middle + shifts // SIDE - REACH_PX).clamp_(0, rows - 1)
    return down * columns + (x + shifts % SIDE - REACH_PX).clamp_(0, columns - 1)


def _patches(image: Tensor, places: Tensor) -> Tensor:
    """Give the patches of an image at `places`, numbers of positions row by row: (places, 64)."""
    height, columns = len(image), image.shape[1] - PATCH_PX + 1
    # In columns of pieces 8 px wide the 64 pixels of a patch follow each other: nothing is copied.
    pieces = image.unfold(1, PATCH_PX, 1).transpose(0, 1).contiguous()
    size = PATCH_PX**2
    every = pieces.as_strided(((pieces.numel() - size) // PATCH_PX + 1, size), (PATCH_PX, 1))
    return every.index_select(0, places % columns * height + places // columns)


def _gathered(made: Tensor, places: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Sum estimates, (patches, 64), by their places 0 to `count` - 1, and count them."""
    times = torch.bincount(places, minlength=count)
    if places.device.type == "cpu" and count < 2**16:  # so few are sorted by their digits
        order = torch.from_numpy(np.argsort(places.numpy().astype(np.uint16), kind="stable"))
    else:
        order = places.argsort(stable=True)
    return functional.embedding_bag(order, made, times.cumsum(0) - times, mode="sum"), times


def _laid(patches: Tensor) -> Tensor:
    """Add up the patches of all positions, (rows, columns, 8, 8), in the image they are of."""
    rows, columns = patches.shape[:2]
    wide = patches.new_zeros(rows, columns + PATCH_PX - 1, PATCH_PX)
    for x in range(PATCH_PX):
        wide[:, x : x + columns] += patches[..., x]
    image = patches.new_zeros(rows + PATCH_PX - 1, wide.shape[1])
    for y in range(PATCH_PX):
        image[y : y + rows] += wide[..., y]
    return image
