"""NaN, infinite and impossible pixels: out of the way of all work, and kept for the result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training_core.errors import InputError
from training_core.frames import HELD_BYTES, frames_on_request
from training_core.run import Run
from training_core.stack import NotFinite, Pixels, Stack, is_lost, spread

LOOKED_AT = 8  # frames of a large stack when it is opened


def finite(stack: Stack, run: Run) -> Stack:
    """Put the median of their frame in the place of NaN and infinity, and keep what they were.

    Of a large stack the frames are looked through when they are asked for.

    Raises
    ------
    InputError
        When no pixel is finite.
    """
    large = stack.pixels.nbytes > HELD_BYTES
    return _on_request(stack) if large else _at_once(stack, run)


def _at_once(stack: Stack, run: Run) -> Stack:
    pixels = stack.pixels
    lost: dict[int, tuple[NDArray[np.intp], Pixels]] = {}
    for index in range(stack.frame_count):
        run.check()
        frame = stack.raw_frame(index)
        bad = is_lost(frame)
        if not bad.any():
            continue
        if not lost:  # only now: most files are finite and stay where they are
            pixels = np.array(stack.pixels, dtype=stack.dtype)
        lost[index] = (np.flatnonzero(bad), frame[bad])
        pixels[np.unravel_index(index, stack.shape[:-2])] = _filled(frame, bad)
    if not lost:
        return stack
    count = sum(places.size for places, _ in lost.values())
    if count == pixels.size:
        raise InputError(f"{stack.name} has no finite pixel: all are NaN, infinite or too far off.")
    note = f"{count} pixels are NaN or infinite; they teach nothing and stay as they are."
    return replace(stack, pixels=pixels, warnings=(*stack.warnings, note), not_finite=lost)


def _on_request(stack: Stack) -> Stack:
    def frame(index: int) -> Pixels:
        found = stack.raw_frame(index)
        bad = is_lost(found)
        return _filled(found, bad) if bad.any() else found

    looked_at = spread(stack.frame_count, LOOKED_AT)
    some = sum(bool(is_lost(stack.raw_frame(index)).any()) for index in looked_at)
    note = (
        f"Of {len(looked_at)} frames looked at {some} have pixels that are NaN or infinite; such "
        "pixels teach nothing and stay as they are."
    )
    return replace(
        stack,
        pixels=frames_on_request(frame, stack.shape, stack.dtype),
        warnings=(*stack.warnings, note) if some else stack.warnings,
        not_finite=NotFinite(stack.raw_frame, range(stack.frame_count)),
    )


def _filled(frame: Pixels, bad: NDArray[np.bool_]) -> Pixels:
    filled = np.array(frame)
    filled[bad] = 0 if bad.all() else np.median(frame[~bad])
    return filled
