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
_LEVELS = 65_536  # up to which every value has an entry of its own in a table


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
    sums: dict[int, NDArray[np.uint16]] = {}
    for image, window, colour in layers:
        shares = _shares(image, window)
        for place, most in enumerate(reversed(colour)):
            if most:
                part = shares if most == 255 else (_RAMP * most // 255).astype(np.uint8)[shares]
                sums[place] = sums[place] + part if place in sums else part.astype(np.uint16)
    made = np.zeros((*shares.shape, 4), np.uint8)
    made[..., 3] = 255
    for place, total in sums.items():
        made[..., place] = np.minimum(total, 255)
    return np.asarray(made.view("<u4")[..., 0])


def _shares(image: Pixels, window: Window) -> NDArray[np.uint8]:
    """Bring an image to 0 (black) to 255 (full), by a table where it has few enough values."""
    low, high = window
    if image.dtype.kind == "u" and image.dtype.itemsize <= 2:
        values = np.arange(min(np.iinfo(image.dtype).max + 1, _LEVELS), dtype=np.float32)
        return _scaled(values, low, high)[image]
    values = image.astype(np.float32)
    if not np.isfinite(values).all():
        values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    return _scaled(values, low, high)


def _scaled(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """Bring values of its own to bytes; they are overwritten."""
    values -= low
    values *= 255 / (high - low)
    shares: NDArray[np.uint8] = np.clip(values, 0, 255, out=values).astype(np.uint8)
    return shares


def _from_hexadecimal(text: str) -> Colour:
    digits = text.strip("#")[:6]
    try:
        red, green, blue = bytes.fromhex(digits)
    except ValueError:
        return (0, 0, 0)
    return red, green, blue
