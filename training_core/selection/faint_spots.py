"""How faint a spot may be and still be seen in the result, measured with spots that are added."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from training_core.denoise.region import Estimator, Region
from training_core.run import Run

from .sure import cut_region

CONTRASTS = (0.5, 1.0, 2.0, 4.0, 8.0)  # height of a spot, in std of the noise
SPOT_PX, SIDE_PX = 1.3, 13  # std of a spot as sharp optics draw it, and the square that holds it
APART_PX = 24  # so that none is seen with another
CROPS, CROP_PX = 3, 192  # some 190 spots, near 40 of each height
HALF = 0.5


@dataclass(frozen=True, slots=True)
class FaintSpots:
    """The share of the height of spots that is `kept` for each of `CONTRASTS`, a median of many.

    `sigma` is the std of the noise in stack units, which is the height of a spot of contrast 1.
    """

    kept: tuple[float, ...]
    sigma: float

    @property
    def half(self) -> float:
        """The contrast from which on half of a spot is left; infinite if it is above all."""
        logs = np.log(CONTRASTS)
        lost = [number for number, share in enumerate(self.kept) if share < HALF]
        if not lost:
            return CONTRASTS[0]
        last = lost[-1]
        if last == len(CONTRASTS) - 1:
            return math.inf
        below, above = self.kept[last : last + 2]
        part = (HALF - below) / (above - below)
        return float(np.exp(logs[last] + part * (logs[last + 1] - logs[last])))

    def to_dict(self) -> dict[str, Any]:
        """Give plain values for JSON; `half` is None where no contrast is high enough."""
        kept = {f"{c:g}": round(share, 3) for c, share in zip(CONTRASTS, self.kept, strict=True)}
        half = round(self.half, 2) if math.isfinite(self.half) else None
        return {"kept": kept, "half": half, "sigma": self.sigma}


@torch.no_grad()
def faint_spots(
    noisy: Sequence[Region], estimator: Estimator, run: Run, *, put_back: float = 0.0
) -> FaintSpots:
    """Add spots to noisy regions of one channel and ask what the estimator leaves of them.

    The noise that more light brings is not added. What is left is the part of the change that has
    the form of the spot, so that a blurred one counts for less. `put_back` is the share of what is
    removed that is put back afterwards.
    """
    found: list[list[float]] = [[] for _ in CONTRASTS]
    for turn, region in enumerate(noisy[:CROPS]):
        run.check()
        begins = (max(0, (n - CROP_PX) // 2) for n in region.image.shape)
        rows, columns = (slice(begin, begin + CROP_PX) for begin in begins)
        crop = cut_region(region, (rows, columns))  # the middle
        curve = crop.channel.noise.curve
        sigma = float(np.mean(curve(crop.image.cpu().numpy())))
        spots = list(_spots(crop.image.shape, turn))
        added = torch.zeros_like(crop.image)
        for which, y, x in spots:
            spot = torch.from_numpy(CONTRASTS[which] * sigma * SPOT).to(added)
            added[y : y + SIDE_PX, x : x + SIDE_PX] = spot
        near = None if crop.neighbours is None else crop.neighbours + added
        brighter = replace(crop, image=crop.image + added, neighbours=near)
        change = (estimator(brighter) - estimator(crop)).cpu().double().numpy() / sigma
        for which, y, x in spots:
            left = float((change[y : y + SIDE_PX, x : x + SIDE_PX] * SPOT).sum() / POWER)
            found[which].append(put_back + (1 - put_back) * left / CONTRASTS[which])
    kept = tuple(float(np.median(each)) if each else 1.0 for each in found)
    return FaintSpots(kept, noisy[0].channel.noise.stack_sigma())


def _spots(shape: torch.Size, turn: int) -> Iterator[tuple[int, int, int]]:
    """Give for each spot the number of its contrast and its upper left corner."""
    rows, columns = (range(SIDE_PX // 2, n - SIDE_PX, APART_PX) for n in shape)
    for number, (y, x) in enumerate((y, x) for y in rows for x in columns):
        yield (number + turn) % len(CONTRASTS), y, x


_PROFILE = np.exp(-np.square(np.arange(SIDE_PX) - SIDE_PX // 2) / (2 * SPOT_PX**2))
SPOT = np.outer(_PROFILE, _PROFILE)  # of height 1
POWER = float(np.square(SPOT).sum())
