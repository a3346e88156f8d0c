"""The noise patches: the pixels of the smooth patches of all stacks, channel by channel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .errors import TooFewPatchesError
from .smooth_patches import NEEDED, cut_patches, find_smooth_patches, spread_evenly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .checkpoint import Checkpoint
    from .run import Run
    from .settings import PatchSettings
    from .smooth_patches import SmoothPatches
    from .stack import Stack

    Image = NDArray[np.float32]


def cut_noise_patches(
    stacks: Sequence[Stack],
    settings: PatchSettings,
    run: Run,
    checkpoint: Checkpoint,
    evened: Sequence[Stack] | None = None,
) -> list[Image]:
    """Find and cut the noise patches of each channel, (count, size, size) float32 in stack units.

    Parameters
    ----------
    checkpoint
        Keeps where the patches are.
    evened
        The same stacks with noise of the same strength everywhere, which the patches are cut from;
        None: they are cut from where they were found.

    Raises
    ------
    TooFewPatchesError
        If a channel has too few of them to learn from.
    """
    size = settings.patch_size_px
    found: dict[int, list[tuple[Stack, SmoothPatches]]] = {}
    parts = [each for stack in stacks for each in enumerate(split_channels(stack))]
    sources = [part for stack in evened or stacks for part in split_channels(stack)]
    for index, ((number, channel), source) in enumerate(zip(parts, sources, strict=True)):
        part = checkpoint.part(f"patches-{index}")
        patches = find_smooth_patches(channel, settings, run=run, part=part)
        size = min(size, patches.patch_size_px)
        found.setdefault(number, []).append((source, patches))
    channels = [found[number] for number in sorted(found)]
    joined = [_cut_at_most(settings.most, one, size) for one in channels]
    _refuse_too_few(joined, [one[0][1].verdict.sentence for one in channels], run)
    return joined


def _cut_at_most(most: int, found: Sequence[tuple[Stack, SmoothPatches]], size: int) -> Image:
    """Cut no more than `most` of the patches of all stacks, evenly; memory is taken for no more."""
    ends = np.cumsum([patches.count for _, patches in found])
    kept = spread_evenly(int(ends[-1]), most)
    parts = np.split(kept, np.searchsorted(kept, ends[:-1]))
    cut = []
    for (stack, patches), end, part in zip(found, ends, parts, strict=True):
        locations = patches.locations[part - (end - patches.count)]
        cut.append(cut_patches(stack, replace(patches, locations=locations))[:, :size, :size])
    return np.concatenate(cut)


def split_channels(stack: Stack) -> list[Stack]:
    """Part a stack by its channels: the smoothest of one would crowd out those of another."""
    if "C" not in stack.axes:
        return [stack]
    parts = np.moveaxis(stack.pixels, stack.axes.index("C"), 0)
    return [replace(stack, pixels=part, axes=stack.axes.replace("C", "")) for part in parts]


def _refuse_too_few(joined: Sequence[Image], sentences: Sequence[str], run: Run) -> None:
    for number, (patches, sentence) in enumerate(zip(joined, sentences, strict=True), start=1):
        told = f"Channel {number}: {sentence}" if len(joined) > 1 else sentence
        if len(patches) < NEEDED // 3:
            raise TooFewPatchesError(told)
        if len(patches) < NEEDED:
            run.note(told, warning=True)
