"""The stack: pixels with axes, pixel size and origin, and results in its data type."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .frames import REMEMBERED, made_frames
from .frames import Pixels as Pixels
from .run import Run

Image = NDArray[np.floating[Any]]  # float32, and float64 where that cannot hold the values
Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
SMALLEST_PX = 16  # the smallest patch size
NEARLY_NOTHING = 1e-9  # of the full range
LEVELS = 64  # that float64 must tell apart in what values differ by
HEADROOM = 1e4  # how far values must be from the largest number, for sums and differences


@dataclass(frozen=True)
class PixelSize:
    """Physical size of a pixel in micrometres; None where the file does not say."""

    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None


# What float32 cannot hold, or its largest value, stands for no value in many programs.
TOO_FAR = np.finfo(np.float32).max


def is_lost(frame: Pixels) -> NDArray[np.bool_]:
    """Tell which pixels are NaN, infinite or too far from zero to be a measurement."""
    lost: NDArray[np.bool_] = ~(np.abs(frame) < TOO_FAR)
    return lost


class NotFinite(Mapping[int, "tuple[NDArray[np.intp], Pixels]"]):
    """Which pixels of each frame `is_lost`, found when a frame is asked for.

    Counting or listing them reads every frame.

    Parameters
    ----------
    frame
        Gives a frame of a number as the file has it.
    numbers
        The number of each frame of the stack that this is of.
    """

    def __init__(self, frame: Callable[[int], Pixels], numbers: Sequence[int]) -> None:
        self.frame, self.numbers = frame, numbers
        self.places = lru_cache(REMEMBERED)(self._places)

    def _places(self, index: int) -> tuple[NDArray[np.intp], Pixels]:
        frame = self.frame(self.numbers[index])
        places = np.flatnonzero(is_lost(frame))
        return places, frame.ravel()[places]

    def __getitem__(self, index: int) -> tuple[NDArray[np.intp], Pixels]:
        found = self.places(index) if 0 <= index < len(self.numbers) else None
        if found is None or not found[0].size:
            raise KeyError(index)
        return found

    def __iter__(self) -> Iterator[int]:
        return (index for index in range(len(self.numbers)) if self.places(index)[0].size)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def of(self, indices: Sequence[int]) -> NotFinite:
        """Give those of some of the frames, in their order."""
        return NotFinite(self.frame, [self.numbers[index] for index in indices])


@dataclass(frozen=True)
class Stack:
    """Noisy images as they came: never rescaled, never clipped.

    Attributes
    ----------
    pixels
        Array, or what stands for one (see `frames`), with one dimension per letter of `axes`, real
        dtype, finite values; a file keeps its byte order, which `frame`, `raw_frame` and `dtype`
        hide.
    axes
        Letters from "TZCYX" plus "I" for an unnamed dimension, ending in "YX".
    pixel_size
        Micrometres per pixel.
    channels
        Channel names, one per index of C; empty where unknown.
    time_step_s
        Seconds between frames, None where unknown.
    value_unit
        "HU" for CT in Hounsfield units, else "".
    kind
        The file family: "ome", "imagej", "tiff", "png", "dicom", "array", or the one that a reader
        of `formats` names, such as "czi".
    source
        The file or folder; None for an array.
    warnings
        Sentences for the user about what was missing or changed while reading.
    metadata
        What the file family needs to be written again unchanged (LUTs, ranges).
    white
        The value of white, 0 being black, where whoever made the stack knows it; else None.
    series
        Which image of the source it is, where that holds several; else "".
    not_finite
        For each frame with pixels that `is_lost`, by its number, where they are (flat) and what
        they were; `pixels` has the median of the frame there, files have them as they were.
    guess
        The one of the warnings that tells how the axes were guessed; "" where the file says them.
    read_as
        The axes as they were read, where somebody has said since what they are; else "".
    """

    pixels: Pixels
    axes: str
    pixel_size: PixelSize = PixelSize()
    channels: tuple[str, ...] = ()
    time_step_s: float | None = None
    value_unit: str = ""
    kind: str = "array"
    source: Path | None = None
    warnings: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    white: float | None = None
    series: str = ""
    not_finite: Mapping[int, tuple[NDArray[np.intp], Pixels]] = field(
        default_factory=dict, compare=False, repr=False
    )
    guess: str = ""
    read_as: str = ""

    @property
    def doubtful(self) -> bool:
        """Whether nobody has said what its axes are: they were guessed, or one has no name."""
        return bool(self.guess or "I" in self.axes) and not self.read_as

    @property
    def name(self) -> str:
        """What the user calls it: the file name, or "stack"."""
        return self.source.name if self.source else "stack"

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return tuple(self.pixels.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the pixels, in the byte order of this machine (a mapped file may differ)."""
        return self.pixels.dtype.newbyteorder("=")

    @property
    def mpx(self) -> float:
        """How many megapixels all frames have together."""
        return self.frame_count * math.prod(self.frame_shape) / 1e6

    @property
    def frame_count(self) -> int:
        """How many YX frames there are, over all other axes."""
        return int(np.prod(self.shape[:-2], dtype=np.int64))

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Height and width of a frame in pixels."""
        return self.shape[-2], self.shape[-1]

    def frame(self, index: int) -> Image:
        """Give frame `index` (over all other axes, last fastest), (height, width).

        In `float_of` its dtype: far from zero float32 would round away what differs.
        """
        return np.asarray(self.raw_frame(index), dtype=float_of(self.dtype))

    def raw_frame(self, index: int) -> Pixels:
        """Give frame `index` in its own dtype, (height, width)."""
        return np.asarray(self.pixels[np.unravel_index(index, self.shape[:-2])], dtype=self.dtype)

    def channel_of(self, index: int) -> int:
        """Give the channel that frame `index` belongs to; 0 without a C axis."""
        if "C" not in self.axes:
            return 0
        return int(np.unravel_index(index, self.shape[:-2])[self.axes.index("C")])

    @cached_property
    def intensity(self) -> IntensityRange:
        """One affine map for the whole stack; one per slice would shift their baselines."""
        return IntensityRange.of(self)

    @property
    def known_range(self) -> IntensityRange | None:
        """From black to white by what the values mean, not by what they are; None if unknown."""
        if self.value_unit == "HU":
            return PUBLISHED_HU
        white = 255.0 if self.dtype == np.uint8 else self.white
        return None if white is None else IntensityRange(0.0, white)

    def file_frame(self, index: int) -> Pixels:
        """Give frame `index` as a file has it: with its NaN and infinite pixels."""
        frame = np.ascontiguousarray(self.raw_frame(index))
        if index not in self.not_finite or self.dtype.kind != "f":
            return frame
        places, values = self.not_finite[index]
        frame = frame.copy()
        frame.flat[places] = values
        return frame

    def of_channels(self, numbers: Sequence[int]) -> Stack:
        """Give some of the channels, in their order and counted from 0; the axes stay."""
        axis, count = self.axes.index("C"), self.shape[self.axes.index("C")]
        step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
        even = slice(numbers[0], numbers[-1] + 1, step)  # which copies nothing
        chosen = even if list(range(count))[even] == list(numbers) else list(numbers)
        place = (*[slice(None)] * axis, chosen)
        every = np.arange(self.frame_count).reshape(self.shape[:-2])[place].ravel().tolist()
        return replace(
            self,
            pixels=self.pixels[place],
            channels=tuple(self.channels[n] for n in numbers if n < len(self.channels)),
            not_finite=self._not_finite_of(every),
        )

    def _not_finite_of(
        self, frames: Sequence[int]
    ) -> Mapping[int, tuple[NDArray[np.intp], Pixels]]:
        lost = self.not_finite
        if isinstance(lost, NotFinite):
            return lost.of(frames)
        return {n: lost[index] for n, index in enumerate(frames) if index in lost}

    def with_axes(self, axes: str) -> Stack:
        """Give the same pixels with other letters for their axes, where a file names them wrongly.

        Raises
        ------
        InputError
            When these are no letters for as many axes.
        """
        lead = axes[:-2]
        fits = len(axes) == len(self.axes) and axes.endswith("YX")
        if not fits or set(lead) - set("TZCI") or len(set(lead)) < len(lead):
            raise InputError(
                f"{self.name} has the axes {self.axes} ({' x '.join(map(str, self.shape))}), which "
                f"{axes} cannot name: {len(self.axes)} letters are needed, each of T, Z, C and I "
                "at most once and YX at the end."
            )
        count = self.shape[axes.index("C")] if "C" in axes else 1
        return replace(
            self,
            axes=axes,
            channels=self.channels if len(self.channels) == count else (),
            time_step_s=self.time_step_s if set("TI") & set(axes) else None,
            warnings=tuple(warning for warning in self.warnings if warning != self.guess),
            guess="",
            read_as=self.read_as or self.axes,
        )

    def with_pixels(self, pixels: Pixels) -> Stack:
        """Give the same stack with other pixels of the same shape."""
        if pixels.shape != self.pixels.shape:
            raise ValueError(f"pixels are {pixels.shape}; the stack is {self.pixels.shape}")
        return replace(self, pixels=pixels)


@dataclass(frozen=True, slots=True)
class IntensityRange:
    """The affine map from stack values to about [0, 1]: less `offset`, over `scale`."""

    offset: float
    scale: float

    @classmethod
    def of(cls, *stacks: Stack, frames: int = 16) -> IntensityRange:
        """Measure the range on about `frames` frames spread over the stacks (0.1 to 99.9 %)."""
        each = -(-frames // len(stacks))
        sampled: list[Pixels] = []
        extremes: list[float] = []
        for stack in stacks:
            for index in np.unique(np.linspace(0, stack.frame_count - 1, each).astype(int)):
                frame = stack.frame(int(index))
                sampled.append(frame[::2, ::2].ravel())
                extremes += [float(frame.min()), float(frame.max())]
        low, high = (float(v) for v in np.percentile(np.concatenate(sampled), (0.1, 99.9)))
        # Nearly all pixels equal, as in dark frames with few photons: the rest sets the range.
        full = max(extremes) - min(extremes)
        scale = high - low if high - low > NEARLY_NOTHING * full else full
        return cls(low, scale or 1.0)

    @classmethod
    def published(cls, stacks: Sequence[Stack]) -> IntensityRange:
        """Give the units of GAN2GAN, one for all stacks: measured only where white is unknown."""
        first, *others = {stack.known_range for stack in stacks}
        return cls.of(*stacks) if first is None or others else first


PUBLISHED_HU = IntensityRange(-1000.0, 2000.0)  # attenuation over 0.4 / cm, twice water's


def cast(
    values: NDArray[np.floating[Any]], dtype: np.dtype[Any], original: Pixels | None = None
) -> tuple[Pixels, int]:
    """Convert to `dtype`, rounding half to even; give pixels and how many values were clipped.

    Where a value equals its `original` the original itself is given, so 64-bit integers beyond
    2**53, which float64 cannot hold, come back as they were.
    """
    if dtype.kind == "f":
        return values.astype(dtype), 0
    lowest, highest = _float_limits(dtype)
    # Clipped before it is converted: what lies outside would wrap around.
    rounded = np.rint(values)
    clipped = np.clip(rounded, lowest, highest)
    pixels = clipped.astype(dtype)
    lost = clipped != rounded
    if original is not None and dtype.itemsize == 8 and original.dtype == dtype:
        unchanged = values == original.astype(np.float64)
        pixels, lost = np.where(unchanged, original, pixels), lost & ~unchanged
    return pixels, int(np.count_nonzero(lost))


def float_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Give what holds results beside values of a type: float32, or float64 for wider ones."""
    return np.result_type(dtype, np.float32)


