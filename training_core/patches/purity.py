"""Whether there are enough patches and they hold noise alone: a count says not what they show.

In pure noise, whatever its spectrum, slow waves and all of a patch stand in one proportion to its
finest detail, up to chance. Where structure is, they stand above it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from training_core.run import SILENT, Run
from training_core.settings import PatchSettings
from training_core.stack import Stack, spread
from training_core.wording import percent

from .flatness import LOWEST, block_freedom, window_energies
from .smooth_patches import (
    SmoothPatches,
    Verdict,
    blank_channels,
    find_smooth_patches,
    finer,
    split_channels,
)
from .window_moments import Frame, Map
from .window_scores import Unfit, even_and_unfit

LOOKED_AT = 8  # frames
SOME, MUCH = 0.05, 0.3  # share of the patches with structure: told, and too much to learn from
RARE = 0.999  # of pure patches lie below the limit
MARGIN = 1.05


def judged_patches(
    stack: Stack, settings: PatchSettings | None = None, *, run: Run = SILENT
) -> SmoothPatches:
    """Choose the smooth patches of each channel, as training does, and judge what they hold.

    The verdict is that of the worst channel, but for those in which there is nothing to search:
    training leaves these as they are.

    Raises
    ------
    Cancelled
        If the run was cancelled.
    """
    settings = settings or PatchSettings()
    found = []
    for number, channel in enumerate(split_channels(stack)):
        one = find_smooth_patches(channel, settings, run=run)
        share = structured_share(channel, one, run=run)
        numbers = _frame_numbers(stack, number)
        locations = one.locations.copy()
        locations[:, 0] = numbers[locations[:, 0]]
        found.append(replace(one, locations=locations, verdict=_pure(one, settings, share)))
    if len(found) == 1:
        return found[0]
    some_without = any(not one.count for one in found)
    return _joined(found, blank_channels([stack], settings) if some_without else [])


def _frame_numbers(stack: Stack, channel: int) -> NDArray[np.int32]:
    """Give the numbers that the frames of a channel have in the whole stack."""
    every = np.arange(stack.frame_count, dtype=np.int32)
    if "C" not in stack.axes:
        return every
    every = every.reshape(stack.shape[:-2])
    return every.take(channel, axis=stack.axes.index("C")).ravel()


def _pure(found: SmoothPatches, settings: PatchSettings, share: float) -> Verdict:
    """Give the verdict with what the patches hold, where that is worse than their number."""
    verdict = found.verdict
    if verdict.level == "red" or share < SOME:
        return verdict
    automatic = settings.strictness is None
    usual = PatchSettings(most=settings.most, areas=settings.areas)
    remedy = finer(settings) if automatic else usual
    advice = "Use a smaller patch" if automatic else "Let them be chosen automatically"
    sentence = f"{percent(share)} of the {found.count} patches hold structure, not noise alone. "
    level = "red" if share >= MUCH and not automatic else "amber"
    return Verdict(level, f"{sentence}{advice}.", remedy)  # type: ignore[arg-type]


def _joined(found: Sequence[SmoothPatches], blank: Sequence[int]) -> SmoothPatches:
    """Give the patches of all channels, with the verdict of the worst of those not blank."""
    order = ("green", "amber", "red")
    judged = [number for number in range(len(found)) if number not in blank]
    worst = max(judged, key=lambda n: order.index(found[n].verdict.level))
    verdict = found[worst].verdict
    if verdict.level != "green":
        verdict = replace(verdict, sentence=f"Channel {worst + 1}: {verdict.sentence}")
    locations = np.concatenate([one.locations for one in found])
    by_frame = np.argsort(locations[:, 0], kind="stable")
    return replace(
        found[worst],
        locations=locations[by_frame],
        scores=np.concatenate([one.scores for one in found])[by_frame],
        coverage=math.fsum(one.coverage for one in found) / len(found),
        verdict=verdict,
    )


def structured_share(stack: Stack, patches: SmoothPatches, *, run: Run = SILENT) -> float:
    """Give the share of the chosen patches that hold more than noise, on up to 8 frames.

    The calmest fiftieth of the usable windows of these frames says what noise alone is like.

    Raises
    ------
    Cancelled
        If the run was cancelled; it is asked once per frame.
    """
    size, stride = patches.patch_size_px, patches.stride_px
    known = np.unique(patches.locations[:, 0])
    calm: list[Map] = []
    mine: list[Map] = []
    for place in spread(known.size, LOOKED_AT):
        run.check()
        index = int(known[place])
        frame = stack.frame(index)
        even, unfit = even_and_unfit(frame, size, stride, ct=stack.value_unit == "HU")
        seen = _proportions(even, size, stride)
        calm.append(seen[:, unfit == Unfit.FIT])
        tops, lefts = patches.locations[patches.locations[:, 0] == index, 1:].T // stride
        mine.append(seen[:, tops, lefts])
    every = np.concatenate(calm, axis=1) if calm else np.empty((2, 0))
    if not every.size:
        return 0.0
    above = np.concatenate(mine, axis=1) > _limits(every, size)[:, None]
    return float(above.any(axis=0).mean())


def _limits(calm: Map, size: int) -> Map:
    """Give what slow waves and all of a pure window hardly ever exceed, over its finest detail.

    Of how many independent numbers they are made follows from the size and from how far the noise
    is correlated, which slow waves over all of a calm window tell.
    """
    slow, whole = np.quantile(calm, LOWEST, axis=1)
    area_px = max(slow / max(whole, np.finfo(np.float64).tiny), 1.0)
    chances = [
        float(gammaincinv(freedom / 2, RARE) / gammaincinv(freedom / 2, LOWEST))
        for freedom in (block_freedom(size), max(size**2 / area_px, 1.0))
    ]
    return MARGIN * np.array([slow, whole]) * chances


def _proportions(frame: Frame, size: int, stride: int) -> Map:
    """Give slow waves and all of each window over its finest detail, (2, rows, cols)."""
    slow, whole, fine = window_energies(frame, size, stride)
    infinite = np.full_like(fine, np.inf)
    return np.stack(
        [np.divide(part, fine, out=infinite.copy(), where=fine > 0) for part in (slow, whole)]
    )
