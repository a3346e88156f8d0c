"""Pixels that are no measurement: padding and what is not finite. They teach nothing and stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .run import SILENT, Run
from .stack import Mask, Pixels, Stack

FEWEST_PX = 1000  # of one value and in one piece; fewer may be chance
SOLID_PX = 5  # side of what is all of that value somewhere
EQUAL = 0.02  # of the pixels equal a neighbour: below, there is no padding
MOST_VALUES = 3
PASSES = 8


def unmeasured(stack: Stack, index: int) -> Mask | None:
    """Tell which pixels of a frame are no measurement, (height, width) bool; None for none."""
    mask = _padding(stack.raw_frame(index))
    lost, _ = stack.not_finite.get(index, (None, None))
    if lost is not None:
        mask = np.zeros(stack.frame_shape, bool) if mask is None else mask
        mask.flat[lost] = True
    return mask


def _padding(frame: Pixels) -> Mask | None:
    """Find large pieces of one exact value: borders, masks, what a scanner did not see.

    Not those of the greatest value, which are saturated. Where photons are few, much is zero, but
    no large piece is all zero.
    """
    if min(frame.shape) <= SOLID_PX:
        return None
    equal = frame[1:, 1:] == frame[:-1, :-1]
    if equal.mean() < EQUAL:
        return None
    from scipy.ndimage import maximum_filter, minimum_filter  # loads slowly; seldom needed

    values, counts = np.unique(frame[1:, 1:][equal], return_counts=True)
    found = np.zeros(frame.shape, bool)
    for value in values[np.argsort(-counts)][:MOST_VALUES]:
        alike = frame == value
        if value == frame.max() or alike.sum() < FEWEST_PX:
            continue
        solid = minimum_filter(alike, SOLID_PX, mode="nearest")
        piece = alike & maximum_filter(solid, SOLID_PX, mode="nearest")
        if 2 * piece.sum() > alike.sum() and piece.sum() >= FEWEST_PX:
            found |= piece
    return found if found.any() else None


def measured(stack: Stack, run: Run = SILENT) -> Stack:
    """Give a stack in which what lies around unmeasured pixels goes on, mirrored, in their place.

    So noise and image are continuous for whatever looks at a place and its surroundings. The same
    stack comes back where all is measured.

    Raises
    ------
    Cancelled
        If the run was cancelled; asked before every frame.
    """
    pixels: Pixels | None = None
    for index in range(stack.frame_count):
        run.check()
        mask = unmeasured(stack, index)
        if mask is None or mask.all():
            continue
        if pixels is None:
            pixels = np.array(stack.pixels, dtype=stack.dtype)
        pixels[np.unravel_index(index, stack.shape[:-2])] = _filled(stack.raw_frame(index), mask)
    return stack if pixels is None else replace(stack, pixels=pixels)


def _filled(frame: Pixels, mask: Mask) -> Pixels:
    from scipy.ndimage import distance_transform_edt

    filled, missing = frame.copy(), mask.copy()
    places = np.indices(frame.shape)
    ends = np.array(frame.shape)[:, None, None] - 1
    for _ in range(PASSES):
        nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
        mirrored = tuple(np.clip(2 * nearest - places, 0, ends))
        now = missing & ~missing[mirrored]
        filled[now] = filled[mirrored][now]
        missing &= ~now
        if not missing.any():
            return filled
    filled[missing] = filled[tuple(nearest)][missing]
    return filled


def put_back(pixels: Pixels, stack: Stack) -> None:
    """Put what was no measurement into a result, (frames, height, width), as it was."""
    for index, frame in enumerate(pixels):
        mask = unmeasured(stack, index)
        if mask is not None:
            frame[mask] = stack.raw_frame(index)[mask]
