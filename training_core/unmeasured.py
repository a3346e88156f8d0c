"""Pixels that are no measurement: padding, not finite, hot, dead. They teach nothing.

Padding and what is not finite stay as they are; a hot pixel gets what is under it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .frames import Pixels, made_frames
from .run import SILENT, Run
from .stack import SMALLEST_PX, Image, Mask, Stack, Values, float_of, is_blank

FEWEST_PX = 1000  # of one value and in one piece; fewer may be chance
SOLID_PX = 5  # side of what is all of that value somewhere
EQUAL = 0.02  # of the pixels equal a neighbour: below, there is no padding
MOST_VALUES = 3  # such as a border, a mask and the bar of a scan
NEARLY_ALL = 0.9  # of the pixels of one value lie in large pieces: then it is padding's alone
MOSTLY = 0.5  # of the pixels of a line of a bar have its colour, which writing leaves
WRITTEN = 0.25  # of the pixels of writing have one value, where noise has many
PASSES = 8  # each mirrors as far as the pixels that are known reach
ALONE = 0.1  # of its own excess: what the eight pixels around a hot one have, where a spot has .3
SURPRISING = 3.0  # times what one pixel in a hundred has above its surroundings
BRIGHTNESSES, FEWEST_ALIKE = 16, 2000  # noise is as strong in pixels of one brightness
SAMPLED_PX = 1024 * 1024
FEWEST_HOT, MOST_HOT = 5, 0.01  # in a frame: a few may be what was seen; share of the pixels


def unmeasured(stack: Stack, index: int) -> Mask | None:
    """Tell which pixels of a frame are no measurement, (height, width) bool; None for none."""
    frame = stack.raw_frame(index)
    if is_blank(frame):
        return np.ones(stack.frame_shape, bool)
    mask = _padding(frame)
    lost, _ = stack.not_finite.get(index, (None, None))
    if lost is not None:
        mask = np.zeros(stack.frame_shape, bool) if mask is None else mask
        mask.flat[lost] = True
    return mask


def _padding(frame: Pixels) -> Mask | None:
    """Find large pieces of one exact value: borders, masks, what a scanner did not see.

    Not those of the greatest value, which are saturated, unless they fill whole lines as the bar
    below a scan does, or nothing is nearly as bright. Where photons are few, much is zero, but no
    large piece is all zero.
    """
    if min(frame.shape) <= SOLID_PX:
        return None
    edges, equal = _edges(frame), frame[1:, 1:] == frame[:-1, :-1]
    if equal.mean() < EQUAL:
        return edges
    from scipy.ndimage import binary_propagation, maximum_filter, minimum_filter  # loads slowly

    values, counts = np.unique(frame[1:, 1:][equal], return_counts=True)
    found = np.zeros(frame.shape, bool)
    for value in values[np.argsort(-counts)][:MOST_VALUES]:
        alike = frame == value
        if value == frame.max() and not _stands_apart(frame[~alike], value):
            alike &= _fills_lines(alike, axis=1) | _fills_lines(alike, axis=0)
        if alike.sum() < FEWEST_PX:
            continue
        solid = minimum_filter(alike, SOLID_PX, mode="nearest")
        share = float(alike.mean())
        if 2 * solid.mean() > share + share ** (SOLID_PX**2):  # what chance makes of as many
            here = alike & maximum_filter(solid, SOLID_PX, mode="nearest")
            if here.sum() > NEARLY_ALL * alike.sum():  # its thin ends, too
                here = binary_propagation(here, np.ones((3, 3), bool), alike)
            found |= here
    if not found.any():
        return edges
    found = _with_writing(frame, found)
    return found if edges is None else found | edges


def _edges(frame: Pixels) -> Mask | None:
    """Find lines of one value along the edges, however few, as the correction of drift leaves them.

    Not where that value is found inside, too.
    """
    outermost = (frame[0], frame[-1], frame[:, 0], frame[:, -1])
    if not any((line == line[0]).all() for line in outermost):
        return None  # the usual case, told fast
    found = np.zeros(frame.shape, bool)
    for lines, mask in ((frame, found), (frame.T, found.T)):
        blank = (lines == lines[:, :1]).all(axis=1)
        for way in (1, -1):
            mask[::way][: int(np.logical_and.accumulate(blank[::way]).sum())] = True
    if found.all():
        return None
    values = np.unique(frame[found])
    inside = np.isin(frame[~found], values).mean()
    return found if len(values) == 1 and inside < EQUAL else None


def _stands_apart(others: Pixels, value: float) -> bool:
    """Tell whether a greatest value is far above all others, where saturation cuts off amid them.

    A few others may be as bright, such as hot pixels.
    """
    if not others.size:
        return False
    low, high = np.quantile(others, (0.001, 0.999))
    return bool(float(value) - high > high - low)


def _fills_lines(alike: Mask, axis: int) -> Mask:
    """Give the rows (axis 1) or columns (0) that are mostly alike, if enough are so as a whole."""
    lines = alike.mean(axis=axis, keepdims=True)
    found: Mask = (lines > MOSTLY) & ((lines == 1).sum() >= SOLID_PX)
    return found


def _with_writing(frame: Pixels, padding: Mask) -> Mask:
    """Add what is written on padding, such as the data of a scan: narrow, and without noise."""
    from scipy.ndimage import label, minimum_filter

    pieces, _ = label(~padding, np.ones((3, 3)))
    wide = minimum_filter(~padding, SMALLEST_PX, mode="nearest")
    narrow: Mask = ~padding & ~np.isin(pieces, np.unique(pieces[wide]))
    _, counts = np.unique(frame[narrow], return_counts=True)
    return padding | narrow if counts.size and counts.max() > WRITTEN * counts.sum() else padding


def hot_pixels(stack: Stack, index: int) -> Mask | None:
    """Tell which pixels of a frame are hot or dead, (height, width) bool; None for none and for CT.

    Each is far from what noise of its surroundings' brightness gets, and alone: what optics show
    spreads over the pixels around. Where more are so, they are noise of few far values.
    """
    return _hot(stack, *_without_lost(stack, index))


def _without_lost(stack: Stack, index: int) -> tuple[Pixels, Mask | None]:
    """Give a frame with what lies around unmeasured pixels in their place, and which these are."""
    frame, lost = stack.raw_frame(index), unmeasured(stack, index)
    return frame if lost is None or lost.all() else _filled(frame, lost), lost


def _hot(stack: Stack, frame: Pixels, lost: Mask | None) -> Mask | None:
    if stack.value_unit == "HU" or min(frame.shape) <= SOLID_PX:
        return None
    from scipy.ndimage import uniform_filter  # loads slowly

    exact = frame.astype(np.float64)
    nine, around = (uniform_filter(exact, side) * side**2 for side in (3, SOLID_PX))
    beside, around = (nine - exact) / 8, (around - nine) / (SOLID_PX**2 - 9)
    faults = _alone(exact - around, beside - around, around)
    if lost is not None:
        faults = [each & ~lost for each in faults]
    if max(each.sum() for each in faults) > MOST_HOT * frame.size:
        return None
    faults = [each for each in faults if each.sum() >= FEWEST_HOT]
    return np.logical_or.reduce(faults) if faults else None


def _alone(excess: Values, beside: Values, around: Values) -> list[Mask]:
    """Tell which pixels are far above and below what is `around` them, those beside them not."""
    # Of a large frame a part tells what is usual.
    step = max(1, int((excess.size / SAMPLED_PX) ** 0.5))
    some, above = (values[::step, ::step].ravel() for values in (around, excess))
    bins = int(np.clip(some.size // FEWEST_ALIKE, 1, BRIGHTNESSES))
    edges = np.unique(np.quantile(some, np.linspace(0, 1, bins + 1)[1:-1]))
    alike = np.searchsorted(edges, some).astype(np.uint8)  # of which sorting is quick
    counts = np.bincount(alike, minlength=len(edges) + 1)
    groups = np.split(above[np.argsort(alike, kind="stable")], counts.cumsum()[:-1])
    none = np.array((-np.inf, np.inf))
    ends = [np.quantile(each, (0.01, 0.99)) if each.size else none for each in groups]
    below, above = np.transpose(ends)
    faults = []
    for way, usual in ((1, above), (-1, -below)):
        far: Mask = way * excess > SURPRISING * max(usual.min(), 0.0)
        there = way * excess[far]
        alone = way * beside[far] < ALONE * there
        far[far] = alone & (there > SURPRISING * usual[np.searchsorted(edges, around[far])])
        faults.append(far)
    return faults


def measured(
    stack: Stack, run: Run = SILENT, *, repair: bool = True, hot: dict[int, int] | None = None
) -> Stack:
    """Give a stack in which what lies around unmeasured pixels goes on, mirrored, in their place.

    So noise and image are continuous for whatever looks at a place and its surroundings. With
    `repair` hot pixels count as unmeasured; `hot` takes how many each frame has, once it is made.
    """

    def frame(index: int) -> Pixels:
        filled, count, _ = measured_frame(stack, index, repair=repair)
        if hot is not None:
            hot[index] = count
        return stack.raw_frame(index) if filled is None else filled

    return replace(stack, pixels=made_frames(frame, stack.shape, stack.dtype, run))


def tell_hot(hot: Mapping[int, int], stack: Stack, run: Run) -> None:
    """Say how many hot pixels were repaired in a stack, if any were."""
    if count := sum(hot.values()):
        run.note(
            f"{count} hot or dead pixels of {stack.name}, farther off than noise gets and each "
            "alone, were repaired. To keep them, turn off the setting Repair hot pixels."
        )


class MeasuredFrame(NamedTuple):
    """One frame as `measured` gives it; `filled` and `lost` are (height, width) or None.

    `filled` is None where the frame stays as it is, `hot` how many pixels in it are, and `lost`
    what `unmeasured` tells.
    """

    filled: Pixels | None
    hot: int
    lost: Mask | None


def measured_frame(stack: Stack, index: int, *, repair: bool = True) -> MeasuredFrame:
    """Give one frame as `measured` does."""
    frame, lost = _without_lost(stack, index)
    hot = _hot(stack, frame, lost) if repair else None
    filled = None if lost is None or lost.all() else frame
    filled = filled if hot is None else _filled(frame, hot)
    return MeasuredFrame(filled, 0 if hot is None else int(hot.sum()), lost)


def seen_frames(stack: Stack, indices: Iterable[int]) -> list[Image]:
    """Give frames as `measured` does, to measure their noise in; blank ones only if all are."""
    filled = ((index, measured_frame(stack, index).filled) for index in indices)
    frames = [stack.raw_frame(index) if frame is None else frame for index, frame in filled]
    return [np.asarray(frame, float_of(stack.dtype)) for frame in alive(frames)]


def alive(frames: list[Pixels]) -> list[Pixels]:
    """Leave blank frames out, unless all are."""
    return [frame for frame in frames if not is_blank(frame)] or frames


def _filled(frame: Pixels, mask: Mask) -> Pixels:
    from scipy.ndimage import distance_transform_edt

    filled, missing = frame.copy(), mask.copy()
    ends = np.array(frame.shape)[:, None] - 1
    places = np.stack(np.nonzero(missing))
    for _ in range(PASSES):
        first = np.maximum(places.min(axis=1) - 1, 0)  # what is known beside them is near enough
        here = missing[tuple(map(slice, first, places.max(axis=1) + 2))]
        nearest = distance_transform_edt(here, return_distances=False, return_indices=True)
        nearest = nearest[:, here] + first[:, None]
        mirrored = np.clip(2 * nearest - places, 0, ends)
        known = ~missing[tuple(mirrored)]
        filled[tuple(places[:, known])] = filled[tuple(mirrored[:, known])]
        missing[tuple(places[:, known])] = False
        places, nearest = places[:, ~known], nearest[:, ~known]
        if not places.size:
            return filled
    filled[tuple(places)] = filled[tuple(nearest)]
    return filled


def put_back(frame: Pixels, stack: Stack, index: int) -> None:
    """Put what was no measurement in frame `index` of a stack into its result, as it was."""
    mask = unmeasured(stack, index)
    if mask is not None:
        frame[mask] = stack.raw_frame(index)[mask]
