"""Channels laid over each other: the colour of each, and what they make together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from training_core.stack import Pixels, Stack

    from .contrast import Window

    Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "Magenta": (255, 0, 255),
    "Green": (0, 255, 0),
    "Cyan": (0, 255, 255),
    "Yellow": (255, 255, 0),
    "Blue": (64, 96, 255),  # pure blue is too dark to be seen on black
    "Orange": (255, 140, 0),
    "Red": (255, 0, 0),
    "Grey": (255, 255, 255),
}
# The first two are told apart by colour-blind people, and are white where they lie together.
USUAL = ("Magenta", "Green", "Cyan", "Yellow", "Blue", "Orange", "Red", "Grey")
_RAMP = np.arange(256)
_ROWS = 64  # of a wide frame, which stay in the processor while they are worked on


def channel_count(stack: Stack | None) -> int:
    """Give how many channels a stack has; 1 without that axis."""
    if stack is None or "C" not in stack.axes:
        return 1
    return stack.shape[stack.axes.index("C")]


def channel_titles(stack: Stack) -> list[str]:
    """Name each channel, by its number where it has no name."""
    count = channel_count(stack)
    names = stack.channels if len(stack.channels) == count else ("",) * count
    return [name or f"Channel {number}" for number, name in enumerate(names, 1)]


def is_picture(stack: Stack) -> bool:
    """Whether the channels are the colours of a picture, not measurements."""
    from training_core.export.facts import colours_of

    return colours_of(stack) == "RGB"


def colours_of_channels(stack: Stack) -> list[Colour]:
    """Give the colour of each channel: as the file says, where that tells them apart."""
    from training_core.export.facts import channel_colours

    count = channel_count(stack)
    if is_picture(stack):
        return [COLOURS["Red"], COLOURS["Green"], (0, 0, 255)]
    noted = [_from_hexadecimal(text) for text in channel_colours(stack)]
    apart = len(set(noted)) == len(noted) == count and (0, 0, 0) not in noted
    return noted if apart else [COLOURS[USUAL[n % len(USUAL)]] for n in range(count)]


def frames_of_channels(stack: Stack, index: int) -> list[int]:
    """Give the frame of each channel at the place of frame `index` along all other axes."""
    if "C" not in stack.axes:
        return [index]
    apart = math.prod(stack.shape[stack.axes.index("C") + 1 : -2])
    first = index - stack.channel_of(index) * apart
    return [first + number * apart for number in range(channel_count(stack))]


def laid_over(layers: Iterable[tuple[Pixels, Window, Colour]]) -> NDArray[np.uint32]:
    """Add up (height, width) images, each in its colour and with its own black and white.

    Returns
    -------
    (height, width) uint32
        Opacity, red, green and blue, a byte each, as the screen takes them.
    """
    given = list(layers)
    made = np.empty(given[0][0].shape, np.uint32)
    for top in range(0, len(made), _ROWS):
        rows = slice(top, top + _ROWS)
        _lay_over(made[rows], [(image[rows], window, colour) for image, window, colour in given])
    return made


def _lay_over(made: NDArray[np.uint32], layers: Iterable[tuple[Pixels, Window, Colour]]) -> None:
    """Fill some rows, (rows, width): few enough for the sums to stay in the processor."""
    sums: list[NDArray[np.uint8] | None] = [None] * 3
    for image, window, colour in layers:
        shares = _shares(image, window)
        for number, most in enumerate(colour):
            if most:
                part = shares if most == 255 else (_RAMP * most // 255).astype(np.uint8)[shares]
                total = sums[number]
                # 255 at most
                sums[number] = part if total is None else total + np.minimum(part, ~total)
    none = np.zeros(made.shape, np.uint8)
    red, green, blue = (none if total is None else total for total in sums)
    # Two bytes at a time, which is half the work of writing each of the four to its place.
    made[...] = red.astype(np.uint16) | 0xFF00
    made <<= 16
    made |= (green.astype(np.uint16) << 8) | blue


def _shares(image: Pixels, window: Window) -> NDArray[np.uint8]:
    """Bring an image to 0 (black) to 255 (full)."""
    low, high = window
    values = np.subtract(image, low, dtype=np.float32)
    values *= 255 / (high - low)
    np.clip(values, 0, 255, out=values)
    if image.dtype.kind == "f" and np.isnan(values.min()):
        np.nan_to_num(values, copy=False)
    return values.astype(np.uint8)


def _from_hexadecimal(text: str) -> Colour:
    digits = text.strip("#")[:6]
    try:
        red, green, blue = bytes.fromhex(digits)
    except ValueError:
        return (0, 0, 0)
    return red, green, blue
