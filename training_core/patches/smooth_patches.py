"""Where the noise can be learned from: the smooth patches of a stack."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from training_core.costs import SEARCH, SEARCH_IN_CT
from training_core.errors import TooFewPatchesError
from training_core.run import SILENT, Run, Stage
from training_core.settings import PatchSettings, limits_of
from training_core.stack import Image, Stack, float_of, is_blank, spread

from .flatness import NoiseFloor
from .painted import painted_windows
from .window_moments import Map, window_count
from .window_scores import (
    PER_BIN,
    Unfit,
    WindowScores,
    automatic_flatness,
    best_per_bin,
    fitting_size,
    score_windows,
    unfit_windows,
)

if TYPE_CHECKING:
    from training_core.compute.checkpoint import Checkpoint, Part, State

NEEDED = 60  # patches of 32 px, which give the std of the noise within about 1 %
RECOMMENDED = 10_000  # the authors' advice for the published rule
SAMPLED_FRAMES = 16  # for what noise alone scores
SEARCHED_FRAMES = 64  # or more of tiny ones and fewer of huge ones, within these pixels of all
FEWEST_SEARCHED_PX, MOST_SEARCHED_PX = 2048 * 2048, 16 * 2048 * 2048
MORE = 4  # times as many frames are searched where these hold too few patches


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether there are enough smooth patches, and what to do if not.

    `remedy` are the settings that the sentence advises, None where it advises none.
    """

    level: Literal["green", "amber", "red"]
    sentence: str
    remedy: PatchSettings | None = None


@dataclass(frozen=True, eq=False)
class SmoothPatches:
    """The chosen patches of a stack."""

    # Frame, top and left of each patch in pixels, (count, 3) int32, ordered by frame
    locations: NDArray[np.int32]
    # The statistic it was chosen by, (count,): Eqn (4), or flatness for the automatic choice
    scores: Map
    # How they were searched for; `strictness` is None for the automatic choice
    patch_size_px: int
    stride_px: int
    strictness: float | None
    target: int  # how many patches make the verdict green
    coverage: float  # fraction of the searched pixels that lie inside a chosen patch
    verdict: Verdict

    @property
    def count(self) -> int:
        """How many patches were chosen."""
        return len(self.locations)


def find_smooth_patches(
    stack: Stack,
    settings: PatchSettings | None = None,
    *,
    run: Run = SILENT,
    part: Part | None = None,
) -> SmoothPatches:
    """Choose the smooth patches of a stack: automatically, or by Eqn (4) with a strictness.

    The automatic choice looks at 64 frames, spread over the stack, at more of tiny and fewer of
    huge ones, and at four times as many where these hold too few.
    Too few of them, or none, is no error but a verdict that says what to do. An interrupted search
    is kept in `part` and gone on with.
    """
    settings = settings or PatchSettings()
    numbers = first = searched_frames(stack, settings)
    kept = part.load() if part else None
    if kept and kept["of"] != len(first):
        numbers = _more_frames(stack, len(first), run)
    table, seen = _search(stack, settings, numbers, run, part, kept)
    if len(table) < NEEDED and numbers is first and len(first) < stack.frame_count:
        numbers = _more_frames(stack, len(first), run)  # they may lie elsewhere
        table, seen = _search(stack, settings, numbers, run, part, None)
    run.finish(Stage.PATCHES)
    return _report(stack, settings, table, seen, len(numbers))


