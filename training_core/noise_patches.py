"""The noise patches: the pixels of the smooth patches of all stacks, channel by channel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .errors import TooFewPatchesError
from .smooth_patches import NEEDED, cut_patches, find_smooth_patches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .checkpoint import Checkpoint
    from .run import Run
    from .settings import PatchSettings
    from .stack import Stack

    Image = NDArray[np.float32]


def cut_noise_patches(
    stacks: Sequence[Stack], settings: PatchSettings, run: Run, checkpoint: Checkpoint
) -> list[Image]:
    """Find and cut the noise patches of each channel, (count, size, size) float32 in stack units.

    Parameters
    ----------
    checkpoint
        Keeps where the patches are.

    Raises
    ------
    TooFewPatchesError
        If a channel has too few of them to learn from.
    """
    size = settings.patch_size_px
    cut: dict[int, list[Image]] = {}
    sentences: dict[int, str] = {}
    parts = [each for stack in stacks for each in enumerate(split_channels(stack))]
    for index, (number, channel) in enumerate(parts):
        part = checkpoint.part(f"patches-{index}")
        patches = find_smooth_patches(channel, settings, run=run, part=part)
        size = min(size, patches.patch_size_px)
        cut.setdefault(number, []).append(cut_patches(channel, patches))
        sentences.setdefault(number, patches.verdict.sentence)
    joined = [np.concatenate([each[:, :size, :size] for each in cut[n]]) for n in sorted(cut)]
    _refuse_too_few(joined, [sentences[number] for number in sorted(sentences)], run)
    return joined


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
