"""The scores of all windows of one frame, by the published test too, and the choice among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from training_core.errors import SettingsError
from training_core.settings import PatchSettings, limits_of
from training_core.stack import Mask

from .flatness import NoiseFloor, flatness_map
from .painted import painted_windows
from .window_moments import Frame, Map, slabs, window_count, window_moments

BINS = 8  # brightness classes; dark windows alone would hide how the noise grows with the signal
PER_BIN = 60  # which fix the std within about 1 %
FEWEST = 60  # windows of tissue in a slice; of fewer there is too little to choose from
CLIPPED = 0.02  # of a window's pixels may lie at the ends of the frame's values
CONSTANT = 0.25  # of a window's pixels may equal their neighbours
MOST_COUNTS = 64  # with more, neighbours are seldom equal
SPARSE_PX = 8  # a first look at one pixel in 64 is enough to say no
ALIKE = (0.7, 1.4)  # variance over mean of calm windows, in photons


class Unfit(IntEnum):
    """Why a window is none to choose from."""

    FIT = 0
    CLIPPED = 1
    CONSTANT = 2
    AIR = 3
    PAINTED = 4


@dataclass(frozen=True, eq=False)
class WindowScores:
    """What is known of all windows of one frame; choosing from it is instant.

    All are (rows, cols): `scores` by Eqn (4) of the paper, `flatness` as of `flatness_map`, and
    `brightness` and `sigmas`, the mean and std in stack units, are float64; `unfit` is the number
    of an `Unfit`, and `forced` tells which windows are taken in any case. The patch size is smaller
    than asked for on a small frame.
    """

    scores: Map
    flatness: Map
    brightness: Map
    sigmas: Map
    unfit: NDArray[np.uint8]
    forced: Mask
    patch_size_px: int
    stride_px: int

    @property
    def usable(self) -> Mask:
        """The windows to choose from: not clipped, masked, constant or painted out."""
        usable: Mask = self.unfit == Unfit.FIT
        return usable

    def select(
        self, strictness: float | None, floor: NoiseFloor | None = None, per_bin: int = PER_BIN
    ) -> Mask:
        """Choose windows, (rows, cols) bool, by a limit of Eqn (4) or automatically.

        The automatic choice takes `per_bin` windows in each of 8 brightness classes; `floor` is
        what pure noise scores in the whole stack, None: in this frame.
        """
        usable = self.usable
        if strictness is not None:
            return usable & (self.forced | (self.scores <= strictness))
        chosen = self.forced & usable
        if usable.any():
            floor = floor or self.floor
            cost = np.where(usable & ~self.forced, floor.distance(self.flatness), np.inf)
            chosen.flat[best_per_bin(cost.ravel(), self.brightness.ravel(), per_bin)] = True
        return chosen

    @property
    def floor(self) -> NoiseFloor:
        """What pure noise scores in this frame, at least one window of which is usable."""
        return NoiseFloor.of(self.flatness[self.usable])


def score_windows(frame: Frame, settings: PatchSettings, unit: str = "") -> WindowScores:
    """Score all windows of one frame, (height, width), any float dtype.

    Of values in HU the automatic choice looks at tissue, if there is enough, with the noise brought
    to the same strength everywhere (see `EvenNoise`).
    """
    stride = settings.stride_px
    size = fitting_size(frame.shape, settings.patch_size_px)
    if not size:
        none, whole = np.zeros((0, 0)), np.zeros((0, 0), np.uint8)
        empty = none, none, none, none, whole, whole > 0
        return WindowScores(*empty, settings.patch_size_px, stride)
    ct = unit == "HU" and settings.strictness is None
    scores = homogeneity_map(frame, size, stride)
    mean, variance = window_moments(frame, size, stride)
    flatness, unfit = _flatness(frame, size, stride, ct=ct)
    forced, out = painted_windows(settings.areas, frame.shape, size, stride)
    unfit[out] = Unfit.PAINTED
    return WindowScores(scores, flatness, mean, np.sqrt(variance), unfit, forced, size, stride)


def homogeneity_map(frame: Frame, patch_size_px: int, stride_px: int) -> Map:
    """Score every window by Eqn (4) of the paper: how unequal its four Haar bands are.

    With s_k the standard deviation of band k of the one-level Haar transform of the window and m
    their mean, the score is (1/4) sum |s_k - m| / m; the paper accepts a window up to its lambda.

    Of a frame, (height, width), any float dtype, it is (rows, cols) float64; infinite where a
    window, whose side is even, is constant. Odd offsets are exact as well.

    Raises `SettingsError` if the patch size is odd.
    """
    if patch_size_px % 2:
        raise SettingsError(
            f"Patch size is {patch_size_px} px; the Haar transform needs an even number."
        )
    shape = tuple(window_count(n, patch_size_px, stride_px) for n in frame.shape)
    scores = np.full(shape, np.inf)
    for rows, slab in slabs(frame, patch_size_px, stride_px):
        _score_slab(slab, patch_size_px, stride_px, scores[rows])
    return scores


def _score_slab(slab: Frame, size: int, stride: int, scores: Map) -> None:
    """Fill `scores`; with an odd stride every second window begins in the middle of a Haar pair."""
    starts = (0,) if stride % 2 == 0 else (0, stride)
    step = stride * len(starts) // 2
    for top in starts:
        for left in starts:
            into = scores[top // stride :: len(starts), left // stride :: len(starts)]
            if into.size:
                into[...] = _inequality(slab[top:, left:], size // 2, step)


def _inequality(frame: Frame, size: int, step: int) -> Map:
    bands = _haar_bands(frame)
    spread = np.stack([np.sqrt(window_moments(b, size, step, overwrite=True)[1]) for b in bands])
    mean = spread.mean(axis=0)
    apart = np.abs(spread - mean).mean(axis=0)
    scores: Map = np.divide(apart, mean, out=np.full_like(mean, np.inf), where=mean > 0)
    return scores


def _haar_bands(frame: Frame) -> Iterator[Map]:
    """Give the bands A, H, V, D of the one-level Haar transform, up to one common factor.

    All four come in one array, which may be spoilt; each is gone when the next is asked for.
    """
    height, width = (n // 2 * 2 for n in frame.shape)
    a, b, c, d = (frame[i:height:2, j:width:2] for i in (0, 1) for j in (0, 1))
    band = np.empty((height // 2, width // 2))
    plus, minus = np.add, np.subtract
    signs = (plus, plus, plus), (plus, minus, minus), (minus, plus, minus), (minus, minus, plus)
    for first, second, third in signs:
        first(a, b, out=band, dtype=np.float64)
        second(band, c, out=band)
        third(band, d, out=band)
        yield band


def automatic_flatness(frame: Frame, settings: PatchSettings, unit: str) -> Map:
    """Give the flatness of the windows that the automatic choice is made from, (count,)."""
    size, stride = fitting_size(frame.shape, settings.patch_size_px), settings.stride_px
    flatness, unfit = _flatness(frame, size, stride, ct=unit == "HU")
    _, out = painted_windows(settings.areas, frame.shape, size, stride)
    chosen: Map = flatness[(unfit == Unfit.FIT) & ~out]
    return chosen


def _flatness(frame: Frame, size: int, stride: int, *, ct: bool) -> tuple[Map, NDArray[np.uint8]]:
    """Give the flatness of all windows, and why some are unfit."""
    even, unfit = even_and_unfit(frame, size, stride, ct=ct)
    return flatness_map(even, size, stride), unfit


def even_and_unfit(
    frame: Frame, size: int, stride: int, *, ct: bool
) -> tuple[Frame, NDArray[np.uint8]]:
    """Give what flatness is measured on, in CT with even noise, and why windows are unfit."""
    unfit = unfit_windows(frame, size, stride)
    if not ct:
        return frame, unfit
    from .local_strength import AIR_HU, evened_frame

    air = (unfit == Unfit.FIT) & (window_moments(frame, size, stride)[0] <= AIR_HU)
    if np.count_nonzero((unfit == Unfit.FIT) & ~air) >= FEWEST:
        unfit[air] = Unfit.AIR
    return evened_frame(frame), unfit


def fitting_size(shape: tuple[int, ...], size: int) -> int:
    """Give the largest even patch up to `size` that fits; 0 if below the least setting."""
    fits = min(size, *shape) // 2 * 2
    return fits if fits >= (limits_of(PatchSettings, "patch_size_px").minimum or 0) else 0


def unfit_windows(frame: Frame, size: int, stride: int) -> NDArray[np.uint8]:
    """Tell windows of noise from padding, saturation and burnt-in labels, as `Unfit` numbers."""
    counting = counts_photons(frame, size, stride)
    clipped = frame >= frame.max()
    if not counting:
        clipped |= frame <= frame.min()
    constant = np.zeros(frame.shape, bool)
    constant[:-1, :-1] = (frame[:-1, :-1] == frame[1:, :-1]) & (frame[:-1, :-1] == frame[:-1, 1:])
    share = [window_moments(m.astype(np.float32), size, stride)[0] for m in (clipped, constant)]
    even = window_moments(frame, size, stride)[1] == 0 if counting else share[1] > CONSTANT
    unfit = np.where(even, np.uint8(Unfit.CONSTANT), np.uint8(Unfit.FIT))
    return np.where((share[0] > CLIPPED) & ~even, np.uint8(Unfit.CLIPPED), unfit)


def counts_photons(frame: Frame, size: int, stride: int) -> bool:
    """Tell whether pixels hold few photons each: then many equal their neighbours.

    A Poisson number has a variance as large as its mean, and with structure a larger one. Cameras
    add an offset and count in steps; the lowest value is then that of no photon.
    """
    if np.unique(frame[::SPARSE_PX, ::SPARSE_PX]).size > MOST_COUNTS:
        return False  # the usual case, told fast
    values = np.unique(frame)
    if not 2 < values.size <= MOST_COUNTS:  # two are a mark on a constant
        return False
    step = float(np.diff(values).min())
    mean, variance = window_moments((frame - values[0]) / step, size, stride)
    ratio = variance[mean > 0] / mean[mean > 0]
    return bool(ratio.size and ALIKE[0] < np.quantile(ratio, 0.25) < ALIKE[1])


def best_per_bin(cost: Map, brightness: Map, per_bin: int) -> NDArray[np.intp]:
    """Give the indices of the `per_bin` windows of least finite cost in each brightness class.

    Classes are even in the square root of the brightness, in which shot noise is even.
    """
    possible = np.flatnonzero(np.isfinite(cost))
    if not possible.size:
        return possible
    above = brightness[possible] - brightness[possible].min()
    classes = np.sqrt(above / max(above.max(), np.finfo(np.float64).tiny)) * (BINS - 1e-9)
    order = possible[np.lexsort((cost[possible], classes.astype(int)))]
    sizes = np.bincount(classes.astype(int), minlength=BINS)
    rank = np.arange(order.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[rank < per_bin])


def coverage_map(
    selected: Mask, patch_size_px: int, stride_px: int, shape: tuple[int, int], shrink: int = 1
) -> NDArray[np.uint8]:
    """Count how many selected windows, (rows, cols) bool, cover each pixel of a frame, up to 255.

    One pixel of the map, (ceil(height / shrink), ceil(width / shrink)) uint8, stands for
    `shrink` x `shrink` pixels of the frame.
    """
    covered = selected.astype(np.int32)
    for length in shape:  # rows first; the transposition brings the columns forward
        covered = _spread(covered, patch_size_px, stride_px, -(-length // shrink), shrink).T
    return np.minimum(covered, 255).astype(np.uint8)


def _spread(
    counts: NDArray[np.int32], size: int, stride: int, length: int, shrink: int
) -> NDArray[np.int32]:
    first = np.arange(len(counts)) * stride
    change = np.zeros((length + 1, counts.shape[1]), np.int32)
    np.add.at(change, first // shrink, counts)
    np.subtract.at(change, -(-(first + size) // shrink), counts)
    return np.cumsum(change[:-1], axis=0, dtype=np.int32)