def cast_like(result: Stack, given: Stack) -> Stack:
    """Give a result in the data type of the stack it was made of; see `tell_flaws`."""

    def frame(index: int) -> Pixels:
        return cast(result.raw_frame(index), given.dtype, given.raw_frame(index))[0]

    return result.with_pixels(made_frames(frame, given.shape, given.dtype))


def as_float32(result: Stack) -> Stack:
    """Give a result in float32, whatever its stack is in."""
    if result.dtype == np.float32:
        return result
    return result.with_pixels(made_frames(result.raw_frame, result.shape, np.float32))


NO_NUMBERS, CONSTANT = "hold pixels that are no numbers", "are constant"
COPIED = "are those of the input"
MOST_ROUNDED = 0.01  # of the mean size of the values


def tell_flaws(result: Stack, given: Stack, run: Run, *, as_float: bool = False) -> None:
    """Warn of frames of a result that are constant, not finite, or those of the given stack.

    Tell also of the pixels that `cast_like` clips, and where its rounding changes the mean, unless
    it is written `as_float`. Each frame is looked at once, since those of a large result are read
    from a file.

    Raises
    ------
    Cancelled
        If the run was cancelled; asked before every frame.
    """
    found, clipped, sums = [], 0, np.zeros(3)
    for index in range(given.frame_count):
        run.check()
        frame, original = result.raw_frame(index), given.raw_frame(index)
        what, lost = _useless(frame, original), 0
        if not what and not as_float:
            made, lost = cast(frame, given.dtype, original)
            what = _useless(made, original)
            if given.dtype.kind in "iu":
                ends = np.iinfo(given.dtype)
                fit = np.clip(frame, ends.min, ends.max)  # the others are told as clipped
                sums += [np.sum(part, dtype=np.float64) for part in (fit, made, np.abs(fit))]
        found.append(what)
        clipped += lost
    if clipped:
        run.note(f"{clipped} pixels were clipped to the range of {given.dtype}.", warning=True)
    before, after, size = sums / math.prod(given.shape)
    if abs(after - before) > MOST_ROUNDED * size:
        run.note(
            f"As {given.dtype}, which holds whole numbers only, the result has a mean of "
            f"{after:.3g} in place of {before:.3g}; to measure in it choose float32.",
            warning=True,
        )
    for what in (NO_NUMBERS, CONSTANT, COPIED):
        if count := found.count(what):
            told = f"{count} of {given.frame_count} frames of the result {what}"
            run.note(f"{told}; look at them before you use them.", warning=True)


