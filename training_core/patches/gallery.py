"""Patches to look at: some that were taken and some that were refused, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from training_core.place import PatchLocation
from training_core.run import SILENT, Run
from training_core.settings import PatchSettings
from training_core.stack import Image, Mask, Stack, spread
from training_core.wording import figure

from .flatness import MOST, TYPICAL
from .smooth_patches import SmoothPatches
from .window_scores import Unfit, WindowScores, score_windows

FRAMES, TAKEN, REFUSED = 6, 24, 8  # frames that are looked at; patches, and those of each reason


class Choice(IntEnum):
    """What became of a window: taken, or why not; the first are those of `Unfit`."""

    TAKEN = 0
    CLIPPED = Unfit.CLIPPED
    CONSTANT = Unfit.CONSTANT
    AIR = Unfit.AIR
    PAINTED = Unfit.PAINTED
    UNEVEN = 5
    STRUCTURE = 6
    CROWDED = 7


REASONS = {
    Choice.CLIPPED: "Saturated or cut off at zero",
    Choice.CONSTANT: "Padding, or equal pixels",
    Choice.AIR: "Air",
    Choice.PAINTED: "Painted out",
    Choice.UNEVEN: "More uneven than the tolerance",
    Choice.STRUCTURE: "Holds structure",
    Choice.CROWDED: "Others as bright are closer to noise alone",
}


@dataclass(frozen=True, eq=False)
class SeenPatch:
    """A window of a frame and what became of it.

    Attributes
    ----------
    mean, sigma
        Of its pixels, in stack units.
    unevenness
        How many times as uneven it is as noise alone; for the published rule its Eqn (4), of which
        `tolerance` is allowed.
    picture
        Its pixels, (size, size) in stack units; None where only the figures are asked for.
    """

    frame: int
    place: PatchLocation
    choice: Choice
    mean: float
    sigma: float
    unevenness: float
    tolerance: float | None = None
    picture: Image | None = None

    @property
    def reason(self) -> str:
        """Why it was refused, in a few words; "" where it was taken."""
        return REASONS.get(self.choice, "")

    @property
    def sentence(self) -> str:
        """What it is and why it was taken or not."""
        said = f"Not taken: {self.reason[0].lower()}{self.reason[1:]}" if self.reason else "Taken"
        uneven = f"{self.unevenness:.2g} times as uneven as noise alone"
        if self.tolerance is not None:
            uneven = f"unevenness {self.unevenness:.2g}, {self.tolerance:g} allowed"
        figures = f"mean {figure(self.mean)}, std {figure(self.sigma)}"
        judged = self.choice not in (Choice.CLIPPED, Choice.CONSTANT)
        return f"{said}; {figures}{f', {uneven}' if judged else ''}"


def choices_of(windows: WindowScores, chosen: Mask, settings: PatchSettings) -> NDArray[np.uint8]:
    """Tell what became of each window of a frame, as `Choice` numbers, (rows, cols)."""
    found = windows.unfit.copy()
    left = windows.usable & ~chosen
    if settings.strictness is not None:
        found[left] = Choice.UNEVEN
    elif left.any():
        uneven = windows.flatness > MOST * windows.floor.lowest
        found[left] = np.where(uneven[left], np.uint8(Choice.STRUCTURE), np.uint8(Choice.CROWDED))
    found[chosen] = Choice.TAKEN
    return found


def seen_patch(
    windows: WindowScores,
    choices: NDArray[np.uint8],
    settings: PatchSettings,
    frame: int,
    at: tuple[int, int],
) -> SeenPatch:
    """Give the figures of a window, (row, column) of the map."""
    row, column = at
    size, stride = windows.patch_size_px, windows.stride_px
    unevenness = float(windows.scores[at])
    if settings.strictness is None and windows.usable.any():
        unevenness = float(windows.flatness[at]) / (TYPICAL * windows.floor.lowest)
    return SeenPatch(
        frame,
        PatchLocation(row * stride, column * stride, size, size),
        Choice(choices[at]),
        float(windows.brightness[at]),
        float(windows.sigmas[at]),
        unevenness,
        settings.strictness,
    )


def window_at(
    windows: WindowScores, choices: NDArray[np.uint8], row: int, column: int
) -> tuple[int, int] | None:
    """Give the window around a pixel: of those taken the one it is nearest to the middle of.

    Where none was taken, of all; None where there is no window.
    """
    size, stride = windows.patch_size_px, windows.stride_px
    spans = []
    for place, count in zip((row, column), choices.shape, strict=True):
        first, last = max(-(-(place - size + 1) // stride), 0), min(place // stride, count - 1)
        spans.append(np.arange(first, last + 1))
    if not (spans[0].size and spans[1].size):
        return None
    middle = (size - 1) / 2
    down, across = (
        np.abs(span * stride + middle - place)
        for span, place in zip(spans, (row, column), strict=True)
    )
    apart = np.add.outer(down, across)
    taken = choices[np.ix_(*spans)] == Choice.TAKEN
    apart[taken] -= 4 * size  # before all others
    at = np.unravel_index(apart.argmin(), apart.shape)
    return int(spans[0][at[0]]), int(spans[1][at[1]])


def patch_gallery(
    stack: Stack, patches: SmoothPatches, settings: PatchSettings, *, run: Run = SILENT
) -> list[SeenPatch]:
    """Give some of the patches of a stack, and some windows that were refused for each reason.

    At most 24 that were taken and 8 of each reason, from up to 6 frames, spread over the stack.

    Raises
    ------
    Cancelled
        If the run was cancelled; it is asked once per frame.
    """
    known = np.unique(patches.locations[:, 0]).tolist() or range(stack.frame_count)
    seen: dict[Choice, list[SeenPatch]] = {}
    for place in spread(len(known), FRAMES):
        run.check()
        for one in _of_frame(stack, patches, settings, int(known[place])):
            seen.setdefault(one.choice, []).append(one)
    kept = []
    for choice in Choice:
        mine = seen.get(choice, [])
        most = TAKEN if choice is Choice.TAKEN else REFUSED
        kept += [mine[number] for number in spread(len(mine), most)]
    return kept


def _of_frame(
    stack: Stack, patches: SmoothPatches, settings: PatchSettings, index: int
) -> Iterator[SeenPatch]:
    """Give some windows of a frame of each kind."""
    frame = stack.frame(index)
    windows = score_windows(frame, settings, unit=stack.value_unit)
    chosen = np.zeros(windows.unfit.shape, bool)
    tops, lefts = patches.locations[patches.locations[:, 0] == index, 1:].T // windows.stride_px
    chosen[tops, lefts] = True
    choices = choices_of(windows, chosen, settings)
    for choice in np.unique(choices):
        places = np.argwhere(choices == choice)
        for number in spread(len(places), TAKEN if choice == Choice.TAKEN else REFUSED):
            at = int(places[number, 0]), int(places[number, 1])
            one = seen_patch(windows, choices, settings, index, at)
            yield replace(one, picture=frame[one.place.slices].copy())