def _search(
    stack: Stack,
    settings: PatchSettings,
    numbers: Sequence[int],
    run: Run,
    part: Part | None,
    kept: State | None,
) -> tuple[Map, NDArray[np.int64]]:
    """Give the table of the patches in frames of these numbers, and how Eqn (4) scores windows."""
    frames = len(numbers)
    found = kept or {"frames": 0, "table": np.empty((0, 5)), "seen": np.zeros(102, np.int64)}
    run.start(Stage.PATCHES, frames, done=found["frames"])
    floor = _noise_floor(stack, settings, run)
    per_bin = PER_BIN if frames == 1 else -(-2 * PER_BIN // frames)  # the best half is kept below
    tables, seen = [found["table"]], found["seen"]

    def state(done: int) -> State:
        return {"frames": done, "of": frames, "table": np.concatenate(tables), "seen": seen}

    for done, index in enumerate(numbers[found["frames"] :], found["frames"]):
        run.check() if part is None else part.check(run, partial(state, done))
        windows = score_windows(stack.frame(index), settings, unit=stack.value_unit)
        chosen = windows.select(settings.strictness, floor, per_bin)
        tables.append(_table(index, windows, chosen, settings.strictness is None))
        seen += _histogram(windows)
        if run.tick_due() or done == frames - 1:
            run.progress(Stage.PATCHES, done + 1, frames)
    if new := frames - found["frames"]:
        kind = SEARCH_IN_CT if stack.value_unit == "HU" else SEARCH
        run.did(kind, new * math.prod(stack.frame_shape) / 1e6)
        if part is not None:
            part.save(state(frames))
    return _limited(np.concatenate(tables), floor, stack.frame_shape, settings), seen


def searched_frames(stack: Stack, settings: PatchSettings) -> list[int]:
    """Give the frames that patches are first looked for in: all, or of long stacks some, spread."""
    if settings.strictness is not None:
        return list(range(stack.frame_count))
    each = math.prod(stack.frame_shape)
    fewest, most = FEWEST_SEARCHED_PX // each, max(MOST_SEARCHED_PX // each, 1)
    return spread(stack.frame_count, min(max(SEARCHED_FRAMES, fewest), most))


def _more_frames(stack: Stack, before: int, run: Run) -> list[int]:
    """Give four times as many frames as before, spread over those that show anything at all."""
    alive = []
    for index in range(stack.frame_count):
        run.check()
        if not is_blank(stack.raw_frame(index)):
            alive.append(index)
    return [alive[place] for place in spread(len(alive), MORE * before)] or [0]


def searched_mpx(stacks: Sequence[Stack], settings: PatchSettings) -> float:
    """Give how many megapixels of all channels are searched."""
    parts = [channel for stack in stacks for channel in split_channels(stack)]
    return sum(
        len(searched_frames(one, settings)) * math.prod(one.frame_shape) / 1e6 for one in parts
    )


def _noise_floor(stack: Stack, settings: PatchSettings, run: Run) -> NoiseFloor | None:
    """Measure what pure noise scores on frames spread over the stack; one frame does it itself."""
    size = fitting_size(stack.frame_shape, settings.patch_size_px)
    if settings.strictness is not None or stack.frame_count == 1 or not size:
        return None
    sample = []
    for index in np.unique(np.linspace(0, stack.frame_count - 1, SAMPLED_FRAMES).astype(int)):
        run.check()
        frame = stack.frame(int(index))
        sample.append(automatic_flatness(frame, settings, stack.value_unit))
    pooled = np.concatenate(sample)
    return NoiseFloor.of(pooled) if pooled.size else None


def _table(index: int, windows: WindowScores, chosen: NDArray[np.bool_], automatic: bool) -> Map:
    """Give frame, top, left, score and brightness of the chosen windows, (count, 5)."""
    tops, lefts = np.nonzero(chosen) * np.array([[windows.stride_px]])
    scores = (windows.flatness if automatic else windows.scores)[chosen]
    return np.stack([np.full(tops.size, index), tops, lefts, scores, windows.brightness[chosen]], 1)


def _histogram(windows: WindowScores) -> NDArray[np.int64]:
    """Count the usable windows by Eqn (4) in steps of 0.01; the last step takes all above 1."""
    steps = np.minimum(np.ceil(windows.scores[windows.usable] * 100), 101).astype(int)
    return np.bincount(steps, minlength=102)


def _limited(
    table: Map, floor: NoiseFloor | None, shape: tuple[int, int], settings: PatchSettings
) -> Map:
    """Keep the best of each brightness class over all frames, then no more than `most`, evenly.

    What was painted in is kept as well.
    """
    if floor and len(table):
        size, stride = fitting_size(shape, settings.patch_size_px), settings.stride_px
        tops, lefts = table[:, 1:3].astype(int).T // stride
        forced = painted_windows(settings.areas, shape, size, stride)[0][tops, lefts]
        cost = np.where(forced, np.inf, floor.distance(table[:, 3]))
        best = best_per_bin(cost, table[:, 4], PER_BIN)
        table = table[np.union1d(best, np.flatnonzero(forced))]
    return table[spread(len(table), settings.most)]


def _report(
    stack: Stack, settings: PatchSettings, table: Map, seen: NDArray[np.int64], searched: int
) -> SmoothPatches:
    size = fitting_size(stack.frame_shape, settings.patch_size_px) or settings.patch_size_px
    locations = table[:, :3].astype(np.int32)
    target = NEEDED
    if settings.strictness is not None:
        target = max(NEEDED, min(RECOMMENDED, int(seen.sum()) // 10))
    return SmoothPatches(
        locations,
        table[:, 3],
        size,
        settings.stride_px,
        settings.strictness,
        target,
        _coverage(locations, size, stack, searched),
        _verdict(stack, settings, len(table), target, seen, searched),
    )


def _coverage(locations: NDArray[np.int32], size: int, stack: Stack, searched: int) -> float:
    covered = 0
    for index in np.unique(locations[:, 0]):
        inside = np.zeros(stack.frame_shape, bool)
        for _, top, left in locations[locations[:, 0] == index]:
            inside[top : top + size, left : left + size] = True
        covered += int(np.count_nonzero(inside))
    return covered / (math.prod(stack.frame_shape) * searched)


def _verdict(
    stack: Stack,
    settings: PatchSettings,
    count: int,
    target: int,
    seen: NDArray[np.int64],
    searched: int,
) -> Verdict:
    height, width = stack.frame_shape
    size = fitting_size(stack.frame_shape, settings.patch_size_px)
    if not size:
        few = f"The frames are {width} × {height} px; smooth patches need at least 16 × 16 px."
        return Verdict("red", few)
    if not seen.any() and settings.areas:
        where = "Nothing outside the areas that were painted out can be searched. Paint less out."
        return Verdict("red", where, replace(settings, areas=()))
    if not seen.any():
        return Verdict(
            "red",
            "Every part of the stack holds saturated, zero or constant pixels, or values rounded "
            "more coarsely than their noise. Use images that were not clipped, masked or reduced "
            "to few grey levels, or choose a smaller patch.",
        )
    found = f"Found {_spaced(count)} smooth patches"
    if searched < stack.frame_count:
        found = f"{found} in {searched} of the {_spaced(stack.frame_count)} frames"
    if count >= target:
        return Verdict("green", f"{found}: as many as it takes.")
    advice, remedy = _remedy(settings, target, seen)
    windows = searched * math.prod(
        window_count(n, size, settings.stride_px) for n in (height, width)
    )
    if seen.sum() < windows / 2 and not settings.areas:  # else much may be painted out
        lost = f"{min(100 - 100 * int(seen.sum()) // windows, 99)} % of the frame is"
        advice = (
            f"{lost} saturated, cut off at black, constant or more coarsely rounded than its noise "
            f"and shows none. {advice}"
        )
    if settings.strictness is not None and count >= NEEDED:
        return Verdict("amber", f"{found}; {_spaced(target)} are recommended. {advice}", remedy)
    level: Literal["amber", "red"] = "amber" if count >= NEEDED // 3 else "red"
    return Verdict(level, f"{found}; at least {NEEDED} are needed. {advice}", remedy)


def _remedy(
    settings: PatchSettings, target: int, seen: NDArray[np.int64]
) -> tuple[str, PatchSettings | None]:
    """Say what would give enough patches, by trying every strictness on what was seen."""
    enough = int(np.searchsorted(np.cumsum(seen), target)) / 100
    if settings.strictness is not None and settings.strictness < enough <= 1:
        raised = replace(settings, strictness=enough)
        return f"Raise the tolerance (strictness) to {enough:g} or choose a smaller patch.", raised
    return "Choose a smaller patch or a smaller stride, or add frames.", finer(settings)


def finer(settings: PatchSettings) -> PatchSettings | None:
    """Give settings with smaller patches, closer together; None where there are none."""
    least = round(limits_of(PatchSettings, "patch_size_px").minimum or 0)
    size = max(settings.patch_size_px * 3 // 8 * 2, least)
    changed = replace(settings, patch_size_px=size, stride_px=max(settings.stride_px // 2, 1))
    return changed if changed != settings else None


def _spaced(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def cut_patches(stack: Stack, patches: SmoothPatches) -> Image:
    """Cut the patches out of the stack, (count, size, size) in `float_of` its dtype, in order."""
    size = patches.patch_size_px
    cut = np.empty((patches.count, size, size), float_of(stack.dtype))
    for index in np.unique(patches.locations[:, 0]):
        here = np.flatnonzero(patches.locations[:, 0] == index)
        windows = np.lib.stride_tricks.sliding_window_view(stack.frame(int(index)), (size, size))
        cut[here] = windows[patches.locations[here, 1], patches.locations[here, 2]]
    return cut


def cut_noise_patches(
    stacks: Sequence[Stack],
    settings: PatchSettings,
    run: Run,
    checkpoint: Checkpoint,
    evened: Sequence[Stack] | None = None,
) -> list[Image]:
    """Find and cut the noise patches of each channel, (count, size, size) float32 in stack units.

    They are cut from the stacks with noise of the same strength everywhere, where these are
    `evened`.

    Raises `TooFewPatchesError` if a channel has too few of them to learn from.
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
    joined = []
    for number, mine in sorted(found.items()):
        joined.append(_cut_at_most(settings.most, mine, size))
        told = f"Channel {number + 1}: " if len(found) > 1 else ""
        told += mine[0][1].verdict.sentence
        if len(joined[-1]) < NEEDED // 3:
            raise TooFewPatchesError(told)
        if len(joined[-1]) < NEEDED:
            run.note(told, warning=True)
    return joined


def _cut_at_most(most: int, found: Sequence[tuple[Stack, SmoothPatches]], size: int) -> Image:
    """Cut no more than `most` of the patches of all stacks, evenly; memory is taken for no more."""
    ends = np.cumsum([patches.count for _, patches in found])
    kept = np.array(spread(int(ends[-1]), most), np.intp)
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
    return [stack.of_channels([n]) for n in range(stack.shape[stack.axes.index("C")])]


def blank_channels(stacks: Sequence[Stack], settings: PatchSettings) -> list[int]:
    """Give the channels, counted from 0, in which no window of any frame has values to search.

    So are those of a dye that was switched off, or that is saturated everywhere. None of stacks
    without channels, or with such alone: those are refused later, with the reason.
    """
    if not all("C" in stack.axes for stack in stacks):
        return []
    parts = [split_channels(stack) for stack in stacks]
    numbers = range(min(map(len, parts)))
    blank = [n for n in numbers if not any(_has_windows(mine[n], settings) for mine in parts)]
    return blank if len(blank) < len(numbers) else []


def _has_windows(channel: Stack, settings: PatchSettings) -> bool:
    size = fitting_size(channel.frame_shape, settings.patch_size_px)
    if not size:
        return True  # the verdict says why there are none
    frames = (channel.frame(index) for index in range(channel.frame_count))
    fit = (unfit_windows(frame, size, settings.stride_px) == Unfit.FIT for frame in frames)
    return any(one.any() for one in fit)