def _useless(frame: Pixels, original: Pixels) -> str:
    """Say what is wrong with a frame of a result; "" where nothing is or was to be denoised."""
    finite = np.isfinite(original)
    if not finite.any() or is_blank(original[finite]):
        return ""
    if not np.isfinite(frame[finite]).all():
        return NO_NUMBERS
    if is_blank(frame):
        return CONSTANT
    same = cast(frame, original.dtype, original)[0][finite] == original[finite]
    return COPIED if same.all() else ""


def _float_limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Give the smallest and largest float64 that an integer dtype can hold."""
    info = np.iinfo(dtype)
    highest = float(info.max)  # 2**64 - 1 rounds up to 2**64, one too many
    return float(info.min), highest if int(highest) <= info.max else float(np.nextafter(highest, 0))


def check_trainable(stack: Stack) -> None:
    """Raise `InputError` for a stack that nothing can be learned from: too small or constant."""
    height, width = stack.frame_shape
    count = stack.frame_count
    if height == 1 and min(count, width) >= SMALLEST_PX:
        raise InputError(
            f"The {count} frames of {stack.name} are single lines, which make one image of {width} "
            f"x {count} pixels: in Fiji, Make Montage with 1 column and {count} rows gives it; "
            "save and open that."
        )
    if min(height, width) < SMALLEST_PX:
        raise InputError(
            f"{stack.name} has frames of {width} x {height} pixels; at least "
            f"{SMALLEST_PX} x {SMALLEST_PX} are needed to learn from."
        )
    if told := unfit(stack):
        raise InputError(told)
    frames = (stack.raw_frame(index) for index in range(stack.frame_count))
    if all(is_blank(frame) for frame in frames):
        values = {stack.raw_frame(index).flat[0] for index in range(stack.frame_count)}
        raise InputError(
            f"Every pixel of {stack.name} has the value {values.pop()}; there is no noise to learn "
            "from."
            if len(values) == 1
            else f"Every frame of {stack.name} has one value throughout; there is no noise to "
            "learn from."
        )


def unfit(stack: Stack) -> str:
    """Say why values are too large to calculate with; "" where they are not."""
    frame = stack.raw_frame(stack.frame_count // 2)
    if stack.dtype.kind == "f":
        high = float(np.abs(frame, where=np.isfinite(frame), out=np.zeros_like(frame)).max())
        if high < np.finfo(float_of(stack.dtype)).max / HEADROOM:
            return ""
        return (
            f"The values of {stack.name} reach {high:.3g}, near the largest that {stack.dtype} "
            "holds, so that they cannot be calculated with; divide them by a number and open that."
        )
    low, high_int = int(frame.min()), int(frame.max())
    finest = np.spacing(float(max(abs(low), abs(high_int))))
    if stack.dtype.itemsize < 8 or low == high_int or high_int - low > LEVELS * finest:
        return ""
    return (
        f"The values of {stack.name} are about {high_int:.3g} and differ by {high_int - low} only, "
        "which is lost in calculations with numbers of that size; subtract an offset, save 16 or "
        "32 bit, and open that."
    )


def is_blank(frame: Pixels) -> bool:
    """Tell whether all pixels of a frame have one value: nothing was recorded, or all is lost."""
    return bool(np.all(frame == frame.flat[0]))


SAMPLED_PIXELS = 2048 * 2048
TINY_PX, FEWEST_SAMPLED = 64 * 64, 512 * 512


def sampled_frames(stack: Stack) -> list[int]:
    """Give frame numbers spread over the stack, about four million pixels together.

    These are up to 8, and more only of tiny frames, of which 8 hold too little to measure.
    """
    height, width = stack.frame_shape
    size = height * width
    wanted = 8 if size >= TINY_PX else -(-FEWEST_SAMPLED // size)
    return spread(stack.frame_count, min(wanted, max(1, SAMPLED_PIXELS // size)))


def spread(count: int, most: int) -> list[int]:
    """Give at most so many of the numbers 0 to `count` - 1, evenly spread."""
    return [int(i) for i in np.linspace(0, count - 1, min(count, most)).round()]


def centre(frame: NDArray[np.floating]) -> NDArray[np.floating]:
    """Cut the middle out of a frame of more than 2048 pixels a side: this bounds the cost."""
    side = int(SAMPLED_PIXELS**0.5)
    top, left = (max(0, (length - side) // 2) for length in frame.shape)
    return frame[top : top + side, left : left + side]
