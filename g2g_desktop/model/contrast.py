"""Which grey values are shown as black and as white: display only, the pixels stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training_core.stack import Pixels, Stack

    Window = tuple[float, float]

SATURATED_PERCENT = (0.35, 1.0, 2.0, 0.0)
"""What each press of Auto saturates, both tails together; 0 is minimum to maximum."""

SOFT_TISSUE_HU = (-160.0, 240.0)

# Sorting this many values takes a few milliseconds, so it may be done while the window is open.
MOST_VALUES = 2**18
MOST_FRAMES = 16


@dataclass(frozen=True, slots=True)
class IntensitySample:
    """Some values of a stack, sorted, from which any window is read off at once.

    Attributes
    ----------
    values
        (count,) float32, ascending, in the units of the stack.
    """

    values: NDArray[np.float32]

    @classmethod
    def of(cls, stack: Stack, channel: int | None = None) -> IntensitySample:
        """Sample up to 16 frames spread over the stack, or over one channel of it."""
        frames: NDArray[np.int_] = np.arange(stack.frame_count).reshape(stack.shape[:-2])
        if channel is not None:
            frames = frames.take([channel], axis=stack.axes.index("C"))
        chosen = np.unique(np.linspace(0, frames.size - 1, MOST_FRAMES).astype(int))
        share = MOST_VALUES // len(chosen)
        return cls._sorted([_thinned(stack.raw_frame(i), share) for i in frames.ravel()[chosen]])

    @classmethod
    def of_image(cls, image: Pixels) -> IntensitySample:
        """Sample one (height, width) image."""
        return cls._sorted([_thinned(image, MOST_VALUES)])

    @classmethod
    def _sorted(cls, parts: list[NDArray[np.float32]]) -> IntensitySample:
        return cls(np.sort(np.concatenate(parts)))

    @property
    def range(self) -> Window:
        """Smallest and largest value sampled, never equal."""
        return _apart(float(self.values[0]), float(self.values[-1]))

    def window(self, saturated_percent: float) -> Window:
        """Give the window that leaves half of `saturated_percent` outside at each end."""
        last = len(self.values) - 1
        skipped = round(last * saturated_percent / 200)
        low, high = float(self.values[skipped]), float(self.values[last - skipped])
        # A nearly empty picture has one value almost everywhere; its few others must stay visible.
        return (low, high) if high > low else self.range

    def automatic(self, unit: str) -> list[tuple[Window, str]]:
        """Give the windows that Auto goes through, with names; `unit` is that of the values."""
        percents = [
            (self.window(p), f"Auto {p:g} %" if p else "Min-max") for p in SATURATED_PERCENT
        ]
        return [(SOFT_TISSUE_HU, "Soft tissue"), *percents] if unit == "HU" else percents

    def histogram(self, bins: int, window: Window) -> NDArray[np.float64]:
        """Count the values in each of `bins` equal parts of `window`, (bins,) float64."""
        edges = np.linspace(*window, bins + 1, dtype=np.float32)
        return np.diff(np.searchsorted(self.values, edges)).astype(np.float64)


def shades(image: Pixels, window: Window | None = None) -> NDArray[np.uint8]:
    """Give the greys in which the viewer first shows an image, (height, width) uint8.

    With a `window` they are those between its ends.
    """
    low, high = window or IntensitySample.of_image(image).window(SATURATED_PERCENT[0])
    scaled = np.clip((image.astype(np.float32) - low) * (255 / (high - low)), 0, 255)
    grey: NDArray[np.uint8] = scaled.astype(np.uint8)
    return grey


class StackContrast:
    """The contrast window of each channel of a stack, measured when it is first shown."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._samples: dict[int, IntensitySample] = {}
        self._windows: dict[int, tuple[Window, str]] = {}
        self._next_step: dict[int, int] = {}

    def sample(self, channel: int) -> IntensitySample:
        """Give the values of a channel."""
        if channel not in self._samples:
            chosen = channel if "C" in self._stack.axes else None
            self._samples[channel] = IntensitySample.of(self._stack, chosen)
        return self._samples[channel]

    def window(self, channel: int) -> tuple[Window, str]:
        """Give the window of a channel and how it was chosen."""
        if channel not in self._windows:
            self.next_automatic(channel)
        return self._windows[channel]

    def next_automatic(self, channel: int) -> None:
        """Take the next automatic window of a channel, after the last the first again."""
        choices = self.sample(channel).automatic(self._stack.value_unit)
        step = self._next_step.get(channel, 0)
        self._windows[channel] = choices[step % len(choices)]
        self._next_step[channel] = step + 1

    def choose(self, channel: int, window: Window) -> None:
        """Take a window chosen by hand; the next automatic one is the first."""
        self._windows[channel] = (window, "Auto")
        self._next_step[channel] = 0


def _thinned(image: Pixels, most: int) -> NDArray[np.float32]:
    """Take every n-th row and column, so that about `most` values remain."""
    step = max(1, int(np.ceil(np.sqrt(image.size / most))))
    return np.asarray(image[::step, ::step], dtype=np.float32).ravel()


def _apart(low: float, high: float) -> Window:
    return (low, high) if high > low else (low, low + 1.0)
